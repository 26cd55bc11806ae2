//! Nothing is deleted that the plan has not named, and input that can't be read is an error, never "not there".

use std::{fs, time::Duration};

use skep_tests::{Outcome, World, eventually};

const SIDE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: side }
spec:
  selector: { matchLabels: { app: side } }
  template:
    metadata: { labels: { app: side } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: side, image: shop }] }
";

/// A database, with a claim that outlives its manifest.
const DB: &str = "\
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: None, selector: { app: db }, ports: [{ port: 8000 }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: db, image: shop }] }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: db }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
";

/// Both refuse, with this text, and the object is still there.
fn is_refused(world: &World, text: &str) {
    for command in ["plan", "deploy"] {
        world.skep(&[command]).code(10).says(text);
    }
    world.skep(&["check"]).code(10).says(text);
    world.kubectl(&["get", "deployment", "side"]).ok();
}

fn write(world: &World, file: &str, bytes: &[u8]) {
    fs::write(world.project.dir().join(file), bytes).expect("a file of the project can be written");
}

#[test]
fn manifest_that_is_not_utf8_is_an_error() {
    let world = World::new();
    world.project.write("k8s/side.yaml", SIDE);
    world.skep(&["deploy"]).ok();
    write(&world, "k8s/side.yaml", &[b"# caf\xe9\n", SIDE.as_bytes()].concat());
    is_refused(&world, "k8s/side.yaml:1:6: not valid UTF-8: byte 0xe9");

    // PowerShell writes UTF-16; kubectl reads it.
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    write(&world, "k8s/side.yaml", &[&[0xff, 0xfe][..], &utf16(SIDE)].concat());
    world.skep(&["plan"]).code(0).says("nothing to do");
}

#[test]
fn content_that_yields_no_object_is_an_error() {
    let world = World::new();
    world.project.write("k8s/side.yaml", SIDE);
    world.skep(&["deploy"]).ok();
    let cases = [
        (SIDE.replace("kind:", "Kind:").replace("apiVersion:", "apiversion:"), "keys are case-sensitive"),
        (SIDE.replace("kind: Deployment\n", ""), "`kind` is missing"),
        ("replicas: 2\n".to_owned(), "found a mapping with neither `apiVersion` nor `kind`"),
        (format!("- {}", SIDE.replace('\n', "\n  ")), "found a list"),
        ("~\n".to_owned(), "found null"),
        ("apiVersion: v1\nkind: List\nitems:\n".to_owned(), "found a List without items"),
    ];
    for (text, error) in cases {
        world.project.write("k8s/side.yaml", &text);
        is_refused(&world, error);
    }
    world.project.remove("k8s/side.yaml");
    std::os::unix::fs::symlink("nowhere.yaml", world.project.dir().join("k8s/side.yaml")).expect("a link");
    is_refused(&world, "k8s/side.yaml: broken symbolic link to nowhere.yaml");

    // Comments alone are an empty file: what was in it goes, and the plan says so.
    world.project.remove("k8s/side.yaml");
    world.project.write("k8s/side.yaml", "# gone\n---\n# for good\n");
    world.skep(&["plan"]).code(2).says("Deployment/side  no longer in k8s/side.yaml");
}

#[test]
fn file_that_manifests_names_is_read_whatever_its_extension() {
    let world = World::new();
    world.project.write("side.yaml.prod", SIDE);
    world.project.edit("skep.yaml", "manifests: k8s", "manifests: [k8s, side.yaml.prod]");
    world.project.write("k8s/README.md", "Not a manifest.\n");
    world.project.write("k8s/.gitkeep", "");
    world.project.write(
        "k8s/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [shop.yaml]\n",
    );
    let deployed = world.skep(&["deploy"]).ok();
    deployed.says("ignored k8s/README.md").says("k8s/kustomization.yaml:1 is ignored").never_says(".gitkeep");
    world.kubectl(&["get", "deployment", "side"]).ok();
}

/// The place of a text in an output that has it.
fn at(outcome: &Outcome, text: &str) -> usize {
    outcome.stderr.find(text).unwrap_or_else(|| panic!("no `{text}` in\n{}", outcome.stderr))
}

#[test]
fn rollback_names_each_removal_before_it_happens() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("k8s/db.yaml", DB);
    world.skep(&["deploy"]).ok();

    let back = world.skep(&["rollback", "v1"]).ok();
    for object in ["StatefulSet/db", "Service/db"] {
        let named = at(&back, &format!("will remove {object}: not part of v1"));
        assert!(named < at(&back, "lock"), "{}", back.stderr);
        assert!(at(&back, &format!("removed {object}")) > named);
    }
    world.kubectl(&["get", "statefulset", "db"]).says("NotFound");
    world.kubectl(&["get", "pvc", "db"]).ok();

    let newest = world.skep(&["history", "--output", "json"]).ok().json().remove(0);
    let changed = newest["changed"].to_string();
    assert!(changed.contains("StatefulSet/db removed"), "{changed}");
    assert!(!changed.contains("PersistentVolumeClaim/db"), "it stays: {changed}");
}

