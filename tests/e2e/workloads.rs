//! Workloads besides Deployments: pods with names and volumes, one on each node, Jobs by the clock; and what bounds them all. kubectl
//! judges hive's controllers, and Skep ships them as it ships Deployments.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use skep_tests::{World, eventually};

/// An app whose one service is a StatefulSet, `SPEC` and all.
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
  replicas: 3
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: db
          image: shop
          envFrom: [{ configMapRef: { name: shop-config } }]
          readinessProbe: { httpGet: { path: /ready, port: 8000 }, periodSeconds: 1 }
";

const CLAIMS: &str = "  volumeClaimTemplates: [{ metadata: { name: data }, spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } } }]\n";

const DAEMON: &str = "\
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: agent
          image: shop
          readinessProbe: { httpGet: { path: /ready, port: 8000 }, periodSeconds: 1 }
";

/// A world whose app has no Deployment, and this instead.
fn only(world: World, manifest: &str) -> World {
    world.project.remove("k8s/shop.yaml");
    world.project.remove("k8s/traffic.yaml");
    world.project.write("k8s/only.yaml", manifest);
    world
}

/// The names of an app's pods that are ready, each with the revision that it is of.
fn ready(world: &World) -> BTreeSet<(String, String)> {
    let is_ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = world.objects("pods");
    let named = pods.iter().filter(|pod| is_ready(pod)).map(|pod| {
        let metadata = &pod["metadata"];
        (text(&metadata["name"]), text(&metadata["labels"]["controller-revision-hash"]))
    });
    named.collect()
}

#[test]
fn a_stateful_set_rolls_and_kubectl_reads_its_history() {
    let world = only(World::new(), SET);
    world.skep(&["deploy"]).ok().says("1 service ready");
    world.kubectl(&["rollout", "status", "statefulset/db", "--timeout=20s"]).ok().says("complete");
    let first = ready(&world);
    assert_eq!(first.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["db-0", "db-1", "db-2"]);
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    let second = ready(&world);
    assert_eq!((second.len(), second.intersection(&first).count()), (3, 0));
    world.kubectl(&["logs", "db-2"]).ok().says("release two listens");
    let history = world.kubectl(&["rollout", "history", "statefulset/db"]).ok();
    assert_eq!(history.stdout.lines().filter(|line| line.starts_with(char::is_numeric)).count(), 2);
    // What somebody else puts back is the revision of before, not a third one.
    world.kubectl(&["rollout", "undo", "statefulset/db"]).ok();
    eventually("the first revision is back", Duration::from_secs(60), || {
        (ready(&world) == first).then_some(())
    });
    world.skep(&["status"]).ok().says("3/3 ready");
    world.skep(&["scale", "db=1"]).ok();
    eventually("one is left", Duration::from_secs(30), || (world.objects("pods").len() == 1).then_some(()));
}

/// A StatefulSet's controller replaces no pod while one of an older template is broken, so that a better template alone mends nothing.
#[test]
fn a_broken_stateful_set_is_told_and_its_broken_pod_gives_way_to_the_good_release() {
    let world = only(World::new(), SET);
    world.skep(&["deploy"]).ok();
    let good = ready(&world);
    world.project.write("release", "crash no such table\n");
    world
        .skep(&["deploy"])
        .code(30)
        .says("StatefulSet/db")
        .says("panic: no such table")
        .says("pod db-2 of an older release is not ready")
        .says("v1 runs again, as v3");
    assert_eq!(ready(&world), good);
    world.kubectl(&["rollout", "status", "statefulset/db", "--timeout=20s"]).ok();
}

