//! One workload's rollout: what was seen before, and the verdict on what is seen now.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Around, Cause, Diagnosis, Events, LogWanted, patience,
    pod::{self, Symptom},
    pods::Pods,
    stuck,
    workload::{Counts, JobState, text},
};

/// How often something may go wrong in one rollout.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    crashes: u32,
    pulls: u32,
    refused_for: Duration,
}

impl Tolerance {
    /// A container that has ended this often will not heal. A pull that failed this often for a reason of the network will not succeed
    /// within anybody's patience. Pods that were refused for so long are refused for good: a controller tries again within seconds.
    const OF_A_ROLLOUT: Self = Self { crashes: 3, pulls: 3, refused_for: Duration::from_secs(20) };
    const NONE: Self = Self { crashes: 1, pulls: 1, refused_for: Duration::ZERO };
}

/// A pod that is not ready after so many seconds is worth asking about, though nothing is lost yet.
const WAITING_IS_ODD: i64 = 10;

/// What there is to see of one workload at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The Deployment, StatefulSet, DaemonSet or Job; `None` when it is gone.
    pub workload: Option<&'a Value>,
    /// What else there is in its namespace.
    pub around: &'a Around<'a>,
}

impl<'a> Observed<'a> {
    /// The workload's pods, those of older templates too.
    pub fn pods(&self) -> Vec<&'a Value> {
        let Some(workload) = self.workload else { return Vec::new() };
        let Pods { mut new, old, .. } = Pods::of(workload, *self);
        new.extend(old);
        new
    }
}

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Moving, or waiting within what the policy allows.
    Progressing {
        /// New pods that are ready.
        ready: u32,
        /// Pods wanted.
        wanted: u32,
        /// Pods of an older template that are still there.
        old: u32,
        /// What it waits for, in a few words.
        waiting_for: String,
        /// What goes wrong and will end it if it goes on, in a few words.
        failing: Option<String>,
    },
    /// Every wanted pod is available, and new unless the update strategy keeps it.
    Ready {
        /// Pods wanted, and there.
        wanted: u32,
        /// The pods that keep an older template, by name.
        kept: Vec<String>,
    },
    /// It will not become ready.
    Failed(Diagnosis),
}

/// The memory of one workload's rollout.
#[derive(Debug, Clone)]
pub struct Rollout {
    no_progress: Duration,
    /// How long a pod may take by the settings of its own probes.
    allowed: Duration,
    schema_exit_code: i64,
    last_progress: Timestamp,
    seen: Option<Mark>,
    past: Past,
    pulls: BTreeMap<(String, String), PullTries>,
    /// Since when its pods are refused.
    refused: Option<Timestamp>,
    tolerance: Tolerance,
}

/// What counts as progress when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    counts: Counts,
    pods_ready: usize,
    pods: usize,
}

/// What the containers of a namespace had behind them before a release was applied: crashes of that time are not its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Past {
    /// By pod, then by container.
    containers: BTreeMap<String, BTreeMap<String, Before>>,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Before {
    starts: u32,
    ready: bool,
}

impl Past {
    /// Reads it off the pods.
    pub fn of_pods<'a>(pods: impl IntoIterator<Item = &'a Value>) -> Self {
        let containers = pods.into_iter().map(|pod| {
            let ready = pod::is_ready(pod);
            let starts = pod::starts(pod).into_iter();
            let before = starts.map(|(container, starts)| (container, Before { starts, ready }));
            (text(&pod["metadata"], "name"), before.collect())
        });
        Self { containers: containers.collect(), until: None }
    }

    /// What these pods' containers began up to `moment`, by the cluster's clock, is past too. A kubelet tells of a start a second
    /// or more after it, so what the pods said at that moment is not all that had happened.
    #[must_use]
    pub fn until(self, moment: Option<Timestamp>) -> Self {
        Self { until: moment, ..self }
    }

    /// Whether a pod was there.
    pub fn knew(&self, pod: &str) -> bool {
        self.containers.contains_key(pod)
    }

    fn of(&self, pod: &str, container: &str) -> Before {
        self.containers.get(pod).and_then(|of| of.get(container)).copied().unwrap_or_default()
    }

    /// Whether a container's crash number `crashes`, of a run that began at `began`, belongs to it.
    fn holds(&self, before: Before, crashes: u32, began: Option<Timestamp>) -> bool {
        let earlier = began.zip(self.until).is_some_and(|(began, until)| began <= until);
        crashes <= before.starts || (before.starts > 0 && earlier)
    }
}

#[derive(Debug, Clone, Default)]
struct PullTries {
    tries: u32,
    in_failure: bool,
}

impl Rollout {
    /// A rollout that begins at `now`. `no_progress` is how long nothing may move; `past` is what the pods had behind them before
    /// anything was written.
    pub fn new(no_progress: Duration, schema_exit_code: i64, past: Past, now: Timestamp) -> Self {
        Self {
            no_progress,
            allowed: Duration::ZERO,
            schema_exit_code,
            last_progress: now,
            seen: None,
            past,
            pulls: BTreeMap::new(),
            refused: None,
            tolerance: Tolerance::OF_A_ROLLOUT,
        }
    }

