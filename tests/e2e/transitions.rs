//! Changes that Kubernetes takes only in part, or only of a new object: update strategies, immutable fields, grown claims, Jobs.

use std::time::Duration;

use skep_tests::{World, eventually};

const SET: &str = "\
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
  replicas: 2
  STRATEGY
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: db
          image: shop
          env: [{ name: VERSION, value: one }]
          readinessProbe: { httpGet: { path: /ready, port: 8000 }, periodSeconds: 1 }
";

/// A world with this StatefulSet beside its Deployment.
fn with_set(strategy: &str) -> World {
    let world = World::new();
    world.project.append("skep.yaml", "rollout: { no-progress: 20s }\n");
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 1");
    let set = SET.replace(
        "  STRATEGY\n",
        &if strategy.is_empty() { String::new() } else { format!("  {strategy}\n") },
    );
    world.project.write("k8s/db.yaml", &set);
    world.skep(&["deploy"]).ok();
    world
}

/// The VERSION of each pod of the StatefulSet, by its number.
fn versions(world: &World) -> Vec<String> {
    let of = |number: usize| {
        let pod = world.object("pod", &format!("db-{number}"));
        pod["spec"]["containers"][0]["env"][0]["value"].as_str().unwrap_or_default().to_owned()
    };
    (0..2).map(of).collect()
}

#[test]
fn on_delete_stateful_set_is_ready_with_its_old_pods() {
    let world = with_set("updateStrategy: { type: OnDelete }");
    world.project.edit("k8s/db.yaml", "value: one", "value: two");
    world.skep(&["deploy"]).ok().says("StatefulSet/db: db-0, db-1 kept on the old template");
    assert_eq!(versions(&world), ["one", "one"]);
    world.skep(&["plan"]).ok().says("nothing to do");
    world.kubectl(&["delete", "pod", "db-1"]).ok();
    eventually("the deleted pod comes back new", Duration::from_secs(60), || {
        (world.kubectl(&["get", "pod", "db-1"]).stdout.contains("1/1") && versions(&world)[1] == "two")
            .then_some(())
    });
    world.skep(&["status"]).ok();
    world.skep(&["rollback"]).ok().says("is live");
}

#[test]
fn partitioned_stateful_set_is_ready_once_its_part_is_new() {
    let world = with_set("updateStrategy: { rollingUpdate: { partition: 1 } }");
    world.project.edit("k8s/db.yaml", "value: one", "value: two");
    world.skep(&["deploy"]).ok().says("StatefulSet/db: db-0 kept on the old template");
    assert_eq!(versions(&world), ["one", "two"]);
    world.project.edit("k8s/db.yaml", "partition: 1", "partition: 0");
    world.skep(&["deploy"]).ok().never_says("kept on the old template");
    assert_eq!(versions(&world), ["two", "two"]);
}

#[test]
fn on_delete_daemon_set_is_ready_with_its_old_pods() {
    let world = World::new();
    world.project.append("skep.yaml", "rollout: { no-progress: 20s }\n");
    world.project.write(
        "k8s/agent.yaml",
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: { name: agent }\nspec:\n  updateStrategy: { type: OnDelete }\n  \
         selector: { matchLabels: { app: agent } }\n  template:\n    metadata: { labels: { app: agent } }\n    \
         spec: { terminationGracePeriodSeconds: 1, containers: [{ name: agent, image: shop, env: [{ name: VERSION, value: one }] }] }\n",
    );
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/agent.yaml", "value: one", "value: two");
    world.skep(&["deploy"]).ok().says("kept on the old template");
    world.skep(&["plan"]).ok().says("nothing to do");
}

#[test]
fn strategy_changes_from_its_default_and_back() {
    let world = with_set("");
    world.project.edit(
        "k8s/shop.yaml",
        "  strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }\n",
        "",
    );
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/shop.yaml", "  template:", "  strategy: { type: Recreate }\n  template:");
    world.project.edit(
        "k8s/db.yaml",
        "  serviceName:",
        "  updateStrategy: { type: OnDelete }\n  serviceName:",
    );
    world.skep(&["diff"]).code(2).says("spec.strategy.type").says("spec.updateStrategy.type");
    world.skep(&["deploy"]).ok();
    assert_eq!(
        world.object("deployment", "shop")["spec"]["strategy"],
        serde_json::json!({"type": "Recreate"})
    );
    assert_eq!(
        world.object("statefulset", "db")["spec"]["updateStrategy"],
        serde_json::json!({"type": "OnDelete"})
    );
    world.skep(&["plan"]).ok().says("nothing to do");

    world.skep(&["rollback"]).ok();
    assert_eq!(world.object("deployment", "shop")["spec"]["strategy"]["type"], "RollingUpdate");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.object("deployment", "shop")["spec"]["strategy"]["type"], "Recreate");
}

/// A field that can't change is named with the way through, and the way leads through.
fn recreates(world: &World, object: &str, field: &str) {
    for command in ["plan", "deploy"] {
        let hint = format!("add `--recreate {object}` to delete and recreate it");
        world
            .skep(&[command])
            .code(14)
            .says(&format!("{object}: {field}"))
            .says("can't be changed in place")
            .says(&hint);
    }
    world.skep(&["deploy", "--recreate", object]).ok();
    world.skep(&["plan"]).ok().says("nothing to do");
}

