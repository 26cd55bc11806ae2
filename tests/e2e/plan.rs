//! What a deploy would do is shown before it does it.

use serde_json::Value;
use skep_tests::{Outcome, World};

fn planned(world: &World) -> Value {
    let lines = world.skep(&["plan", "--output", "json"]).json();
    lines.into_iter().find(|line| line["type"] == "plan").expect("a plan is printed")
}

fn fields(plan: &Value, object: &str) -> Vec<String> {
    let changes = plan["changes"].as_array().expect("a list").iter();
    let of = changes.filter(|change| {
        format!("{}/{}", change["object"]["kind"], change["object"]["name"]).replace('"', "") == object
    });
    of.flat_map(|change| change["fields"].as_array().expect("a list"))
        .map(|field| field["path"].as_str().expect("a path").to_owned())
        .collect()
}

#[test]
fn a_plan_names_what_restarts_and_why_and_writes_nothing() {
    let world = World::new();
    world.skep(&["plan"]).code(2).says("the first release").says("Deployment/shop").never_says("restarts");
    world.kubectl(&["get", "namespace", world.namespace()]).says("NotFound");
    world.skep(&["deploy"]).ok();
    world.skep(&["plan"]).ok().says("nothing to do");
    world.skep(&["diff"]).ok().says("nothing differs");

    world.project.write("release", "two\n");
    world.project.write("shop.env", "GREETING=good evening\nCOLOUR=blue\n");
    world.project.edit("k8s/shop.yaml", "periodSeconds: 1", "periodSeconds: 2");
    world.project.edit("k8s/traffic.yaml", "port: 80,", "port: 81,");
    let plan = world.skep(&["plan"]).code(2);
    let plan = plan.says("restarts").says("image of shop").says("config shop-config (COLOUR, GREETING)");
    plan.says("spec.containers[shop].readinessProbe.periodSeconds")
        .says("creates")
        .says("ConfigMap/shop-config-");

    let plan = planned(&world);
    let restarts =
        &plan["changes"].as_array().expect("a list").iter().find(|c| c["object"]["kind"] == "Deployment");
    let because: Vec<&str> = restarts.expect("it restarts")["restarts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|reason| reason["because"].as_str())
        .collect();
    assert_eq!(because, ["image", "config", "manifest"]);
    assert_eq!(world.object("deployment", "shop")["metadata"]["generation"], 1, "a plan writes nothing");
    world.skep(&["history"]).ok().never_says("v2");

    world
        .skep(&["deploy"])
        .ok()
        .says("shop will restart: image of shop, config shop-config (COLOUR, GREETING)");
    world.skep(&["plan"]).ok();
}

#[test]
fn a_changed_replica_count_restarts_nothing() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.skep(&["plan"]).code(2).says("spec.replicas").never_says("restarts");
    assert_eq!(fields(&planned(&world), "Deployment/shop"), ["spec.replicas"]);
    world.skep(&["diff"]).code(2).says("spec.replicas").says("- 2").says("+ 3").says("k8s/shop.yaml:1");
}

#[test]
fn a_diff_shows_each_field_and_no_secret() {
    let world = World::new();
    world.project.add_secret("TOKEN=first-secret\n");
    let silent = |outcome: Outcome| {
        let secrets = ["first-secret", "second-secret", "Zmlyc3Qtc2VjcmV0", "c2Vjb25kLXNlY3JldA"];
        secrets.into_iter().fold(outcome, Outcome::never_says)
    };
    silent(world.skep(&["diff"]).code(2)).says("+ Secret/shop-secrets").says("data: (hidden)");
    world.skep(&["deploy"]).ok();
    world.project.write("secrets.env", "TOKEN=second-secret\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    silent(world.skep(&["diff"]).code(2))
        .says("data.GREETING")
        .says("- hello")
        .says("+ good evening")
        .says("data.TOKEN");
    silent(world.skep(&["plan"]).code(2)).says("secret shop-secrets (TOKEN)");
    silent(world.skep(&["diff", "--output", "json"]).code(2)).says("(hidden)");
}

#[test]
fn what_was_changed_by_hand_is_shown_as_drift() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.kubectl(&["scale", "deployment/shop", "--replicas=1"]).ok();
    world.kubectl(&["delete", "service", "shop"]).ok();
    let plan = world.skep(&["plan"]).code(2).says("drifted");
    let plan = plan.says("Deployment/shop spec.replicas is 1, the manifests say 2; kubectl");
    plan.says("Service/shop was deleted, and will be made again").says("`skep deploy` refuses");
    world.skep(&["diff"]).code(2).says("drifted").says("spec.replicas is 1");
    let drift = planned(&world)["drift"].clone();
    assert_eq!(drift.as_array().map(Vec::len), Some(2), "{drift}");
    world.skep(&["deploy"]).code(14).says("spec.replicas").says("hint:");

    world.kubectl(&["scale", "deployment/shop", "--replicas=2"]).ok();
    world.skep(&["plan"]).code(2).says("Service/shop was deleted").never_says("refuses");
    world.skep(&["deploy"]).ok();
    world.skep(&["plan"]).ok();
}

