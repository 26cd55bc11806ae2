//! Restore: what a failed release did to the services is taken back. The last good release comes again under a number of its own, is
//! rolled out and verified as any other, and the failed one becomes `restored`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use skep_cluster::{Force, Records};
use skep_model::{Event, ObjectKey, ReasonForRelease, Release, ReleaseStatus, Step};

use crate::{
    App, Failure, Plan, Verb, bounds, bundle, cause,
    deploy::bring_up,
    error::{InStep, Problem},
    finish, plan, rollback,
    session::Session,
    status::status,
    steps::{self, images},
};

/// What became of the release before, after one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restoration {
    /// It runs again.
    Restored {
        /// The release that was put back.
        to: u64,
        /// The number that it has now.
        number: u64,
    },
    /// It was tried, and failed as well.
    Failed {
        /// The release that was to be put back.
        to: u64,
        /// Why it is not.
        why: String,
        /// Each service as it stands: `api: 1 of 3 pods ready`.
        services: Vec<String>,
    },
    /// It was not tried.
    Left {
        /// Why.
        because: String,
    },
}

/// As the end of `state:`.
impl fmt::Display for Restoration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored { to, number } => {
                write!(f, "v{to} runs again, as v{number}: images, config, secrets and manifests")
            }
            Self::Failed { to, why, services } => {
                write!(f, "v{to} could NOT be put back: {why}")?;
                services.iter().try_for_each(|service| write!(f, "\n  {service}"))
            }
            Self::Left { because } => write!(f, "nothing was put back: {because}"),
        }
    }
}

/// Migrations after which the code of before can't run: what a check of another crate answers, told the commit of the last good release.
#[derive(Clone)]
pub struct OneWay(Arc<Look>);

type Look = dyn Fn(Option<&str>) -> Vec<String> + Send + Sync;

impl OneWay {
    /// Asks `look` after a release that has a migration and failed.
    pub fn new(look: impl Fn(Option<&str>) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }
}

impl fmt::Debug for OneWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneWay")
    }
}

/// After a failure: puts the last good release back where that is due. `None` where the failure has touched no service.
pub(crate) async fn after(
    app: &App,
    failed: &Plan,
    session: &mut Session,
    failure: &Failure,
) -> Option<Restoration> {
    if !touched_services(failure) {
        return None;
    }
    let number = session.number();
    let prepared = tokio::select! {
        biased;
        prepared = prepare(app, failed, session, failure) => prepared,
        () = app.cancel.cancelled() => Err(left("you stopped it")),
    };
    let (to, plan) = match prepared {
        Ok(prepared) => prepared,
        Err(restoration) => return Some(restoration),
    };
    let why = failure.to_string().lines().next().unwrap_or_default().to_owned();
    app.emit.emit(Event::Restoring { failed: number, to, because: why });
    plan.announce(app);
    let put_back = put_back(app, &plan, session, to, number).await;
    Some(match put_back {
        Ok(release) => Restoration::Restored { to, number: release.number },
        Err(failure) => Restoration::Failed { to, why: failure.to_string(), services: services(app).await },
    })
}

/// From apply on services may run what does not work; before it, those alone that the migration needs.
fn touched_services(failure: &Failure) -> bool {
    match (failure.step, &*failure.problem) {
        // Whoever lost the lock may not write.
        (_, Problem::Interrupted | Problem::Lock(_)) => false,
        (Step::Apply | Step::Roll | Step::Verify, _) | (Step::Stage, Problem::Rollout(_)) => true,
        _ => false,
    }
}

/// Whether pods of this release may have shown why it failed.
pub(crate) fn concerns_pods(failure: &Failure) -> bool {
    touched_services(failure) || matches!(*failure.problem, Problem::Migration { .. })
}

fn left(because: &str) -> Restoration {
    Restoration::Left { because: because.to_owned() }
}

/// The release that is to come again, and the plan for it.
async fn prepare(
    app: &App,
    failed: &Plan,
    session: &Session,
    failure: &Failure,
) -> Result<(u64, Plan), Restoration> {
    if !app.restore {
        return Err(left("`--no-restore` was given"));
    }
    if session.were_ill_before(failure) {
        return Err(left("what failed was not well before this release either"));
    }
    let unreadable = |failure: Failure| left(&format!("the releases before can't be read: {failure}"));
    let releases = app.releases().all().await.in_step(Step::Plan).map_err(unreadable)?;
    if failed.desired.migration.is_some()
        && let Some(one_way) = &app.one_way
    {
        let names = (one_way.0)(crate::history::commit_of_last_good(&releases).as_deref());
        if !names.is_empty() {
            let names = names.join(", ");
            return Err(left(&format!(
                "the code of before can't live with {names}, marked `-- +skep contract`"
            )));
        }
    }
    let good = last_good(app, &releases, session.number()).await?;
    releases
        .readable_since(good.number)
        .map_err(|error| left(&format!("what ran before is unknown: {error}")))?;
    let plan = planned(app, &releases, good, failed).await;
    plan.map(|plan| (good.number, plan)).map_err(|failure| Restoration::Failed {
        to: good.number,
        why: failure.to_string(),
        services: Vec::new(),
    })
}

