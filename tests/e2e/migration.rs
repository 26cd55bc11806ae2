//! The gate: nothing is rolled before the migration is done.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use skep_tests::{Outcome, World, eventually};

fn with_migration(world: &World, millis: u32, code: u8) {
    with_job(world, &["migrate", &millis.to_string(), &code.to_string()], "");
}

fn with_job(world: &World, arguments: &[&str], pod: &str) {
    world.project.edit(
        "skep.yaml",
        "\nconfig:",
        "\nmigrate: { manifest: migrate/job.yaml, timeout: 30s }\nconfig:",
    );
    job(world, arguments, pod);
}

fn job(world: &World, arguments: &[&str], pod: &str) {
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: shop-migrate }}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n{pod}      containers:\n        - name: migrate\n          image: shop\n          args: {arguments:?}\n"
    );
    world.project.write("migrate/job.yaml", &job);
}

#[test]
fn promise_4_nothing_is_rolled_before_the_schema_is_right() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    with_migration(&world, 300, 1);
    world.project.write("release", "two\n");
    let failed = world.skep(&["deploy"]).code(17);
    failed.says("exit with 1").says("no service was changed").says("hint:");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.skep(&["history"]).ok().says("failed");

    job(&world, &["migrate", "100", "0"], "");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    world.skep(&["deploy"]).ok().says("nothing was changed");
}

#[test]
fn a_killed_deploy_is_joined_in_its_migration() {
    let world = World::new();
    with_migration(&world, 6_000, 0);
    let mut deploy = world.start(&["deploy"]);
    let running = || world.objects("pods").into_iter().find(|pod| pod["status"]["phase"] == "Running");
    let pod = eventually("the migration to run", Duration::from_secs(30), running);
    World::kill_9(deploy.id());
    deploy.wait().expect("it was started");
    let again = world.skep(&["deploy"]).ok().says("joined a migration");
    let migrations: Vec<_> = world
        .objects("pods")
        .into_iter()
        .filter(|p| p["metadata"]["labels"]["batch.kubernetes.io/job-name"].is_string())
        .collect();
    assert_eq!(migrations.len(), 1, "one pod migrated\n{again}");
    assert_eq!(migrations[0]["metadata"]["uid"], pod["metadata"]["uid"]);
    world.skep(&["history"]).ok().says("interrupted").says("deployed");
}

/// A pod that refused the schema while the migration was under way is waited for: it has not met the new one yet.
#[test]
fn a_pod_that_met_the_old_schema_is_given_the_new_one() {
    let world = World::new();
    let shared = world.path().join("shared");
    std::fs::create_dir(&shared).expect("the test's folder can be written");
    let volume = format!(
        "      volumes: [{{ name: shared, hostPath: {{ path: {:?} }} }}]\n",
        shared.display().to_string()
    );
    let mount = "          volumeMounts: [{ name: shared, mountPath: /shared }]\n";
    world.project.edit("k8s/shop.yaml", "      containers:\n", &format!("{volume}      containers:\n"));
    world.project.edit(
        "k8s/shop.yaml",
        "          image: shop\n",
        &format!("          image: shop\n{mount}"),
    );
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 1");
    world.project.write("release", "schema\n");
    world.skep(&["deploy"]).code(19).says("refused to boot").says("exit code 78");

    let refusals =
        || std::fs::read_to_string(shared.join("refusals")).map_or(0, |lines| lines.lines().count());
    with_job(&world, &["migrate-after-refusals", &(refusals() + 2).to_string()], &volume);
    let job = std::fs::read_to_string(world.project.dir().join("migrate/job.yaml")).expect("it was written");
    world.project.write("migrate/job.yaml", &format!("{job}{mount}"));
    let deploy = world.command(&["deploy"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let deploy = deploy.expect("Skep can be started");
    eventually("the migration to run", Duration::from_secs(30), || {
        let migrates = |pod: &Value| pod["metadata"]["labels"]["batch.kubernetes.io/job-name"].is_string();
        world.objects("pods").into_iter().find(|pod| migrates(pod) && pod["status"]["phase"] == "Running")
    });
    world.kubectl(&["delete", "pods", "-l", "app=shop", "--wait=false"]).ok();
    Outcome::from(deploy.wait_with_output().expect("it was started")).ok().says("v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from schema\n"));
}

#[test]
fn after_a_migration_that_contracts_the_schema_no_release_is_put_back_by_itself() {
    let world = World::new();
    with_migration(&world, 50, 0);
    world.project.edit("skep.yaml", "timeout: 30s }", "timeout: 30s, files: migrations }");
    world.project.write("migrations/00001_shop.sql", "-- +goose Up\nCREATE TABLE shop (id int, old int);\n");
    world.skep(&["deploy"]).ok();
    let drop = "-- +goose Up\n-- +skep contract\nALTER TABLE shop DROP COLUMN old;\n";
    world.project.write("migrations/00002_drop.sql", drop);
    world.project.write("release", "crash\n");
    let failed = world.skep(&["deploy"]).code(19);
    failed.says("nothing was put back: the code of before can't live with 00002_drop.sql, marked");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"), "the old pods serve, as long as they can");
}
