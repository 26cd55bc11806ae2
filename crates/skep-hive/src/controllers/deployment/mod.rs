//! Deployments: which ReplicaSets there should be, and how large each is right now.
//!
//! One call of [`step`] is one look: it claims ReplicaSets, finds or makes the one of the current template, moves at most
//! one notch (new up, or else old down) and reports. The shape and the order follow kube-controller-manager's
//! `deployment` package, because clients (`kubectl rollout`, Skep itself) read its annotations and conditions.

mod proportional;
mod replica_set;
mod revision;
mod rolling;
mod status;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::replica_set::ReplicaSet;
use crate::action::{Action, Step};
use crate::controllers::claim;
use crate::kind::Kind;
use crate::object;

/// The ReplicaSets of a Deployment, sorted out, and what this look decided so far.
struct Rollout<'a> {
    deployment: &'a Value,
    /// `spec.replicas`.
    replicas: i64,
    /// `maxSurge` and `maxUnavailable` as pods; both 0 under Recreate.
    surge: i64,
    unavailable: i64,
    now: Timestamp,
    /// The ReplicaSet of the current template.
    new: Option<ReplicaSet>,
    /// All others, oldest first.
    old: Vec<ReplicaSet>,
    /// `status.conditions` as they will be written.
    conditions: Vec<Value>,
    collisions: i64,
    step: Step,
}

/// Looks at one Deployment.
///
/// `replica_sets` and `pods` are those of its namespace, whoever owns them.
pub(crate) fn step(
    deployment: &Value,
    replica_sets: &[Arc<Value>],
    pods: &[Arc<Value>],
    now: Timestamp,
) -> Step {
    let mine = match claim::claim(Kind::REPLICA_SET, deployment, replica_sets) {
        Ok(mine) => mine,
        Err(claims) => return Step { actions: claims, again: None },
    };
    let mut rollout = Rollout::sort_out(deployment, mine, now);
    rollout.note_pause();
    if object::is_deleting(deployment) {
        return rollout.report_only();
    }
    if object::flag(deployment, "/spec/paused") {
        rollout.refresh_revision();
        rollout.scale_in_proportion();
        rollout.drop_history();
        return rollout.report_only();
    }
    if rollout.is_scaling_event() {
        rollout.refresh_revision();
        rollout.scale_in_proportion();
        return rollout.report_only();
    }
    if object::text(deployment, "/spec/strategy/type") == "Recreate" {
        rollout.recreate(replica_sets, pods);
    } else {
        rollout.roll(replica_sets);
    }
    rollout.report_progress()
}

impl<'a> Rollout<'a> {
    fn sort_out(deployment: &'a Value, mut mine: Vec<Arc<Value>>, now: Timestamp) -> Self {
        mine.sort_by(|a, b| object::by_age(a, b));
        let template = replica_set::comparable_template(deployment);
        let new = mine.iter().position(|one| replica_set::comparable_template(one) == template);
        let new = new.map(|index| ReplicaSet::observed(mine.remove(index)));
        let (surge, unavailable) = rolling::fenceposts(deployment);
        Self {
            deployment,
            replicas: rolling::desired(deployment),
            surge,
            unavailable,
            now,
            new,
            old: mine.into_iter().map(ReplicaSet::observed).collect(),
            conditions: object::array(deployment, "/status/conditions").to_vec(),
            collisions: object::integer(deployment, "/status/collisionCount").unwrap_or(0),
            step: Step::default(),
        }
    }

    /// Rolling update: grow the new ReplicaSet, or else shrink the old ones; never both in one look, so that the second
    /// always sees the effect of the first.
    fn roll(&mut self, all: &[Arc<Value>]) {
        self.ensure_new(all);
        if !self.reconcile_new() {
            self.reconcile_old();
        }
        self.drop_history_when_complete();
    }