/// The newest good release whose images the registry still has. One whose contents have just failed is no way back.
async fn last_good<'r>(app: &App, releases: &'r [Release], number: u64) -> Result<&'r Release, Restoration> {
    let just_failed = releases.iter().find(|release| release.number == number);
    let is_the_same = |release: &Release| {
        let objects =
            |release: &Release| -> Vec<_> { release.objects.iter().cloned().map(cause::without).collect() };
        just_failed
            .is_some_and(|failed| objects(failed) == objects(release) && failed.secrets == release.secrets)
    };
    let mut gone = Vec::new();
    for release in releases.iter().rev().filter(|release| release.status == ReleaseStatus::Deployed) {
        if is_the_same(release) {
            let number = release.number;
            return Err(left(&format!("the last good release, v{number}, is what has just failed")));
        }
        match images::are_there(app, &release.images, &format!("v{}", release.number)).await {
            Err(failure) if matches!(*failure.problem, Problem::Project { .. }) => {
                gone.push(failure.to_string());
            }
            // A registry that does not answer is no proof; nodes keep what they have run.
            Ok(()) | Err(_) => return Ok(release),
        }
    }
    Err(match gone.first() {
        Some(why) => left(why),
        None => left("no release before this one went well"),
    })
}

async fn planned(app: &App, releases: &Records, good: &Release, failed: &Plan) -> Result<Plan, Failure> {
    let mut desired = rollback::recorded(app, good, releases).await?;
    // What the failed release has recreated can only come back in the same way.
    let recreated = failed.changed().iter().filter(|change| change.verb == Verb::Recreate);
    let is_there =
        |key: &&ObjectKey| desired.all_objects().filter_map(ObjectKey::of).any(|one| one.same_object(key));
    desired.recreate =
        recreated.map(|change| &change.object).filter(is_there).map(ToString::to_string).collect();
    let reason = reason(good.number, failed.newest_release + 1).to_string();
    let plan = plan::against_live(app, desired, None, releases, Force::Yes, &reason).await?;
    bounds::check(app, &plan, &failed.desired.inventory()).await?;
    Ok(plan.only(written_since(good, releases, failed)))
}

fn reason(to: u64, after: u64) -> ReasonForRelease {
    ReasonForRelease::Restore { to, after }
}

/// Everything that a release after the good one has written: nothing else is taken back, least of all from others.
fn written_since(good: &Release, releases: &[Release], failed: &Plan) -> BTreeSet<ObjectKey> {
    let mut written: BTreeSet<ObjectKey> =
        failed.changed().iter().map(|change| change.object.clone()).collect();
    for later in releases.iter().filter(|later| later.number > good.number) {
        for object in &later.objects {
            let Some(key) = ObjectKey::of(object) else { continue };
            let was =
                good.objects.iter().find(|old| ObjectKey::of(old).is_some_and(|old| old.same_object(&key)));
            if was != Some(object) {
                written.insert(key);
            }
        }
        let copies = later.secrets.iter().filter(|(name, version)| good.secrets.get(*name) != Some(*version));
        let secret = |(name, _): (&String, _)| ObjectKey {
            kind: "Secret".to_owned(),
            namespace: later.inventory.iter().find_map(|key| key.namespace.clone()),
            name: name.clone(),
            api_version: "v1".to_owned(),
        };
        written.extend(copies.map(secret));
    }
    written
}

/// The same way as any release, under the same lock; nothing migrates.
async fn put_back(
    app: &App,
    plan: &Plan,
    session: &mut Session,
    to: u64,
    failed: u64,
) -> Result<Release, Failure> {
    session.reopen(app, plan, reason(to, failed)).await?;
    let outcome = tokio::select! {
        biased;
        outcome = stage_and_bring_up(app, plan, session) => outcome,
        () = app.cancel.cancelled() => Err(Failure::at(session.step(), Problem::Interrupted)),
    };
    match outcome {
        Ok(()) => {
            session.close(app, ReleaseStatus::Deployed, None).await?;
            mark(app, failed).await;
            finish::prune(app, plan, session).await?;
            Ok(session.release().clone())
        }
        Err(failure) => {
            finish::close_failed(app, session, &failure).await;
            if concerns_pods(&failure) {
                bundle::keep(app, plan, session, &failure).await;
            }
            Err(failure)
        }
    }
}

async fn stage_and_bring_up(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    steps::stage::stage(app, plan, session).await?;
    bring_up(app, plan, session).await
}

/// The failed release's record says what became of it. That it can't be written makes what runs no worse.
async fn mark(app: &App, failed: u64) {
    let marked = async {
        let mut releases = app.releases().all().await.in_step(Step::Record)?;
        if let Some(release) = releases.iter_mut().find(|release| release.number == failed)
            && release.put_back().is_ok()
        {
            app.releases().save(release).await.in_step(Step::Record)?;
        }
        Ok::<(), Failure>(())
    };
    if let Err(problem) = marked.await {
        let message = format!("v{failed} stays `failed` in the history, though it was taken back: {problem}");
        app.emit.emit(Event::Warning { message });
    }
}

/// Each service as it stands, counted.
async fn services(app: &App) -> Vec<String> {
    let Ok(status) = status(app).await else {
        return vec!["how the services stand can't be read: the cluster does not answer".to_owned()];
    };
    let one = |service: &crate::ServiceStatus| {
        let ready = service.pods.iter().filter(|pod| pod.ready).count();
        let serves = if ready == 0 { ": NOTHING serves it" } else { "" };
        format!("{}: {ready} pods ready, {} wanted{serves}", service.object.name, service.wanted)
    };
    status.services.iter().map(one).collect()
}
