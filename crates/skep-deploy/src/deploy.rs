//! `skep deploy`: the story, in order.

use std::collections::BTreeMap;

use skep_model::{
    AppName, Digest, Event, ImageRef, ImageRefError, ReasonForRelease, Release, ReleaseStatus, Step,
};
use skep_registry::Client;

use crate::{
    App, Failure, Plan, checks,
    context::repository,
    error::{InStep, Problem},
    finish, notify,
    plan::{self, Purpose, SavedPlan},
    session::Session,
    steps::{self, Clock},
};

/// How often a plan is made again because another release came between.
const TRIES: u32 = 3;

/// What is to be deployed.
#[derive(Debug, Clone, Default)]
pub struct DeployRequest {
    /// Only these services; all when empty.
    pub services: Vec<String>,
    /// Where the images come from.
    pub images: Images,
    /// New config and secrets alone: images and manifests are those of the last good release, and nothing migrates.
    pub config_only: bool,
    /// What only objects to a deploy becomes a warning.
    pub hotfix: bool,
    /// Objects that may be deleted and made anew, as `Kind/name`.
    pub recreate: Vec<String>,
    /// Await the services and ask the URLs even when nothing has to be changed.
    pub settle: bool,
}

/// Where a deploy's images come from.
#[derive(Debug, Clone, Default)]
pub enum Images {
    /// They are built from what lies here.
    #[default]
    Build,
    /// Those of this commit if the registry has them, else the last release's.
    AsTheyAre,
    /// Those of a tag.
    Tagged(String),
    /// The very ones that run somewhere else.
    Promoted(Box<Running>),
}

/// What runs on a target: its last good release.
#[derive(Debug, Clone)]
pub struct Running {
    /// The release, `staging v12`.
    pub release: String,
    /// Where its images are: host and path.
    pub registry: String,
    /// What reads them there.
    pub client: Client,
    /// The app, which their names are made of.
    pub app: AppName,
    /// Our images by name.
    pub images: BTreeMap<String, Digest>,
    /// What they were built from.
    pub commits: BTreeMap<String, String>,
}

/// What runs on the app's target, to be promoted to another.
///
/// # Errors
/// When nothing good runs there, or the API fails.
pub async fn running(app: &App) -> Result<Running, Failure> {
    let releases = app.releases().all().await.in_step(Step::Load)?;
    let newest_good = releases.iter().rfind(|release| release.status == ReleaseStatus::Deployed);
    // A newer record that can't be read may be of what runs.
    releases.readable_since(newest_good.map_or(0, |good| good.number)).in_step(Step::Load)?;
    let good = newest_good.cloned();
    let target = &app.project.target;
    let release = good.ok_or_else(|| {
        let what = format!("nothing can be promoted: {target} has no release that went well");
        let hint = format!("`skep deploy -t {target}` first");
        Failure::at(Step::Load, Problem::Project { what, hint })
    })?;
    Ok(Running {
        release: format!("{target} v{}", release.number),
        registry: app.registry.clone(),
        client: app.images.clone(),
        app: app.project.app.clone(),
        images: release.images,
        commits: release.commits,
    })
}

impl Running {
    pub(crate) fn repository(&self, image: &str) -> Result<ImageRef, ImageRefError> {
        repository(&self.registry, &self.app, image)
    }
}

/// A deploy that ended well.
#[derive(Debug, Clone)]
pub struct Done {
    /// The release, unless nothing had to be changed.
    pub release: Option<Release>,
    /// What was done.
    pub plan: Plan,
}

/// Ships the app.
///
/// # Errors
/// A [`Failure`] names the step. From the lock on, the release is closed with its outcome before this returns.
pub async fn deploy(app: &App, request: &DeployRequest) -> Result<Done, Failure> {
    retried(app, || deploy_once(app, request)).await
}

/// Plans again when another release came between plan and lock.
pub(crate) async fn retried<F>(app: &App, mut once: impl FnMut() -> F) -> Result<Done, Failure>
where
    F: Future<Output = Result<Done, Failure>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match once().await {
            Err(failure) if failure.is_stale_plan() && tries < TRIES => {
                let message = "another deploy was faster; planning again".to_owned();
                app.emit.emit(Event::Warning { message });
            }
            done => return done,
        }
    }
}

