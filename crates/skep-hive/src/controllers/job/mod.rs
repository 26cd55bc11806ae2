//! Jobs: pods that run to an end, and the verdict over them.
//!
//! The verdict is in the conditions: `SuccessCriteriaMet` or `FailureTarget` as soon as it is known, `Complete` or `Failed` once
//! no pod of the Job runs any more. Each finished pod is counted exactly once: it carries a finalizer until its UID stands
//! in `status.uncountedTerminatedPods`, so that a pod deleted by somebody else is counted too.

mod verdict;

pub(crate) use verdict::finished;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::replicaset::{is_finished, pod_from};
use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::object;

/// Holds a finished pod until it has been counted.
pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// How long a Job waits before it tries again after failures: `initial`, doubling up to `max`.
#[derive(Clone, Copy, Debug)]
pub struct RetryDelay {
    /// After the first failure.
    pub initial: Duration,
    /// At the most.
    pub max: Duration,
}

impl Default for RetryDelay {
    fn default() -> Self {
        Self { initial: Duration::from_secs(10), max: Duration::from_secs(600) }
    }
}

/// One look at one Job.
struct Look<'a> {
    job: &'a Value,
    now: Timestamp,
    delay: RetryDelay,
    /// The Job's pods by what they are to it.
    active: Vec<Arc<Value>>,
    terminating: Vec<Arc<Value>>,
    failed: Vec<Arc<Value>>,
    tally: Tally,
    conditions: Vec<Value>,
    step: Step,
}

/// How many pods ended, and whose UIDs are counted but still hold their finalizer.
struct Tally {
    succeeded: i64,
    failed: i64,
    uncounted_succeeded: Vec<Value>,
    uncounted_failed: Vec<Value>,
}

/// Looks at one Job. `pods`: all of its namespace.
pub(crate) fn step(job: &Value, pods: &[Arc<Value>], delay: RetryDelay, now: Timestamp) -> Step {
    let mine: Vec<_> =
        pods.iter().filter(|pod| object::is_controlled_by(pod, object::uid(job))).cloned().collect();
    if object::is_deleting(job) {
        return Step { actions: mine.iter().filter_map(|pod| let_go(pod)).collect(), again: None };
    }
    if finished(job).is_some() {
        return after_the_end(job, &mine, now);
    }
    let mut look = Look::sort_out(job, &mine, delay, now);
    look.mark_suspension();
    match look.verdict() {
        Some(verdict) => look.wind_down(&verdict),
        None if look.is_suspended() => look.delete_active(),
        None => look.correct_count(),
    }
    look.report(&mine)
}

/// The finalizer of a pod whose Job does not exist any more would hold it for ever.
pub(crate) fn release_orphan(pod: &Value, job_exists: bool) -> Option<Action> {
    if job_exists { None } else { let_go(pod) }
}

fn let_go(pod: &Value) -> Option<Action> {
    object::has_finalizer(pod, TRACKING).then(|| {
        let rest = object::finalizers_without(pod, TRACKING);
        Action::patch(Kind::POD, pod, json!({"metadata": {"finalizers": rest}}))
    })
}

/// A finished Job only ages.
fn after_the_end(job: &Value, pods: &[Arc<Value>], now: Timestamp) -> Step {
    let mut step = Step { actions: pods.iter().filter_map(|pod| let_go(pod)).collect(), again: None };
    let Some(ttl) = object::integer(job, "/spec/ttlSecondsAfterFinished") else { return step };
    let ended = finished(job).and_then(|end| object::time(end, "/lastTransitionTime"));
    let Some(due) = ended.and_then(|ended| ended.checked_add(SignedDuration::from_secs(ttl)).ok()) else {
        return step;
    };
    if due <= now {
        step.push(Action::delete(Kind::JOB, job));
    } else {
        step.at(due);
    }
    step
}

impl<'a> Look<'a> {
    fn sort_out(job: &'a Value, pods: &[Arc<Value>], delay: RetryDelay, now: Timestamp) -> Self {
        let running = |pod: &&Arc<Value>| !is_finished(pod);
        let (terminating, active) =
            pods.iter().filter(running).cloned().partition(|pod| object::is_deleting(pod));
        let failed =
            pods.iter().filter(|pod| object::text(pod, "/status/phase") == "Failed").cloned().collect();
        Self {
            job,
            now,
            delay,
            active,
            terminating,
            failed,
            tally: Tally::taken(job, pods),
            conditions: object::array(job, "/status/conditions").to_vec(),
            step: Step::default(),
        }
    }

