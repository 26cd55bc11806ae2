//! roll: every workload of the release is awaited, changed or not, from one live view and a pure verdict each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use skep_cluster::{Snapshot, View};
use skep_model::{Event, ObjectKey, Outcome, Step, WorkloadState};
use skep_rollout::{
    Cause, Diagnosis, Events, Observed, Past, Rollout, Verdict, pod,
    recording::{self, Recorder},
};
use tokio::time::Instant;

use super::{Clock, unblock::unblock};
use crate::{
    App, Failure, Plan, diagnose,
    error::{FailedWorkload, InStep, Problem},
    owned::around,
    session::{LOOK_UP, Session},
};

/// How long the words of a probe are waited for that has failed by its conditions: a busy kubelet sends its Events late.
pub(crate) const WORDS: Duration = Duration::from_secs(1);

/// How long the watches may take to come back once the cluster answers again.
const SIGHT: Duration = Duration::from_secs(3);

/// Looking takes one part of the time in so many, at the most: of hundreds of services something changes all the time, and a look is at
/// all of them. What comes meanwhile is seen together.
const SHARE: u32 = 10;

/// How long a look may be put off by that.
const LATEST: Duration = Duration::from_millis(250);

/// How long one that was not well before may take to get well, now that what it needs may have come.
const CONVALESCENCE: Duration = Duration::from_secs(60);

pub(crate) async fn roll(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Roll);
    let workloads: Vec<&Value> = plan.desired.workloads().collect();
    let rolled = match await_ready(app, Some(session), Step::Roll, &workloads).await {
        // What comes again is not to blame for them.
        Err(failure) if session.restores() && session.were_ill_before(&failure) => {
            app.emit.emit(Event::Warning {
                message: format!("{failure}; it was not well before either, and is as it was"),
            });
            Ok(workloads.len() - session.ill_before().len())
        }
        rolled => rolled.map(|()| workloads.len()),
    };
    session.clock.settle(Step::Roll, rolled, |ready| summary(*ready)).map(drop)
}

/// The same where nothing was changed and no lock is held: pods may be coming back from elsewhere.
pub(crate) async fn settle(app: &App, plan: &Plan, clock: &mut Clock) -> Result<(), Failure> {
    clock.start(Step::Roll);
    let workloads: Vec<&Value> = plan.desired.workloads().collect();
    let settled = await_ready(app, None, Step::Roll, &workloads).await;
    clock.settle(Step::Roll, settled, |()| summary(workloads.len()))
}

pub(crate) fn summary(services: usize) -> (Outcome, String) {
    match services {
        1 => (Outcome::Done, "1 service ready".to_owned()),
        all => (Outcome::Done, format!("{all} services ready")),
    }
}

