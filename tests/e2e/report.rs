//! A release as a page, looked at by a browser; and a rollout that failed, judged once more.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use skep_tests::{Outcome, World};

/// What a browser makes of a page, as this script's value.
fn in_browser(page: &Path, script: &str) -> Value {
    let text = fs::read_to_string(page).expect("the page was written");
    let asking =
        format!("<script>document.documentElement.dataset.seen = JSON.stringify({script})</script></body>");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("page.html");
    fs::write(&copy, text.replace("</body>", &asking)).expect("a file can be written");
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--dump-dom",
        "--window-size=1000,800",
    ]);
    browser.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    browser.env("HOME", folder.path()).arg(format!("file://{}", copy.display()));
    let dom = Outcome::of(&mut browser).ok().stdout;
    let seen =
        dom.split_once("data-seen=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(seen, _)| seen);
    let seen = seen.unwrap_or_else(|| panic!("the script did not run:\n{dom}"));
    let plain = [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    let seen = plain.iter().fold(seen.to_owned(), |seen, (escaped, plain)| seen.replace(escaped, plain));
    serde_json::from_str(&seen).unwrap_or_else(|error| panic!("{error}: {seen}"))
}

const LOOK: &str = "({
    title: document.title,
    status: document.querySelector('.status').innerText,
    changed: document.querySelector('#changes + *').innerText,
    wrong: (document.querySelector('#diagnosis + pre') || {}).innerText || '',
    names: [...document.querySelectorAll('.gantt .name')].map(one => one.innerText),
    bars: [...document.querySelectorAll('.gantt .bar')].map(one => [one.className, one.getBoundingClientRect().width]),
    spills: [...document.querySelectorAll('.gantt .bar')].filter(one => {
        const [bar, track] = [one.getBoundingClientRect(), one.parentElement.getBoundingClientRect()];
        return bar.left < track.left - 1 || bar.right > track.right + 3;
    }).length,
    wide: document.documentElement.scrollWidth > innerWidth,
})";

fn widest(seen: &Value, class: &str) -> f64 {
    let bars = seen["bars"].as_array().into_iter().flatten();
    let of_class = bars.filter(|bar| bar[0] == format!("bar {class}")).filter_map(|bar| bar[1].as_f64());
    of_class.fold(0.0, f64::max)
}

#[test]
fn a_release_is_one_page_that_a_browser_shows() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "slow 2\n");
    world.project.write("shop.env", "GREETING=<b>good evening</b>\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["report"]).ok().says("shop-v2.html");
    let seen = in_browser(&world.project.dir().join("shop-v2.html"), LOOK);
    assert_eq!((&seen["status"], &seen["wrong"]), (&"deployed".into(), &"".into()), "{seen}");
    let changed = seen["changed"].as_str().unwrap_or_default();
    assert!(changed.contains("image of shop") && changed.contains("GREETING"), "{changed}");
    let names: Vec<&str> = seen["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(
        names.contains(&"roll") && names.iter().filter(|name| name.starts_with("shop-")).count() >= 4,
        "{names:?}"
    );
    // Two pods one after the other, 2 s each: most of the time is theirs.
    assert!(
        widest(&seen, "waiting") > 100.0 && widest(&seen, "before") > 100.0 && widest(&seen, "step") > 300.0,
        "{seen}"
    );
    assert_eq!((&seen["spills"], &seen["wide"]), (&0.into(), &false.into()), "{seen}");
}

#[test]
fn a_release_that_failed_has_its_diagnosis_on_the_page() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "crash <script>no config & no luck</script>\n");
    world.skep(&["deploy"]).code(30);
    world.skep(&["report", "v2"]).ok();
    let seen = in_browser(&world.project.dir().join("shop-v2.html"), LOOK);
    assert_eq!(seen["status"], "restored");
    let wrong = seen["wrong"].as_str().unwrap_or_default();
    for told in ["it ended 3 times", "exit code 3", "hint: ", "panic: <script>no config & no luck</script>"] {
        assert!(wrong.contains(told), "{told}: {wrong}");
    }
    assert!(widest(&seen, "failed") > 100.0, "{seen}");
    world.skep(&["report", "7"]).code(10).says("there is no release v7");
}

#[test]
fn a_rollout_that_failed_is_judged_once_more_anywhere() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "crash no config\n");
    world.skep(&["deploy"]).code(30);
    let replayed = world.skep(&["replay"]).ok();
    replayed.says("v2, watched from").says("failed, crash-loop").says("the verdicts are those of the deploy");
    world.skep(&["bundle", "v2"]).ok().says("recording.jsonl");
    // On another machine, with nothing but the file.
    let elsewhere = World::without_hive();
    let bundle = world.project.dir().join("shop-v2.tar.gz").display().to_string();
    let told = elsewhere.skep(&["replay", &bundle, "--output", "json"]).ok().json().remove(0);
    assert_eq!((&told["same"], &told["release"]), (&true.into(), &2.into()), "{told}");
    assert!(told["millis_to_verdict"].as_u64().is_some_and(|millis| millis < 5_000), "{told}");
    // A recording that says what did not follow from it is found out.
    let unpack = format!("tar -xzOf '{bundle}' recording.jsonl | sed 's/crash-loop/magic/' >changed.jsonl");
    Outcome::of(Command::new("sh").args(["-c", &unpack]).current_dir(elsewhere.project.dir())).ok();
    elsewhere.skep(&["replay", "changed.jsonl"]).code(2).says("the deploy said otherwise");
    elsewhere.skep(&["replay", "skep.yaml"]).code(1).says("can't be replayed").says("line 1");
}
