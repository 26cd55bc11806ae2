//! Config and secrets on their own way.

use skep_tests::World;

#[test]
fn changed_config_is_shipped_alone() {
    let world = World::new();
    world.skep(&["config", "apply"]).code(13).says("nothing is deployed yet").says("`skep deploy`");
    world.project.add_secret("TOKEN=first-secret\n");
    world.project.add_idle();
    world.project.edit("k8s/idle.yaml", ", { configMapRef: { name: shop-config } }", "");
    world.skep(&["deploy"]).ok();
    world.skep(&["config", "diff"]).ok().says("nothing differs");
    let idle = world.object("deployment", "idle")["spec"]["template"].clone();

    // What else changes in the folder is not shipped with it.
    world.project.write("release", "two\n");
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.project.write("shop.env", "GREETING=good evening\nCOLOUR=blue\n");
    let diff = world
        .skep(&["config", "diff"])
        .code(2)
        .says("restarts")
        .says("config shop-config (COLOUR, GREETING)");
    let diff = diff.says("data.GREETING").says("- hello").says("+ good evening").says("+ data.COLOUR: blue");
    diff.never_says("image of").never_says("replicas").never_says("idle");
    world.skep(&["config", "apply"]).ok().says("v2 is live").says("shop will restart");
    assert_eq!(world.get("/").as_deref(), Ok("good evening from one\n"));
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 2);
    assert_eq!(world.object("deployment", "idle")["spec"]["template"], idle, "idle does not read it");

    world.project.write("secrets.env", "TOKEN=second-secret\n");
    let diff = world.skep(&["config", "diff"]).code(2).says("secret shop-secrets (TOKEN)").says("data.TOKEN");
    diff.never_says("first-secret").never_says("second-secret");
    world.skep(&["config", "apply"]).ok().says("v3 is live");
    assert_ne!(world.object("deployment", "idle")["spec"]["template"], idle, "both read the Secret");
    world.skep(&["history"]).ok().says("secret shop-secrets").says("config shop-config (COLOUR, GREETING)");
    world.skep(&["rollback"]).ok().says("back to v2");
    assert_eq!(world.object("secret", "shop-secrets")["data"]["TOKEN"], "Zmlyc3Qtc2VjcmV0");
}