    fn is_suspended(&self) -> bool {
        object::flag(self.job, "/spec/suspend")
    }

    fn parallelism(&self) -> i64 {
        object::integer(self.job, "/spec/parallelism").unwrap_or(1)
    }

    fn completions(&self) -> Option<i64> {
        object::integer(self.job, "/spec/completions")
    }

    fn mark_suspension(&mut self) {
        let told = object::condition_in(&self.conditions, "Suspended").map(|found| found["status"] == "True");
        match (self.is_suspended(), told) {
            (true, Some(true)) | (false, None | Some(false)) => {}
            (true, _) => {
                self.set_condition("Suspended", "True", "JobSuspended", "Job suspended");
                self.step.push(Action::event(self.job, "Suspended", "Job suspended"));
            }
            (false, Some(true)) => {
                self.set_condition("Suspended", "False", "JobResumed", "Job resumed");
                self.step.push(Action::event(self.job, "Resumed", "Job resumed"));
            }
        }
    }

    fn wind_down(&mut self, verdict: &verdict::Verdict) {
        self.set_condition(verdict.criterion(), "True", verdict.reason, &verdict.message);
        self.delete_active();
        // Final only when nothing of the Job runs and every pod is counted: who waits for it may then touch what its
        // pods touched.
        if self.active.is_empty() && self.terminating.is_empty() && self.tally.is_settled() {
            self.set_condition(verdict.condition(), "True", verdict.reason, &verdict.message);
            let message = verdict.message.clone();
            self.step.push(match verdict.succeeded {
                true => Action::event(self.job, "Completed", "Job completed"),
                false => Action::warning(self.job, verdict.reason, message),
            });
        }
    }

    fn delete_active(&mut self) {
        for pod in &self.active {
            self.step.push(Action::delete(Kind::POD, pod));
        }
    }

    /// Starts or stops pods so that as many run as are still needed.
    fn correct_count(&mut self) {
        let running = self.active.len() as i64;
        let wanted = self.wanted();
        if running > wanted {
            let excess = usize::try_from(running - wanted).unwrap_or(0);
            self.active.sort_by(|a, b| object::by_age(b, a));
            for pod in self.active.iter().take(excess) {
                self.step.push(Action::delete(Kind::POD, pod));
            }
            return;
        }
        if running == wanted {
            return;
        }
        match self.retry_at() {
            Some(at) if at > self.now => self.step.at(at),
            _ => {
                for _ in running..wanted {
                    self.step.push(Action::Create(pod_of(self.job)));
                }
            }
        }
    }

    fn wanted(&self) -> i64 {
        match self.completions() {
            Some(completions) => (completions - self.tally.succeeded()).clamp(0, self.parallelism().max(0)),
            // A work queue: once one pod succeeded, the others finish and no new one starts.
            None if self.tally.succeeded() > 0 => self.active.len() as i64,
            None => self.parallelism().max(0),
        }
    }

    /// When pods may be started again after failures since the last success.
    fn retry_at(&self) -> Option<Timestamp> {
        let last = self.failed.iter().map(|pod| ended(pod)).max()?;
        let failures = u32::try_from(self.failed.len()).unwrap_or(u32::MAX).min(16);
        let delay = self.delay.initial.saturating_mul(1 << (failures - 1)).min(self.delay.max);
        last.checked_add(SignedDuration::try_from(delay).ok()?).ok()
    }

    fn set_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        if object::condition_in(&self.conditions, kind).is_some_and(|old| old["status"] == status) {
            return;
        }
        self.conditions.retain(|one| object::text(one, "/type") != kind);
        self.conditions.push(json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastProbeTime": object::stamp(self.now), "lastTransitionTime": object::stamp(self.now),
        }));
    }

    fn report(mut self, pods: &[Arc<Value>]) -> Step {
        let is = |kind| {
            object::condition_in(&self.conditions, kind).is_some_and(|found| found["status"] == "True")
        };
        let ready = self.active.iter().filter(|pod| object::is_true(pod, "Ready")).count();
        let started = match object::text(self.job, "/status/startTime") {
            _ if self.is_suspended() => Value::Null,
            "" => object::stamp(self.now),
            at => json!(at),
        };
        let mut status = json!({
            "active": self.active.len(),
            "ready": ready,
            "terminating": self.terminating.len(),
            "succeeded": self.tally.succeeded,
            "failed": self.tally.failed,
            "startTime": started,
            "completionTime": is("Complete").then(|| object::stamp(self.now)),
            "conditions": self.conditions,
            "uncountedTerminatedPods": {
                "succeeded": self.tally.uncounted_succeeded,
                "failed": self.tally.uncounted_failed,
            },
        });
        if let Some(fields) = status.as_object_mut() {
            fields.retain(|key, value| {
                let left_out_at_zero = matches!(key.as_str(), "active" | "succeeded" | "failed");
                !value.is_null() && (!left_out_at_zero || value != &json!(0))
            });
        }
        self.step.actions.extend(Action::status(self.job, status));
        // Only a pod whose UID stands in the stored status lets go: a crash in between counts nobody twice.
        let releases =
            pods.iter().filter(|pod| self.tally.holds(object::uid(pod))).filter_map(|pod| let_go(pod));
        self.step.actions.extend(releases);
        self.step
    }
}

