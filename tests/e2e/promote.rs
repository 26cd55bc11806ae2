//! From one target to another: the very bytes that were tried, with the other's config and history.

use std::process::Command;

use skep_tests::{Outcome, World};

use crate::docker_registry::{ACCOUNT, DockerRegistry};

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

    // Another place for production's images: they are copied to the byte, within a registry or to one that asks who we are.
    world.project.write("release", "three\n");
    world.skep(&["deploy", "-t", "staging"]).ok().says("v3 is live");
    world.project.edit(
        "skep.yaml",
        &format!("registry: {registry}/team, namespace: production"),
        &format!("registry: {registry}/other, namespace: production"),
    );
    let digest = |namespace: &str| image(namespace).split('@').nth(1).expect("pinned").to_owned();
    world.skep(&["promote", "staging", "production"]).ok().says("1 copied").says("is live on production");
    assert!(image("production").starts_with(&format!("{registry}/other/shop@")));
    assert_eq!(digest("production"), digest("staging"));
    world.skep(&["promote", "staging", "production"]).ok().says("nothing was changed").never_says("copied");

    let private = DockerRegistry::guarded();
    let (user, password) = ACCOUNT;
    let login = format!(
        "registry: {{ url: {}/team, username: {user}, password: {{ env: TOKEN }} }}, namespace: production",
        private.address
    );
    world.project.edit("skep.yaml", &format!("registry: {registry}/other, namespace: production"), &login);
    world.project.edit(
        "k8s/shop.yaml",
        "      containers:",
        "      imagePullSecrets: [{ name: team }]\n      containers:",
    );
    let promote = |password: &str| {
        Outcome::of(world.command(&["promote", "staging", "production"]).env("TOKEN", password))
    };
    promote("wrong").code(13).never_says("wrong");
    promote(password).ok().says("1 copied").says("is live on production");
    assert_eq!(digest("production"), digest("staging"));
    let there = format!("docker://{}/team/shop@{}", private.address, digest("staging"));
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--tls-verify=false", "--creds", &format!("{user}:{password}"), &there]);
    Outcome::of(&mut skopeo).ok();
}