/// Carries out a plan that was saved, or refuses because something has moved since.
///
/// # Errors
/// As [`deploy`].
pub async fn deploy_saved(app: &App, saved: SavedPlan) -> Result<Done, Failure> {
    let mut clock = Clock::new(&app.emit);
    let plan = tokio::select! {
        biased;
        plan = saved.revive(app, &mut clock) => plan?,
        () = app.cancel.cancelled() => return Err(Failure::at(Step::Plan, Problem::Interrupted)),
    };
    if plan.is_empty() {
        plan.pull_secrets.write(app, Step::Stage).await?;
        if !plan.is_settled() {
            settle(app, &plan, &mut clock).await?;
        }
        return Ok(Done { release: None, plan });
    }
    ship(app, plan, ReasonForRelease::Deploy, clock).await
}

/// What a deploy would do. Images are built and pushed, since a plan for images that nobody has built would be a guess; the
/// cluster is read and not written.
///
/// # Errors
/// A [`Failure`] names the step.
pub async fn plan(app: &App, request: &DeployRequest) -> Result<Plan, Failure> {
    let mut clock = Clock::new(&app.emit);
    let planned = tokio::select! {
        biased;
        planned = prepare(app, request, Purpose::Show, &mut clock) => planned,
        () = app.cancel.cancelled() => Err(Failure::at(Step::Plan, Problem::Interrupted)),
    };
    if planned.is_err() {
        clock.abandon("stopped");
    }
    planned
}

async fn deploy_once(app: &App, request: &DeployRequest) -> Result<Done, Failure> {
    let mut clock = Clock::new(&app.emit);
    let planned = tokio::select! {
        biased;
        planned = prepare(app, request, Purpose::Ship, &mut clock) => Some(planned),
        () = app.cancel.cancelled() => None,
    };
    let plan = planned.unwrap_or_else(|| {
        clock.abandon("stopped");
        Err(Failure::at(clock.step(), Problem::Interrupted))
    })?;
    if plan.is_empty() {
        plan.pull_secrets.write(app, Step::Stage).await?;
        if request.settle || !plan.is_settled() {
            settle(app, &plan, &mut clock).await?;
        }
        return Ok(Done { release: None, plan });
    }
    ship(app, plan, ReasonForRelease::Deploy, clock).await
}

/// Nothing is to be changed, but what runs may not be up: after the machine was restarted, or somebody deleted pods.
pub(crate) async fn settle(app: &App, plan: &Plan, clock: &mut Clock) -> Result<(), Failure> {
    let up = async {
        steps::roll::settle(app, plan, clock).await?;
        steps::verify::check(app, plan, clock).await
    };
    tokio::select! {
        biased;
        up = up => up,
        () = app.cancel.cancelled() => Err(Failure::at(Step::Roll, Problem::Interrupted)),
    }
}

/// Up to the plan: the cluster is read and not written.
async fn prepare(
    app: &App,
    request: &DeployRequest,
    purpose: Purpose,
    clock: &mut Clock,
) -> Result<Plan, Failure> {
    let manifests = steps::load::load(app, clock)?;
    steps::check::check(app, &manifests, request, clock)?;
    let of_what_runs = request.config_only || matches!(request.images, Images::AsTheyAre);
    let known = if of_what_runs { Some(plan::Known::read(app, Step::Push).await?) } else { None };
    let images = steps::images::ready(app, request, &manifests, known.as_ref(), clock).await?;
    let plan = plan::make(app, request, &manifests, &images, known, purpose, clock).await?;
    if purpose == Purpose::Ship && !plan.is_empty() {
        checks::online(app, &plan, &manifests).await?;
    }
    Ok(plan)
}

/// From the lock on: the same for a deploy and a rollback.
pub(crate) async fn ship(
    app: &App,
    plan: Plan,
    reason: ReasonForRelease,
    clock: Clock,
) -> Result<Done, Failure> {
    let mut session = Session::open(app, &plan, reason, clock).await?;
    let outcome = tokio::select! {
        biased;
        outcome = change_the_cluster(app, &plan, &mut session) => outcome,
        () = app.cancel.cancelled() => Err(Failure::at(session.step(), Problem::Interrupted)),
    };
    match outcome {
        Ok(()) => {
            session.close(app, ReleaseStatus::Deployed, None).await?;
            finish::prune(app, &plan, &mut session).await?;
            let release = session.release().clone();
            session.end(app).await;
            notify::tell(app, &release, None).await;
            Ok(Done { release: Some(release), plan })
        }
        Err(failure) => Err(Box::pin(finish::failed(app, &plan, session, failure)).await),
    }
}

async fn change_the_cluster(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    steps::stage::stage(app, plan, session).await?;
    steps::migrate::migrate(app, plan, session).await?;
    bring_up(app, plan, session).await
}

/// From the first object that services run by to the proof that they work.
pub(crate) async fn bring_up(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    steps::apply::apply(app, plan, session).await?;
    steps::roll::roll(app, plan, session).await?;
    steps::verify::verify(app, plan, session).await
}