    /// How long nothing may move.
    pub fn no_progress(&self) -> Duration {
        self.no_progress
    }

    /// Judges what is seen at one moment, with no rollout under way: what is wrong is wrong now, not at its third time.
    pub fn look(
        observed: Observed<'_>,
        no_progress: Duration,
        schema_exit_code: i64,
        now: Timestamp,
    ) -> Verdict {
        let mut rollout = Self::new(no_progress, schema_exit_code, Past::default(), now);
        rollout.tolerance = Tolerance::NONE;
        let verdict = rollout.step(observed, now);
        let Verdict::Progressing { .. } = verdict else { return verdict };
        let Some(workload) = observed.workload else { return verdict };
        let Pods { new, old, set } = Pods::of(workload, observed);
        // A pod that has just come is given the time that it needs.
        let age = |pod: &&Value| {
            let made: Option<Timestamp> = pod["metadata"]["creationTimestamp"].as_str()?.parse().ok();
            made.map(|made| now.duration_since(made).as_secs())
        };
        let waits = new.iter().filter(|pod| !pod::is_ready(pod)).filter_map(age).max().unwrap_or(0);
        let is_old_enough = waits >= WAITING_IS_ODD || new.is_empty();
        let stuck = is_old_enough.then(|| stuck::diagnosis(observed, set, &new, &old, now, waits)).flatten();
        stuck.map_or(verdict, Verdict::Failed)
    }

