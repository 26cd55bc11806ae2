//! CronJobs: a Job each time that one is due.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skep_apiserver::{Propagation, Schedule};

use super::job;
use crate::action::{Action, Step, Target};
use crate::kind::Kind;
use crate::object;

/// More missed times than these are not made up for.
const MISSED: usize = 100;

/// Looks at one CronJob. `jobs`: all of its namespace.
pub(crate) fn step(cron: &Value, jobs: &[Arc<Value>], now: Timestamp) -> Step {
    let mut step = Step::default();
    if object::is_deleting(cron) {
        return step;
    }
    let mine = jobs.iter().filter(|job| object::is_controlled_by(job, object::uid(cron)));
    let (ended, mut active): (Vec<_>, Vec<_>) = mine.cloned().partition(|job| job::finished(job).is_some());
    forget(cron, &ended, &mut step);
    let mut last = object::time(cron, "/status/lastScheduleTime");
    let suspended = object::flag(cron, "/spec/suspend");
    if let Some(schedule) = Schedule::of(cron).filter(|_| !suspended) {
        let since = last.unwrap_or_else(|| object::created(cron));
        if let Some(due) = newest_due(cron, &schedule, since, now) {
            let may_start = match object::text(cron, "/spec/concurrencyPolicy") {
                "Forbid" if !active.is_empty() => {
                    let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
                    step.push(Action::event(cron, "JobAlreadyActive", message));
                    false
                }
                "Replace" => {
                    active.drain(..).for_each(|job| step.push(deleted(&job)));
                    true
                }
                _ => true,
            };
            if may_start {
                let made = job_at(cron, due);
                // Made by a look that was not told of it.
                if !jobs.iter().any(|job| object::name(job) == object::name(&made)) {
                    let message = format!("Created job {}", object::name(&made));
                    step.push(Action::Create(made));
                    step.push(Action::event(cron, "SuccessfulCreate", message));
                }
                last = Some(due);
            }
        }
        if let Some(next) = schedule.next_after(now) {
            step.at(next);
        }
    }
    report(cron, &active, &ended, last, &mut step);
    step
}

/// The last of the times that have come since `since`; an older one than the deadline allows is too late.
fn newest_due(cron: &Value, schedule: &Schedule, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let deadline = object::integer(cron, "/spec/startingDeadlineSeconds");
    let earliest = deadline.and_then(|seconds| now.checked_sub(SignedDuration::from_secs(seconds)).ok());
    let mut at = earliest.map_or(since, |earliest| since.max(earliest));
    let mut newest = None;
    for _ in 0..MISSED {
        match schedule.next_after(at).filter(|next| *next <= now) {
            Some(next) => (newest, at) = (Some(next), next),
            None => return newest,
        }
    }
    // So many were missed that the machine slept: the one before now is enough.
    let minute = SignedDuration::from_mins(1);
    (1..=60 * 24).find_map(|minutes| {
        let before = now.checked_sub(minute * minutes).ok()?;
        schedule.next_after(before).filter(|next| *next <= now)
    })
}

/// Its name tells the minute, so that no time gets two Jobs.
fn job_at(cron: &Value, due: Timestamp) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations = object::map(template, "/metadata/annotations").cloned().unwrap_or_default();
    annotations.insert("batch.kubernetes.io/cronjob-scheduled-timestamp".to_owned(), object::stamp(due));
    let mut metadata = json!({
        "name": format!("{}-{}", object::name(cron), due.as_second() / 60),
        "namespace": object::namespace(cron),
        "annotations": annotations,
        "ownerReferences": [object::controller_reference(cron)],
    });
    if let Some(labels) = template.pointer("/metadata/labels") {
        metadata["labels"] = labels.clone();
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
}

fn deleted(job: &Value) -> Action {
    Action::Delete { target: Target::of(Kind::JOB, job), propagation: Propagation::Background }
}

/// Ended Jobs beyond the limits go, the oldest first.
fn forget(cron: &Value, ended: &[Arc<Value>], step: &mut Step) {
    for (failed, limit, default) in
        [(false, "successfulJobsHistoryLimit", 3), (true, "failedJobsHistoryLimit", 1)]
    {
        let limit = object::integer(cron, &format!("/spec/{limit}")).unwrap_or(default);
        let mut of_kind: Vec<_> =
            ended.iter().filter(|job| object::is_true(job, "Failed") == failed).collect();
        of_kind.sort_by(|a, b| object::by_age(a, b));
        let surplus = of_kind.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        of_kind.into_iter().take(surplus).for_each(|job| step.push(deleted(job)));
    }
}

