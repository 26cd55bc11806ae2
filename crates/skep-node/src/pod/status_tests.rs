use serde_json::json;

use super::*;

fn pod(spec: &serde_json::Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "generation": 3}, "spec": spec})).unwrap()
}

fn view<'a>(name: &'a str, role: Role, state: StateView<'a>, ready: bool) -> ContainerView<'a> {
    let started = matches!(state, StateView::Running { .. });
    ContainerView {
        name,
        role,
        image: "i",
        image_id: "sha256:1",
        container_id: "",
        restarts: 0,
        state,
        last: None,
        started,
        ready,
    }
}

fn status(
    pod: &Pod,
    outcome: Outcome,
    initialized: bool,
    containers: &[ContainerView<'_>],
    before: Option<&PodStatus>,
    now: i64,
) -> PodStatus {
    let view = View {
        pod,
        outcome,
        initialized,
        sandbox: true,
        address: Some(Ipv4Addr::new(10, 0, 0, 2)),
        host: Ipv4Addr::new(10, 0, 0, 1),
        started_at: Timestamp::UNIX_EPOCH,
        containers,
    };
    build(&view, before, Timestamp::from_second(now).unwrap())
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> (&'a str, Option<&'a str>, i64) {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == kind).unwrap();
    (&found.status, found.reason.as_deref(), found.last_transition_time.as_ref().unwrap().0.as_second())
}

const UP: StateView<'_> = StateView::Running { since: Timestamp::UNIX_EPOCH };

#[test]
fn ready_needs_every_container_and_keeps_its_time() {
    let pod = pod(&json!({"containers": []}));
    let not_yet = [view("a", Role::App, UP, true), view("b", Role::App, UP, false)];
    let first = status(&pod, Outcome::Running, true, &not_yet, None, 100);
    assert_eq!(condition(&first, "Ready"), ("False", Some("ContainersNotReady"), 100));
    assert_eq!(condition(&first, "Initialized"), ("True", None, 100));
    let both = [view("a", Role::App, UP, true), view("b", Role::App, UP, true)];
    let second = status(&pod, Outcome::Running, true, &both, Some(&first), 200);
    assert_eq!(condition(&second, "Ready"), ("True", None, 200));
    assert_eq!(condition(&second, "Initialized"), ("True", None, 100));
    let third = status(&pod, Outcome::Running, true, &both, Some(&second), 300);
    assert_eq!(third, second);
    assert_eq!(third.observed_generation, Some(3));
}

#[test]
fn a_gate_holds_readiness_back() {
    let mut pod = pod(&json!({"containers": [], "readinessGates": [{"conditionType": "x/y"}]}));
    let up = [view("a", Role::App, UP, true)];
    let held = status(&pod, Outcome::Running, true, &up, None, 1);
    assert_eq!(condition(&held, "Ready"), ("False", Some("ReadinessGatesNotReady"), 1));
    assert_eq!(condition(&held, "ContainersReady").0, "True");
    pod.status = serde_json::from_value(json!({"conditions": [{"type": "x/y", "status": "True"}]})).ok();
    assert_eq!(condition(&status(&pod, Outcome::Running, true, &up, None, 1), "Ready").0, "True");
}

#[test]
fn a_finished_pod_is_complete_not_ready() {
    let ending = Ending {
        code: 0,
        signal: None,
        reason: "Completed".to_owned(),
        message: None,
        started_at: Timestamp::UNIX_EPOCH,
        finished_at: Timestamp::UNIX_EPOCH,
        container_id: "skep://1".to_owned(),
    };
    let done = [view("a", Role::App, StateView::Terminated(&ending), false)];
    let status = status(&pod(&json!({"containers": []})), Outcome::Succeeded, true, &done, None, 1);
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert_eq!(condition(&status, "Ready"), ("False", Some("PodCompleted"), 1));
    let state = status.container_statuses.unwrap().remove(0).state.unwrap();
    assert_eq!(state.terminated.unwrap().reason.as_deref(), Some("Completed"));
}

#[test]
fn quality_of_service() {
    for (resources, class) in [
        (json!({}), "BestEffort"),
        (json!({"requests": {"cpu": "1"}}), "Burstable"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), "Burstable"),
    ] {
        assert_eq!(qos(&pod(&json!({"containers": [{"name": "a", "resources": resources}]}))), class);
    }
}
