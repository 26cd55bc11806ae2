//! What is found before anything moves: errors stop a deploy, advice is counted, `skep check` shows it all.

use std::{fs, path::Path, process::Command};

use skep_tests::{Outcome, World};

const CAREFUL: &str = "periodSeconds: 1 }
          lifecycle: { preStop: { sleep: { seconds: 1 } } }
          resources: { requests: { cpu: 1m, memory: 8Mi } }";

/// The shop as a careful person writes it: nothing to find.
fn careful() -> World {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "periodSeconds: 1 }", CAREFUL);
    world
}

#[test]
fn advice_is_counted_by_a_deploy_and_shown_by_check() {
    let world = World::new();
    world.skep(&["deploy"]).ok().says("check    ok     2 warnings, which `skep check` shows");
    let found = world.skep(&["check"]).ok().says("has no preStop").says("no resources.requests");
    found.says("k8s/shop.yaml:").says("sleep: { seconds: 5 }");
    world.project.edit("k8s/shop.yaml", "periodSeconds: 1 }", CAREFUL);
    world.skep(&["check"]).ok().says("nothing to find fault with");

    for (from, to, says) in [
        ("maxUnavailable: 0, maxSurge: 1", "maxUnavailable: 2", "may be down at each roll"),
        (
            "strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }",
            "strategy: { type: Recreate }",
            "is down at each roll",
        ),
        ("sleep: { seconds: 1 }", "exec: { command: [sh, -c, \"sleep 20\"] }", "takes 20 s of 10 s of grace"),
        ("containerPort: 8000", "containerPort: 8000, hostPort: 8000", "can't roll on one node"),
        (
            "          readinessProbe: { httpGet: { path: /ready, port: http }, periodSeconds: 1 }\n",
            "",
            "no readinessProbe",
        ),
    ] {
        world.project.edit("k8s/shop.yaml", from, to);
        let found = world.skep(&["check", "--output", "json"]).ok();
        let found = found.json();
        let one = found
            .iter()
            .find(|line| line["type"] == "finding")
            .unwrap_or_else(|| panic!("{says}: {found:?}"));
        assert!(one["message"].as_str().is_some_and(|message| message.contains(says)), "{says}: {found:?}");
        assert_eq!(one["severity"], "warning");
        if to.is_empty() {
            break;
        }
        world.project.edit("k8s/shop.yaml", to, from);
    }
    world.project.edit("k8s/shop.yaml", "name: shop-config }", "name: shop-confg }");
    world.project.edit("k8s/traffic.yaml", "service: { name: shop,", "service: { name: shpo,");
    let found = world.skep(&["check"]).ok().says("reads the ConfigMap shop-confg, which neither");
    found.says("sends traffic to the Service shpo, which the manifests don't have");
    world.project.edit("k8s/shop.yaml", "name: shop-confg }", "name: shop-config }");
    world.project.edit("k8s/traffic.yaml", "service: { name: shpo,", "service: { name: shop,");
    world.project.write(
        "k8s/budget.yaml",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: { name: shop }\nspec: { minAvailable: 2, selector: { matchLabels: { app: shop } } }\n",
    );
    world
        .skep(&["check"])
        .ok()
        .says("k8s/budget.yaml:4")
        .says("lets none of the 2 pods of Deployment/shop go");
}

