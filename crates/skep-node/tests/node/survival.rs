//! Nodes that end: by request, by kill, and what the next one makes of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

const FOLDER: &str = "SKEP_NODE_TEST_FOLDER";

/// Not a test of its own: the node that is killed, when started by the one below.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut bench = Bench::over(config(Path::new(&folder)), Path::new(&folder)).await;
    bench.run("app", json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{
        "name": "c", "command": ["sh", "-c", "echo run; echo x >> /v/f; sleep 100000 & sleep 100001"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]
    }]}));
    let status = bench.ready("app").await;
    println!(
        "UP {} {} {}",
        bench.node.init_pid(),
        status.pod_ip.unwrap(),
        bench.node.network().bridge.clone().unwrap()
    );
    // Until it is killed; a run whose parent died must end too.
    tokio::time::timeout(2 * PATIENCE, std::future::pending::<()>()).await.unwrap_err();
}

fn children(of: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1))
            .and_then(|ppid| ppid.parse().ok());
        if parent == Some(of) {
            found.push(pid);
            found.extend(children(pid));
        }
    }
    found
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_takes_its_pods_along_and_the_next_brings_them_back() {
    if !root("a_killed_node_takes_its_pods_along_and_the_next_brings_them_back") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "survival::victim", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line =
        lines.filter_map(|line| line.split_once("UP ").map(|(_, rest)| rest.to_owned())).next().unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (holder, ip, bridge): (u32, &str, &str) = (words[0].parse().unwrap(), words[1], words[2]);
    wait_until("the namespaces' holder and the container's processes", || children(holder).len() >= 3);
    let mut processes = children(holder);
    processes.push(holder);
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("every process is gone", || {
        !processes.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists())
    });
    wait_until("the bridge is gone", || !Path::new("/sys/class/net").join(bridge).exists());

    let mut bench = Bench::over(config(folder.path()), folder.path()).await;
    assert_eq!(bench.node.network().bridge.as_deref(), Some(bridge));
    let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{
        "name": "c", "command": ["sh", "-c", "echo again; echo x >> /v/f; cat /v/f; exec sleep 100000"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]
    }]});
    bench.run("app", spec);
    let status = bench.ready("app").await;
    assert_eq!(status.pod_ip.as_deref(), Some(ip), "the pod keeps its address");
    assert_eq!(container(&status).restart_count, 1);
    let last = container(&status).last_state.as_ref().unwrap().terminated.clone().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (137, Some("Error")));
    let previous = skep_node::LogRequest { previous: true, ..bench.log_request("app", "c") };
    assert_eq!(bench.log(previous).await, "run\n", "logs outlive the node");
    let request = bench.log_request("app", "c");
    let deadline = Instant::now() + PATIENCE;
    while bench.log(request.clone()).await != "again\nx\nx\n" {
        assert!(Instant::now() < deadline, "an emptyDir lives as long as its pod");
    }
    bench.terminate("app", Duration::ZERO).await;
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_is_replaced() {
    if !root("a_killed_holder_is_replaced") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.run("app", json!({"containers": [{"name": "c", "command": ["sleep", "100000"]}]}));
    bench.ready("app").await;
    let holder = bench.node.init_pid();
    let processes = children(holder);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(holder as i32), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    wait_until("its pods died with it", || {
        !processes.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists())
    });
    let again =
        bench.status("app", "back", |status| is_ready(status) && container(status).restart_count >= 1).await;
    // Killed; or its next start has met namespaces that were just going.
    let code = container(&again).last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code;
    assert!([137, 128].contains(&code), "{code}");
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_starts_fast() {
    if !root("a_pod_starts_fast") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.script("warm", "true").await;
    let mut took = Vec::new();
    for number in 0..10 {
        let name = format!("fast-{number}");
        let start = Instant::now();
        bench.run(&name, json!({"containers": [{"name": "c", "command": ["sleep", "1000"]}]}));
        bench.phase(&name, "Running").await;
        took.push(start.elapsed());
        bench.terminate(&name, Duration::ZERO).await;
    }
    took.sort();
    println!("sync to Running: median {:?}, fastest {:?}, slowest {:?}", took[5], took[0], took[9]);
    assert!(took[5] < Duration::from_secs(1), "generous, for a busy machine: {took:?}");
    bench.node.shutdown().await;
}
