//! When a Job has succeeded or failed for good.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Look;
use crate::object;

/// An end that nothing can change any more.
pub(super) struct Verdict {
    pub(super) succeeded: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Verdict {
    /// The condition that announces the end while pods still run.
    pub(super) fn criterion(&self) -> &'static str {
        if self.succeeded { "SuccessCriteriaMet" } else { "FailureTarget" }
    }

    /// The condition that ends the Job.
    pub(super) fn condition(&self) -> &'static str {
        if self.succeeded { "Complete" } else { "Failed" }
    }

    fn failure(reason: &'static str, message: &str) -> Self {
        Self { succeeded: false, reason, message: message.to_owned() }
    }

    fn success() -> Self {
        let message = "Reached expected number of succeeded pods".to_owned();
        Self { succeeded: true, reason: "CompletionsReached", message }
    }
}

/// The condition that ended the Job, if it has ended.
pub(crate) fn finished(job: &Value) -> Option<&Value> {
    ["Complete", "Failed"]
        .into_iter()
        .filter_map(|kind| object::condition(job, kind))
        .find(|found| object::text(found, "/status") == "True")
}

impl Look<'_> {
    /// The verdict, if there is one; once announced it stands.
    pub(super) fn verdict(&mut self) -> Option<Verdict> {
        if let Some(announced) = self.announced() {
            return Some(announced);
        }
        if self.is_past_backoff_limit() {
            return Some(Verdict::failure(
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ));
        }
        if self.is_past_deadline() {
            return Some(Verdict::failure(
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ));
        }
        let succeeded = self.tally.succeeded();
        let done = match self.completions() {
            Some(completions) => succeeded >= completions,
            None => succeeded > 0 && self.active.is_empty() && self.terminating.is_empty(),
        };
        done.then(Verdict::success)
    }

    fn announced(&self) -> Option<Verdict> {
        let find = |kind| {
            object::condition_in(&self.conditions, kind)
                .filter(|found| object::text(found, "/status") == "True")
        };
        if find("SuccessCriteriaMet").is_some() {
            return Some(Verdict::success());
        }
        let failure = find("FailureTarget")?;
        let reason = match object::text(failure, "/reason") {
            "DeadlineExceeded" => "DeadlineExceeded",
            _ => "BackoffLimitExceeded",
        };
        Some(Verdict::failure(reason, object::text(failure, "/message")))
    }

    /// `backoffLimit` counts failed pods, and under `OnFailure` also the restarts inside living ones.
    fn is_past_backoff_limit(&self) -> bool {
        let limit = object::integer(self.job, "/spec/backoffLimit").unwrap_or(6);
        if self.tally.failed() > limit {
            return true;
        }
        if object::text(self.job, "/spec/template/spec/restartPolicy") != "OnFailure" {
            return false;
        }
        let restarts: i64 = self
            .active
            .iter()
            .flat_map(|pod| {
                object::array(pod, "/status/initContainerStatuses")
                    .iter()
                    .chain(object::array(pod, "/status/containerStatuses"))
            })
            .filter_map(|container| object::integer(container, "/restartCount"))
            .sum();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }

    fn is_past_deadline(&mut self) -> bool {
        let Some(due) = self.deadline() else { return false };
        if due > self.now {
            self.step.at(due);
        }
        due <= self.now
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.is_suspended() {
            return None;
        }
        let seconds = object::integer(self.job, "/spec/activeDeadlineSeconds")?;
        let started = object::time(self.job, "/status/startTime").unwrap_or(self.now);
        started.checked_add(SignedDuration::from_secs(seconds)).ok()
    }
}