/// Waits until each is ready, or until one has failed. Those that were not well before fail last: the others are not to be judged by them.
pub(crate) async fn await_ready(
    app: &App,
    session: Option<&Session>,
    step: Step,
    workloads: &[&Value],
) -> Result<(), Failure> {
    let mut view = first_look(app, session, step).await?;
    let past =
        session.map_or_else(|| Past::of_pods(view.latest().all("Pod")), |session| session.past.clone());
    let ill = session.map(|session| session.ill_before().clone()).unwrap_or_default();
    let mut waiting = Waiting::new(app, &past, workloads, ill);
    let recorder = session.map(|session| waiting.recorder(app, past, session.number()));
    let mut recorded = Recorded { session, recorder, before: Snapshot::default() };
    let (mut wordless, mut unblocked) = (None, BTreeSet::new());
    loop {
        if let Some(session) = session {
            let away = session.may_write(step).await?;
            if !away.is_zero() {
                waiting.was_blind(away);
                recorded.was_blind(away);
                // The watches are a moment behind the lock.
                if let Ok(changed) = tokio::time::timeout(SIGHT, view.changed()).await {
                    changed.in_step(step)?;
                }
            }
        }
        let began = Instant::now();
        let failed = waiting.judge(app, view.latest(), &mut recorded);
        let failed = waiting.set_apart(failed);
        let took = began.elapsed();
        let lacks_words = failed.iter().any(|(_, diagnosis)| diagnosis.cause.lacks_words());
        if lacks_words && wordless.get_or_insert_with(Instant::now).elapsed() < WORDS {
            tokio::select! {
                biased;
                changed = view.changed() => { changed.in_step(step)?; }
                () = tokio::time::sleep(WORDS / 10) => {}
            }
            continue;
        }
        if !failed.is_empty() {
            let migrated = session.is_some_and(Session::has_migrated);
            let failed = diagnose::all_explained(app, view.latest(), failed, migrated).await;
            waiting.tell_failed(app, &failed);
            recorded.told();
            return Err(Failure::at(step, Problem::Rollout(failed)));
        }
        if waiting.is_over() {
            return Ok(());
        }
        if session.is_some() {
            unblock(app, view.latest(), waiting.rollouts.keys(), &mut unblocked).await;
        }
        tokio::time::sleep((took * (SHARE - 1)).min(LATEST)).await;
        let next = waiting.next_deadline().min(LOOK_UP);
        tokio::select! {
            biased;
            changed = view.changed() => { changed.in_step(step)?; }
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// A view that has seen everything once. A cluster that goes away at just that moment is waited for as at any other, and said to be away
/// as soon.
pub(super) async fn first_look(app: &App, session: Option<&Session>, step: Step) -> Result<View, Failure> {
    loop {
        let mut view = app.cluster.view(app.namespace());
        let seen = loop {
            tokio::select! {
                biased;
                seen = view.changed() => break seen.map(drop),
                () = tokio::time::sleep(LOOK_UP) => {}
            }
            if let Some(session) = session
                && !session.may_write(step).await?.is_zero()
            {
                view = app.cluster.view(app.namespace());
            }
        };
        let Err(error) = seen else { return Ok(view) };
        let away = match session {
            Some(session) => session.may_write(step).await?,
            None => Duration::ZERO,
        };
        if away.is_zero() {
            return Err(Failure::at(step, error));
        }
    }
}

/// What is kept of the watching, for the bundle of a release that fails.
struct Recorded<'s> {
    session: Option<&'s Session>,
    recorder: Option<Recorder>,
    /// What had been noted.
    before: Snapshot,
}

impl Recorded<'_> {
    fn note(&mut self, now: Timestamp, seen: &Snapshot, verdicts: Vec<(String, String)>) {
        let Some(recorder) = self.recorder.as_mut().filter(|recorder| !recorder.is_cut()) else {
            self.before = Snapshot::default();
            return;
        };
        let (changed, gone) = seen.since(&self.before);
        let gone = gone.into_iter().map(|(kind, name)| (kind.to_owned(), name)).collect();
        recorder.note(now, changed, gone, verdicts);
        self.before = seen.clone();
    }

    fn see(&self, workload: &ObjectKey, pods: &[&Value], now: Timestamp) {
        if let Some(session) = self.session
            && let Ok(mut spans) = session.spans.lock()
        {
            spans.see(workload, pods, &session.past, now);
        }
    }

    fn was_blind(&mut self, away: Duration) {
        if let Some(recorder) = &mut self.recorder {
            recorder.was_blind(skep_ambient::now(), away);
        }
    }

    fn told(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.told(skep_ambient::now());
        }
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if let (Some(session), Some(recorder)) = (self.session, &self.recorder)
            && let Ok(mut kept) = session.recording.lock()
        {
            recorder.text().clone_into(&mut kept);
        }
    }
}

/// The workloads that are not ready yet.
struct Waiting {
    since: Instant,
    rollouts: BTreeMap<ObjectKey, (Rollout, Option<WorkloadState>)>,
    /// Those that were not well before, and why.
    ill: BTreeMap<ObjectKey, Diagnosis>,
}

impl Waiting {
    fn new(app: &App, past: &Past, workloads: &[&Value], ill: BTreeMap<ObjectKey, Diagnosis>) -> Self {
        let now = skep_ambient::now();
        let new = |key| {
            let patience = app.patience();
            let patience = if ill.contains_key(&key) { patience.min(CONVALESCENCE) } else { patience };
            (key, (Rollout::new(patience, app.schema_exit_code, past.clone(), now), None))
        };
        let rollouts = workloads.iter().filter_map(|object| ObjectKey::of(object)).map(new).collect();
        Self { since: Instant::now(), rollouts, ill }
    }

    /// Nothing was seen for so long: that is no time without progress.
    fn was_blind(&mut self, away: Duration) {
        self.rollouts.values_mut().for_each(|(rollout, _)| rollout.was_blind(away));
    }

