//! The gate: nothing is rolled before the migration is done.

use std::time::Duration;

use skep_tests::{World, eventually};

fn with_migration(world: &World, millis: u32, code: u8) {
    world.project.edit(
        "skep.yaml",
        "\nconfig:",
        "\nmigrate: { manifest: migrate/job.yaml, timeout: 30s }\nconfig:",
    );
    job(world, millis, code);
}

fn job(world: &World, millis: u32, code: u8) {
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: shop-migrate }}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - {{ name: migrate, image: shop, args: [migrate, \"{millis}\", \"{code}\"] }}\n"
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

    job(&world, 100, 0);
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
