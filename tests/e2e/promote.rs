//! From one target to another: the very bytes that were tried, with the other's config and history.

use skep_tests::World;

#[test]
fn promise_2_what_ran_in_staging_is_what_production_gets_with_its_own_config() {
    let Some(world) = World::on_hive("it has two names for one cluster") else { return };
    let status = world.skep(&["hive", "status", "--output", "json"]).ok().json()[0].clone();
    let registry = status["registry"].as_str().expect("hive names its registry");
    let kubeconfig = world.hive_dir().join("kubeconfig");
    let target = |name: &str, greeting: &str| {
        format!(
            "  {name}: {{ kubeconfig: {}, registry: {registry}/team, namespace: {name}, config: {{ shop-config: {{ values: {{ GREETING: {greeting} }} }} }} }}\n",
            kubeconfig.display()
        )
    };
    world.project.append(
        "skep.yaml",
        &format!("targets:\n{}{}", target("staging", "hi"), target("production", "welcome")),
    );
    world.skep(&["promote", "staging", "production"]).code(10).says("staging has no release that went well");
    world.skep(&["deploy", "-t", "staging"]).ok().says("v1 is live");
    // What lies in the folder by now is not what is promoted.
    world.project.write("release", "two\n");
    world
        .skep(&["promote", "staging", "production"])
        .ok()
        .says("images of staging v1")
        .says("v1 is live on production");
    let image = |namespace: &str| {
        let path = "jsonpath={.spec.template.spec.containers[0].image}";
        world.kubectl(&["get", "deployment", "shop", "-n", namespace, "-o", path]).ok().stdout
    };
    assert_eq!(image("production"), image("staging"));
    let config = world
        .kubectl(&["get", "configmap", "shop-config", "-n", "production", "-o", "jsonpath={.data}"])
        .ok();
    assert_eq!(config.stdout, r#"{"GREETING":"welcome"}"#);
    world.skep(&["promote", "staging", "production"]).ok().says("nothing was changed");

    world.skep(&["deploy", "-t", "staging"]).ok().says("v2 is live");
    assert_ne!(image("production"), image("staging"));
    world.skep(&["promote", "staging", "production"]).ok().says("v2 is live on production");
    assert_eq!(image("production"), image("staging"));
    world.skep(&["rollback", "-t", "production"]).ok().says("back to v1");
    world.project.edit(
        "skep.yaml",
        &format!("registry: {registry}/team, namespace: production"),
        &format!("registry: {registry}/other, namespace: production"),
    );
    world.skep(&["promote", "staging", "production"]).code(13).says("the same `registry`");
}
