//! The reference app from end to end: four services, Postgres and Redis as pods, a migration before each new release.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_tests::{HoneyDue, PATIENCE, World, eventually};

const GREETING: &str = "Made with care for your house.";

fn await_ready(app: &HoneyDue) {
    eventually("the api to be ready", PATIENCE, || (app.readiness().0 == Some(200)).then_some(()));
}

#[test]
fn up_ships_it_whole_and_up_again_changes_nothing() {
    let app = HoneyDue::new();
    let up = app.skep(&["up"]).ok().says("honeydue v1 is live on local");
    for host in ["web", "admin", "api"] {
        let port = if app.world().is_hive() { format!(":{}", app.world().port()) } else { String::new() };
        assert!(up.stdout.contains(&format!("http://{host}.localhost{port}/")), "{up}");
    }
    let (status, ready) = app.readiness();
    assert_eq!(status, Some(200), "{ready}");
    let ready: Value = serde_json::from_str(&ready).expect("readiness is JSON");
    let all_ok = json!({ "database": "ok", "cache": "ok", "schema": "ok", "serving": "ok" });
    assert_eq!(ready["checks"], all_ok);
    // Elsewhere the way between two services is there a second after the pods are.
    eventually("the admin page to find all well", PATIENCE, || {
        app.page("admin.localhost", "/").contains("All is well").then_some(())
    });
    app.kubectl(&["get", "deployments"]).ok().says("3/3");
    assert_eq!(app.object("deployment", "api")["status"]["readyReplicas"], 3);
    app.kubectl(&["get", "job", "-l", "app.kubernetes.io/name=migrate"]).ok().says("1/1");

    // What is for the cluster alone stays there.
    for host in ["web.localhost", "admin.localhost", "api.localhost"] {
        for path in ["/metrics", "/version"] {
            let answer = app.ask(host, path, &[]).expect("it answers");
            assert_eq!(answer.status, 404, "{host}{path}: {}", answer.body);
        }
    }
    assert!(
        !app.page("api.localhost", "/api/version/").contains("\"pod\":\"api-"),
        "nor does it name its pod"
    );

    live_in_it(&app);

    let again = app.skep(&["up"]).ok().says("nothing was changed").says("7 images, unchanged");
    assert_eq!(app.object("deployment", "api")["metadata"]["generation"], 1, "{again}");
}

/// A person's first visit: through the pages, which ask the api, and through the api itself.
fn live_in_it(app: &HoneyDue) {
    let form = |path: &str, fields: &[&str]| {
        let fields: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field]).collect();
        let answer = app.ask("web.localhost", path, &fields).expect("the web page answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    };
    app.page_of_api("one");
    let home = form("/signup", &["name=Grace", "email=grace@example.com", "password=a long password"]);
    assert!(home.contains("Grace"), "{home}");
    let home = form("/residences", &["name=Lake house", "address=", "usual_tasks=on"]);
    assert!(home.contains("Lake house"), "{home}");

    let token = app.settle_in("Town flat");
    let mine = Some(token.as_str());
    let residence = app.api("GET", "/api/residences/", mine, &Value::Null).json()[0].clone();
    assert_eq!(app.homes(&token), ["Town flat"], "nobody sees another's house");
    let filter = json!({ "title": "Change the filter", "due_on": "2020-02-01", "every_days": 90 });
    let task = app.api("POST", &format!("/api/residences/{}/tasks/", residence["id"]), mine, &filter).json();
    assert_eq!(task["urgency"], "overdue", "{task}");
    let done = app.api("POST", &format!("/api/tasks/{}/complete/", task["id"]), mine, &json!({})).json();
    assert_eq!(done["days_left"], 90, "{done}");
}

#[test]
fn an_update_of_the_api_and_its_rollback_lose_no_request() {
    let Some(app) = HoneyDue::on_hive("a port-forward stays with one pod: it needs an Ingress") else {
        return;
    };
    app.skep(&["up"]).ok();
    let sent_before = app.object("deployment", "web")["spec"]["template"].clone();
    app.write("release", "two\n");
    let load = app.world().load_on("api.localhost", "/api/version/", 220);
    app.skep(&["deploy"]).ok().says("honeydue v2 is live");
    app.page_of_api("two");
    assert_eq!(app.object("deployment", "web")["spec"]["template"], sent_before, "only the api was changed");

    app.write("release", "three\n");
    app.edit("deploy-k3s/prod.env", GREETING, "Spring is here.");
    app.skep(&["deploy"]).ok();
    let page = app.page_of_api("three");
    assert!(page.contains("Spring is here."), "{page}");

    app.skep(&["rollback"]).ok().says("honeydue v4 is live");
    let page = app.page_of_api("two");
    assert!(page.contains(GREETING), "its config came back with it\n{page}");
    let tally = load.stop();
    assert_eq!(tally.bad, Vec::<String>::new(), "of {} requests", tally.good);
    assert!(tally.rate() >= 200, "only {} requests a second were asked", tally.rate());
    for version in ["one", "two", "three"] {
        let served = tally.bodies.iter().any(|body| body.contains(&format!("\"version\":\"{version}\"")));
        assert!(served, "release {version} never served");
    }
}

