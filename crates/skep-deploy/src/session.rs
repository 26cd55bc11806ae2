//! A deploy from its lock to its record: what must be given back and closed however it ends.

use std::{collections::BTreeMap, pin::pin, sync::Mutex, time::Duration};

use jiff::Timestamp;
use skep_cluster::{Force, Lock, LockError, RecordError, Route, Selector};
use skep_model::{Emit, Event, ObjectKey, Outcome, ReasonForRelease, Release, ReleaseStatus, Step};

use skep_rollout::{Diagnosis, Past, Verdict};

use crate::{
    App, Failure, Plan, adopt, diagnose,
    error::{InStep, Problem},
    steps::{Clock, spans::Spans},
};

/// How often a lock that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the answer to a request for the lock is waited for when nobody wants it any more.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// How often the lock is looked at while something is awaited that does not move.
pub(crate) const LOOK_UP: Duration = Duration::from_secs(2);

/// The lock and the open record.
#[derive(Debug)]
pub(crate) struct Session {
    lock: Lock,
    emit: Emit,
    release: Release,
    /// What the pods had behind them before anything was written, or since the schema was last changed.
    pub(crate) past: Past,
    /// Workloads that this release leaves as they are, and that were not well before: why.
    ill: BTreeMap<ObjectKey, Diagnosis>,
    /// Whether the open release is one that comes again after another has failed.
    restores: bool,
    /// Whether this release has changed the schema.
    migrated: bool,
    /// What its rollout was judged by.
    pub(crate) recording: Mutex<String>,
    /// The pods of its rollout.
    pub(crate) spans: Mutex<Spans>,
    pub(crate) clock: Clock,
}

impl Session {
    /// Makes the namespace if it is missing, takes the lock, and opens the record under the next number.
    pub(crate) async fn open(
        app: &App,
        plan: &Plan,
        reason: ReasonForRelease,
        mut clock: Clock,
    ) -> Result<Self, Failure> {
        clock.start(Step::Lock);
        let opened = Self::lock_and_open(app, plan, reason).await;
        let (lock, release, Before { past, ill }) = clock.settle(Step::Lock, opened, |(_, release, _)| {
            (Outcome::Done, format!("release v{}", release.number))
        })?;
        app.emit.emit(Event::ReleaseOpened { number: release.number });
        let (recording, spans) = (Mutex::default(), Mutex::default());
        let emit = app.emit.clone();
        Ok(Self { lock, emit, release, past, ill, restores: false, migrated: false, recording, spans, clock })
    }

    /// Opens the next record under the same lock.
    pub(crate) async fn reopen(
        &mut self,
        app: &App,
        plan: &Plan,
        reason: ReasonForRelease,
    ) -> Result<(), Failure> {
        self.clock = Clock::new(&app.emit);
        self.clock.start(Step::Lock);
        self.may_write(Step::Lock).await?;
        let opened = tokio::try_join!(open_record(app, plan, reason), Before::look(app, plan));
        let opened = self.clock.settle(Step::Lock, opened, |(release, _)| {
            (Outcome::Done, format!("release v{}", release.number))
        });
        let (release, before) = opened?;
        app.emit.emit(Event::ReleaseOpened { number: release.number });
        (self.release, self.past, self.migrated, self.restores) = (release, before.past, false, true);
        (self.recording, self.spans) = (Mutex::default(), Mutex::default());
        Ok(())
    }

    async fn lock_and_open(
        app: &App,
        plan: &Plan,
        reason: ReasonForRelease,
    ) -> Result<(Lock, Release, Before), Failure> {
        let namespace = plan.desired.namespace_object();
        adopt::take_over(app, plan, std::slice::from_ref(&namespace), Step::Lock).await?;
        app.cluster.apply(&plan.desired.substituted.fill(&namespace), Force::No).await.in_step(Step::Lock)?;
        app.cluster.redaction().hide_secrets(&plan.desired.secrets.0);
        let lock = take(app).await?;
        let records = async {
            if let Some(origin) = &plan.origin {
                origin.keep(app, plan.keys.as_ref()).await?;
            }
            open_record(app, plan, reason).await
        };
        match tokio::try_join!(records, Before::look(app, plan)) {
            Ok((release, before)) => Ok((lock, release, before)),
            Err(failure) => {
                lock.release().await.in_step(Step::Lock)?;
                Err(failure)
            }
        }
    }

    /// The step that is being done.
    pub(crate) fn step(&self) -> Step {
        self.clock.step()
    }

