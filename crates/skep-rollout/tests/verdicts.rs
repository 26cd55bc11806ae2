//! The verdict table: what is seen, when, and what is said of it.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use skep_rollout::{Around, Cause, Events, Evidence, LogWanted, Observed, Past, Rollout, Verdict, explain};

const SCHEMA: i64 = 78;

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a timestamp")
}

fn at(seconds: i64) -> Timestamp {
    start().checked_add(seconds.seconds()).expect("in range")
}

fn rollout() -> Rollout {
    after(&[])
}

/// A rollout that found these pods when it began.
fn after(pods: &[Value]) -> Rollout {
    Rollout::new(Duration::from_secs(60), SCHEMA, Past::of_pods(pods), start())
}

fn deployment(updated: u32, available: u32, total: u32) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "api", "uid": "d", "generation": 2},
        "spec": {"replicas": 3},
        "status": {"observedGeneration": 2, "replicas": total, "updatedReplicas": updated, "availableReplicas": available},
    })
}

fn replica_set(uid: &str, revision: u32) -> Value {
    json!({"metadata": {"uid": uid, "ownerReferences": [{"uid": "d"}],
        "annotations": {"deployment.kubernetes.io/revision": revision.to_string()}}})
}

fn pod(set: &str, status: &Value) -> Value {
    json!({"metadata": {"name": format!("api-{set}"), "ownerReferences": [{"uid": set}]}, "status": status})
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"containerStatuses": [{"name": "api", "image": "r/api", "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}}}]})
}

fn crashed(restarts: u32, exit_code: i64, ready: bool) -> Value {
    json!({
        "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        "containerStatuses": [{"name": "api", "image": "r/api", "restartCount": restarts,
            "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error"}}}],
    })
}

fn judge(rollout: &mut Rollout, deployment: &Value, pods: &[Value], now: Timestamp) -> Verdict {
    let sets = [replica_set("old", 1), replica_set("new", 2)];
    let sets: Vec<&Value> = sets.iter().collect();
    let pods: Vec<&Value> = pods.iter().collect();
    rollout.step(Observed { workload: Some(deployment), around: &Around::new(&sets, &pods, &[]) }, now)
}

#[test]
fn done_only_when_new_pods_are_available_and_old_ones_gone() {
    let mut rollout = rollout();
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    // Two pods are available; one of them is old, and does not count as new.
    assert!(matches!(
        judge(&mut rollout, &deployment(2, 2, 4), &[pod("new", &ready), pod("old", &ready)], at(1)),
        Verdict::Progressing { ready: 1, wanted: 3, old: 2, .. }
    ));
    assert!(
        matches!(judge(&mut rollout, &deployment(3, 3, 4), &[], at(2)), Verdict::Progressing { waiting_for, .. } if waiting_for == "1 old pod to end")
    );
    assert_eq!(
        judge(&mut rollout, &deployment(3, 3, 3), &[], at(3)),
        Verdict::Ready { wanted: 3, kept: Vec::new() }
    );
}

#[test]
fn a_stale_status_is_never_believed() {
    let mut stale = deployment(3, 3, 3);
    stale["metadata"]["generation"] = json!(3);
    assert!(matches!(judge(&mut rollout(), &stale, &[], at(1)), Verdict::Progressing { .. }));
}

#[test]
fn a_missing_image_is_final_at_once_and_a_network_failure_at_the_third_try() {
    let missing = pod("new", &waiting("ErrImagePull", "manifest unknown"));
    let verdict = judge(&mut rollout(), &deployment(1, 0, 4), &[missing], at(1));
    assert!(matches!(verdict, Verdict::Failed(d) if matches!(d.cause, Cause::ImageMissing { .. })));

    let mut rollout = rollout();
    let failing = pod("new", &waiting("ErrImagePull", "dial tcp: i/o timeout"));
    let pausing = pod("new", &waiting("ImagePullBackOff", "Back-off pulling image"));
    for second in 0..2 {
        for seen in [&failing, &failing, &pausing] {
            let verdict = judge(&mut rollout, &deployment(1, 0, 4), std::slice::from_ref(seen), at(second));
            assert!(matches!(verdict, Verdict::Progressing { .. }), "{verdict:?}");
        }
    }
    let verdict = judge(&mut rollout, &deployment(1, 0, 4), &[failing], at(3));
    assert!(
        matches!(verdict, Verdict::Failed(d) if matches!(d.cause, Cause::RegistryUnreachable { tries: 3, .. }))
    );
}

