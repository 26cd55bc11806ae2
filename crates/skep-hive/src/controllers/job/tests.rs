//! Jobs in a simulated world: conditions decide, each pod counts once.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{RetryDelay, TRACKING, release_orphan, step};
use crate::controllers::simulation::World;
use crate::object;

fn world(spec: &Value) -> World {
    let mut world = World::new();
    let mut object = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "a"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6,
            "template": {"metadata": {"labels": {"x": "y"}}, "spec": {"restartPolicy": "Never", "containers": []}}},
    });
    crate::controllers::simulation::merge(&mut object["spec"], spec);
    world.create(object);
    world
}

fn look(world: &mut World) -> Option<Timestamp> {
    let mut again = None;
    // As many looks as it takes: each write wakes the controller.
    for _ in 0..20 {
        let job = world.all("Job").pop()?;
        let step = step(&job, &world.all("Pod"), RetryDelay::default(), world.now);
        again = step.again;
        if !world.run(step, &mut |_| {}) {
            break;
        }
    }
    again
}

fn active(world: &World) -> Vec<Arc<Value>> {
    let mut pods = world.all("Pod");
    pods.retain(|pod| !super::is_finished(pod) && !object::is_deleting(pod));
    pods
}

fn end_one(world: &mut World, phase: &str) {
    let pod = active(world).into_iter().next().expect("an active pod");
    let now = object::stamp(world.now);
    world.edit("Pod", object::name(&pod), |pod| {
        pod["status"] = json!({"phase": phase, "containerStatuses": [{"state": {"terminated": {"finishedAt": now}}}]});
    });
}

fn conditions(world: &World) -> Vec<String> {
    let job = world.one("Job");
    object::array(&job, "/status/conditions")
        .iter()
        .filter(|one| one["status"] == "True")
        .map(|one| format!("{}:{}", object::text(one, "/type"), object::text(one, "/reason")))
        .collect()
}

#[test]
fn one_success_completes() {
    let mut world = world(&json!({}));
    look(&mut world);
    let pods = active(&world);
    assert_eq!(pods.len(), 1);
    assert_eq!(object::label(&pods[0], "batch.kubernetes.io/job-name"), Some("migrate"));
    assert_eq!(object::label(&pods[0], "controller-uid"), Some(object::uid(&world.one("Job"))));
    assert!(object::has_finalizer(&pods[0], TRACKING));
    assert_eq!(world.one("Job")["status"]["active"], 1);
    end_one(&mut world, "Succeeded");
    look(&mut world);
    assert_eq!(conditions(&world), ["SuccessCriteriaMet:CompletionsReached", "Complete:CompletionsReached"]);
    let job = world.one("Job");
    assert_eq!(job["status"]["succeeded"], 1);
    assert!(job["status"]["completionTime"].is_string());
    assert!(job["status"]["active"].is_null());
    assert!(!object::has_finalizer(&world.one("Pod"), TRACKING), "a counted pod is let go");
}

#[test]
fn no_retry_when_the_limit_is_zero() {
    let mut world = world(&json!({"backoffLimit": 0}));
    look(&mut world);
    end_one(&mut world, "Failed");
    look(&mut world);
    assert_eq!(conditions(&world), ["FailureTarget:BackoffLimitExceeded", "Failed:BackoffLimitExceeded"]);
    assert_eq!(world.all("Pod").len(), 1, "the failed pod stays for its log");
    assert_eq!(world.one("Job")["status"]["failed"], 1);
}

#[test]
fn retries_wait_longer_each_time() {
    let mut world = world(&json!({"backoffLimit": 3}));
    for (failures, wait) in [(1, 10), (2, 20), (3, 40)] {
        look(&mut world);
        assert_eq!(active(&world).len(), 1, "before failure {failures}");
        end_one(&mut world, "Failed");
        let again = look(&mut world).expect("a time to look again");
        assert_eq!(again.as_second() - world.now.as_second(), wait);
        assert!(active(&world).is_empty());
        world.pass(wait);
    }
    look(&mut world);
    end_one(&mut world, "Failed");
    look(&mut world);
    assert_eq!(conditions(&world)[1], "Failed:BackoffLimitExceeded");
    assert_eq!(world.one("Job")["status"]["failed"], 4);
}