    /// Judges what is seen now.
    pub fn step(&mut self, observed: Observed<'_>, now: Timestamp) -> Verdict {
        let Some(workload) = observed.workload else {
            return Verdict::Failed(Diagnosis::of_workload(Cause::Deleted));
        };
        if workload["kind"] == "Job" {
            return job_verdict(workload, &Pods::of(workload, observed).new);
        }
        let Some(counts) = Counts::read(workload) else {
            let kind = "counts of it, which its kind does not have".to_owned();
            return self.patient(Counts::default(), kind, None, now, |_| None);
        };
        if !counts.current {
            return self.patient(counts, "the controller to see the change".to_owned(), None, now, |_| None);
        }
        if counts.done() {
            let kept = if counts.kept == 0 { Vec::new() } else { Pods::of(workload, observed).old };
            let kept = kept.iter().map(|pod| text(&pod["metadata"], "name")).collect();
            return Verdict::Ready { wanted: counts.wanted, kept };
        }
        self.allowed = patience::of_probes(workload);
        let Pods { new, old, set } = Pods::of(workload, observed);
        self.note_progress(counts, &new, now);
        let mut failing = None;
        if let Some(diagnosis) = self.failure(&new, &observed.around.events, &mut failing) {
            return Verdict::Failed(diagnosis);
        }
        if let Some(diagnosis) = self.refusal(workload, set, &observed.around.events, now, &mut failing) {
            return Verdict::Failed(diagnosis);
        }
        let waiting_for = waiting_for(&counts, &new, &observed.around.events);
        let why = |seconds| stuck::diagnosis(observed, set, &new, &old, now, seconds);
        // A Deployment counts its old pods as available too.
        let ready = new.iter().filter(|pod| pod::is_ready(pod) && !pod::is_leaving(pod)).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX).saturating_add(counts.kept);
        let available = counts.available.min(ready);
        let counts = Counts { available, ..counts };
        self.patient(counts, waiting_for, failing, now, why)
    }

    /// Nothing was seen for so long: that is no time without progress.
    pub fn was_blind(&mut self, away: Duration) {
        for at in [&mut self.last_progress].into_iter().chain(&mut self.refused) {
            *at = at.saturating_add(away).unwrap_or(Timestamp::MAX);
        }
    }

    /// When, with no further event, the verdict would change: the caller's timer.
    pub fn deadline(&self) -> Timestamp {
        let patience = self.out_of_patience();
        let refused = self.refused.and_then(|since| since.saturating_add(self.tolerance.refused_for).ok());
        refused.map_or(patience, |refused| refused.min(patience))
    }

    /// When nothing has moved for longer than the policy allows, and for longer than the probes' own settings do.
    fn out_of_patience(&self) -> Timestamp {
        let patience = self.no_progress.max(self.allowed);
        self.last_progress.saturating_add(patience).unwrap_or(Timestamp::MAX)
    }

    fn patient(
        &self,
        counts: Counts,
        waiting_for: String,
        failing: Option<String>,
        now: Timestamp,
        why: impl FnOnce(i64) -> Option<Diagnosis>,
    ) -> Verdict {
        if now >= self.out_of_patience() {
            let seconds = now.duration_since(self.last_progress).as_secs();
            return Verdict::Failed(why(seconds).unwrap_or_else(|| Diagnosis {
                log: Some(LogWanted::Current),
                ..Diagnosis::of_workload(Cause::NoProgress { seconds, waiting_for })
            }));
        }
        let Counts { available: ready, wanted, old, .. } = counts;
        Verdict::Progressing { ready, wanted, old, waiting_for, failing }
    }

    /// Pods that the API refuses again and again.
    fn refusal(
        &mut self,
        workload: &Value,
        set: Option<&Value>,
        events: &Events<'_>,
        now: Timestamp,
        failing: &mut Option<String>,
    ) -> Option<Diagnosis> {
        let Some(cause) = stuck::refused(workload, set, events) else {
            self.refused = None;
            return None;
        };
        let since = *self.refused.get_or_insert(now);
        if now.duration_since(since) >= self.tolerance.refused_for.try_into().unwrap_or_default() {
            return Some(Diagnosis::of_workload(cause));
        }
        failing.get_or_insert_with(|| cause.to_string());
        None
    }

    fn note_progress(&mut self, counts: Counts, pods: &[&Value], now: Timestamp) {
        let mark = Mark {
            counts,
            pods_ready: pods.iter().filter(|pod| pod::is_ready(pod)).count(),
            pods: pods.len(),
        };
        if self.seen.as_ref() != Some(&mark) {
            self.seen = Some(mark);
            self.last_progress = now;
        }
    }

    fn failure(
        &mut self,
        pods: &[&Value],
        events: &Events<'_>,
        failing: &mut Option<String>,
    ) -> Option<Diagnosis> {
        pods.iter().filter(|pod| !pod::is_leaving(pod)).find_map(|pod| {
            let name = text(&pod["metadata"], "name");
            let symptoms = pod::symptoms(pod, events);
            symptoms.into_iter().find_map(|symptom| self.count(&name, symptom, failing))
        })
    }

    fn count(&mut self, pod: &str, symptom: Symptom, failing: &mut Option<String>) -> Option<Diagnosis> {
        let at = |container: &str| (pod.to_owned(), container.to_owned());
        let Tolerance { crashes: most_crashes, pulls: most_pulls, .. } = self.tolerance;
        match symptom {
            Symptom::Final(diagnosis) => Some(diagnosis),
            Symptom::PullFailed { container, image, message, fresh } => {
                let tries = self.pulls.entry(at(&container)).or_default();
                if fresh && !tries.in_failure {
                    tries.tries += 1;
                }
                tries.in_failure = fresh;
                let tries = tries.tries;
                if tries > 0 {
                    failing.get_or_insert_with(|| {
                        format!("{pod}: pull {tries} of {most_pulls} failed: {message}")
                    });
                }
                (tries >= most_pulls).then(|| Diagnosis {
                    pod: Some(pod.to_owned()),
                    container: Some(container),
                    cause: Cause::RegistryUnreachable { image, message, tries },
                    log: None,
                })
            }
            Symptom::Crashed { container, crashes, began, exit_code, reason, log } => {
                let before = self.past.of(pod, &container);
                let ours = if before.ready { crashes.saturating_sub(before.starts - 1) } else { crashes };
                // What started before this rollout has met another schema, or another outage: only a new start proves anything.
                let is_new = !self.past.holds(before, crashes, began);
                let cause = if is_new && exit_code == self.schema_exit_code {
                    Cause::SchemaRefused { exit_code }
                } else if (is_new || before.ready) && ours >= most_crashes {
                    Cause::CrashLoop { crashes: ours, exit_code, reason, line: None, migrated: false }
                } else {
                    if is_new && ours > 1 {
                        let told =
                            format!("{pod}: ended {ours} of {most_crashes} times, exit code {exit_code}");
                        failing.get_or_insert(told);
                    }
                    return None;
                };
                Some(Diagnosis {
                    pod: Some(pod.to_owned()),
                    container: Some(container),
                    cause,
                    log: Some(log),
                })
            }
        }
    }
}

fn waiting_for(counts: &Counts, pods: &[&Value], events: &Events<'_>) -> String {
    if let Some(pod) = pods.iter().find(|pod| !pod::is_ready(pod) && !pod::is_leaving(pod)) {
        return pod::waits_for(pod, events);
    }
    if counts.updated < counts.wanted {
        return format!("{} more new pods", counts.wanted - counts.updated);
    }
    match counts.old {
        0 => "new pods to be available".to_owned(),
        1 => "1 old pod to end".to_owned(),
        old => format!("{old} old pods to end"),
    }
}

fn job_verdict(job: &Value, pods: &[&Value]) -> Verdict {
    match JobState::read(job) {
        JobState::Complete => Verdict::Ready { wanted: 1, kept: Vec::new() },
        JobState::Running => {
            let waiting_for = pods
                .first()
                .map_or_else(|| "its pod".to_owned(), |pod| pod::waits_for(pod, &Events::default()));
            Verdict::Progressing { ready: 0, wanted: 1, old: 0, waiting_for, failing: None }
        }
        JobState::Failed { reason, message } => {
            let pod = pods.last().map(|pod| text(&pod["metadata"], "name"));
            let log = pod.is_some().then_some(LogWanted::Current);
            Verdict::Failed(Diagnosis {
                pod,
                container: None,
                cause: Cause::JobFailed { reason, message },
                log,
            })
        }
    }
}