    /// Asked before each write, and while others' work is awaited. A cluster that does not answer is waited for; answers for how long that
    /// was.
    pub(crate) async fn may_write(&self, step: Step) -> Result<Duration, Failure> {
        self.lock.is_at(&step.to_string());
        let unsure = |since: Duration| {
            let message = format!(
                "the cluster has not answered for {} s: nothing is written and nothing is judged until it does, for {} s at the most",
                since.as_secs(),
                skep_cluster::OUTAGE.as_secs()
            );
            self.emit.emit(Event::Warning { message });
        };
        let away = self.lock.hold(unsure).await.in_step(step)?;
        if !away.is_zero() {
            let message =
                format!("the cluster answers again after {} s, and the lock is still held", away.as_secs());
            self.emit.emit(Event::Warning { message });
        }
        Ok(away)
    }

    /// Waits for the answer to a write, and tells meanwhile when the cluster no longer answers. A write whose lock is lost is not waited for.
    pub(crate) async fn watched<T>(&self, step: Step, write: impl Future<Output = T>) -> Result<T, Failure> {
        let mut write = pin!(write);
        loop {
            tokio::select! {
                biased;
                answer = &mut write => return Ok(answer),
                () = tokio::time::sleep(LOOK_UP) => {}
            }
            let (mut held, mut answer) = (pin!(self.may_write(step)), None);
            loop {
                tokio::select! {
                    biased;
                    held = &mut held => {
                        held?;
                        break;
                    }
                    came = &mut write, if answer.is_none() => answer = Some(came),
                }
            }
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// A container that started before the migration's end has met another schema: its crashes prove nothing about this release.
    pub(crate) async fn forget_the_old_schema(
        &mut self,
        app: &App,
        migrated: Option<Timestamp>,
    ) -> Result<(), Failure> {
        self.past = past(app, Step::Migrate).await?.until(migrated);
        self.migrated = true;
        // What was ill on the old schema may be ill because of it: this release answers for it.
        self.ill.clear();
        Ok(())
    }

    /// Whether all that failed was not well before either.
    pub(crate) fn were_ill_before(&self, failure: &Failure) -> bool {
        match &*failure.problem {
            Problem::Rollout(failed) => {
                let was_ill = |workload: &str| self.ill.keys().any(|key| key.to_string() == workload);
                failed.iter().all(|one| was_ill(&one.workload))
            }
            _ => false,
        }
    }

    /// Workloads that were not well before anything was written, and why.
    pub(crate) fn ill_before(&self) -> &BTreeMap<ObjectKey, Diagnosis> {
        &self.ill
    }

    /// Whether the open release is one that comes again after another has failed.
    pub(crate) fn restores(&self) -> bool {
        self.restores
    }

    /// Whether this release has changed the schema.
    pub(crate) fn has_migrated(&self) -> bool {
        self.migrated
    }

    /// The open release.
    pub(crate) fn release(&self) -> &Release {
        &self.release
    }

    /// The number of the open release.
    pub(crate) fn number(&self) -> u64 {
        self.release.number
    }

    /// Closes the record.
    pub(crate) async fn close(
        &mut self,
        app: &App,
        status: ReleaseStatus,
        failure: Option<String>,
    ) -> Result<Release, Failure> {
        self.clock.start(Step::Record);
        self.release.timings = self.clock.timings();
        self.release.pods = self.spans.lock().map(|spans| spans.all()).unwrap_or_default();
        let failure = failure.map(|text| app.cluster.redaction().redact_known(&text));
        let closed = match self.release.close(status, skep_ambient::now(), failure) {
            Ok(()) => app.releases().save(&self.release).await.in_step(Step::Record),
            Err(illegal) => Err(Failure::at(
                Step::Record,
                Problem::Project { what: illegal.to_string(), hint: "deploy again".to_owned() },
            )),
        };
        let number = self.release.number;
        self.clock.settle(Step::Record, closed, |()| (Outcome::Done, format!("v{number} is {status}")))?;
        Ok(self.release.clone())
    }

    /// Adds to the closed record what has been deleted.
    pub(crate) async fn record_removed(&mut self, app: &App, removed: Vec<ObjectKey>) -> Result<(), Failure> {
        if removed.is_empty() {
            return Ok(());
        }
        self.release.removed = removed;
        app.releases().save(&self.release).await.in_step(Step::Prune)
    }

    /// Gives the lock back.
    pub(crate) async fn end(self, app: &App) {
        give_back(app, self.lock).await;
    }
}

/// Gives the lock back. One that can't be given back dies by itself: what was done is none the worse for it.
pub(crate) async fn give_back(app: &App, lock: Lock) {
    if let Err(error) = lock.release().await {
        let message =
            format!("the deploy lock could not be given back, and frees itself within seconds: {error}");
        app.emit.emit(Event::Warning { message });
    }
}

/// Takes the lock, or waits for whoever holds it, if that is what the user wants. A lease that was being taken when the user stopped
/// is one of a dead process.
pub(crate) async fn take(app: &App) -> Result<Lock, Failure> {
    let mut taking = Box::pin(take_or_wait(app));
    tokio::select! {
        biased;
        taken = &mut taking => return taken.in_step(Step::Lock),
        () = app.cancel.cancelled() => {}
    }
    // A request that is under way may still take it: then it is given back, and not left to run out.
    if let Ok(Ok(lock)) = tokio::time::timeout(UNDER_WAY, taking).await {
        lock.release().await.in_step(Step::Lock)?;
    }
    Err(Failure::at(Step::Lock, Problem::Interrupted))
}

async fn take_or_wait(app: &App) -> Result<Lock, LockError> {
    let mut told = None;
    loop {
        match Lock::take(&app.cluster, app.namespace(), &app.project.app, &app.author.holder).await {
            Err(held @ LockError::Held { .. }) if app.wait => {
                let message = format!("waiting: {held}");
                if told.as_ref() != Some(&message) {
                    app.emit.emit(Event::Warning { message: message.clone() });
                    told = Some(message);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            taken => return taken,
        }
    }
}

/// What there is before anything is written.
struct Before {
    past: Past,
    ill: BTreeMap<ObjectKey, Diagnosis>,
}

impl Before {
    async fn look(app: &App, plan: &Plan) -> Result<Self, Failure> {
        let mut view = app.cluster.view(app.namespace());
        let seen = view.changed().await.in_step(Step::Lock)?;
        // What this release changes is its own to answer for, however it was before.
        let unchanged = plan.desired.workloads().filter(|workload| !plan.changes(workload));
        let keys = unchanged.filter_map(ObjectKey::of);
        let there = keys.filter(|key| seen.get(&key.kind, &key.name).is_some());
        let ill = there.filter_map(|key| match diagnose::look(app, seen, &key) {
            Verdict::Failed(diagnosis) => Some((key, diagnosis)),
            _ => None,
        });
        Ok(Self { past: Past::of_pods(seen.all("Pod")), ill: ill.collect() })
    }
}

async fn past(app: &App, step: Step) -> Result<Past, Failure> {
    let Some(route) = Route::built_in("v1", "Pod") else { return Ok(Past::default()) };
    let pods = app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await.in_step(step)?;
    Ok(Past::of_pods(&pods))
}

/// Closes what dead deploys left open, then creates the next record.
async fn open_record(app: &App, plan: &Plan, reason: ReasonForRelease) -> Result<Release, Failure> {
    let store = app.releases();
    let mut known = store.all().await.in_step(Step::Lock)?;
    known.not_newer().in_step(Step::Plan)?;
    let newest = known.newest();
    if newest != plan.newest_release {
        return Err(Failure::at(Step::Lock, RecordError::Taken(newest)));
    }
    for dead in known.iter_mut().filter(|release| release.status == ReleaseStatus::Pending) {
        let why = "Skep ended before the outcome was known".to_owned();
        if dead.close(ReleaseStatus::Interrupted, skep_ambient::now(), Some(why)).is_ok() {
            store.save(dead).await.in_step(Step::Lock)?;
        }
    }
    let release = Release {
        format: Release::FORMAT,
        app: app.project.app.to_string(),
        number: newest + 1,
        status: ReleaseStatus::Pending,
        reason,
        created: skep_ambient::now(),
        closed: None,
        by: format!("{}@{}", app.author.holder.user, app.author.holder.host),
        commit: plan.desired.commit.clone(),
        commits: plan.desired.commits.clone(),
        images: plan.desired.images.clone(),
        third_party: plan.desired.third_party.clone(),
        objects: plan.desired.recorded_objects(),
        secrets: plan.desired.secret_versions(),
        inventory: plan.desired.inventory(),
        sources: plan.desired.sources.clone(),
        removed: Vec::new(),
        verify: Some(plan.checks(app).to_vec()),
        timings: Vec::new(),
        pods: Vec::new(),
        failure: None,
    };
    store.open(&release).await.in_step(Step::Lock)?;
    Ok(release)
}
