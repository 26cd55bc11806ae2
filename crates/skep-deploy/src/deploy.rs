//! `skep deploy`: the story, in order.

use skep_model::{ReasonForRelease, Release, ReleaseStatus, Step};

use crate::{
    App, Failure, Plan,
    error::Problem,
    finish, plan,
    session::Session,
    steps::{self, Clock},
};

/// What is to be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeployRequest {
    /// Only these services; all when empty.
    pub services: Vec<String>,
    /// Where the images come from.
    pub images: Images,
}

/// Where a deploy's images come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Images {
    /// They are built from what lies here.
    #[default]
    Build,
    /// Those of this commit if the registry has them, else the last release's.
    AsTheyAre,
    /// Those of a tag.
    Tagged(String),
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
    let mut clock = Clock::new(&app.emit);
    let planned = tokio::select! {
        planned = prepare(app, request, &mut clock) => planned,
        () = app.cancel.cancelled() => Err(Failure::at(Step::Plan, Problem::Interrupted)),
    };
    let plan = planned?;
    if plan.is_empty() {
        return Ok(Done { release: None, plan });
    }
    ship(app, plan, ReasonForRelease::Deploy, clock).await
}

/// Up to the plan: the cluster is read and not written.
async fn prepare(app: &App, request: &DeployRequest, clock: &mut Clock) -> Result<Plan, Failure> {
    let manifests = steps::load::load(app, clock)?;
    steps::check::check(app, &manifests, request, clock)?;
    let images = steps::images::ready(app, request, &manifests, clock).await?;
    plan::make(app, request, &manifests, &images, clock).await
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
        outcome = change_the_cluster(app, &plan, &mut session) => outcome,
        () = app.cancel.cancelled() => Err(Failure::at(session.step(), Problem::Interrupted)),
    };
    match outcome {
        Ok(()) => {
            let release = session.close(app, ReleaseStatus::Deployed, None).await?;
            finish::prune(app, &plan, &release, &mut session).await?;
            session.end().await?;
            Ok(Done { release: Some(release), plan })
        }
        Err(failure) => Err(finish::failed(app, session, failure).await),
    }
}

async fn change_the_cluster(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    steps::stage::stage(app, plan, session).await?;
    steps::migrate::migrate(app, plan, session).await?;
    steps::apply::apply(app, plan, session).await?;
    steps::roll::roll(app, plan, session).await?;
    steps::verify::verify(app, session).await
}
