//! Horizontal pod autoscalers, as far as a machine without metrics goes: the replica count is kept between
//! `minReplicas` and `maxReplicas`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::object;

/// Looks at one autoscaler. `target`: the Deployment that it names, if that exists.
pub(crate) fn step(hpa: &Value, target: Option<&Value>, now: Timestamp) -> Step {
    let mut step = Step::default();
    let Some(target) = target.filter(|_| object::text(hpa, "/spec/scaleTargetRef/kind") == "Deployment")
    else {
        let message = "the target of the autoscaler does not exist, or is no Deployment";
        step.actions
            .extend(Action::status(hpa, status(hpa, None, ("False", "FailedGetScale", message), now)));
        return step;
    };
    let current = object::integer(target, "/spec/replicas").unwrap_or(1);
    let wanted = clamp(hpa, current);
    if wanted != current {
        step.push(Action::patch(Kind::DEPLOYMENT, target, json!({"spec": {"replicas": wanted}})));
        let bound = if wanted > current { "minReplicas" } else { "maxReplicas" };
        step.push(Action::event(hpa, "SuccessfulRescale", format!("New size: {wanted}; reason: {bound}")));
    }
    let able = ("True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
    step.actions.extend(Action::status(hpa, status(hpa, Some((current, wanted)), able, now)));
    step
}

/// A target scaled to zero by hand is left there: the autoscaler is off.
fn clamp(hpa: &Value, current: i64) -> i64 {
    let least = object::integer(hpa, "/spec/minReplicas").unwrap_or(1);
    let most = object::integer(hpa, "/spec/maxReplicas").unwrap_or(i64::MAX).max(least);
    if current == 0 { 0 } else { current.clamp(least, most) }
}

fn status(hpa: &Value, sizes: Option<(i64, i64)>, able: (&str, &str, &str), now: Timestamp) -> Value {
    let (current, wanted) = sizes.unwrap_or((0, 0));
    let condition = |kind: &str, (status, reason, message): (&str, &str, &str)| {
        let since = object::condition(hpa, kind).filter(|old| old["status"] == status);
        let since = since.map_or_else(|| object::stamp(now), |old| old["lastTransitionTime"].clone());
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let idle = "hive has no metrics: the replica count is only kept between minReplicas and maxReplicas";
    json!({
        "observedGeneration": object::integer(hpa, "/metadata/generation"),
        "currentReplicas": current,
        "desiredReplicas": wanted,
        "conditions": [condition("AbleToScale", able), condition("ScalingActive", ("False", "NoMetrics", idle))],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_to_both_ends_and_leaves_zero_alone() {
        let hpa = json!({"metadata": {"name": "web", "namespace": "a"},
            "spec": {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
        for (current, expected) in [(1, Some(2)), (2, None), (4, None), (9, Some(4)), (0, None)] {
            let target = json!({"metadata": {"name": "web", "namespace": "a", "uid": "d"}, "spec": {"replicas": current}});
            let step = step(&hpa, Some(&target), Timestamp::UNIX_EPOCH);
            let scaled = step.actions.iter().find_map(|action| match action {
                Action::Patch { patch, .. } => patch["spec"]["replicas"].as_i64(),
                _ => None,
            });
            assert_eq!(scaled, expected, "from {current}");
        }
    }
}
