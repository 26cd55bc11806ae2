//! Addresses, routes, and nodes side by side.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use skep_node::*;

use crate::support::*;

/// Answers every connection with `text`.
fn serve(address: std::net::Ipv4Addr, port: u16, text: &'static str) -> u16 {
    let listener = TcpListener::bind((address, port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.write_all(text.as_bytes());
        }
    });
    port
}

fn read_from(address: std::net::Ipv4Addr, port: u16) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut text = String::new();
        if let Ok(mut stream) = std::net::TcpStream::connect((address, port)) {
            let _ = stream.read_to_string(&mut text);
        }
        if !text.is_empty() {
            return text;
        }
        assert!(Instant::now() < deadline, "{address}:{port} does not answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_reach_each_other_services_and_this_machine() {
    if !root("pods_reach_each_other_services_and_this_machine") {
        return;
    }
    let mut bench = Bench::new().await;
    let network = bench.node.network().clone();
    let server = json!({"containers": [{
        "name": "c", "command": ["nc", "-ll", "-p", "80", "-e", "echo", "from a pod"], "securityContext": {"runAsUser": 1000},
        "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}
    }]});
    bench.run("server", server);
    let ip: std::net::Ipv4Addr = bench.ready("server").await.pod_ip.unwrap().parse().unwrap();
    assert_eq!(read_from(ip, 80), "from a pod\n", "a low port without root, reached from this machine");
    let service = network.service_cidr.nth(7).unwrap();
    serve(service, 80, "from a service\n");
    let gateway_port = serve(network.gateway, 0, "from the gateway\n");
    let script = format!(
        "nc {ip} 80 </dev/null; nc {service} 80 </dev/null; nc {} {gateway_port} </dev/null; ip -o link | wc -l",
        network.gateway
    );
    let (code, text) = bench.script("client", &script).await;
    assert_eq!((code, text.as_str()), (0, "from a pod\nfrom a service\nfrom the gateway\n2\n"));
    bench.node.shutdown().await;
    let bridge = network.bridge.unwrap();
    assert!(!Path::new("/sys/class/net").join(bridge).exists());
    assert!(
        TcpListener::bind((network.service_cidr.nth(9).unwrap(), 0)).is_err(),
        "the Services' route is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_reach_the_outside() {
    if !root("pods_reach_the_outside") {
        return;
    }
    let mut bench = Bench::new().await;
    assert_eq!(bench.node.network().no_outbound, None);
    // A stand-in for the outside: an address of this machine that is not the pods' own.
    let outside = outside_peer();
    let (code, text) =
        bench.script("out", &format!("nc {} {} </dev/null", outside.address, outside.port)).await;
    assert_eq!(
        (code, text.trim()),
        (0, outside.near.to_string().as_str()),
        "the outside sees this machine, not the pod"
    );
    bench.node.shutdown().await;
}

struct Outside {
    address: std::net::Ipv4Addr,
    /// This machine as the outside sees it.
    near: std::net::Ipv4Addr,
    port: u16,
}

/// Runs an `ip` command in the calling thread's network namespace (package iproute2).
fn ip(arguments: &str) {
    let status = std::process::Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Another machine, as a thread in a network namespace behind a veth, that tells whoever connects who they are. It ends with the
/// test, and the link with it.
fn outside_peer() -> Outside {
    let number = std::process::id() % 250;
    let (near, far) = (format!("10.250.{number}.1"), format!("10.250.{number}.2"));
    let (link, address) = (format!("out{number}"), far.clone());
    let (entered, thread) = std::sync::mpsc::channel();
    let (linked, go) = std::sync::mpsc::channel();
    let (listening, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        entered.send(nix::unistd::gettid()).unwrap();
        let _: () = go.recv().unwrap();
        ip(&format!("addr add {address}/24 dev peer0"));
        ip("link set peer0 up");
        let listener = TcpListener::bind((address.as_str(), 0)).unwrap();
        listening.send(listener.local_addr().unwrap().port()).unwrap();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let peer = stream.peer_addr().unwrap().ip();
            let _ = writeln!(stream, "{peer}");
        }
    });
    ip(&format!("link add {link} type veth peer name peer0 netns {}", thread.recv().unwrap()));
    ip(&format!("addr add {near}/24 dev {link}"));
    ip(&format!("link set {link} up"));
    linked.send(()).unwrap();
    Outside { address: far.parse().unwrap(), near: near.parse().unwrap(), port: port.recv().unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_live_side_by_side() {
    if !root("two_nodes_live_side_by_side") {
        return;
    }
    let (mut one, mut two) = (Bench::new().await, Bench::new().await);
    assert!(!one.node.network().pod_cidr.overlaps(&two.node.network().pod_cidr));
    for bench in [&mut one, &mut two] {
        bench.run("same", json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "command": ["sleep", "1000"]}]}));
        bench.ready("same").await;
    }
    one.node.shutdown().await;
    let (code, _) = two.script("still", "true").await;
    assert_eq!(code, 0);
    two.terminate("same", Duration::ZERO).await;
    two.node.shutdown().await;
    let folder = tempfile::tempdir().unwrap();
    let first = Bench::over(config(folder.path()), folder.path()).await;
    let second = Node::start(config(folder.path()), NetworkPlan::default()).await;
    assert!(second.is_err_and(|error| error.to_string().contains("lock")), "one state directory, one node");
    first.node.shutdown().await;
}