#[test]
fn immutable_fields_are_known_by_kind() {
    let world = with_set("");
    let claims = "  volumeClaimTemplates: [{ metadata: { name: data }, spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } } }]\n";
    world.project.edit("k8s/db.yaml", "  serviceName:", &format!("{claims}  serviceName:"));
    recreates(&world, "StatefulSet/db", "spec.volumeClaimTemplates");

    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: one }\nrules: []\n---\n\
                   apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: { name: reads }\n\
                   roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: one }\n\
                   subjects: [{ kind: ServiceAccount, name: default, namespace: NAMESPACE }]\n";
    world.project.write("k8s/binding.yaml", &binding.replace("NAMESPACE", world.namespace()));
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/binding.yaml", "kind: Role, name: one", "kind: Role, name: two");
    if world.is_hive() {
        world.skep(&["deploy"]);
    } else {
        recreates(&world, "RoleBinding/reads", "roleRef");
    }

    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: lone }\nspec: { terminationGracePeriodSeconds: 1, containers: [{ name: lone, image: shop, env: [{ name: A, value: b }] }] }\n";
    world.project.write("k8s/lone.yaml", pod);
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/lone.yaml", "value: b", "value: c");
    recreates(&world, "Pod/lone", "spec.containers");
}

/// What the failed release has recreated is gone: it comes back in the same way.
#[test]
fn failed_recreate_is_rolled_back() {
    let world = World::new();
    world.project.append("skep.yaml", "rollout: { no-progress: 10s }\n");
    world.skep(&["deploy"]).ok();
    for (from, to) in [
        ("matchLabels: { app: shop }", "matchLabels: { app: shop, tier: front }"),
        ("labels: { app: shop }", "labels: { app: shop, tier: front }"),
        ("path: /ready", "path: /nope"),
    ] {
        let text = std::fs::read_to_string(world.project.dir().join("k8s/shop.yaml")).expect("a manifest");
        let at = text.rfind(from).expect("a manifest of this harness");
        world.project.write("k8s/shop.yaml", &format!("{}{to}{}", &text[..at], &text[at + from.len()..]));
    }
    world.project.write("release", "two\n");
    world.skep(&["deploy", "--recreate", "Deployment/shop"]).code(30).says("v1 runs again, as v3");
    assert_eq!(
        world.object("deployment", "shop")["spec"]["selector"]["matchLabels"],
        serde_json::json!({"app": "shop"})
    );
    world.skep(&["status"]).ok().says("2/2 ready");
}

#[test]
fn job_keeps_its_image_until_it_is_recreated() {
    let world = World::new();
    world.project.write(
        "k8s/seed.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: { name: seed }\nspec: { template: { spec: { restartPolicy: Never, containers: [{ name: seed, image: shop, command: [/shop, --once] }] } } }\n",
    );
    world.skep(&["deploy"]).ok();
    let image = |world: &World| {
        world.object("job", "seed")["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let first = image(&world);
    world.project.write("release", "two\n");
    world.skep(&["plan"]).code(2).never_says("Job/seed  ");
    world.skep(&["deploy"]).ok().says("Job/seed keeps the image that it was created with");
    assert_eq!(image(&world), first);
    world.skep(&["rollback"]).ok();
    world.skep(&["deploy"]).ok();
    world.skep(&["deploy", "--recreate", "Job/seed"]).ok();
    assert_ne!(image(&world), first);
    world.project.edit("k8s/seed.yaml", "--once", "--twice");
    world.skep(&["deploy"]).code(14).says("Job/seed: spec.template").says("add `--recreate Job/seed`");
}

const CLAIM: &str = "\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: files }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
";

/// A claim can't shrink, and a rollback that asked for it would never go through.
#[test]
fn grown_claim_stays_and_does_not_block_a_rollback() {
    let world = World::new();
    world.project.append("skep.yaml", "rollout: { no-progress: 10s }\n");
    world.project.write("k8s/claim.yaml", CLAIM);
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 1");
    world.project.append(
        "k8s/shop.yaml",
        "      volumes: [{ name: files, persistentVolumeClaim: { claimName: files } }]\n",
    );
    world.skep(&["deploy"]).ok();
    let size =
        |world: &World| world.object("pvc", "files")["spec"]["resources"]["requests"]["storage"].clone();
    world.project.edit("k8s/claim.yaml", "1Mi", "2Mi");
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    eventually("the volume has grown", Duration::from_secs(30), || {
        (world.is_hive() || world.object("pvc", "files")["status"]["capacity"]["storage"] == "2Mi")
            .then_some(())
    });
    world
        .skep(&["rollback"])
        .ok()
        .says("PersistentVolumeClaim/files stays at 2Mi: a claim can't shrink to the 1Mi of v1");
    assert_eq!(size(&world), "2Mi");

    world.project.edit("k8s/claim.yaml", "2Mi", "3Mi");
    world.project.write("release", "crash no such table\n");
    world
        .skep(&["deploy"])
        .code(30)
        .says("PersistentVolumeClaim/files stays at 3Mi")
        .says("v3 runs again, as v5");
    assert_eq!(size(&world), "3Mi");
}

/// A definition and its object in one folder: the object waits until the API serves its kind.
#[test]
fn custom_resource_deploys_with_its_definition() {
    let world = World::new();
    if world.is_hive() {
        skep_tests::not_run("hive serves no custom resources");
        return;
    }
    let name = format!("w{}", world.namespace().replace('-', ""));
    world.project.write(
        "k8s/widgets.yaml",
        &format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: {name}s.example.com }}\nspec:\n  \
             group: example.com\n  scope: Namespaced\n  names: {{ plural: {name}s, singular: {name}, kind: {name} }}\n  \
             versions: [{{ name: v1, served: true, storage: true, schema: {{ openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }} }} }}]\n---\n\
             apiVersion: example.com/v1\nkind: {name}\nmetadata: {{ name: one }}\nspec: {{ a: 1 }}\n"
        ),
    );
    world.skep(&["deploy"]).ok().says("v1 is live");
    world.kubectl(&["get", &name, "one"]).ok();
    world.kubectl(&["delete", "crd", &format!("{name}s.example.com")]).ok();
}
