//! Hives side by side, and hives on hard ground.

use skep_tests::World;

#[test]
fn two_hives_run_side_by_side() {
    let Some((one, two)) = World::on_hive("it is about hive").zip(World::on_hive("it is about hive")) else {
        return;
    };
    one.skep(&["deploy"]).ok();
    two.project.write("release", "another\n");
    two.skep(&["deploy"]).ok();
    assert_eq!(one.get("/").as_deref(), Ok("hello from one\n"));
    assert_eq!(two.get("/").as_deref(), Ok("hello from another\n"));
    one.skep(&["down"]).ok();
    assert_eq!(two.get("/").as_deref(), Ok("hello from another\n"));
}

#[test]
fn a_port_in_use_is_named() {
    let world = World::without_hive();
    let taken = std::net::TcpListener::bind(("127.0.0.1", world.port())).expect("the port was free");
    let failed = world.skep(&["hive", "start"]).code(1);
    failed.says(&world.port().to_string()).says("hint");
    drop(taken);
}
