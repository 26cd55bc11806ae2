//! A second app: another language, a skep.yaml of a few lines, the same tool.

use skep_tests::Example;

const HOST: &str = "guestbook.localhost";

#[test]
fn an_app_in_python_is_shipped_changed_and_brought_back() {
    if !Example::has_volumes() {
        return;
    }
    let app = Example::copied("guestbook", &["skep.yaml", "stage.sh", "app", "k8s"]);
    let lines = include_str!("../../examples/guestbook/skep.yaml").lines().count();
    assert!(lines <= 5, "skep.yaml has {lines} lines");
    app.skep(&["up"]).ok().says("guestbook v1 is live");
    let entry = ["--data-urlencode", "name=Ada", "--data-urlencode", "message=I was <here>"];
    let page = app.ask(HOST, "/", &entry).expect("the guestbook answers").body;
    assert!(
        page.contains("I was &lt;here&gt;") && page.contains("<code id=\"version\">1.0.0</code>"),
        "{page}"
    );
    app.skep(&["up"]).ok().says("nothing was changed").says("1 image, unchanged");

    app.edit("app/guestbook.py", "VERSION = \"1.0.0\"", "VERSION = \"1.1.0\"");
    app.skep(&["deploy"]).ok().says("guestbook v2 is live");
    let page = app.page(HOST, "/");
    assert!(page.contains("I was &lt;here&gt;"), "the volume stays\n{page}");
    assert!(page.contains("<code id=\"version\">1.1.0</code>"), "{page}");

    app.skep(&["rollback"]).ok().says("guestbook v3 is live");
    assert!(app.page(HOST, "/").contains("<code id=\"version\">1.0.0</code>"));
}