#[test]
fn a_crash_loop_fails_at_the_third_crash() {
    let mut rollout = rollout();
    for restarts in 1..=2 {
        let verdict =
            judge(&mut rollout, &deployment(1, 0, 4), &[pod("new", &crashed(restarts, 1, false))], at(1));
        assert!(matches!(verdict, Verdict::Progressing { .. }), "{verdict:?}");
    }
    match judge(&mut rollout, &deployment(1, 0, 4), &[pod("new", &crashed(3, 1, false))], at(2)) {
        Verdict::Failed(diagnosis) => {
            assert_eq!(
                diagnosis.cause,
                Cause::CrashLoop {
                    crashes: 3,
                    exit_code: 1,
                    reason: "Error".into(),
                    line: None,
                    migrated: false
                }
            );
            assert_eq!(diagnosis.log, Some(LogWanted::Previous));
            assert_eq!(diagnosis.pod.as_deref(), Some("api-new"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn restarts_of_other_days_and_of_old_pods_do_not_count() {
    let healthy_with_a_past = pod("new", &crashed(40, 1, true));
    let mut rollout = after(std::slice::from_ref(&healthy_with_a_past));
    let old_in_a_loop = pod("old", &crashed(9, 1, false));
    let verdict = judge(&mut rollout, &deployment(2, 2, 3), &[healthy_with_a_past, old_in_a_loop], at(1));
    assert!(matches!(verdict, Verdict::Progressing { .. }), "{verdict:?}");
}

/// A release that goes back to the template of before: the Deployment shows it before its old ReplicaSet is the newest again.
#[test]
fn pods_of_another_template_are_not_judged_though_their_revision_is_the_newest_that_is_seen() {
    let of_template = |mut object: Value, image: &str, hash: Option<&str>| {
        object["spec"]["template"] = json!({
            "metadata": {"labels": {"app": "api"}},
            "spec": {"containers": [{"name": "api", "image": image}]},
        });
        if let Some(hash) = hash {
            object["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = json!(hash);
        }
        object
    };
    let good = of_template(replica_set("good", 1), "api:1", Some("a"));
    let broken = of_template(replica_set("broken", 2), "api:2", Some("b"));
    let pods = [pod("broken", &waiting("ErrImagePull", "manifest unknown"))];
    let pods: Vec<&Value> = pods.iter().collect();
    let verdict = |image: &str| {
        let deployment = of_template(deployment(0, 3, 4), image, None);
        let sets = [&good, &broken];
        let around = Around::new(&sets, &pods, &[]);
        rollout().step(Observed { workload: Some(&deployment), around: &around }, at(1))
    };
    assert!(matches!(verdict("api:2"), Verdict::Failed(_)), "this is its own pod");
    assert!(matches!(verdict("api:1"), Verdict::Progressing { .. }), "{:?}", verdict("api:1"));
    assert!(matches!(verdict("api:3"), Verdict::Progressing { .. }), "its ReplicaSet is still to come");
}

#[test]
fn an_app_that_refuses_the_schema_is_not_waited_for() {
    let mut rollout = rollout();
    let verdict = judge(&mut rollout, &deployment(1, 0, 4), &[pod("new", &crashed(1, SCHEMA, false))], at(1));
    assert!(matches!(verdict, Verdict::Failed(d) if d.cause == Cause::SchemaRefused { exit_code: SCHEMA }));
}

/// A first deploy that forgot its migration leaves pods that refuse to boot; the next one migrates, and they will boot.
#[test]
fn a_start_from_before_the_rollout_proves_nothing() {
    for exit_code in [1, SCHEMA] {
        let looping = |restarts| [pod("new", &crashed(restarts, exit_code, false))];
        let mut rollout = after(&looping(7));
        for restarts in [7, 7, 8] {
            let verdict = judge(&mut rollout, &deployment(3, 0, 3), &looping(restarts), at(1));
            assert!(matches!(verdict, Verdict::Progressing { .. }), "{verdict:?}");
        }
        let verdict = judge(&mut rollout, &deployment(3, 0, 3), &looping(9), at(2));
        assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    }
}

/// A kubelet tells of a start late: what it says after the migration may be a run from before it.
#[test]
fn a_run_that_began_before_the_migration_s_end_proves_nothing() {
    let seen_then = [pod("new", &crashed(7, SCHEMA, false))];
    let ended = |restarts, began: &str| {
        let mut status = crashed(restarts, SCHEMA, false);
        status["containerStatuses"][0]["lastState"]["terminated"]["startedAt"] = json!(began);
        [pod("new", &status)]
    };
    let past = Past::of_pods(&seen_then).until(Some(start()));
    let mut rollout = Rollout::new(Duration::from_secs(60), SCHEMA, past, start());
    let same_second = ended(9, &start().to_string());
    let verdict = judge(&mut rollout, &deployment(3, 0, 3), &same_second, at(1));
    assert!(matches!(verdict, Verdict::Progressing { .. }), "{verdict:?}");
    let later = ended(10, &at(1).to_string());
    let verdict = judge(&mut rollout, &deployment(3, 0, 3), &later, at(2));
    assert!(matches!(verdict, Verdict::Failed(d) if d.cause == Cause::SchemaRefused { exit_code: SCHEMA }));
}

/// A list leaves the kind of its items out: an object that does not say what it is must not pass for one that is ready.
#[test]
fn what_cannot_be_counted_is_never_called_ready() {
    let mut nameless = deployment(3, 3, 3);
    nameless.as_object_mut().expect("an object").remove("kind");
    let mut rollout = rollout();
    assert!(matches!(judge(&mut rollout, &nameless, &[], at(1)), Verdict::Progressing { .. }));
    assert!(matches!(judge(&mut rollout, &nameless, &[], at(60)), Verdict::Failed(_)));
}

#[test]
fn missing_config_and_a_foreign_program_are_final() {
    let config = pod("new", &waiting("CreateContainerConfigError", "configmap \"x\" not found"));
    let verdict = judge(&mut rollout(), &deployment(1, 0, 4), &[config], at(1));
    assert!(matches!(verdict, Verdict::Failed(d) if matches!(d.cause, Cause::ConfigMissing { .. })));
    let foreign = pod("new", &waiting("RunContainerError", "exec /api: exec format error"));
    let verdict = judge(&mut rollout(), &deployment(1, 0, 4), &[foreign], at(1));
    assert!(matches!(verdict, Verdict::Failed(d) if matches!(d.cause, Cause::ExecFormat { .. })));
}

/// Some runtimes start the container, and the reason is in its log, where the program's own words would be.
#[test]
fn a_foreign_program_is_known_by_the_runtime_s_words_in_the_log() {
    let mut looping = pod("new", &crashed(3, 1, false));
    looping["spec"] = json!({"containers": [{"name": "api", "image": "r/api:one"}]});
    let Verdict::Failed(diagnosis) = judge(&mut rollout(), &deployment(1, 0, 4), &[looping.clone()], at(1))
    else {
        panic!("three crashes are enough");
    };
    assert!(matches!(diagnosis.cause, Cause::CrashLoop { .. }));
    let log = ["exec /api: exec format error".to_owned()];
    let explained = explain(diagnosis, Evidence { pod: Some(&looping), log: &log, ..Evidence::default() });
    assert!(matches!(explained.cause, Cause::ExecFormat { image } if image == "r/api:one"));
}

#[test]
fn patience_counts_from_the_last_progress() {
    let mut rollout = rollout();
    judge(&mut rollout, &deployment(1, 0, 4), &[], at(50));
    assert!(matches!(judge(&mut rollout, &deployment(1, 0, 4), &[], at(100)), Verdict::Progressing { .. }));
    match judge(&mut rollout, &deployment(1, 0, 4), &[], at(110)) {
        Verdict::Failed(diagnosis) => {
            assert!(matches!(diagnosis.cause, Cause::NoProgress { seconds: 60, .. }));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_is_judged_by_its_conditions() {
    let job = |condition: &str| {
        json!({"kind": "Job", "metadata": {"uid": "j"},
            "status": {"failed": 1, "conditions": [{"type": condition, "status": "True", "reason": "DeadlineExceeded"}]}})
    };
    let see =
        |job: &Value| rollout().step(Observed { workload: Some(job), around: &Around::default() }, at(1));
    assert!(matches!(see(&job("Suspended")), Verdict::Progressing { .. }));
    assert_eq!(see(&job("Complete")), Verdict::Ready { wanted: 1, kept: Vec::new() });
    assert!(matches!(see(&job("Failed")), Verdict::Failed(_)));
}

/// One after the other, each with a start that takes its time: nothing is wrong as long as its own settings allow it.
#[test]
fn slow_starters_are_no_failure() {
    let starting = json!({"conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"name": "api", "image": "r/api", "restartCount": 0, "started": false, "ready": false, "state": {"running": {}}}]});
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let with_startup = |mut deployment: Value| {
        deployment["spec"]["template"]["spec"]["containers"] = json!([{"name": "api",
            "startupProbe": {"periodSeconds": 10, "failureThreshold": 30}, "readinessProbe": {"periodSeconds": 5}}]);
        deployment
    };
    // 3 replicas, 240 s each, and a patience of 60 s.
    let mut rollout = rollout();
    for second in 0..720 {
        let done = u32::try_from(second / 240).expect("small");
        let mut pods = vec![pod("new", &ready); done as usize];
        pods.push(pod("new", &starting));
        let verdict = judge(&mut rollout, &with_startup(deployment(done + 1, done, 4)), &pods, at(second));
        assert!(matches!(verdict, Verdict::Progressing { failing: None, .. }), "{second} s: {verdict:?}");
    }
    assert_eq!(
        judge(&mut rollout, &with_startup(deployment(3, 3, 3)), &vec![pod("new", &ready); 3], at(720)),
        Verdict::Ready { wanted: 3, kept: Vec::new() }
    );
    // A startup probe of 300 s and a readiness probe of 15 s leave 315 s; then it is over.
    let mut rollout = after(&[]);
    let stuck = |rollout: &mut Rollout, second| {
        judge(rollout, &with_startup(deployment(1, 0, 4)), &[pod("new", &starting)], at(second))
    };
    stuck(&mut rollout, 0);
    assert!(matches!(stuck(&mut rollout, 314), Verdict::Progressing { .. }));
    assert_eq!(rollout.deadline(), at(315));
    assert!(matches!(stuck(&mut rollout, 315), Verdict::Failed(_)));
}

/// A node that says nothing for a moment: its pods are unready, and come back.
#[test]
fn a_node_that_is_away_for_a_moment_is_no_failure() {
    let mut rollout = rollout();
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let away = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "NodeNotReady"}]});
    judge(&mut rollout, &deployment(3, 2, 3), &[pod("new", &ready)], at(0));
    for second in 1..45 {
        let verdict = judge(&mut rollout, &deployment(3, 0, 3), &[pod("new", &away)], at(second));
        assert!(matches!(verdict, Verdict::Progressing { failing: None, .. }), "{verdict:?}");
    }
    assert_eq!(
        judge(&mut rollout, &deployment(3, 3, 3), &[pod("new", &ready)], at(46)),
        Verdict::Ready { wanted: 3, kept: Vec::new() }
    );
}

/// A pull that failed twice and then succeeds has cost nothing but time.
#[test]
fn a_pull_that_succeeds_at_last_is_no_failure() {
    let mut rollout = rollout();
    let failing = pod("new", &waiting("ErrImagePull", "dial tcp: connection reset by peer"));
    let pausing = pod("new", &waiting("ImagePullBackOff", "Back-off pulling image"));
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    for seen in [&failing, &pausing, &failing, &pausing] {
        let verdict = judge(&mut rollout, &deployment(1, 0, 4), std::slice::from_ref(seen), at(1));
        assert!(matches!(verdict, Verdict::Progressing { failing: Some(_), .. }), "{verdict:?}");
    }
    assert_eq!(
        judge(&mut rollout, &deployment(3, 3, 3), &[pod("new", &ready)], at(9)),
        Verdict::Ready { wanted: 3, kept: Vec::new() }
    );
}

/// A liveness probe that once asked a program which had not begun to listen: what ends it is what it says each other time.
#[test]
fn a_probe_is_quoted_with_what_it_says_most_often() {
    let event = |said: &str, count: u32, at: &str| {
        json!({"reason": "Unhealthy", "count": count, "lastTimestamp": at, "message": format!("Liveness probe failed: {said}"),
            "involvedObject": {"kind": "Pod", "name": "api-new", "fieldPath": "spec.containers{api}"}})
    };
    let killed = json!({"reason": "Killing", "lastTimestamp": "2026-01-01T00:00:05Z",
        "message": "Container api failed liveness probe, will be restarted",
        "involvedObject": {"kind": "Pod", "name": "api-new"}});
    let told = [
        event("HTTP probe failed with statuscode: 500", 3, "2026-01-01T00:00:04Z"),
        // A busy machine asks it more often while it starts.
        event("dial tcp 10.0.0.1:8000: connection refused", 4, "2026-01-01T00:00:06Z"),
        killed,
    ];
    let told: Vec<&Value> = told.iter().collect();
    let looping = pod("new", &crashed(3, 0, false));
    let Verdict::Failed(diagnosis) =
        judge(&mut rollout(), &deployment(1, 0, 4), std::slice::from_ref(&looping), at(1))
    else {
        panic!("three crashes are enough");
    };
    let events = Events::new(&told);
    let evidence = Evidence { pod: Some(&looping), events: Some(&events), ..Evidence::default() };
    let Cause::ProbeKills { said, .. } = explain(diagnosis, evidence).cause else {
        panic!("a probe ended it")
    };
    assert_eq!(said, "HTTP probe failed with statuscode: 500");
}