impl Tally {
    /// Moves UIDs whose pods let go into the counts, and notes pods that ended since.
    fn taken(job: &Value, pods: &[Arc<Value>]) -> Self {
        let holding = |uid: &Value| {
            pods.iter()
                .any(|pod| Some(object::uid(pod)) == uid.as_str() && object::has_finalizer(pod, TRACKING))
        };
        let (mut uncounted_succeeded, flushed) =
            split(job, "/status/uncountedTerminatedPods/succeeded", holding);
        let succeeded = object::integer(job, "/status/succeeded").unwrap_or(0) + flushed;
        let (mut uncounted_failed, flushed) = split(job, "/status/uncountedTerminatedPods/failed", holding);
        let failed = object::integer(job, "/status/failed").unwrap_or(0) + flushed;
        for pod in pods.iter().filter(|pod| object::has_finalizer(pod, TRACKING)) {
            let uid = json!(object::uid(pod));
            if uncounted_succeeded.contains(&uid) || uncounted_failed.contains(&uid) {
                continue;
            }
            match object::text(pod, "/status/phase") {
                "Succeeded" => uncounted_succeeded.push(uid),
                "Failed" => uncounted_failed.push(uid),
                _ if object::is_deleting(pod) => uncounted_failed.push(uid),
                _ => {}
            }
        }
        Self { succeeded, failed, uncounted_succeeded, uncounted_failed }
    }

    fn succeeded(&self) -> i64 {
        self.succeeded + self.uncounted_succeeded.len() as i64
    }

    fn failed(&self) -> i64 {
        self.failed + self.uncounted_failed.len() as i64
    }

    fn is_settled(&self) -> bool {
        self.uncounted_succeeded.is_empty() && self.uncounted_failed.is_empty()
    }

    fn holds(&self, uid: &str) -> bool {
        self.uncounted_succeeded.iter().chain(&self.uncounted_failed).any(|one| one.as_str() == Some(uid))
    }
}

/// The UIDs at `pointer` that are still held, and the number of those that are not.
fn split(job: &Value, pointer: &str, holding: impl Fn(&Value) -> bool) -> (Vec<Value>, i64) {
    let (held, free): (Vec<_>, Vec<_>) = object::array(job, pointer).iter().cloned().partition(holding);
    (held, free.len() as i64)
}

/// When a pod's last container ended.
fn ended(pod: &Value) -> Timestamp {
    object::array(pod, "/status/containerStatuses")
        .iter()
        .filter_map(|container| object::time(container, "/state/terminated/finishedAt"))
        .max()
        .unwrap_or_else(|| object::created(pod))
}

fn pod_of(job: &Value) -> Value {
    let template = job.pointer("/spec/template").cloned().unwrap_or_default();
    let mut pod = pod_from(job, &template);
    let (name, uid) = (object::name(job), object::uid(job));
    let labels = [
        ("batch.kubernetes.io/job-name", name),
        ("batch.kubernetes.io/controller-uid", uid),
        ("job-name", name),
        ("controller-uid", uid),
    ];
    if !pod["metadata"]["labels"].is_object() {
        pod["metadata"]["labels"] = Value::Object(Map::new());
    }
    for (key, value) in labels {
        pod["metadata"]["labels"][key] = json!(value);
    }
    let mut finalizers = object::array(&pod, "/metadata/finalizers").to_vec();
    finalizers.push(json!(TRACKING));
    pod["metadata"]["finalizers"] = json!(finalizers);
    pod
}

#[cfg(test)]
mod tests;