/// Nothing can come in the place of a pod that does not go, not even the good release.
#[test]
fn a_pod_that_a_finalizer_holds_is_named_and_so_is_the_restore_that_it_keeps_from_happening() {
    let Some(world) = World::on_hive("its namespace could not be removed from a cluster that stays") else {
        return;
    };
    let held = SET.replace(
        "labels: { app: db } }\n    spec:",
        "labels: { app: db }, finalizers: [example.com/hold] }\n    spec:",
    );
    assert_ne!(held, SET);
    let world = only(world, &held);
    world.project.append("skep.yaml", "rollout: { no-progress: 5s }\n");
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    let failed = world.skep(&["deploy", "--output", "json"]).code(31);
    let error = failed.json().into_iter().find(|line| line["type"] == "error").expect("an error");
    assert_eq!(error["causes"][0]["cause"], "stuck-terminating", "{error:#}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("db-2") && message.contains("example.com/hold"), "{message}");
    assert_eq!(error["restoration"]["is"], "failed", "{error:#}");
    assert!(
        error["restoration"]["why"].as_str().is_some_and(|why| why.contains("example.com/hold")),
        "{error:#}"
    );
}

#[test]
fn a_stateful_set_keeps_its_names_and_volumes() {
    let Some(world) =
        World::on_hive("claims are bound here, where another cluster may have no storage class")
    else {
        return;
    };
    let world = only(world, &format!("{SET}{CLAIMS}"));
    world.skep(&["deploy"]).ok();
    let claims = world.kubectl(&["get", "pvc"]).ok();
    claims.says("data-db-0").says("data-db-1").says("data-db-2").says("Bound");
    world.kubectl(&["delete", "pod", "db-1"]).ok();
    world.kubectl(&["rollout", "status", "statefulset/db", "--timeout=20s"]).ok();
    world.kubectl(&["get", "pod", "db-1"]).ok().says("1/1");
    world.kubectl(&["get", "endpointslices", "-o", "yaml"]).ok().says("hostname: db-1");
    assert_eq!(world.objects("pvc").len(), 3);
    world.skep(&["check"]).ok();
}

#[test]
fn a_daemon_set_has_its_pod_on_the_node_and_rolls() {
    let world = only(World::new(), DAEMON);
    world.skep(&["deploy"]).ok().says("1 service ready");
    let first = ready(&world);
    assert_eq!(first.len(), world.objects("nodes").len());
    world.kubectl(&["get", "daemonset"]).ok().says("agent");
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    world
        .kubectl(&["rollout", "status", "daemonset/agent", "--timeout=20s"])
        .ok()
        .says("successfully rolled out");
    assert_eq!(ready(&world).intersection(&first).count(), 0);
    world.project.write("release", "never-ready\n");
    world.project.append("skep.yaml", "rollout: { no-progress: 5s }\n");
    world.skep(&["deploy"]).code(30).says("DaemonSet/agent").says("503");
    world.kubectl(&["rollout", "status", "daemonset/agent", "--timeout=20s"]).ok();
}

#[test]
fn a_cron_job_runs_when_it_is_due_and_when_somebody_asks() {
    let world = World::new();
    let tidy = "\
apiVersion: batch/v1
kind: CronJob
metadata: { name: tidy }
spec:
  schedule: \"* * * * *\"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{ name: tidy, image: shop, command: [/shop, migrate, \"200\", \"0\"] }]
";
    world.project.write("k8s/tidy.yaml", tidy);
    world.skep(&["deploy"]).ok();
    world.kubectl(&["create", "job", "now", "--from=cronjob/tidy"]).ok();
    world.kubectl(&["wait", "--for=condition=complete", "job/now", "--timeout=30s"]).ok();
    let due = eventually("its minute has come", Duration::from_secs(75), || {
        let jobs = world.objects("jobs");
        let of_cron = |job: &&Value| job["metadata"]["ownerReferences"][0]["kind"] == "CronJob";
        let mut named =
            jobs.iter().filter(of_cron).map(|job| job["metadata"]["name"].as_str().map(str::to_owned));
        named.find_map(|name| name.filter(|name| name.starts_with("tidy-")))
    });
    world.kubectl(&["wait", "--for=condition=complete", &format!("job/{due}"), "--timeout=30s"]).ok();
    world.kubectl(&["get", "cronjob", "tidy"]).ok().says("* * * * *");
    // The Job that a clock has made is no part of the release: a deploy without changes stays one.
    world.skep(&["deploy"]).ok().says("nothing was changed");
}

#[test]
fn a_quota_is_kept_and_its_use_is_told() {
    let Some(world) = World::on_hive("its own quota admission") else { return };
    world.skep(&["up"]).ok();
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: small }\nspec: { hard: { pods: \"9\", requests.cpu: 300m } }\n";
    world.project.write("quota.yaml", quota);
    world.kubectl(&["apply", "-f", "quota.yaml"]).ok();
    let run = |name: &str, cpu: &str| {
        let spec = format!(
            "{{\"spec\":{{\"containers\":[{{\"name\":\"c\",\"image\":\"none\",\"resources\":{{\"requests\":{{{cpu}}}}}}}]}}}}"
        );
        world.kubectl(&["run", name, "--image=none", "--restart=Never", &format!("--overrides={spec}")])
    };
    run("silent", "").says("failed quota: small: must specify requests.cpu for: c");
    run("one", "\"cpu\":\"200m\"").ok();
    run("two", "\"cpu\":\"200m\"").says("exceeded quota: small, requested: requests.cpu=200m, used: requests.cpu=200m, limited: requests.cpu=300m");
    run("three", "\"cpu\":\"100m\"").ok();
    let described = eventually("it is told", Duration::from_secs(5), || {
        let told = world.kubectl(&["describe", "quota", "small"]).ok();
        told.stdout.contains("300m  300m").then_some(told)
    });
    described.says("requests.cpu");
    world.kubectl(&["delete", "pod", "one", "--grace-period=0", "--force"]).ok();
    run("two", "\"cpu\":\"200m\"").ok();
}

#[test]
fn an_eviction_heeds_budgets_and_a_rollout_does_not() {
    let Some(world) = World::on_hive("draining the node of a cluster that others use too would be rude")
    else {
        return;
    };
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: { name: shop }\nspec: { minAvailable: 2, selector: { matchLabels: { app: shop } } }\n";
    world.project.write("k8s/budget.yaml", budget);
    world.skep(&["deploy"]).ok();
    let node = world.objects("nodes")[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let drain =
        || world.kubectl(&["drain", &node, "--timeout=3s", "--ignore-daemonsets", "--pod-selector=app=shop"]);
    drain().says("Cannot evict pod as it would violate the pod's disruption budget");
    assert_eq!(ready(&world).len(), 2);
    world.kubectl(&["uncordon", &node]).ok();
    // A budget binds drains alone.
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/budget.yaml", "minAvailable: 2", "maxUnavailable: 1");
    world.skep(&["deploy"]).ok();
    eventually("there is room for one", Duration::from_secs(5), || {
        (world.object("pdb", "shop")["status"]["disruptionsAllowed"] == 1).then_some(())
    });
    let begun = Instant::now();
    drain().says("evicted").says("Cannot evict");
    assert!(begun.elapsed() < Duration::from_secs(20));
    world.kubectl(&["uncordon", &node]).ok();
    world.kubectl(&["rollout", "status", "deployment/shop", "--timeout=20s"]).ok();
}