#[test]
fn restarts_count_under_on_failure() {
    let mut world = world(&json!({"backoffLimit": 2, "template": {"spec": {"restartPolicy": "OnFailure"}}}));
    look(&mut world);
    let pod = active(&world).remove(0);
    world.edit("Pod", object::name(&pod), |pod| {
        pod["status"] = json!({"phase": "Running", "containerStatuses": [{"restartCount": 2}]});
    });
    look(&mut world);
    assert_eq!(conditions(&world)[0], "FailureTarget:BackoffLimitExceeded");
}

#[test]
fn final_only_when_nothing_runs_any_more() {
    let mut world = world(&json!({"activeDeadlineSeconds": 60}));
    let again = look(&mut world).expect("a time to look again");
    assert_eq!(again.as_second() - world.now.as_second(), 60);
    world.pass(60);
    let pod = active(&world).remove(0);
    // The pod needs its grace period: it is deleted, not gone.
    let job = world.one("Job");
    let first = step(&job, &world.all("Pod"), RetryDelay::default(), world.now);
    for action in first.actions {
        if !matches!(action, crate::action::Action::Delete { .. }) {
            world.apply(action);
        }
    }
    world.edit("Pod", object::name(&pod), |pod| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:02:00Z");
    });
    look(&mut world);
    assert_eq!(conditions(&world), ["FailureTarget:DeadlineExceeded"]);
    world.objects.retain(|one| one["kind"] != "Pod");
    look(&mut world);
    assert_eq!(conditions(&world), ["FailureTarget:DeadlineExceeded", "Failed:DeadlineExceeded"]);
}

#[test]
fn several_completions_run_in_parallel() {
    let mut world = world(&json!({"completions": 5, "parallelism": 2}));
    look(&mut world);
    for done in 0..5 {
        assert_eq!(active(&world).len(), 2.min(5 - done));
        end_one(&mut world, "Succeeded");
        look(&mut world);
    }
    assert_eq!(conditions(&world)[1], "Complete:CompletionsReached");
    assert_eq!(world.one("Job")["status"]["succeeded"], 5);
}

#[test]
fn pods_deleted_by_others_count_as_failed_once_each() {
    let mut world = world(&json!({"backoffLimit": 6}));
    for expected in 1..=3 {
        look(&mut world);
        let pod = active(&world).remove(0);
        world.edit("Pod", object::name(&pod), |pod| {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:02:00Z");
        });
        look(&mut world);
        // Gone for good, its finalizer having been removed.
        world.objects.retain(|one| object::uid(one) != object::uid(&pod));
        look(&mut world);
        assert_eq!(world.one("Job")["status"]["failed"], expected);
    }
}

#[test]
fn suspend_stops_pods_and_the_clock() {
    let mut world = world(&json!({}));
    look(&mut world);
    world.edit("Job", "migrate", |job| job["spec"]["suspend"] = json!(true));
    look(&mut world);
    assert!(active(&world).is_empty());
    assert_eq!(conditions(&world), ["Suspended:JobSuspended"]);
    assert!(world.one("Job")["status"]["startTime"].is_null());
    world.edit("Job", "migrate", |job| job["spec"]["suspend"] = json!(false));
    look(&mut world);
    assert_eq!(active(&world).len(), 1);
}

#[test]
fn finished_jobs_go_after_their_time_to_live() {
    let mut world = world(&json!({"ttlSecondsAfterFinished": 30}));
    look(&mut world);
    end_one(&mut world, "Succeeded");
    let again = look(&mut world).expect("a time to look again");
    assert_eq!(again.as_second() - world.now.as_second(), 30);
    world.pass(30);
    look(&mut world);
    assert!(world.all("Job").is_empty());
}

#[test]
fn a_pod_without_its_job_is_let_go() {
    let pod = json!({"metadata": {"name": "p", "finalizers": [TRACKING]}});
    assert!(release_orphan(&pod, true).is_none());
    assert!(release_orphan(&pod, false).is_some());
    assert!(release_orphan(&json!({"metadata": {"name": "p"}}), false).is_none());
}
