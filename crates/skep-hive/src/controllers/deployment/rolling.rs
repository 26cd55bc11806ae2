//! The arithmetic of a rolling update (`rolling.go`): how far new may grow and old may shrink right now.

use serde_json::Value;

use super::Rollout;
use crate::object;

/// `spec.replicas`, 1 where absent.
pub(super) fn desired(deployment: &Value) -> i64 {
    object::integer(deployment, "/spec/replicas").unwrap_or(1)
}

/// `maxSurge` (percentages round up) and `maxUnavailable` (round down) in pods. Both 0 could never move: then one
/// pod may be missing.
pub(super) fn fenceposts(deployment: &Value) -> (i64, i64) {
    if object::text(deployment, "/spec/strategy/type") == "Recreate" {
        return (0, 0);
    }
    let replicas = desired(deployment);
    let at = |field| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
    let surge = pods(at("maxSurge"), replicas, true);
    let unavailable = pods(at("maxUnavailable"), replicas, false);
    match (surge, unavailable) {
        (0, 0) => (0, 1.min(replicas)),
        (surge, unavailable) => (surge, unavailable.min(replicas)),
    }
}

fn pods(bound: Option<&Value>, replicas: i64, round_up: bool) -> i64 {
    let share = |percent: i64| {
        let product = replicas.saturating_mul(percent);
        if round_up { (product + 99) / 100 } else { product / 100 }
    };
    match bound {
        None | Some(Value::Null) => share(25),
        Some(Value::String(text)) => match text.strip_suffix('%') {
            Some(percent) => percent.parse().map_or(0, share),
            None => text.parse().unwrap_or(0),
        },
        Some(number) => number.as_i64().unwrap_or(0),
    }
}

impl Rollout<'_> {
    /// The size that the new ReplicaSet, now of `size`, may have: never more than `replicas + maxSurge` pods over all
    /// ReplicaSets, however many rollouts overlap.
    pub(super) fn room_for_new(&self, size: i64) -> i64 {
        if object::text(self.deployment, "/spec/strategy/type") == "Recreate" {
            return self.replicas;
        }
        let room = self.replicas + self.surge - self.wanted_pods();
        if room <= 0 { size } else { size + room.min(self.replicas - size) }
    }

    /// Moves the new ReplicaSet towards its size. Returns whether it changed.
    pub(super) fn reconcile_new(&mut self) -> bool {
        let Some(size) = self.new.as_ref().map(|new| new.replicas) else { return false };
        let target = if size > self.replicas { self.replicas } else { self.room_for_new(size) };
        let (replicas, surge) = (self.replicas, self.surge);
        self.new.as_mut().is_some_and(|new| size != target && new.resize(target, replicas, surge))
    }

    /// Shrinks old ReplicaSets: first pods that do not serve anyway, then as many as stay spare.
    pub(super) fn reconcile_old(&mut self) {
        if self.old.iter().all(|old| old.replicas == 0) {
            return;
        }
        let minimum = self.replicas - self.unavailable;
        let new_unavailable =
            self.new.as_ref().map_or(0, |new| (new.replicas - new.status("availableReplicas")).max(0));
        let budget = self.wanted_pods() - minimum - new_unavailable;
        if budget <= 0 {
            return;
        }
        self.drop_unhealthy(budget);
        self.drop_spare(minimum);
    }

    fn drop_unhealthy(&mut self, mut budget: i64) {
        for old in &mut self.old {
            let unhealthy = old.replicas - old.status("availableReplicas");
            let drop = unhealthy.min(budget);
            if drop > 0 {
                budget -= drop;
                old.resize(old.replicas - drop, self.replicas, self.surge);
            }
        }
    }

    fn drop_spare(&mut self, minimum: i64) {
        let available: i64 = self.all().map(|one| one.status("availableReplicas")).sum();
        let mut spare = available - minimum;
        for old in &mut self.old {
            let drop = old.replicas.min(spare);
            if drop > 0 {
                spare -= drop;
                old.resize(old.replicas - drop, self.replicas, self.surge);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn surge_rounds_up_unavailable_down_and_never_both_zero() {
        let table = [
            (3, json!("25%"), json!("25%"), (1, 0)),
            (10, json!("25%"), json!("25%"), (3, 2)),
            (4, json!(1), json!(0), (1, 0)),
            (3, json!(0), json!(0), (0, 1)),
            (3, json!(0), json!("10%"), (0, 1)),
            (3, json!(2), json!(9), (2, 3)),
            (3, Value::Null, Value::Null, (1, 0)),
            (0, json!(1), json!(1), (1, 0)),
        ];
        for (replicas, surge, unavailable, expected) in table {
            let deployment = json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}});
            assert_eq!(fenceposts(&deployment), expected, "{deployment}");
        }
    }
}