#[test]
fn a_saved_plan_is_carried_out_exactly() {
    let world = World::new();
    world.project.add_secret("TOKEN=first-secret\n");
    world.skep(&["plan", "--out", "plan.json"]).code(14).says("can't be saved").says("later plans can");
    world.skep(&["deploy"]).ok();

    world.project.write("release", "two\n");
    world.project.write("secrets.env", "TOKEN=second-secret\n");
    // A plan is carried out as it stands: nobody else may write it, whatever was there before.
    let mode = || {
        let file = std::fs::metadata(world.project.dir().join("plan.json")).expect("a plan");
        std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777
    };
    world.project.write("plan.json", "an old one");
    assert_ne!(mode(), 0o600);
    world.skep(&["plan", "--out", "plan.json"]).code(2).says("`skep deploy --plan plan.json` does it");
    assert_eq!(mode(), 0o600);
    let saved = std::fs::read_to_string(world.project.dir().join("plan.json")).expect("it was saved");
    for secret in ["second-secret", "c2Vjb25kLXNlY3JldA", "first-secret", "Zmlyc3Qtc2VjcmV0"] {
        assert!(!saved.contains(secret), "a saved plan holds no secret");
    }
    // What changes in the folder after the plan was made is not shipped.
    world.project.write("release", "three\n");
    world.project.write("shop.env", "GREETING=never planned\n");
    world.skep(&["deploy", "--plan", "plan.json"]).ok().says("v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    let token = world.object("secret", "shop-secrets")["data"]["TOKEN"].clone();
    assert_eq!(token, "c2Vjb25kLXNlY3JldA==");
    world.skep(&["deploy", "--plan", "plan.json"]).code(14).says("the newest release is v2");
}

#[test]
fn a_saved_plan_is_refused_when_something_has_moved() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["plan", "--out", "plan.json"]).code(2);
    world.kubectl(&["delete", "service", "shop"]).ok();
    let refused = world.skep(&["deploy", "--plan", "plan.json"]).code(14);
    refused.says("the cluster has moved since the plan was made: Service/shop").says("hint:");
    assert_eq!(world.get("/").as_deref().unwrap_or("nothing"), "nothing");

    world.project.write("plan.json", r#"{"format": 99}"#);
    world.skep(&["deploy", "--plan", "plan.json"]).code(1).says("knows formats up to 1");
    world.project.write("plan.json", "app: shop");
    world
        .skep(&["deploy", "--plan", "plan.json"])
        .code(1)
        .says("it is not a saved plan")
        .says("skep plan --out");
    world.skep(&["deploy", "--plan", "gone.json"]).code(1).says("can't read gone.json");
    world.skep(&["deploy", "--plan", "plan.json", "--tag", "a"]).code(64);
}

#[test]
fn what_a_failed_release_left_is_removed_as_the_plan_says() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    let extra = "apiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec: { selector: { app: shop }, ports: [{ port: 81, targetPort: 8000 }] }\n";
    world.project.write("k8s/extra.yaml", extra);
    world.project.write("release", "crash\n");
    world.skep(&["deploy", "--no-restore"]).code(19);
    world.object("service", "extra");
    world.project.remove("k8s/extra.yaml");
    world.project.write("release", "three\n");
    world.skep(&["plan", "--out", "plan.json"]).code(2).says("removes").says("Service/extra");
    world.skep(&["deploy", "--plan", "plan.json"]).ok().says("removed Service/extra");
    world.skep(&["plan"]).ok().says("nothing to do");
}

#[test]
fn one_service_alone_brings_and_takes_nothing_of_others() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    world.project.remove("k8s/idle.yaml");
    world.project.write("k8s/new.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: new }\nspec: { selector: { app: shop }, ports: [{ port: 81, targetPort: 8000 }] }\n");
    world.project.write("release", "two\n");
    world.skep(&["plan", "shop"]).code(2).never_says("removes").never_says("Service/new");
    world.skep(&["deploy", "shop"]).ok().never_says("removed");
    world.object("deployment", "idle");
    world.kubectl(&["get", "service", "new"]).says("NotFound");
    world.skep(&["deploy"]).ok().says("removed Deployment/idle");
}

#[test]
fn what_people_added_by_hand_is_shown_and_left_alone() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.kubectl(&["set", "env", "deployment/shop", "DEBUG=1"]).ok();
    world.kubectl(&["annotate", "service", "shop", "note=mine"]).ok();
    world.kubectl(&["rollout", "restart", "deployment/shop"]).ok();
    world.kubectl(&["rollout", "status", "deployment/shop", "--timeout=60s"]).ok();
    let plan =
        world.skep(&["plan"]).code(2).says("drifted").says("kubectl-set wrote it").never_says("restartedAt");
    plan.says("Deployment/shop spec.template.spec.containers[shop].env")
        .says("Service/shop metadata.annotations.note is mine");
    world.skep(&["deploy"]).ok().says("nothing was changed");
    world.skep(&["plan", "--recreate", "deployment/nope"]).code(14).says("no object `deployment/nope`");
    world.skep(&["plan", "--recreate", "deployment/shop"]).code(2);
}

#[test]
fn an_object_that_somebody_made_under_an_old_name_is_not_removed() {
    let world = World::new();
    let extra = "apiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec: { selector: { app: shop }, ports: [{ port: 81, targetPort: 8000 }] }\n";
    world.project.write("k8s/extra.yaml", extra);
    world.skep(&["deploy"]).ok();
    world.project.remove("k8s/extra.yaml");
    world.skep(&["deploy"]).ok().says("removed Service/extra");
    world.project.write("theirs.yaml", extra);
    world.kubectl(&["create", "-f", "theirs.yaml"]).ok();
    world.skep(&["plan"]).ok().says("nothing to do");
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok().never_says("removed");
    world.object("service", "extra");
}