#[test]
fn values_that_can_not_be_right_stop_a_deploy_but_not_a_hotfix() {
    let world = careful();
    world.skep(&["deploy"]).ok();
    world.project.append(
        "skep.yaml",
        "checks: { all-or-none: [[B2_KEY, B2_BUCKET]], format: { APNS_KEY: pem-p8, PORT: integer } }\n",
    );
    world.project.write("shop.env", "GREETING=CHANGEME\nB2_KEY=hunter2\nAPNS_KEY=hunter2\nPORT=80 80\n");
    let refused = world
        .skep(&["deploy"])
        .code(11)
        .says("config/shop-config/GREETING: GREETING still has a placeholder");
    let refused = refused.says("B2_KEY without B2_BUCKET").says("APNS_KEY is no pem-p8: it does not begin");
    refused.says("PORT is no integer").never_says("hunter2").never_says("80 80");
    world.skep(&["check"]).code(11).says("error: checks/all-or-none").never_says("hunter2");
    world.project.write("release", "two\n");
    let mut hotfix = world.command(&["hotfix", "shop"]);
    let hotfix = hotfix.env("TIMEOUT", "20");
    let mut bounded = Command::new("timeout");
    bounded.args(["--signal=INT", "20"]).arg(hotfix.get_program()).args(hotfix.get_args());
    bounded
        .envs(hotfix.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .current_dir(world.project.dir());
    let outcome = Outcome::of(&mut bounded);
    outcome.says("warning: config/shop-config/GREETING").says("v2 is live");
    world.project.write("shop.env", "GREETING=hello\nB2_KEY=a\nB2_BUCKET=b\nPORT=8080\n");
    world.skep(&["deploy"]).ok();
    world.project.edit("skep.yaml", "[[B2_KEY, B2_BUCKET]]", "[B2_KEY, B2_BUCKET]");
    world.skep(&["deploy"]).code(10).says("should be a group of keys").says("[[KEY_ID, KEY, BUCKET]]");
    world.project.edit("skep.yaml", "[B2_KEY, B2_BUCKET]", "[[B2_KEY, B2_BUCKET]]");
    world.project.edit("skep.yaml", "pem-p8", "pem-p9");
    world.skep(&["deploy"]).code(10).says("`pem-p9` is no format").says("the formats are pem-p8");
}

#[test]
fn replicas_and_values_differ_by_target_and_rights_and_platforms_are_looked_at_before_the_lock() {
    let Some(world) = World::on_hive("it has three names for one cluster") else { return };
    world.project.edit("k8s/shop.yaml", "periodSeconds: 1 }", CAREFUL);
    let status = world.skep(&["hive", "status", "--output", "json"]).ok().json()[0].clone();
    let registry = status["registry"].as_str().expect("hive names its registry");
    let kubeconfig = world.hive_dir().join("kubeconfig");
    let far =
        |more: &str| format!("{{ kubeconfig: {}, registry: {registry}/far, {more} }}", kubeconfig.display());
    world.project.append(
        "skep.yaml",
        &format!(
            "targets:\n  far: {}\n  wrong: {}\n",
            far("namespace: far, replicas: { shop: 3 }, config: { shop-config: { values: { GREETING: good day } } }"),
            far("platforms: [linux/s390x]")
        ),
    );
    world.skep(&["check", "-t", "far"]).ok().says("shop → far: nothing to find fault with");
    world.skep(&["deploy", "-t", "far"]).ok();
    let far =
        world.kubectl(&["get", "deployment", "shop", "-n", "far", "-o", "jsonpath={.spec.replicas}"]).ok();
    assert_eq!(far.stdout, "3");
    let wrong = world
        .skep(&["check", "-t", "wrong"])
        .code(11)
        .says("images are built for linux/s390x, and the nodes are linux/");
    wrong.says("platforms: [linux/");
    world.project.edit("skep.yaml", "replicas: { shop: 3 }", "replicas: { shpo: 3 }");
    world.skep(&["deploy", "-t", "far"]).code(11).says("`replicas` names `shpo`").says("there are shop");
    world.skep(&["deploy", "-t", "nowhere"]).code(10).says("no target is called `nowhere`");
}

fn git(folder: &Path, arguments: &[&str]) {
    let me = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-C"];
    Outcome::of(Command::new("git").args(me).arg(folder).args(arguments)).ok();
}

#[test]
fn a_migration_that_old_code_can_not_live_with_is_told_with_the_half_that_goes_first() {
    let world = careful();
    let project = world.project.dir().to_owned();
    world.project.edit(
        "skep.yaml",
        "/release: release }",
        "/release: release, /migrations: migrations, /busybox: /bin/busybox }",
    );
    world
        .project
        .append("skep.yaml", "migrate: { manifest: k8s/migrate.yaml, files: migrations, timeout: 60s }\n");
    world.project.write(
        "k8s/migrate.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: { name: migrate }\nspec:\n  template:\n    spec:\n      containers:\n        - { name: migrate, image: shop, command: [/busybox, \"true\"] }\n",
    );
    world.project.write(
        "migrations/00001_tasks.sql",
        "-- +goose Up\nCREATE TABLE tasks (id int);\nDROP TABLE older;\n",
    );
    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "--message", "one"]);
    world.skep(&["deploy"]).ok().never_says("drops the table");
    world
        .project
        .write("migrations/00002_less.sql", "-- +goose Up\nALTER TABLE tasks\n  DROP COLUMN title;\n");
    let told = world
        .skep(&["check"])
        .ok()
        .says("warning: migrations/00002_less.sql:3: drops the column tasks.title");
    told.says("first deploy code that does without it");
    world.skep(&["deploy"]).ok().says("warning: migrations/00002_less.sql:3: drops the column tasks.title");
    fs::write(
        project.join("migrations/00002_less.sql"),
        "-- +goose Up\n-- +skep contract\nALTER TABLE tasks DROP COLUMN title;\n",
    )
    .expect("a file can be written");
    world.skep(&["check"]).ok().never_says("00002_less");
    world.project.write("migrations/00003_bad.sql", "-- +goose Up\nSELECT 1\n");
    world.skep(&["check"]).code(11).says("migrations/00003_bad.sql:2").says("error");
}
