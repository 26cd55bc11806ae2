//! Pods as root: they run, are probed, log, restart and stop as the kubelet has them do it.

use std::time::Duration;

use crate::support::*;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use skep_node::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_is_probed_logs_and_is_stopped() {
    if !root("a_pod_runs_is_probed_logs_and_is_stopped") {
        return;
    }
    let mut bench = Bench::new().await;
    let script = "echo hello; echo oops >&2; mkdir /www; echo fine > /www/index.html; trap 'echo bye; exit 3' TERM; httpd -f -p 8000 -h /www & while :; do sleep 0.05; done";
    bench.run(
        "web",
        json!({"containers": [{
            "name": "c", "command": ["sh", "-c", script], "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/index.html", "port": "http"}, "periodSeconds": 1}
        }]}),
    );
    let running = bench.phase("web", "Running").await;
    let ip: std::net::Ipv4Addr = running.pod_ip.clone().unwrap().parse().unwrap();
    assert!(bench.node.network().pod_cidr.contains(ip));
    let ready = bench.ready("web").await;
    assert!(container(&ready).ready);
    assert_eq!(container(&ready).image_id, "sha256:feed");
    for reason in ["Pulled", "Created", "Started"] {
        bench.event("web", reason, "").await;
    }
    let mut follow = bench.log_request("web", "c");
    follow.follow = true;
    let stream = bench.node.logs(follow).await.unwrap();
    let took = bench.terminate("web", Duration::from_secs(10)).await;
    assert!(took < Duration::from_secs(5), "SIGTERM was heard: {took:?}");
    let last = bench.statuses["web"].clone();
    assert_eq!(container(&last).state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 3);
    let text: Vec<_> = stream.try_collect().await.unwrap();
    let text = String::from_utf8(text.concat()).unwrap();
    for line in ["hello\n", "oops\n", "bye\n"] {
        assert!(text.contains(line), "{text:?}");
    }
    assert!(!bench.folder.join("state/pods/uid-web").exists());
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_backs_off_and_remembers() {
    if !root("a_crash_backs_off_and_remembers") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.run("crash", json!({"containers": [{
        "name": "c", "command": ["sh", "-c", "echo attempt; exit 7"], "terminationMessagePolicy": "FallbackToLogsOnError"
    }]}));
    let status = bench
        .status("crash", "crash loop", |status| {
            waiting_reason(status).as_deref() == Some("CrashLoopBackOff")
                && container(status).restart_count >= 1
        })
        .await;
    let last = container(&status).last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(
        (last.exit_code, last.reason.as_deref(), last.message.as_deref()),
        (7, Some("Error"), Some("attempt\n"))
    );
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let message =
        container(&status).state.as_ref().unwrap().waiting.as_ref().unwrap().message.clone().unwrap();
    assert!(message.contains("restarting failed container=c pod=crash_default(uid-crash)"), "{message}");
    bench.event("crash", "BackOff", "Back-off restarting failed container c").await;
    bench.status("crash", "third run", |status| container(status).restart_count >= 2).await;
    let previous = bench.log(LogRequest { previous: true, ..bench.log_request("crash", "c") }).await;
    assert_eq!(previous, "attempt\n");
    bench.terminate("crash", Duration::ZERO).await;
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_init_containers() {
    if !root("policies_and_init_containers") {
        return;
    }
    let mut bench = Bench::new().await;
    let shared = json!([{"name": "v", "mountPath": "/v"}]);
    bench.run(
        "order",
        json!({
            "restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}],
            "initContainers": [
                {"name": "one", "command": ["sh", "-c", "echo 1 >> /v/f"], "volumeMounts": shared},
                {"name": "two", "command": ["sh", "-c", "echo 2 >> /v/f"], "volumeMounts": shared}
            ],
            "containers": [{"name": "c", "command": ["sh", "-c", "cat /v/f"], "volumeMounts": shared}]
        }),
    );
    bench.phase("order", "Succeeded").await;
    assert_eq!(bench.said("order").await, "1\n2\n");
    bench.run(
        "broken",
        json!({
            "restartPolicy": "Never",
            "initContainers": [{"name": "one", "command": ["false"]}],
            "containers": [{"name": "c", "command": ["true"]}]
        }),
    );
    let failed = bench.phase("broken", "Failed").await;
    assert_eq!(waiting_reason(&failed).as_deref(), Some("PodInitializing"));
    bench.run("retry", json!({
        "restartPolicy": "OnFailure", "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"name": "c", "command": ["sh", "-c", "test -e /v/f && exit 0; touch /v/f; exit 1"], "volumeMounts": shared}]
    }));
    let done = bench.phase("retry", "Succeeded").await;
    assert_eq!(container(&done).restart_count, 1);
    bench.run("sidecar", json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "side", "restartPolicy": "Always", "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]}],
        "containers": [{"name": "c", "command": ["sh", "-c", "echo done"]}]
    }));
    bench.phase("sidecar", "Succeeded").await;
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    if !root("what_cannot_start_says_why") {
        return;
    }
    let mut bench = Bench::new().await;
    let missing = json!({"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}}]}]});
    bench.run("config", missing.clone());
    let status = bench
        .status("config", "error", |status| {
            waiting_reason(status).as_deref() == Some("CreateContainerConfigError")
        })
        .await;
    let message = container(&status).state.as_ref().unwrap().waiting.as_ref().unwrap().message.clone();
    assert_eq!(message.as_deref(), Some("configmap \"x\" not found"));
    bench.event("config", "Failed", "Error: configmap \"x\" not found").await;
    let mut input = bench.input("config", missing);
    input.config_maps.insert("x".to_owned(), serde_json::from_value(json!({"data": {"k": "v"}})).unwrap());
    bench.node.sync(input);
    bench.phase("config", "Running").await;

    let mut input = bench.input("pull", json!({"containers": [{"name": "c"}]}));
    let failed =
        ImageState::Failed { reason: "ErrImagePull".to_owned(), message: "manifest unknown".to_owned() };
    input.images.insert("busybox".to_owned(), failed);
    bench.node.sync(input);
    bench.status("pull", "error", |status| waiting_reason(status).as_deref() == Some("ErrImagePull")).await;

    for (name, command, part) in [
        ("none", "no-such-program", "exec: \"no-such-program\": executable file not found in $PATH"),
        ("broken", "/bin/broken", "exec /bin/broken: exec format error"),
    ] {
        bench.run(
            name,
            json!({"restartPolicy": "Never", "containers": [{"name": "c", "command": [command]}]}),
        );
        let status = bench.phase(name, "Failed").await;
        let ending = container(&status).state.as_ref().unwrap().terminated.clone().unwrap();
        assert_eq!((ending.exit_code, ending.reason.as_deref()), (128, Some("StartError")));
        assert_eq!(ending.message.as_deref(), Some(part));
    }
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_gate_and_restart() {
    if !root("probes_gate_and_restart") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.run("live", json!({"terminationGracePeriodSeconds": 1, "containers": [{
        "name": "c", "command": ["sh", "-c", "touch /ok; sleep 1; touch /started; while :; do sleep 0.1; done"],
        "startupProbe": {"exec": {"command": ["test", "-e", "/started"]}, "periodSeconds": 1, "failureThreshold": 30},
        "livenessProbe": {"exec": {"command": ["sh", "-c", "test -e /gone && echo it is gone && exit 1; exit 0"]}, "periodSeconds": 1, "failureThreshold": 1},
        "readinessProbe": {"exec": {"command": ["test", "-e", "/ok"]}, "periodSeconds": 1}
    }]}));
    bench.event("live", "Unhealthy", "Startup probe failed").await;
    assert!(!is_ready(&bench.statuses["live"]));
    bench.ready("live").await;
    bench.terminate("live", Duration::ZERO).await;

    bench.run(
        "dead",
        json!({"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "c", "command": ["sleep", "1000"],
            "livenessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 2}
        }]}),
    );
    bench.event("dead", "Unhealthy", "Liveness probe failed: dial tcp").await;
    bench.event("dead", "Killing", "Container c failed liveness probe, will be restarted").await;
    let again = bench.status("dead", "restarted", |status| container(status).restart_count == 1).await;
    assert_eq!(container(&again).last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 137);
    bench.terminate("dead", Duration::ZERO).await;
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_share_the_grace() {
    if !root("hooks_share_the_grace") {
        return;
    }
    let mut bench = Bench::new().await;
    let shared = json!([{"name": "v", "mountPath": "/v"}]);
    let folder = bench.folder.join("seen");
    std::fs::create_dir(&folder).unwrap();
    bench.run("hooks", json!({
        "volumes": [{"name": "v", "hostPath": {"path": folder}}],
        "containers": [{
            "name": "c", "volumeMounts": shared,
            "command": ["sh", "-c", "trap 'echo term >> /v/f; exit 0' TERM; while :; do sleep 0.05; done"],
            "lifecycle": {
                "postStart": {"exec": {"command": ["sh", "-c", "echo start >> /v/f"]}},
                "preStop": {"exec": {"command": ["sh", "-c", "echo stop >> /v/f"]}}
            }
        }]
    }));
    bench.ready("hooks").await;
    bench.terminate("hooks", Duration::from_secs(10)).await;
    assert_eq!(std::fs::read_to_string(folder.join("f")).unwrap(), "start\nstop\nterm\n");

    bench.run(
        "deaf",
        json!({"containers": [{
            "name": "c", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"],
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}
        }]}),
    );
    bench.ready("deaf").await;
    let took = bench.terminate("deaf", Duration::from_secs(2)).await;
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    let code =
        container(&bench.statuses["deaf"]).state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code;
    assert_eq!(code, 137);
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_cut_as_asked() {
    if !root("logs_are_cut_as_asked") {
        return;
    }
    let mut bench = Bench::new().await;
    let (code, text) = bench.script("count", "seq 1 2000").await;
    assert_eq!((code, text.lines().count()), (0, 2000));
    let request = bench.log_request("count", "c");
    assert_eq!(bench.log(LogRequest { tail_lines: Some(2), ..request.clone() }).await, "1999\n2000\n");
    assert_eq!(bench.log(LogRequest { limit_bytes: Some(4), ..request.clone() }).await, "1\n2\n");
    let stamped = bench.log(LogRequest { timestamps: true, tail_lines: Some(1), ..request.clone() }).await;
    let (time, rest) = stamped.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok());
    assert_eq!(rest, "2000\n");
    let later = jiff::Timestamp::now() + Duration::from_secs(60);
    assert_eq!(bench.log(LogRequest { since: Some(later), ..request.clone() }).await, "");
    assert!(bench.node.logs(LogRequest { container: "other".to_owned(), ..request }).await.is_err());
    bench.run("drip", json!({"containers": [{"name": "c", "command": ["sh", "-c", "echo a; sleep 0.3; echo b; sleep 1000"]}]}));
    bench.phase("drip", "Running").await;
    let mut stream =
        bench.node.logs(LogRequest { follow: true, ..bench.log_request("drip", "c") }).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"b\n") {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
        text.extend_from_slice(&next);
    }
    assert_eq!(text, b"a\nb\n");
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_rotate_and_are_followed_across_it() {
    if !root("logs_rotate_and_are_followed_across_it") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.log_bytes = 64 * 1024;
    let mut bench = Bench::over(config, folder.path()).await;
    bench.run("much", json!({"restartPolicy": "Never", "containers": [{"name": "c", "command": ["sh", "-c", "sleep 0.3; seq 1 20000"]}]}));
    bench.phase("much", "Running").await;
    let stream =
        bench.node.logs(LogRequest { follow: true, ..bench.log_request("much", "c") }).await.unwrap();
    let followed: Vec<_> = stream.try_collect().await.unwrap();
    let followed = String::from_utf8(followed.concat()).unwrap();
    assert_eq!(followed.lines().last(), Some("20000"));
    bench.phase("much", "Succeeded").await;
    let logs = bench.folder.join("state/logs/default_much_uid-much/c");
    let sizes: Vec<u64> =
        std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 64 * 1024), "{sizes:?}");
    let tail = bench.log(LogRequest { tail_lines: Some(3), ..bench.log_request("much", "c") }).await;
    assert_eq!(tail, "19998\n19999\n20000\n");
    bench.terminate("much", Duration::ZERO).await;
    std::fs::create_dir_all(bench.folder.join("state/pods/uid-old/volumes")).unwrap();
    bench.node.collect_pods(Default::default()).await;
    assert_eq!(std::fs::read_dir(bench.folder.join("state/pods")).unwrap().count(), 0);
    bench.node.shutdown().await;
}
