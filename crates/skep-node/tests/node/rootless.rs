//! The level without privilege: this test binary again, as a user that may do nothing.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use skep_node::*;

use crate::support::*;

const FOLDER: &str = "SKEP_NODE_ROOTLESS_FOLDER";
const NOBODY: u32 = 65534;

/// Not a test of its own: run as an unprivileged user by the one below.
#[tokio::test(flavor = "multi_thread")]
async fn unprivileged() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    assert!(!nix::unistd::geteuid().is_root());
    let folder = Path::new(&folder);
    let mut config = config(folder);
    config.init_program = folder.join("init");
    assert_eq!(probe(folder).level, Level::Rootless);
    let mut bench = Bench::over(config, folder).await;
    assert_eq!(bench.node.capabilities().level, Level::Rootless);
    let server = |text: &str| {
        json!({"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "c", "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "command": ["sh", "-c", format!("mkdir /www; echo {text} > /www/index.html; exec httpd -f -p $(POD_IP):18080 -h /www")],
            "readinessProbe": {"httpGet": {"path": "/", "port": 18080}, "periodSeconds": 1},
            "livenessProbe": {"exec": {"command": ["test", "-e", "/www"]}, "periodSeconds": 1}
        }]})
    };
    bench.run("one", server("one"));
    bench.run("two", server("two"));
    let one = bench.ready("one").await.pod_ip.unwrap();
    let two = bench.ready("two").await.pod_ip.unwrap();
    assert!(one.starts_with("127.") && one != two, "{one} {two}");

    let mut input = bench.input("client", json!({"restartPolicy": "Never", "containers": [{
        "name": "c", "command": ["sh", "-c", "wget -qO- http://one.default:18080/ http://two.default:18080/; hostname; echo $$$$; id -u; grep NoNewPrivs /proc/self/status; touch /kept && ls /dev/null"]
    }]}));
    input.hosts = vec![
        (one.parse().unwrap(), vec!["one.default".to_owned()]),
        (two.parse().unwrap(), vec!["two.default".to_owned()]),
    ];
    let (code, text) = bench.finish("client", input).await;
    assert_eq!((code, text.as_str()), (0, "one\ntwo\nclient\n1\n0\nNoNewPrivs:\t1\n/dev/null\n"));

    let input = bench.input("user", json!({"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}], "containers": [{
        "name": "c", "securityContext": {"runAsUser": 999, "runAsGroup": 999}, "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "command": ["sh", "-c", "id -u; touch /v/mine && stat -c %u /v/mine; grep CapEff /proc/self/status"]
    }]}));
    let (code, text) = bench.finish("user", input).await;
    assert_eq!(
        (code, text.as_str()),
        (0, "999\n999\nCapEff:\t0000000000000000\n"),
        "a database that refuses root can run"
    );
    for name in ["one", "two", "client", "user"] {
        bench.terminate(name, Duration::from_secs(1)).await;
        assert!(!folder.join(format!("state/pods/uid-{name}")).exists());
    }
    bench.node.shutdown().await;
}

#[test]
fn pods_run_without_privilege() {
    if !root("pods_run_without_privilege (it becomes nobody)") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Where nobody can get at them, wherever the build is.
    let program = folder.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_skep-node-init"), folder.path().join("init")).unwrap();
    for path in [folder.path(), &program] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let output = Command::new(&program)
        .args(["--exact", "rootless::unprivileged", "--nocapture"])
        .env(FOLDER, folder.path())
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
