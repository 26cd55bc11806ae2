//! Files, from a real browser straight to the bucket of a honeyDue that Skep has shipped.

use std::fs;

use serde_json::json;
use skep_tests::{Browser, HoneyDue};

#[test]
fn a_browser_sends_photos_and_documents_straight_to_the_bucket() {
    let Some(app) = HoneyDue::on_hive("the bucket needs a volume, and the browser hive's ingress") else {
        return;
    };
    let port = app.world().port();
    app.skep(&["up"]).ok().says("honeydue v1 is live on local");
    let folder = tempfile::tempdir().expect("a folder");
    let browser = Browser::open();
    let web = format!("http://web.localhost:{port}");

    // Pictures of a page are pictures: as good as any for a test.
    browser.go(&format!("{web}/"));
    let photo = browser.picture("landing");
    browser.go(&format!("{web}/signup"));
    browser.types("[name=name]", "Ada Lovelace");
    browser.types("[name=email]", "ada@example.com");
    browser.types("[name=password]", "a long password");
    browser.clicks("main button");
    browser.sees("home", "document.querySelector('details form [name=name]')");
    browser.types("details form [name=name]", "Lake house");
    browser.clicks("details form button");
    browser.sees("the tasks", "document.querySelector('a[href$=\"/done\"]')");
    browser.picture("home");

    browser.clicks("a[href$='/done']");
    browser.sees("the picker", "document.querySelector('input[type=file]')");
    let empty = folder.path().join("empty.png");
    let text = folder.path().join("notes.txt");
    let pretended = folder.path().join("pretended.png");
    fs::write(&empty, "").expect("a file");
    fs::write(&text, "not a picture").expect("a file");
    fs::write(&pretended, "<script>alert(1)</script>").expect("a file");
    let pick = |files: &[&std::path::Path]| {
        let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        browser.types("input[type=file]", &paths.join("\n"));
    };
    let in_state = |state: &str| format!("document.querySelectorAll('.file[data-state={state}]').length");
    pick(&[&photo, &photo, &empty, &text]);
    browser.sees("two that were sent", &format!("{} === 2", in_state("sent")));
    browser.sees("two that were refused", &format!("{} === 2", in_state("failed")));
    browser.sees("why", "document.body.innerText.includes('a file has 1 byte to 10 MB')");
    browser.sees("why", "document.body.innerText.includes('this kind of file is not taken')");
    browser.picture("uploads-sent");
    assert_eq!(browser.run("return document.querySelector('button[type=submit]').disabled"), json!(true));
    for _ in 0..2 {
        browser.clicks(".file[data-state=failed] [data-remove]");
    }

    // The store goes away in the middle, and comes back.
    app.kubectl(&["scale", "deployment", "bucket", "--replicas=0"]).ok();
    app.kubectl(&["wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=bucket", "--timeout=60s"])
        .ok();
    pick(&[&photo]);
    browser.sees("one that can't be sent", &format!("{} === 1", in_state("failed")));
    browser.picture("uploads-away");
    app.kubectl(&["scale", "deployment", "bucket", "--replicas=1"]).ok();
    app.kubectl(&["rollout", "status", "deployment/bucket", "--timeout=60s"]).ok();
    browser.clicks(".file[data-state=failed] [data-again]");
    browser.sees("three that were sent", &format!("{} === 3", in_state("sent")));
    browser.clicks("button[type=submit]");
    let shown =
        "[...document.querySelectorAll('.photos img')].filter(img => img.naturalWidth > 0).length === 3";
    browser.run("document.querySelectorAll('.photos img').forEach(img => img.loading = 'eager')");
    browser.sees("the photos, read from the bucket", shown);
    browser.picture("uploads-done");

    // What only calls itself a picture is sent, and not kept.
    pick(&[&pretended]);
    browser.sees("one that was sent", &format!("{} === 1", in_state("sent")));
    browser.clicks("button[type=submit]");
    browser.sees(
        "why not",
        "document.querySelector('.wrong').innerText.includes('not what its content type says')",
    );

    browser.go(&format!("{web}/home"));
    browser.clicks("a[href$='/documents']");
    browser.sees("the picker", "document.querySelector('input[type=file]')");
    let warranty = folder.path().join("warranty.pdf");
    fs::write(&warranty, "%PDF-1.7\nof a furnace").expect("a file");
    browser.types("[name=title]", "Furnace warranty");
    pick(&[&warranty, &photo]);
    browser.sees("two that were sent", &format!("{} === 2", in_state("sent")));
    browser.clicks("button[type=submit]");
    browser.sees("the document", "document.querySelector('.places b')?.innerText === 'Furnace warranty'");
    browser.picture("documents");

    browser.go(&format!("http://admin.localhost:{port}/"));
    browser.sees("what is kept", "document.body.innerText.includes('attached')");
    browser.run(
        "[...document.querySelectorAll('h2')].find(h => h.innerText.startsWith('Files')).scrollIntoView()",
    );
    browser.picture("admin");
    // A policy that a page breaks, or a script that fails, is said here; what was refused on purpose is not a complaint of ours.
    let complaints = browser.complaints();
    let ours = complaints
        .iter()
        .filter(|line| line.contains("Content Security Policy") || line.contains("Uncaught"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&String>::new());
}
