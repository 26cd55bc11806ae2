//! A StatefulSet's broken pod: its controller replaces no pod while one of an older template is not ready, so what would mend it never comes.
//! Kubernetes leaves that to whoever watches; here it is the rollout itself.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use skep_cluster::Snapshot;
use skep_model::{Event, ObjectKey};
use skep_rollout::{pod, workload::condition};

use crate::{App, owned::owned_by};

/// How long an old pod must have been unready: one that just starts may be ready in a moment.
const SINCE: SignedDuration = SignedDuration::from_secs(10);

/// Deletes the old pods that keep these workloads' new ones from coming, and says so. `tried`: the uids of those that were told of; each is
/// tried once.
pub(crate) async fn unblock(
    app: &App,
    seen: &Snapshot,
    workloads: impl Iterator<Item = &ObjectKey>,
    tried: &mut BTreeSet<String>,
) {
    let pods = seen.all("Pod");
    for key in workloads.filter(|key| key.kind == "StatefulSet") {
        let Some(set) = seen.get(&key.kind, &key.name) else { continue };
        for pod in in_the_way(set, &owned_by(set, &pods), skep_ambient::now()) {
            let Some(pod_key) = ObjectKey::of(pod) else { continue };
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
            if tried.contains(uid) {
                continue;
            }
            let name = &pod_key.name;
            let message = match app.cluster.delete_unchanged(&pod_key, pod).await {
                Ok(()) => format!(
                    "pod {name} of an older release is not ready, and {key} replaces none while that is so: deleted, it comes back as the new one"
                ),
                // It has changed meanwhile, and may be well: it is looked at again.
                Err(error) if error.is_conflict() => continue,
                Err(error) => format!(
                    "pod {name} of an older release holds back {key} and could not be deleted ({error}): `kubectl delete pod {name} -n {}` lets the new one come",
                    app.namespace()
                ),
            };
            tried.insert(uid.to_owned());
            app.emit.emit(Event::Warning { message });
        }
    }
}

/// Of a StatefulSet's pods, those of an older template that its controller waits for in vain.
fn in_the_way<'a>(set: &Value, pods: &[&'a Value], now: Timestamp) -> Vec<&'a Value> {
    let (spec, status) = (&set["spec"], &set["status"]);
    let in_order = spec["podManagementPolicy"] != "Parallel" && spec["updateStrategy"]["type"] != "OnDelete";
    let is_current = status["observedGeneration"].as_i64() >= set["metadata"]["generation"].as_i64();
    let Some(update) = status["updateRevision"].as_str().filter(|_| in_order && is_current) else {
        return Vec::new();
    };
    let kept_back = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let first = spec["ordinals"]["start"].as_i64().unwrap_or(0);
    let ordinal = |pod: &Value| pod["metadata"]["name"].as_str()?.rsplit('-').next()?.parse::<i64>().ok();
    let stands_still = |pod: &&&Value| {
        let since = condition(pod, "Ready")
            .map_or_else(|| &pod["metadata"]["creationTimestamp"], |ready| &ready["lastTransitionTime"]);
        let since: Option<Timestamp> = since.as_str().and_then(|text| text.parse().ok());
        since.is_some_and(|since| now.duration_since(since) >= SINCE)
    };
    let blocks = pods.iter().filter(|pod| {
        pod["metadata"]["labels"]["controller-revision-hash"] != update
            && ordinal(pod).is_some_and(|at| at >= first + kept_back)
            && !pod::is_ready(pod)
            && !pod::is_leaving(pod)
    });
    blocks.filter(stands_still).copied().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, revision: &str, ready: &str, since: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"controller-revision-hash": revision}},
            "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]}})
    }

    #[test]
    fn only_an_old_pod_that_stands_still_is_in_the_way() {
        let set = |edit: fn(&mut Value)| {
            let mut set = json!({"metadata": {"generation": 3}, "spec": {"updateStrategy": {"type": "RollingUpdate"}},
                "status": {"observedGeneration": 3, "updateRevision": "db-new"}});
            edit(&mut set);
            set
        };
        let (long, now) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:15Z".parse().unwrap());
        let pods = [
            pod("db-0", "db-old", "True", long),
            pod("db-1", "db-new", "False", long),
            pod("db-2", "db-old", "False", "2026-01-01T00:00:10Z"),
            pod("db-3", "db-old", "False", long),
        ];
        let pods: Vec<&Value> = pods.iter().collect();
        let names = |set: &Value| -> Vec<String> {
            let found = in_the_way(set, &pods, now);
            found.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&set(|_| {})), ["db-3"]);
        let none: Vec<String> = Vec::new();
        assert_eq!(names(&set(|set| set["status"]["observedGeneration"] = json!(2))), none);
        assert_eq!(names(&set(|set| set["spec"]["podManagementPolicy"] = json!("Parallel"))), none);
        assert_eq!(
            names(&set(|set| set["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": 4}))),
            none
        );
    }
}
