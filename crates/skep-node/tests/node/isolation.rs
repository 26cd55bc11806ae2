//! What a container sees and may do.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use skep_node::*;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_its_own_world() {
    if !root("a_container_has_its_own_world") {
        return;
    }
    let mut bench = Bench::new().await;
    let script = "hostname; echo $$$$; ls /proc | grep -c '^[0-9]'; cat /etc/resolv.conf; grep own-world /etc/hosts | wc -l; \
                  ls -d /.skep-host 2>/dev/null; (echo x > /proc/sys/kernel/hostname) 2>/dev/null && echo WRITABLE; \
                  cat /proc/self/status | grep -E 'CapEff|CapBnd|NoNewPrivs'; echo $FROM_IMAGE $HOSTNAME $HOME; ls /dev | sort | head -30 | tr '\\n' ' '; \
                  ls /proc/self/fd | wc -l; (wc -c < /proc/kcore) 2>/dev/null; mount | grep -c state";
    let (code, text) = bench.script("own-world", script).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(code, 0, "{text}");
    assert_eq!(lines[0], "own-world");
    assert_eq!(lines[1], "1", "the program is the first process");
    let gateway = bench.node.network().gateway;
    assert!(text.contains(&format!("nameserver {gateway}\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n")));
    assert!(!text.contains("WRITABLE") && !text.contains("skep-host"), "{text}");
    assert!(text.contains("CapEff:\t00000000a80425fb"), "containerd's set: {text}");
    assert!(text.contains("CapBnd:\t00000000a80425fb") && text.contains("NoNewPrivs:\t1"), "{text}");
    assert!(text.contains("yes own-world /root"), "{text}");
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_groups_and_a_read_only_root() {
    if !root("users_groups_and_a_read_only_root") {
        return;
    }
    let mut bench = Bench::new().await;
    let input = bench.input("user", json!({
        "restartPolicy": "Never", "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "fsGroup": 2000},
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}],
        "containers": [{
            "name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "m", "mountPath": "/var/run/m"}],
            "securityContext": {"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
            "command": ["sh", "-c", "id; touch /x 2>&1; touch /v/x /var/run/m/x && stat -c %g /v/x; grep CapEff /proc/self/status; echo ok > /dev/stderr; echo ok > /dev/shm/x; cat /run/m/x"]
        }]
    }));
    let (code, text) = bench.finish("user", input).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("uid=1000(web) gid=1000(web) groups=1000(web),2000"), "{text}");
    assert!(text.contains("/x: Read-only file system"), "{text}");
    assert!(text.contains("\n2000\n") && text.contains("CapEff:\t0000000000000000"), "{text}");

    let refused = json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "c"}]});
    bench.run("refused", refused);
    bench
        .status("refused", "refused", |status| {
            waiting_reason(status).as_deref() == Some("CreateContainerConfigError")
        })
        .await;
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_what_the_pod_says() {
    if !root("volumes_are_what_the_pod_says") {
        return;
    }
    let mut bench = Bench::new().await;
    let claim = bench.folder.join("claim");
    let spec = json!({
        "terminationGracePeriodSeconds": 0,
        "volumes": [
            {"name": "config", "configMap": {"name": "config", "defaultMode": 0o440}},
            {"name": "secret", "secret": {"secretName": "secret", "defaultMode": 0o400, "items": [{"key": "k", "path": "deep/k"}]}},
            {"name": "none", "configMap": {"name": "none", "optional": true}},
            {"name": "all", "projected": {"sources": [
                {"configMap": {"name": "config", "items": [{"key": "a", "path": "from-config"}]}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"serviceAccountToken": {"path": "token"}}
            ]}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "host", "hostPath": {"path": "/etc/hostname", "type": "File"}}
        ],
        "containers": [{
            "name": "c",
            "volumeMounts": [
                {"name": "config", "mountPath": "/config"}, {"name": "secret", "mountPath": "/secret"}, {"name": "none", "mountPath": "/none"},
                {"name": "all", "mountPath": "/all"}, {"name": "claim", "mountPath": "/data", "subPath": "inner"},
                {"name": "host", "mountPath": "/host-name", "readOnly": true}, {"name": "config", "mountPath": "/one/file", "subPath": "a"}
            ],
            "command": ["sh", "-c", "cat /config/a /secret/deep/k /all/from-config /all/labels /all/token /one/file; stat -L -c '%a' /config/a /secret/deep/k; \
                touch /config/x 2>/dev/null && echo WRITABLE; touch /data/kept; ls -A /none | wc -l; \
                until grep -q new /config/a; do sleep 0.05; done; echo swapped; ls /config"]
        }],
        "restartPolicy": "Never"
    });
    let mut input = bench.input("volumes", spec);
    input.claims = BTreeMap::from([("data".to_owned(), claim.clone())]);
    input.service_account_token = Some("token!".to_owned());
    input
        .config_maps
        .insert("config".to_owned(), serde_json::from_value(json!({"data": {"a": "old\n"}})).unwrap());
    input
        .secrets
        .insert("secret".to_owned(), serde_json::from_value(json!({"data": {"k": "czNjcmV0Cg=="}})).unwrap());
    bench.node.sync(input.clone());
    bench.phase("volumes", "Running").await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while !claim.join("inner/kept").exists() {
        assert!(std::time::Instant::now() < deadline, "the first half of the script");
        tokio::task::yield_now().await;
    }
    input.config_maps.insert(
        "config".to_owned(),
        serde_json::from_value(json!({"data": {"a": "new\n", "b": ""}})).unwrap(),
    );
    let (code, text) = bench.finish("volumes", input).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("old\ns3cret\nold\napp=\"volumes\"\ntoken!old\n440\n400\n"), "{text}");
    assert!(text.ends_with("swapped\na\nb\n"), "{text}");
    assert!(claim.join("inner/kept").exists());
    let mode = bench
        .folder
        .join("state/pods/uid-volumes/volumes/secret/deep/k")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o400);

    bench.run(
        "missing",
        json!({"volumes": [{"name": "x", "configMap": {"name": "x"}}], "containers": [{"name": "c"}]}),
    );
    bench
        .event(
            "missing",
            "FailedMount",
            "MountVolume.SetUp failed for volume \"x\" : configmap \"x\" not found",
        )
        .await;
    bench.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_past_its_memory_is_killed_for_it() {
    if !root("a_container_past_its_memory_is_killed_for_it") {
        return;
    }
    let mut bench = Bench::new().await;
    if let Cgroups::None { why } = &bench.node.capabilities().cgroups {
        eprintln!("SKIPPED: no control groups here: {why}");
        return;
    }
    let input = bench.input(
        "greedy",
        json!({"restartPolicy": "Never", "containers": [{
            "name": "c", "resources": {"limits": {"memory": "16Mi", "cpu": "500m"}},
            "command": ["awk", "BEGIN { s = \"0123456789\"; while (1) s = s s }"]
        }]}),
    );
    let (code, _) = bench.finish("greedy", input).await;
    assert_eq!(code, 137);
    let status = bench.statuses["greedy"].clone();
    let ending = container(&status).state.as_ref().unwrap().terminated.clone().unwrap();
    assert_eq!(ending.reason.as_deref(), Some("OOMKilled"));
    bench.node.shutdown().await;
}