fn report(
    cron: &Value,
    active: &[Arc<Value>],
    ended: &[Arc<Value>],
    last: Option<Timestamp>,
    step: &mut Step,
) {
    let mut status = cron.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let references: Vec<Value> = active.iter().map(|job| object::reference(job)).collect();
    status["active"] = if references.is_empty() { Value::Null } else { Value::from(references) };
    if let Some(last) = last {
        status["lastScheduleTime"] = object::stamp(last);
    }
    let well = ended.iter().filter(|job| object::is_true(job, "Complete"));
    if let Some(end) = well.filter_map(|job| object::time(job, "/status/completionTime")).max() {
        status["lastSuccessfulTime"] = object::stamp(end);
    }
    step.actions.extend(Action::status(cron, status));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(edit: impl FnOnce(&mut Value)) -> Value {
        let mut cron = json!({"apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": {"name": "tidy", "namespace": "a", "uid": "c", "creationTimestamp": "2026-01-01T00:00:30Z"},
            "spec": {"schedule": "*/5 * * * *", "concurrencyPolicy": "Allow", "jobTemplate": {"spec": {"template": {}}}}});
        edit(&mut cron);
        cron
    }

    fn job(name: &str, condition: Option<&str>) -> Arc<Value> {
        let conditions: Vec<_> =
            condition.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
        Arc::new(
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "a", "uid": name,
            "creationTimestamp": format!("2026-01-01T00:0{}:00Z", name.len() % 10),
            "ownerReferences": [{"uid": "c", "controller": true}]}, "status": {"conditions": conditions}}),
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn created(step: &Step) -> Vec<&str> {
        let made = step.actions.iter().filter_map(|action| match action {
            Action::Create(job) => Some(object::name(job)),
            _ => None,
        });
        made.collect()
    }

    #[test]
    fn a_job_is_made_when_its_time_has_come_and_once() {
        let early = step(&cron(|_| {}), &[], at("2026-01-01T00:04:59Z"));
        assert_eq!(created(&early), Vec::<&str>::new());
        assert_eq!(early.again, Some(at("2026-01-01T00:05:00Z")));
        let due = step(&cron(|_| {}), &[], at("2026-01-01T00:05:01Z"));
        let minute = at("2026-01-01T00:05:00Z").as_second() / 60;
        assert_eq!(created(&due), [format!("tidy-{minute}")]);
        let told = cron(|cron| cron["status"]["lastScheduleTime"] = json!("2026-01-01T00:05:00Z"));
        assert_eq!(created(&step(&told, &[], at("2026-01-01T00:06:00Z"))), Vec::<&str>::new());
    }

    #[test]
    fn one_that_runs_is_waited_for_or_replaced() {
        let running = [job("tidy-1", None)];
        let late = at("2026-01-01T00:05:01Z");
        let forbid = cron(|cron| cron["spec"]["concurrencyPolicy"] = json!("Forbid"));
        assert!(created(&step(&forbid, &running, late)).is_empty());
        let replace =
            step(&cron(|cron| cron["spec"]["concurrencyPolicy"] = json!("Replace")), &running, late);
        assert!(matches!(&replace.actions[0], Action::Delete { target, .. } if target.name == "tidy-1"));
        assert_eq!(created(&replace).len(), 1);
        let paused = cron(|cron| cron["spec"]["suspend"] = json!(true));
        assert!(created(&step(&paused, &[], late)).is_empty());
    }

    #[test]
    fn a_time_that_is_long_past_is_made_up_for_once_or_not_at_all() {
        let later = at("2026-01-03T00:07:00Z");
        assert_eq!(created(&step(&cron(|_| {}), &[], later)).len(), 1);
        let strict = cron(|cron| cron["spec"]["startingDeadlineSeconds"] = json!(60));
        assert!(created(&step(&strict, &[], later)).is_empty());
    }

    #[test]
    fn ended_jobs_are_kept_as_long_as_there_is_room() {
        let ended = [job("a", Some("Complete")), job("bb", Some("Complete")), job("ccc", Some("Failed"))];
        let tight = cron(|cron| {
            cron["spec"]["successfulJobsHistoryLimit"] = json!(1);
            cron["spec"]["failedJobsHistoryLimit"] = json!(1);
        });
        let step = step(&tight, &ended, at("2026-01-01T00:01:00Z"));
        let gone: Vec<_> = step
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Delete { target, .. } => Some(target.name.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(gone, ["a"]);
    }
}