#[test]
fn a_bad_migration_changes_no_service_and_is_shown_with_its_line() {
    const MIGRATION: &str = "migrations/20260301120000_rooms.sql";
    let app = HoneyDue::new();
    app.skep(&["up"]).ok();
    let before = app.object("deployment", "api");
    let bad = "-- +goose Up\nCREATE TABLE rooms (id bigint PRIMARY KEY);\n\nALTER TABLE residence ADD COLUMN rooms int;\n\n-- +goose Down\nDROP TABLE rooms;\n";
    app.write(MIGRATION, bad);
    app.write("release", "two\n");
    let load = app.world().load_on("api.localhost", "/api/version/", 50);
    let began = Instant::now();
    let failed = app.skep(&["deploy"]).code(17);
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    let failed = failed.says("20260301120000_rooms.sql:4").says("ALTER TABLE residence ADD COLUMN rooms int");
    failed.says("relation \"residence\" does not exist").says("no service was changed").says("hint:");
    let after = app.object("deployment", "api");
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);
    assert_eq!(after["spec"], before["spec"]);
    let tally = load.stop();
    assert_eq!(tally.bad, Vec::<String>::new());
    assert!(tally.bodies.iter().all(|body| body.contains("\"version\":\"one\"")), "{:?}", tally.bodies);

    // What the failed migration had made is gone with it: the mended one makes it again.
    app.write(MIGRATION, &bad.replace("TABLE residence ", "TABLE residences "));
    app.skep(&["deploy"]).ok();
    app.page_of_api("two");
}

#[test]
fn an_api_that_refuses_the_schema_is_named_as_that_at_once() {
    let app = HoneyDue::new();
    app.edit("skep.yaml", "    migrate: { needs: [postgres, redis] }\n", "    migrate:\n");
    app.start_hive();
    let began = Instant::now();
    let failed = app.skep(&["deploy"]).code(19);
    assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    failed
        .says("refused to boot because the database schema is not what it was built for")
        .says("exit code 78")
        .says("add `migrate` to skep.yaml");

    app.edit("skep.yaml", "    migrate:\n", "    migrate: { needs: [postgres, redis] }\n");
    app.skep(&["deploy"]).ok();
    assert_eq!(app.readiness().0, Some(200));
}

#[test]
fn it_outlives_its_cache_its_database_s_pod_and_its_hive() {
    let Some(app) = HoneyDue::on_hive("it kills hive") else { return };
    app.skep(&["up"]).ok();
    let token = app.settle_in("Lake house");
    without_cache(&app);
    with_another_database_pod(&app);
    assert_eq!(app.homes(&token), ["Lake house"], "the volume outlives its pod");
    with_its_hive_killed(&app);
    assert_eq!(app.homes(&token), ["Lake house"], "what was committed is there");
}

fn without_cache(app: &HoneyDue) {
    app.kubectl(&["scale", "deployment/redis", "--replicas=0"]).ok();
    eventually("the api to be unready", PATIENCE, || (app.readiness().0 == Some(503)).then_some(()));
    eventually("the api to get no traffic", PATIENCE, || {
        let status = app.object("deployment", "api")["status"].clone();
        (status["readyReplicas"].as_u64().unwrap_or(0) == 0).then_some(())
    });
    assert!(app.page("web.localhost", "/").contains("api away"), "the page says what is wrong");
    app.kubectl(&["scale", "deployment/redis", "--replicas=1"]).ok();
    await_ready(app);
}

fn with_another_database_pod(app: &HoneyDue) {
    let pod =
        || app.kubectl(&["get", "pods", "-l", "app.kubernetes.io/name=postgres", "-o", "name"]).ok().stdout;
    let before = pod();
    let asked = app.world().load_on("api.localhost", "/api/ready/", 20);
    app.kubectl(&["delete", before.trim(), "--timeout=60s"]).ok();
    // The Deployment's status may still be that of the pod before.
    let after = eventually("another database pod", PATIENCE, || {
        Some(pod()).filter(|after| !after.trim().is_empty() && *after != before)
    });
    app.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", after.trim()]).ok();
    await_ready(app);
    let unready = asked.stop().bad;
    assert!(unready.iter().any(|answer| answer.starts_with("503")), "readiness knew of it: {unready:?}");
}

fn with_its_hive_killed(app: &HoneyDue) {
    World::kill_9(app.world().hive_pid());
    assert_eq!(app.readiness().0, None, "pods die with their hive");
    app.skep(&["up"]).ok().says("nothing was changed");
    await_ready(app);
    app.page_of_api("one");
    eventually("the admin page to find all well", PATIENCE, || {
        app.page("admin.localhost", "/").contains("All is well").then_some(())
    });
}
