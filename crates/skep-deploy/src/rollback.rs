//! `skep rollback`: an earlier release's contents under a new number. It never migrates.

use skep_cluster::Force;
use skep_model::{Event, ObjectKey, Outcome, ReasonForRelease, Release, ReleaseStatus, Step};

use crate::{
    App, Done, Failure,
    deploy::ship,
    desired::{Desired, Secrets},
    error::{InStep, Problem},
    plan,
    steps::{Clock, images},
};

/// Which release is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RollbackRequest {
    /// Its number; the last good one before what runs now if `None`.
    pub to: Option<u64>,
}

/// Puts a release back: images, config, secrets and manifests.
///
/// # Errors
/// When there is no such release, when its images or secrets are gone, and as `deploy`.
pub async fn rollback(app: &App, request: &RollbackRequest) -> Result<Done, Failure> {
    let mut clock = Clock::new(&app.emit);
    clock.start(Step::Plan);
    let planned = prepare(app, request).await;
    let (plan, to) =
        clock.settle(Step::Plan, planned, |(_, to)| (Outcome::Done, format!("back to v{to}")))?;
    if plan.is_empty() {
        return Ok(Done { release: None, plan });
    }
    ship(app, plan, ReasonForRelease::Rollback { to }, clock).await
}

async fn prepare(app: &App, request: &RollbackRequest) -> Result<(plan::Plan, u64), Failure> {
    let releases = app.releases().all().await.in_step(Step::Plan)?;
    let target = choose(&releases, request.to)?;
    images::are_there(app, &target.images, &format!("release v{}", target.number)).await?;
    let mut desired = Desired::recorded(target, None);
    desired.secrets = secrets(app, target).await?;
    let current = releases.last().map_or(0, |release| release.number);
    tell_migrations(app, &releases, target, current);
    let plan = plan::against_live(app, desired, None, &releases, Force::Yes).await?;
    Ok((plan, target.number))
}

/// The last good release before the one that runs; or the one that was asked for, if it was good.
fn choose(releases: &[Release], asked: Option<u64>) -> Result<&Release, Failure> {
    let refused =
        |what: String, hint: &str| Failure::at(Step::Plan, Problem::Project { what, hint: hint.to_owned() });
    let good = |release: &&Release| release.status == ReleaseStatus::Deployed;
    match asked {
        Some(number) => match releases.iter().find(|release| release.number == number) {
            Some(release) if good(&release) => Ok(release),
            Some(release) => Err(refused(
                format!("release v{number} is {}, not deployed", release.status),
                "`skep history` shows which were good",
            )),
            None => {
                Err(refused(format!("there is no release v{number}"), "`skep history` shows which are kept"))
            }
        },
        None => earlier(releases).ok_or_else(|| {
            refused(
                "there is no earlier good release to go back to".to_owned(),
                "`skep history` shows which are kept",
            )
        }),
    }
}

/// The release before the one that runs, by contents: a rollback runs what it went back to, so the next one goes further back.
fn earlier(releases: &[Release]) -> Option<&Release> {
    let good = |release: &&Release| release.status == ReleaseStatus::Deployed;
    let newest = releases.last()?;
    if !good(&newest) {
        return releases.iter().rfind(good);
    }
    let runs = match newest.reason {
        ReasonForRelease::Rollback { to } => to,
        ReasonForRelease::Deploy | ReasonForRelease::Adopted => newest.number,
    };
    let contents = |release: &Release| (release.images.clone(), release.objects.clone());
    let now = contents(newest);
    releases.iter().rfind(|release| release.number < runs && good(release) && contents(release) != now)
}

/// The plain copies of the release's Secrets, made from its versions, which must still be there.
async fn secrets(app: &App, release: &Release) -> Result<Secrets, Failure> {
    let mut named: Vec<_> = release.objects.iter().flat_map(skep_manifest::config_references).collect();
    named.sort();
    named.dedup();
    let mut copies = Vec::new();
    for reference in named.into_iter().filter(|reference| reference.kind == "Secret") {
        let key = ObjectKey {
            kind: "Secret".to_owned(),
            namespace: Some(app.namespace().to_owned()),
            name: reference.name,
            api_version: "v1".to_owned(),
        };
        match app.cluster.get(&key).await.in_step(Step::Plan)? {
            Some(found) => copies.extend(skep_manifest::copy_of_version(&found)),
            None => return Err(gone(&key, release)),
        }
    }
    Ok(Secrets(copies))
}

fn gone(key: &ObjectKey, release: &Release) -> Failure {
    let what = format!("release v{} can't come back: {key} is gone", release.number);
    Failure::at(
        Step::Plan,
        Problem::Project { what, hint: "check out its commit and deploy that".to_owned() },
    )
}

/// Migrations are never undone; the user is told which have run since.
fn tell_migrations(app: &App, releases: &[Release], target: &Release, current: u64) {
    let job = |release: &Release| {
        release.inventory.iter().find(|key| key.kind == "Job").map(|key| key.name.clone())
    };
    let then = job(target);
    let now = releases.iter().rfind(|release| release.number <= current).and_then(job);
    if let Some(now) = now.filter(|now| Some(now) != then.as_ref()) {
        let message =
            format!("migrations stay: the schema is as {now} left it, and v{} runs on it", target.number);
        app.emit.emit(Event::Warning { message });
    }
}