    /// Begins the recording of what follows.
    fn recorder(&self, app: &App, past: Past, release: u64) -> Recorder {
        let named = |(key, (rollout, _)): (&ObjectKey, &(Rollout, _))| {
            let patience = u64::try_from(rollout.no_progress().as_millis()).unwrap_or(u64::MAX);
            ((key.kind.clone(), key.name.clone()), patience)
        };
        Recorder::new(&recording::Start {
            version: Recorder::version(),
            at: skep_ambient::now(),
            release,
            schema_exit_code: app.schema_exit_code,
            past,
            workloads: self.rollouts.iter().map(named).collect(),
        })
    }

    /// Judges all, tells what is new, forgets what is ready, and returns what has failed.
    fn judge(
        &mut self,
        app: &App,
        seen: &Snapshot,
        recorded: &mut Recorded<'_>,
    ) -> Vec<(ObjectKey, Diagnosis)> {
        let around = around(seen);
        let now = skep_ambient::now();
        let mut verdicts = Vec::new();
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut failed = Vec::new();
        self.rollouts.retain(|key, (rollout, said)| {
            let observed = Observed { workload: seen.get(&key.kind, &key.name), around: &around };
            recorded.see(key, &observed.pods(), now);
            let verdict = rollout.step(observed, now);
            verdicts.push((format!("{}/{}", key.kind, key.name), recording::words(&verdict)));
            let (state, is_waited_for) = match verdict {
                Verdict::Progressing { ready, wanted, old, waiting_for, failing } => {
                    let deadline = Some(rollout.deadline());
                    (WorkloadState::Progressing { ready, wanted, old, deadline, waiting_for, failing }, true)
                }
                Verdict::Ready { wanted, kept } => {
                    if !kept.is_empty() {
                        let message = format!(
                            "{key}: {} kept on the old template by its update strategy (OnDelete or partition)",
                            kept.join(", ")
                        );
                        app.emit.emit(Event::Warning { message });
                    }
                    (WorkloadState::Ready { wanted, millis }, false)
                }
                // Told once its true cause is known.
                Verdict::Failed(diagnosis) => {
                    failed.push((key.clone(), diagnosis));
                    return true;
                }
            };
            if said.as_ref() != Some(&state) {
                app.emit.emit(Event::Workload { object: key.clone(), state: state.clone() });
                *said = Some(state);
            }
            is_waited_for
        });
        recorded.note(now, seen, verdicts);
        failed
    }

    /// Of those that have failed, those that count: one that was not well before does once nothing else is awaited, and for the reason
    /// that it had then where no new one shows.
    fn set_apart(&self, failed: Vec<(ObjectKey, Diagnosis)>) -> Vec<(ObjectKey, Diagnosis)> {
        let only_ill = self.rollouts.keys().all(|key| self.ill.contains_key(key));
        let one = |(key, diagnosis): (ObjectKey, Diagnosis)| match self.ill.get(&key) {
            Some(before) if matches!(diagnosis.cause, Cause::NoProgress { .. }) => {
                only_ill.then(|| (key, before.clone()))
            }
            Some(_) if !only_ill => None,
            _ => Some((key, diagnosis)),
        };
        failed.into_iter().filter_map(one).collect()
    }

    fn tell_failed(&self, app: &App, failed: &[FailedWorkload]) {
        for object in self.rollouts.keys() {
            let one = failed.iter().find(|one| one.workload == object.to_string());
            if let Some(FailedWorkload { diagnosis, .. }) = one {
                let state = WorkloadState::Failed { cause: diagnosis.to_string() };
                app.emit.emit(Event::Workload { object: object.clone(), state });
            }
        }
    }

    fn is_over(&self) -> bool {
        self.rollouts.is_empty()
    }

    fn next_deadline(&self) -> Duration {
        let soonest = self.rollouts.values().map(|(rollout, _)| rollout.deadline()).min();
        let left = soonest.map(|at| at.duration_since(skep_ambient::now()));
        let left: Duration = left.and_then(|left| left.try_into().ok()).unwrap_or_default();
        left.max(Duration::from_millis(100))
    }
}

/// The first thing in these pods that no waiting will heal.
pub(crate) fn final_symptom(pods: &[&Value], events: &Events<'_>) -> Option<Diagnosis> {
    pods.iter().flat_map(|pod| pod::symptoms(pod, events)).find_map(|symptom| match symptom {
        pod::Symptom::Final(diagnosis) => Some(diagnosis),
        pod::Symptom::PullFailed { .. } | pod::Symptom::Crashed { .. } => None,
    })
}
