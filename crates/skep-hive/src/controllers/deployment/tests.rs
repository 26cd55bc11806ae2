//! Deployments run against ReplicaSets in a simulated world; each trap of Kubernetes' own controller is a test.

use std::sync::Arc;

use serde_json::{Value, json};

use super::replica_set::{REVISION, REVISION_HISTORY};
use crate::action::Action;
use crate::controllers::simulation::World;
use crate::object;

fn world(replicas: i64, surge: &Value, unavailable: &Value) -> World {
    let mut world = World::new();
    world.create(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {
            "replicas": replicas, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}},
        },
    }));
    world
}

fn set_image(world: &mut World, image: &str) {
    // A second passes between a user's edits, so that ReplicaSets have an order of age.
    world.pass(1);
    world.edit("Deployment", "web", |one| {
        one["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
}

fn scale(world: &mut World, replicas: i64) {
    world.edit("Deployment", "web", |one| one["spec"]["replicas"] = json!(replicas));
}

fn set_of(world: &World, image: &str) -> Arc<Value> {
    let mut sets = world.all("ReplicaSet");
    sets.retain(|one| one["spec"]["template"]["spec"]["containers"][0]["image"] == image);
    assert_eq!(sets.len(), 1, "ReplicaSets of {image}");
    sets.remove(0)
}

fn size(world: &World, image: &str) -> i64 {
    object::integer(&set_of(world, image), "/spec/replicas").unwrap()
}

fn ready(world: &World) -> usize {
    world.all("Pod").iter().filter(|pod| object::is_true(pod, "Ready")).count()
}

fn progressing(world: &World) -> (String, String) {
    let deployment = world.one("Deployment");
    let found = object::condition(&deployment, "Progressing").expect("a Progressing condition");
    (object::text(found, "/status").to_owned(), object::text(found, "/reason").to_owned())
}

#[test]
fn first_rollout_completes_and_reports_in_one_status() {
    let mut world = world(3, &json!("25%"), &json!("25%"));
    world.settled();
    let status = world.one("Deployment")["status"].clone();
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], 3, "{field}");
    }
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(progressing(&world), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
    assert!(object::is_true(&world.one("Deployment"), "Available"));
    let set = world.one("ReplicaSet");
    let hash = object::label(&set, "pod-template-hash").expect("a hash").to_owned();
    assert_eq!(object::name(&set), format!("web-{hash}"));
    assert_eq!(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], json!(hash));
    assert_eq!(set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], json!(hash));
    assert!(world.one("Deployment")["spec"]["template"]["metadata"]["labels"]["pod-template-hash"].is_null());
    assert!(
        world.events.contains(&format!("ScalingReplicaSet: Scaled up replica set web-{hash} from 0 to 3"))
    );
}

#[test]
fn update_keeps_within_surge_and_unavailability_at_every_write() {
    for (replicas, surge, unavailable) in [
        (3, json!(1), json!(0)),
        (3, json!(0), json!(1)),
        (10, json!("25%"), json!("25%")),
        (1, json!(1), json!(0)),
    ] {
        let mut world = world(replicas, &surge, &unavailable);
        world.settled();
        let (up, down) = super::rolling::fenceposts(&world.one("Deployment"));
        set_image(&mut world, "v2");
        world.settle(&mut |world| {
            let wanted: i64 =
                world.all("ReplicaSet").iter().filter_map(|one| object::integer(one, "/spec/replicas")).sum();
            assert!(wanted <= replicas + up, "{wanted} pods wanted of {replicas}+{up}");
            assert!(ready(world) as i64 >= replicas - down, "{} ready of {replicas}-{down}", ready(world));
        });
        assert_eq!((size(&world, "v1"), size(&world, "v2")), (0, replicas));
    }
}