    /// Recreate: every old pod is gone before the first new one is made.
    fn recreate(&mut self, all: &[Arc<Value>], pods: &[Arc<Value>]) {
        self.refresh_revision();
        let mut scaled = false;
        for old in &mut self.old {
            scaled |= old.resize(0, self.replicas, self.surge);
        }
        if scaled || self.old_pods_run(pods) {
            return;
        }
        self.ensure_new(all);
        if let Some(new) = &mut self.new {
            new.resize(self.replicas, self.replicas, self.surge);
        }
        self.drop_history_when_complete();
    }

    fn old_pods_run(&self, pods: &[Arc<Value>]) -> bool {
        pods.iter().any(|pod| {
            self.old.iter().any(|old| object::is_controlled_by(pod, old.uid()))
                && !matches!(object::text(pod, "/status/phase"), "Failed" | "Succeeded")
        })
    }

    fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(&self.new)
    }

    /// Pods that the ReplicaSets are asked for, all together.
    fn wanted_pods(&self) -> i64 {
        self.all().map(|one| one.replicas).sum()
    }

    /// Turns what was decided about each ReplicaSet into writes.
    fn flush(&mut self) {
        let mut writes = Vec::new();
        for one in self.old.iter_mut().chain(&mut self.new) {
            one.flush(self.deployment, &mut writes);
        }
        // A ReplicaSet grows before another shrinks, also within one look.
        let (creates, others): (Vec<_>, Vec<_>) =
            writes.into_iter().partition(|action| matches!(action, Action::Create(_)));
        self.step.actions.splice(0..0, creates.into_iter().chain(others));
    }

    /// Removes the oldest empty ReplicaSets beyond `revisionHistoryLimit`.
    fn drop_history(&mut self) {
        let Some(limit) = object::integer(self.deployment, "/spec/revisionHistoryLimit") else { return };
        let mut kept: Vec<_> = self.old.iter().filter(|old| !object::is_deleting(&old.object)).collect();
        let excess = kept.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        kept.sort_by_key(|old| old.revision());
        let empty = |old: &&&ReplicaSet| {
            old.replicas == 0
                && old.status("replicas") == 0
                && object::integer(&old.object, "/metadata/generation")
                    <= object::integer(&old.object, "/status/observedGeneration")
        };
        let drop: Vec<_> =
            kept.iter().take(excess).filter(empty).map(|old| Arc::clone(&old.object)).collect();
        self.step.actions.extend(drop.iter().map(|old| Action::delete(Kind::REPLICA_SET, old)));
    }

    fn drop_history_when_complete(&mut self) {
        if self.is_complete() {
            self.drop_history();
        }
    }

    /// Records in the conditions that a rollout was paused or resumed; a failed one stays failed.
    fn note_pause(&mut self) {
        let progressing = object::condition_in(&self.conditions, "Progressing");
        let reason = progressing.map(|found| object::text(found, "/reason")).unwrap_or_default();
        if reason == "ProgressDeadlineExceeded"
            || object::integer(self.deployment, "/spec/progressDeadlineSeconds").is_none()
        {
            return;
        }
        let paused = object::flag(self.deployment, "/spec/paused");
        if paused && reason != "DeploymentPaused" {
            self.set_condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
        } else if !paused && reason == "DeploymentPaused" {
            self.set_condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
        }
    }

    fn set_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let old = object::condition_in(&self.conditions, kind);
        if old.is_some_and(|old| {
            object::text(old, "/status") == status && object::text(old, "/reason") == reason
        }) {
            return;
        }
        let same_status = old.filter(|old| object::text(old, "/status") == status);
        let transition = same_status.map(|old| old["lastTransitionTime"].clone());
        let condition = json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastUpdateTime": object::stamp(self.now),
            "lastTransitionTime": transition.unwrap_or_else(|| object::stamp(self.now)),
        });
        self.drop_condition(kind);
        self.conditions.push(condition);
    }

    fn drop_condition(&mut self, kind: &str) {
        self.conditions.retain(|one| object::text(one, "/type") != kind);
    }
}

#[cfg(test)]
mod tests;
