//! PodDisruptionBudgets: how many pods of an app may be asked to go now.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::action::{Action, Step};
use crate::{object, selector};

/// How long an evicted pod may take to begin its end before it counts as healthy again.
const EVICTED: SignedDuration = SignedDuration::from_mins(2);

/// Looks at one budget. `pods`: all of its namespace; `scale`: how many pods the controller of one wants.
pub(crate) fn step(
    budget: &Value,
    pods: &[Arc<Value>],
    scale: impl Fn(&Value) -> Option<i64>,
    now: Timestamp,
) -> Step {
    let mut step = Step::default();
    let mine: Vec<_> =
        pods.iter().filter(|pod| selector::matches(budget.pointer("/spec/selector"), pod)).collect();
    let mut disrupted = object::map(budget, "/status/disruptedPods").cloned().unwrap_or_default();
    disrupted.retain(|name, since| {
        let since: Option<Timestamp> = since.as_str().and_then(|text| text.parse().ok());
        let until = since.and_then(|since| since.checked_add(EVICTED).ok());
        let stays = mine.iter().any(|pod| object::name(pod) == name && !object::is_deleting(pod));
        if let Some(until) = until.filter(|until| stays && *until > now) {
            step.at(until);
        }
        stays && until.is_some_and(|until| until > now)
    });
    let healthy = mine.iter().filter(|pod| {
        object::is_true(pod, "Ready")
            && !object::is_deleting(pod)
            && !disrupted.contains_key(object::name(pod))
    });
    let healthy = i64::try_from(healthy.count()).unwrap_or(0);
    let expected = expected(&mine, &scale);
    let there = i64::try_from(mine.len()).unwrap_or(0);
    let (expected, desired) = match (&budget["spec"]["maxUnavailable"], &budget["spec"]["minAvailable"]) {
        (Value::Null, Value::Number(least)) => (there, least.as_i64().unwrap_or(0)),
        (Value::Null, least) => (expected, share(least, expected)),
        (most, _) => (expected, (expected - share(most, expected)).max(0)),
    };
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let enough = allowed > 0;
    let reason = if enough { "SufficientPods" } else { "InsufficientPods" };
    let old = object::condition(budget, "DisruptionAllowed").filter(|old| old["reason"] == reason);
    let since = old.map_or_else(|| object::stamp(now), |old| old["lastTransitionTime"].clone());
    let generation = object::integer(budget, "/metadata/generation").unwrap_or(1);
    let status = json!({
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": generation,
        "disruptedPods": if disrupted.is_empty() { Value::Null } else { Value::from(disrupted) },
        "conditions": [{"type": "DisruptionAllowed", "status": if enough { "True" } else { "False" },
            "reason": reason, "message": "", "observedGeneration": generation, "lastTransitionTime": since}],
    });
    // An eviction writes here too: what was decided without it is decided again.
    if let Some(Action::Status(mut object)) = Action::status(budget, status) {
        object["metadata"]["resourceVersion"] = budget["metadata"]["resourceVersion"].clone();
        step.push(Action::Status(object));
    }
    step
}

/// How many pods their controllers want; a pod without one stands for itself.
fn expected(pods: &[&Arc<Value>], scale: &impl Fn(&Value) -> Option<i64>) -> i64 {
    let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
    for pod in pods {
        let owner = object::controller(pod).map_or(object::uid(pod), |owner| object::text(owner, "/uid"));
        wanted.entry(owner).or_insert_with(|| scale(pod).unwrap_or(1));
    }
    wanted.values().sum()
}

/// `2` or `50%`, rounded up.
fn share(amount: &Value, of: i64) -> i64 {
    match amount {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            (of * percent + 99) / 100
        }
        other => other.as_i64().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(ready: usize, waiting: usize) -> Vec<Arc<Value>> {
        let one = |at: usize| {
            let status = if at < ready { "True" } else { "False" };
            Arc::new(
                json!({"metadata": {"name": format!("p{at}"), "uid": format!("u{at}"), "labels": {"app": "web"},
                "ownerReferences": [{"uid": "rs", "controller": true}]},
                "status": {"conditions": [{"type": "Ready", "status": status}]}}),
            )
        };
        (0..ready + waiting).map(one).collect()
    }

    fn status(spec: &Value, pods: &[Arc<Value>], scale: i64) -> Value {
        let mut spec = spec.clone();
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        let budget =
            json!({"kind": "PodDisruptionBudget", "metadata": {"name": "b", "generation": 2}, "spec": spec});
        let step = step(&budget, pods, |_| Some(scale), Timestamp::UNIX_EPOCH);
        let Action::Status(written) = &step.actions[0] else { unreachable!("{step:?}") };
        written["status"].clone()
    }

    #[test]
    fn budgets_are_counted_as_kubernetes_counts_them() {
        for (spec, ready, waiting, scale, desired, allowed) in [
            (json!({"minAvailable": 2}), 3, 0, 3, 2, 1),
            (json!({"minAvailable": 2}), 2, 1, 3, 2, 0),
            (json!({"minAvailable": "50%"}), 3, 0, 3, 2, 1),
            (json!({"maxUnavailable": 1}), 3, 0, 3, 2, 1),
            (json!({"maxUnavailable": "34%"}), 3, 0, 3, 1, 2),
            (json!({"maxUnavailable": 1}), 2, 0, 3, 2, 0),
            (json!({"minAvailable": 1}), 0, 0, 0, 1, 0),
        ] {
            let status = status(&spec, &pods(ready, waiting), scale);
            assert_eq!(status["desiredHealthy"], desired, "{spec}");
            assert_eq!(status["disruptionsAllowed"], allowed, "{spec}");
            assert_eq!(status["observedGeneration"], 2);
        }
    }
}