#[test]
fn new_grows_before_old_shrinks() {
    let mut world = world(3, &json!(1), &json!(1));
    world.settled();
    set_image(&mut world, "v2");
    let deployment = world.one("Deployment");
    let step = super::step(&deployment, &world.all("ReplicaSet"), &[], world.now);
    // Creation sizes the new one; in the same look at most maxUnavailable old pods may go.
    assert!(matches!(step.actions[0], Action::Create(_)), "{:?}", step.actions[0]);
    let Action::Create(set) = &step.actions[0] else { unreachable!() };
    assert_eq!(set["spec"]["replicas"], 1);
}

#[test]
fn a_changed_replica_count_makes_no_new_replica_set() {
    let mut world = world(2, &json!(1), &json!(0));
    world.settled();
    for replicas in [5, 1, 0, 3] {
        scale(&mut world, replicas);
        world.settled();
        assert_eq!(world.all("ReplicaSet").len(), 1);
        assert_eq!(world.all("Pod").len() as i64, replicas);
        assert_eq!(
            world.one("Deployment")["status"]["observedGeneration"],
            world.one("Deployment")["metadata"]["generation"]
        );
    }
}

#[test]
fn rollback_reuses_the_replica_set_as_a_new_revision() {
    let mut world = world(2, &json!(1), &json!(0));
    world.settled();
    set_image(&mut world, "v2");
    world.settled();
    let first = set_of(&world, "v1");
    set_image(&mut world, "v1");
    world.settled();
    let again = set_of(&world, "v1");
    assert_eq!(object::uid(&first), object::uid(&again));
    assert_eq!(object::annotation(&again, REVISION), "3");
    assert_eq!(object::annotation(&again, REVISION_HISTORY), "1");
    assert_eq!(object::annotation(&world.one("Deployment"), REVISION), "3");
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (2, 0));
}

#[test]
fn rollover_in_the_middle_of_a_rollout_never_exceeds_the_total() {
    let mut world = world(4, &json!(1), &json!(1));
    world.settled();
    world.broken_image = Some("v2");
    set_image(&mut world, "v2");
    world.settled();
    assert!(size(&world, "v2") > 0);
    set_image(&mut world, "v3");
    world.settle(&mut |world| {
        let wanted: i64 =
            world.all("ReplicaSet").iter().filter_map(|one| object::integer(one, "/spec/replicas")).sum();
        assert!(wanted <= 5, "{wanted} pods wanted");
        assert!(ready(world) >= 3, "{} ready", ready(world));
    });
    assert_eq!((size(&world, "v1"), size(&world, "v2"), size(&world, "v3")), (0, 0, 4));
}

#[test]
fn a_broken_version_stalls_with_the_old_one_serving_and_times_out() {
    let mut world = world(3, &json!(1), &json!(0));
    world.settled();
    world.broken_image = Some("v2");
    set_image(&mut world, "v2");
    world.settled();
    assert_eq!((size(&world, "v1"), size(&world, "v2"), ready(&world)), (3, 1, 3));
    assert_eq!(progressing(&world), ("True".to_owned(), "ReplicaSetUpdated".to_owned()));
    let deployment = world.one("Deployment");
    let step = super::step(&deployment, &world.all("ReplicaSet"), &[], world.now);
    assert!(step.again.is_some(), "nobody else will tell when the deadline passes");
    world.pass(601);
    world.settled();
    assert_eq!(progressing(&world), ("False".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    assert_eq!((size(&world, "v1"), ready(&world)), (3, 3));
    // Going back ends the failure.
    set_image(&mut world, "v1");
    world.settled();
    assert_eq!(progressing(&world), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (3, 0));
}

#[test]
fn unhealthy_old_pods_go_first() {
    let mut world = world(3, &json!(0), &json!(2));
    world.broken_image = Some("v1");
    world.settled();
    set_image(&mut world, "v2");
    // No old pod ever served, so none has to wait for a new one.
    world.settled();
    assert_eq!((size(&world, "v1"), size(&world, "v2"), ready(&world)), (0, 3, 3));
}

#[test]
fn scaling_a_paused_rollout_shares_out_in_proportion() {
    let mut world = world(10, &json!(3), &json!(2));
    world.settled();
    world.broken_image = Some("v2");
    set_image(&mut world, "v2");
    world.settled();
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (8, 5));
    world.edit("Deployment", "web", |one| one["spec"]["paused"] = json!(true));
    scale(&mut world, 15);
    world.control(&mut |_| {});
    // The example of Kubernetes' documentation: 5 more pods, 3 to the old ReplicaSet and 2 to the new.
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (11, 7));
    assert_eq!(progressing(&world).1, "DeploymentPaused");
}

