//! A Deployment's status: counts, Available, Progressing with its deadline. Written together with
//! `observedGeneration`, or `kubectl rollout status` would call an unseen change finished.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Rollout;
use super::replica_set::ReplicaSet;
use crate::action::{Action, Step};
use crate::object;

/// The counts of `status`, in pods.
#[derive(Clone, Copy)]
struct Counts {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
    unavailable: i64,
    terminating: i64,
}

impl Rollout<'_> {
    /// Ends a look that moved no rollout: counts and Available.
    pub(super) fn report_only(mut self) -> Step {
        let counts = self.counts();
        self.judge_availability(counts);
        self.finish(counts)
    }

    /// Ends a look that belongs to a rollout: counts, Available and Progressing.
    pub(super) fn report_progress(mut self) -> Step {
        let counts = self.counts();
        self.judge_availability(counts);
        match object::integer(self.deployment, "/spec/progressDeadlineSeconds") {
            Some(deadline) if deadline < i64::from(i32::MAX) => self.judge_progress(counts, deadline),
            _ => self.drop_condition("Progressing"),
        }
        self.finish(counts)
    }

    /// Whether every pod is of the current template and available.
    pub(super) fn is_complete(&self) -> bool {
        complete(self.counts(), self.replicas)
    }

    fn finish(mut self, counts: Counts) -> Step {
        self.flush();
        let status = json!({
            "observedGeneration": object::integer(self.deployment, "/metadata/generation").unwrap_or(1),
            "replicas": counts.replicas,
            "updatedReplicas": counts.updated,
            "readyReplicas": counts.ready,
            "availableReplicas": counts.available,
            "unavailableReplicas": counts.unavailable,
            "terminatingReplicas": counts.terminating,
            "collisionCount": (self.collisions > 0).then_some(self.collisions),
            "conditions": self.conditions,
        });
        let status = object::normal(&status);
        self.step.actions.extend(Action::status(self.deployment, status));
        self.step
    }

    fn counts(&self) -> Counts {
        let sum = |field| self.all().map(|one| one.status(field)).sum();
        let available: i64 = sum("availableReplicas");
        Counts {
            replicas: sum("replicas"),
            updated: self.new.as_ref().map_or(0, |new| new.status("replicas")),
            ready: sum("readyReplicas"),
            available,
            unavailable: (self.wanted_pods() - available).max(0),
            terminating: sum("terminatingReplicas"),
        }
    }

    fn judge_availability(&mut self, counts: Counts) {
        if counts.available >= self.replicas - self.unavailable {
            let message = "Deployment has minimum availability.";
            self.set_condition("Available", "True", "MinimumReplicasAvailable", message);
        } else {
            let message = "Deployment does not have minimum availability.";
            self.set_condition("Available", "False", "MinimumReplicasUnavailable", message);
        }
        match self.replica_failure() {
            Some((reason, message)) => self.set_condition("ReplicaFailure", "True", &reason, &message),
            None => self.drop_condition("ReplicaFailure"),
        }
    }

    /// What keeps a ReplicaSet from making pods; the new one's trouble goes before an old one's.
    fn replica_failure(&self) -> Option<(String, String)> {
        let failing = |one: &ReplicaSet| {
            object::condition(&one.object, "ReplicaFailure")
                .cloned()
                .filter(|found| found["status"] == "True")
        };
        let found = self.new.iter().chain(&self.old).find_map(failing)?;
        Some((object::text(&found, "/reason").to_owned(), object::text(&found, "/message").to_owned()))
    }

    fn judge_progress(&mut self, counts: Counts, deadline: i64) {
        let reason = self.progress_reason();
        if counts.replicas == counts.updated && reason == "NewReplicaSetAvailable" {
            return;
        }
        let subject = match &self.new {
            Some(new) => format!("ReplicaSet \"{}\"", new.name()),
            None => format!("Deployment \"{}\"", object::name(self.deployment)),
        };
        if complete(counts, self.replicas) {
            let message = format!("{subject} has successfully progressed.");
            self.set_condition("Progressing", "True", "NewReplicaSetAvailable", &message);
        } else if self.has_progressed(counts) {
            self.renew_progress(&format!("{subject} is progressing."));
        } else if self.is_overdue(deadline) {
            let message = format!("{subject} has timed out progressing.");
            self.set_condition("Progressing", "False", "ProgressDeadlineExceeded", &message);
        }
        self.look_at_deadline(deadline);
    }

    fn progress_reason(&self) -> String {
        let found = object::condition_in(&self.conditions, "Progressing");
        found.map(|found| object::text(found, "/reason").to_owned()).unwrap_or_default()
    }

    /// Progress restarts the deadline's clock: `lastUpdateTime` moves even if reason and status stay.
    fn renew_progress(&mut self, message: &str) {
        let old = object::condition_in(&self.conditions, "Progressing");
        let kept = old.filter(|old| object::text(old, "/status") == "True");
        let transition = kept.map(|old| old["lastTransitionTime"].clone());
        self.drop_condition("Progressing");
        self.set_condition("Progressing", "True", "ReplicaSetUpdated", message);
        if let (Some(transition), Some(last)) = (transition, self.conditions.last_mut()) {
            last["lastTransitionTime"] = transition;
        }
    }

    fn has_progressed(&self, counts: Counts) -> bool {
        let old = |field: &str| {
            self.deployment
                .get("status")
                .and_then(|status| status.get(field))
                .and_then(Value::as_i64)
                .unwrap_or(0)
        };
        counts.updated > old("updatedReplicas")
            || counts.replicas - counts.updated < old("replicas") - old("updatedReplicas")
            || counts.ready > old("readyReplicas")
            || counts.available > old("availableReplicas")
    }

    fn is_overdue(&self, deadline: i64) -> bool {
        match self.progress_reason().as_str() {
            "ProgressDeadlineExceeded" => true,
            "NewReplicaSetAvailable" | "DeploymentPaused" => false,
            _ => self.due(deadline).is_some_and(|due| due <= self.now),
        }
    }

    /// When the deadline passes if nothing more progresses.
    fn due(&self, deadline: i64) -> Option<Timestamp> {
        let progressing = object::condition_in(&self.conditions, "Progressing")?;
        let last = object::time(progressing, "/lastUpdateTime")?;
        last.checked_add(SignedDuration::from_secs(deadline)).ok()
    }

    fn look_at_deadline(&mut self, deadline: i64) {
        let reason = self.progress_reason();
        if matches!(
            reason.as_str(),
            "NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused"
        ) {
            return;
        }
        if let Some(due) = self.due(deadline) {
            self.step.at(due);
        }
    }
}

fn complete(counts: Counts, replicas: i64) -> bool {
    counts.updated == replicas && counts.replicas == replicas && counts.available == replicas
}
