//! Between releases: restart, scale, pause, a command of one's own. No deploy undoes any of it silently.

use skep_tests::{Outcome, World, eventually};

fn pods(world: &World) -> Vec<String> {
    let leaving = |pod: &serde_json::Value| pod["metadata"]["deletionTimestamp"].is_string();
    let pods = world.objects("pods").into_iter().filter(|pod| !leaving(pod));
    let mut names: Vec<String> =
        pods.map(|pod| pod["metadata"]["name"].as_str().expect("a pod has a name").to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_service_is_restarted_and_the_next_deploy_leaves_it_at_that() {
    let world = World::new();
    world.skep(&["restart", "shop"]).code(10).says("no service `shop`").says("`skep deploy`");
    world.skep(&["deploy"]).ok();
    let before = pods(&world);
    world.skep(&["restart", "shop"]).ok().says("shop has new pods");
    let after = pods(&world);
    assert!(after.len() == 2 && before.iter().all(|pod| !after.contains(pod)), "{before:?} {after:?}");
    world.skep(&["plan"]).ok();
    world.skep(&["deploy"]).ok().says("nothing was changed");
    assert_eq!(pods(&world), after);
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    let template = &world.object("deployment", "shop")["spec"]["template"];
    assert!(template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string());
    world.skep(&["restart", "shpo"]).code(10).says("no service `shpo`").says("it has shop");
}

#[test]
fn what_was_scaled_stays_scaled_and_is_said_until_it_is_given_back() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.skep(&["scale", "shop"]).code(64).says("api=3");
    world.skep(&["scale", "shop=manifest"]).code(11).says("has not been scaled by hand");
    world.skep(&["scale", "shop=3"]).ok().says("shop has 3 replicas");
    assert_eq!(pods(&world).len(), 3);
    let told = "keeps the 3 replicas that `skep scale` gave it; its manifest says 2";
    world.skep(&["plan"]).ok().says(told);
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok().says(told).says("v2 is live");
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 3);
    world.skep(&["rollback"]).ok();
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 3);

    // As many as there are already: it is a wish all the same.
    world.skep(&["scale", "shop=3"]).ok();
    world.skep(&["scale", "shop=3", "shop=4"]).code(11).says("named twice");
    world.kubectl(&["create", "deployment", "stranger", "--image", "nobody", "--replicas", "0"]).ok();
    world.skep(&["pause", "stranger"]).code(10).says("is no service of shop");
    world.skep(&["run", "stranger", "--", "/x"]).code(10).says("is no service of shop");
    world.skep(&["scale", "shop=manifest"]).ok().says("from the next deploy on");
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 3);
    world.skep(&["deploy"]).ok().never_says("keeps the");
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 2);
    world.skep(&["plan"]).ok();

    // A manifest that says nothing means one.
    world.project.edit("k8s/shop.yaml", "  replicas: 2\n", "");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 1);
    world.skep(&["scale", "shop=2"]).ok();
    world.skep(&["deploy"]).ok().says("its manifest says 1");
    world.skep(&["scale", "shop=manifest"]).ok();
    world.skep(&["deploy"]).ok();
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 1);
    world.skep(&["plan"]).ok();

    world.project.write(
        "k8s/hpa.yaml",
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: shop }\nspec: { scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: shop }, minReplicas: 1, maxReplicas: 3 }\n",
    );
    world.skep(&["deploy"]).ok();
    world.skep(&["scale", "shop=2"]).code(11).says("by an autoscaler, between 1 and 3").says("minReplicas");
}

#[test]
fn a_paused_service_is_said_before_anything_is_locked() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.skep(&["pause", "shop"]).ok().says("shop is paused");
    world.skep(&["restart", "shop"]).code(11).says("is paused").says("`skep resume` first");
    world.skep(&["deploy"]).ok().says("warning: Deployment/shop is paused (by skep-ops)");
    world.project.write("release", "two\n");
    let refused = world.skep(&["deploy"]).code(14).says("Deployment/shop is paused (by skep-ops)");
    refused.says("skep resume shop").never_says("lock");
    world.skep(&["history"]).ok().never_says("v2");
    world.skep(&["resume", "shop"]).ok().says("no longer paused");
    world.skep(&["deploy"]).ok().says("v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));

    world.kubectl(&["rollout", "pause", "deployment/shop"]).ok();
    world.project.write("release", "three\n");
    world.skep(&["deploy"]).code(14).says("is paused (by kubectl");
    world.kubectl(&["rollout", "resume", "deployment/shop"]).ok();
    world.skep(&["deploy"]).ok().says("v3 is live");
}

#[test]
fn a_command_runs_with_the_image_the_config_and_the_secrets_of_a_service() {
    let world = World::new();
    world.project.add_secret("TOKEN=hunter2\n");
    world.project.edit("skep.yaml", "/release: release }", "/release: release, /busybox: /bin/busybox }");
    world.project.edit(
        "k8s/shop.yaml",
        "periodSeconds: 1 }",
        "periodSeconds: 1 }\n          lifecycle: { preStop: { exec: { command: [/busybox, \"true\"] } } }",
    );
    world.skep(&["deploy"]).ok();
    let script = "echo $GREETING $TOKEN; /busybox cat /release; echo oops >&2; exit 3";
    let ran = world.skep(&["run", "shop", "--", "/busybox", "sh", "-c", script]).code(3);
    let mut printed: Vec<&str> = ran.stdout.lines().collect();
    // Between its two outputs no runtime keeps an order.
    printed.sort_unstable();
    assert_eq!(printed, ["hello ***", "one", "oops"]);
    eventually("its pod to be gone", skep_tests::PATIENCE, || (pods(&world).len() == 2).then_some(()));
    assert!(world.objects("jobs").is_empty());
    world.skep(&["run", "shop", "--", "/busybox", "true"]).ok();
    world
        .skep(&["run", "shop", "--", "/no-such-program"])
        .code(19)
        .says("can't start")
        .says("no-such-program");
    assert!(world.objects("jobs").is_empty(), "it is removed all the same");
    world.skep(&["run", "shop"]).code(64).says("<CMD>");
    world.skep(&["run", "nobody", "--", "/busybox"]).code(10).says("it has shop");
}

#[test]
fn a_hotfix_ships_one_service_and_follows_its_logs() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    let idle = world.object("deployment", "idle")["spec"]["template"].clone();
    world.project.write("release", "two\n");
    let mut hotfix = world.command(&["hotfix", "shop"]);
    let output = std::fs::File::create(world.path().join("output")).expect("a file can be made");
    let mut hotfix = hotfix
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output)
        .spawn()
        .expect("skep starts");
    let said = || std::fs::read_to_string(world.path().join("output")).unwrap_or_default();
    eventually("the release and the logs", skep_tests::PATIENCE, || {
        let said = said();
        (said.contains("v2 is live") && said.lines().any(|line| line.starts_with("shop-"))).then_some(())
    });
    Outcome::of(std::process::Command::new("kill").args(["-INT", &hotfix.id().to_string()])).ok();
    assert!(hotfix.wait().expect("it ends").success(), "{}", said());
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    assert_eq!(world.object("deployment", "idle")["spec"]["template"], idle);
    world.skep(&["history"]).ok().says("v2");
}
