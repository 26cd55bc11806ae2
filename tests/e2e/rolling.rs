//! A rolling update under load loses nothing.

use skep_tests::World;

#[test]
fn a_deploy_and_a_rollback_under_load_lose_no_request() {
    let Some(world) = World::on_hive("a port-forward stays with one pod: it needs an Ingress") else {
        return;
    };
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    let load = world.load("/", 250);
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback"]).ok();
    let tally = load.stop();
    assert_eq!(tally.bad, Vec::<String>::new(), "of {} requests", tally.good);
    assert!(tally.rate() >= 200, "only {} requests a second were asked", tally.rate());
    assert_eq!(tally.bodies, ["hello from one\n", "hello from two\n"], "both releases served");
}