#[test]
fn deploy_names_each_removal_with_its_file() {
    let world = World::new();
    world.project.write("k8s/side.yaml", SIDE);
    world.project.write(
        "k8s/plain.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: plain }\ndata: { A: b }\n",
    );
    world.project.append("skep.yaml", "secrets: { unread: { generate: [TOKEN] } }\n");
    world.skep(&["deploy"]).ok();
    world.project.remove("k8s/side.yaml");
    world.project.remove("k8s/plain.yaml");
    world.project.edit("skep.yaml", "secrets: { unread: { generate: [TOKEN] } }\n", "");
    let removals = [
        ("Deployment/side", "no longer in k8s/side.yaml"),
        ("ConfigMap/plain", "no longer in k8s/plain.yaml"),
        ("Secret/unread", "no longer in skep.yaml"),
    ];
    let plan = world.skep(&["plan", "--output", "json"]).code(2).json().pop().expect("a plan");
    for (object, because) in removals {
        world.skep(&["plan"]).code(2).says(&format!("{object}  {because}"));
        world.skep(&["diff"]).code(2).says(&format!("- {object}  {because}"));
        let (kind, name) = object.split_once('/').expect("a kind and a name");
        let named = plan["removes"].as_array().into_iter().flatten().any(|removal| {
            removal["kind"] == kind && removal["name"] == name && removal["because"] == because
        });
        assert!(named, "{plan:#}");
    }
    let deployed = world.skep(&["deploy"]).ok();
    for (object, because) in removals {
        assert!(at(&deployed, &format!("will remove {object}: {because}")) < at(&deployed, "lock"));
        at(&deployed, &format!("  removed {object}"));
    }
    world.skep(&["plan"]).code(0).says("nothing to do");
}

fn config_maps(world: &World) -> Vec<String> {
    let name =
        |object: &serde_json::Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    world.objects("configmaps").iter().map(name).collect()
}

#[test]
fn unused_versions_are_named_before_they_are_removed() {
    let world = World::new();
    world.project.edit("skep.yaml", "\nconfig:", "\nkeep-releases: 1\nconfig:");
    world.project.edit("k8s/shop.yaml", "  replicas: 2\n", "  replicas: 1\n  revisionHistoryLimit: 0\n");
    world.skep(&["deploy"]).ok();
    let first = config_maps(&world).into_iter().find(|name| name.starts_with("shop-config-"));
    let first = first.expect("a version");
    for greeting in ["two", "three"] {
        world.project.write("shop.env", &format!("GREETING={greeting}\n"));
        world.skep(&["deploy"]).ok();
    }
    eventually("only the newest pod and its ReplicaSet are left", Duration::from_secs(60), || {
        (world.objects("pods").len() == 1 && world.objects("replicasets").len() == 1).then_some(())
    });
    world.project.write("shop.env", "GREETING=four\n");
    let deployed = world.skep(&["deploy"]).ok();
    assert!(!config_maps(&world).contains(&first), "{first} is in {:?}", config_maps(&world));
    let removed = deployed.stderr.lines().filter_map(|line| line.trim().strip_prefix("removed ConfigMap/"));
    for name in removed {
        let named = format!("will remove ConfigMap/{name}: no kept release refers to it");
        assert!(at(&deployed, &named) < at(&deployed, "lock"));
    }
}

/// A deploy of single services removes nothing, not even what the project no longer has.
#[test]
fn deploy_of_one_service_removes_nothing() {
    let world = World::new();
    world.project.write("k8s/side.yaml", SIDE);
    world.project.write(
        "k8s/plain.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: plain }\ndata: { A: b }\n",
    );
    world.project.append("skep.yaml", "secrets: { unread: { generate: [TOKEN] } }\n");
    world.skep(&["deploy"]).ok();
    world.project.remove("k8s/side.yaml");
    world.project.remove("k8s/plain.yaml");
    world.project.edit("skep.yaml", "secrets: { unread: { generate: [TOKEN] } }\n", "");
    world.project.write("release", "two\n");
    world.skep(&["deploy", "shop"]).ok().never_says("will remove").never_says("removed ");
    for object in ["deployment/side", "configmap/plain", "secret/unread"] {
        world.kubectl(&["get", object]).ok();
    }
    // The next whole deploy removes them.
    world
        .skep(&["deploy"])
        .ok()
        .says("removed Deployment/side")
        .says("removed ConfigMap/plain")
        .says("removed Secret/unread");
}