#[test]
fn a_paused_deployment_takes_no_new_template_and_no_deadline() {
    let mut world = world(2, &json!(1), &json!(0));
    world.settled();
    world.edit("Deployment", "web", |one| one["spec"]["paused"] = json!(true));
    set_image(&mut world, "v2");
    world.settled();
    world.pass(10_000);
    world.settled();
    assert_eq!(world.all("ReplicaSet").len(), 1);
    assert_eq!(progressing(&world).0, "Unknown");
    world.edit("Deployment", "web", |one| one["spec"]["paused"] = json!(false));
    world.settled();
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (0, 2));
}

#[test]
fn recreate_ends_all_old_pods_before_the_first_new_one() {
    let mut world = world(3, &json!(1), &json!(1));
    world.edit("Deployment", "web", |one| one["spec"]["strategy"] = json!({"type": "Recreate"}));
    world.settled();
    set_image(&mut world, "v2");
    world.settle(&mut |world| {
        let of = |image: &str| {
            world.all("Pod").iter().filter(|pod| pod["spec"]["containers"][0]["image"] == image).count()
        };
        assert!(of("v1") == 0 || of("v2") == 0, "both versions run");
    });
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (0, 3));
}

#[test]
fn history_is_limited_and_keeps_the_newest() {
    let mut world = world(1, &json!(1), &json!(0));
    world.edit("Deployment", "web", |one| one["spec"]["revisionHistoryLimit"] = json!(2));
    for image in ["v1", "v2", "v3", "v4", "v5"] {
        set_image(&mut world, image);
        world.settled();
    }
    let mut images: Vec<_> = world
        .all("ReplicaSet")
        .iter()
        .map(|one| object::text(one, "/spec/template/spec/containers/0/image").to_owned())
        .collect();
    images.sort();
    assert_eq!(images, ["v3", "v4", "v5"]);
}

#[test]
fn a_strangers_name_is_a_collision_not_an_adoption() {
    let mut world = world(1, &json!(1), &json!(0));
    world.settled();
    let name = object::name(&world.one("ReplicaSet")).to_owned();
    let mut other = World::new();
    other.create(Value::clone(&world.one("Deployment")));
    other.create(
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": "a"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": {}}}),
    );
    other.settled();
    assert_eq!(other.one("Deployment")["status"]["collisionCount"], 1);
    assert_eq!(other.all("ReplicaSet").len(), 2);
}

#[test]
fn annotations_travel_to_the_replica_set_but_not_the_bookkeeping() {
    let mut world = world(1, &json!(1), &json!(0));
    world.settled();
    world.edit("Deployment", "web", |one| {
        one["metadata"]["annotations"]["kubernetes.io/change-cause"] = json!("because");
        one["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json!("{}");
    });
    world.settled();
    let set = world.one("ReplicaSet");
    assert_eq!(object::annotation(&set, "kubernetes.io/change-cause"), "because");
    assert_eq!(object::annotation(&set, "kubectl.kubernetes.io/last-applied-configuration"), "");
}

#[test]
fn min_ready_seconds_holds_the_rollout_back() {
    let mut world = world(2, &json!(1), &json!(0));
    world.edit("Deployment", "web", |one| one["spec"]["minReadySeconds"] = json!(30));
    world.settled();
    world.pass(31);
    world.settled();
    assert_eq!(world.one("Deployment")["status"]["availableReplicas"], 2);
    set_image(&mut world, "v2");
    world.settled();
    // The first new pod is ready, but not yet trusted.
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (2, 1));
    for _ in 0..2 {
        world.pass(31);
        world.settled();
    }
    assert_eq!((size(&world, "v1"), size(&world, "v2")), (0, 2));
}
