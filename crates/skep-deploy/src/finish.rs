//! The ends of a deploy: what is removed after a good one, what is said after a bad one.

use skep_model::{Event, Outcome, Release, ReleaseStatus, Step};

use crate::{
    App, Failure, Plan, Removal, RemovalReason, Restoration, bundle,
    error::{InStep, Problem},
    notify,
    plan::InUse,
    restore,
    session::Session,
    status::status,
    steps::images::keeping_tag,
};

/// Closes the record of a deploy that failed, puts the last good release back where that is due, and gives the lock back; the
/// failure says where things stand.
pub(crate) async fn failed(app: &App, plan: &Plan, mut session: Session, mut failure: Failure) -> Failure {
    failure.release = Some(session.number());
    close_failed(app, &mut session, &failure).await;
    let release = session.release().clone();
    // What comes again takes the pods away that show why.
    failure.bundle = restore::concerns_pods(&failure) && bundle::keep(app, plan, &session, &failure).await;
    failure.restoration = restore::after(app, plan, &mut session, &failure).await;
    failure.standing = match &failure.restoration {
        Some(Restoration::Restored { .. } | Restoration::Failed { .. }) => None,
        Some(Restoration::Left { .. }) | None => Some(match failure.step {
            Step::Roll => who_serves(app, &failure).await.unwrap_or_else(|| standing(Step::Roll).to_owned()),
            step => standing(step).to_owned(),
        }),
    };
    session.end(app).await;
    notify::tell(app, &release, Some(&failure)).await;
    failure
}

/// Closes the record of a release that failed, or was stopped.
pub(crate) async fn close_failed(app: &App, session: &mut Session, failure: &Failure) {
    let status = match *failure.problem {
        Problem::Interrupted => ReleaseStatus::Interrupted,
        _ => ReleaseStatus::Failed,
    };
    session.clock.abandon("stopped");
    if let Err(problem) = session.close(app, status, Some(failure.to_string())).await {
        app.emit.emit(Event::Warning {
            message: format!("the record of the failed release could not be closed: {problem}"),
        });
    }
}

/// Which of the services that failed are still served, counted, not assumed.
async fn who_serves(app: &App, failure: &Failure) -> Option<String> {
    let Problem::Rollout(failed) = &*failure.problem else { return None };
    let status = status(app).await.ok()?;
    let mut said = Vec::new();
    for service in status
        .services
        .iter()
        .filter(|service| failed.iter().any(|one| one.workload == service.object.to_string()))
    {
        let name = &service.object.name;
        said.push(match service.pods.iter().filter(|pod| pod.ready).count() {
            0 => format!(
                "NOTHING serves {name} now: `skep rollback` puts the last good release back, if there is one"
            ),
            1 => format!("1 pod of the release before serves {name}"),
            pods => format!("{pods} pods of the release before serve {name}"),
        });
    }
    Some(said.join("; "))
}

/// What runs after a failure in this step.
fn standing(step: Step) -> &'static str {
    match step {
        Step::Load | Step::Check | Step::Build | Step::Push | Step::Plan | Step::Lock => {
            "nothing was changed"
        }
        Step::Stage => "no service was changed; new config and what the migration needs may be there already",
        Step::Migrate => "no service was changed",
        Step::Apply => {
            "some objects are written: running services go on, and `skep deploy` or `skep rollback` completes the change"
        }
        Step::Roll => "pods of the old release keep serving where the new ones are not ready",
        Step::Verify | Step::Record | Step::Prune => "the new release runs",
    }
}

/// Deletes what the plan has named, then the records that are too old.
pub(crate) async fn prune(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Prune);
    let pruned = remove(app, plan, session).await;
    session.clock.settle(Step::Prune, pruned, |removed| match removed {
        0 => (Outcome::Unchanged, "nothing to remove".to_owned()),
        1 => (Outcome::Done, "1 object removed".to_owned()),
        removed => (Outcome::Done, format!("{removed} objects removed")),
    })?;
    Ok(())
}

async fn remove(app: &App, plan: &Plan, session: &mut Session) -> Result<usize, Failure> {
    let store = app.releases();
    let all = store.all().await.in_step(Step::Prune)?;
    // What a record that can't be read needs is unknown.
    if !all.unreadable().is_empty() {
        let message = "nothing is pruned while a release record can't be read".to_owned();
        app.emit.emit(Event::Warning { message });
        return Ok(0);
    }
    let (kept, old) = keep(&all, app.project.keep_releases);
    let is_unused = |removal: &Removal| removal.because == RemovalReason::Unused;
    // A pod may have come since the plan was made.
    let in_use = match plan.removals().iter().any(is_unused) {
        true => InUse::read(app, Step::Prune).await?,
        false => InUse::Unknown,
    };
    let mut removed = Vec::new();
    for removal in plan.removals().iter().filter(|one| !is_unused(one) || !in_use.contains(&one.object)) {
        let key = &removal.object;
        session.may_write(Step::Prune).await?;
        // Another client may have created an object of this name since: that one isn't the app's.
        let ours = app.cluster.get(key).await.in_step(Step::Prune)?.is_some_and(|live| app.owns(&live));
        if ours && app.cluster.delete(key).await.in_step(Step::Prune)? {
            app.emit.emit(Event::Pruned { object: key.clone() });
            removed.push(key.clone());
        }
    }
    let count = removed.len();
    session.record_removed(app, removed).await?;
    for release in old {
        session.may_write(Step::Prune).await?;
        let_go_of_images(app, release, &kept).await?;
        bundle::store(app).remove(release.number).await.in_step(Step::Prune)?;
        store.remove(release.number).await.in_step(Step::Prune)?;
    }
    Ok(count)
}

/// The registry may clean up what only this release ran.
async fn let_go_of_images(app: &App, release: &Release, kept: &[&Release]) -> Result<(), Failure> {
    for (name, digest) in &release.images {
        if kept.iter().all(|kept| kept.images.get(name) != Some(digest)) {
            let image = app.repository(name).in_step(Step::Prune)?;
            app.images.untag(&image, &keeping_tag(digest)).await.in_step(Step::Prune)?;
        }
    }
    Ok(())
}

/// The newest good releases, all that came after the oldest of them, and the rest.
fn keep(all: &[Release], how_many: usize) -> (Vec<&Release>, Vec<&Release>) {
    let good: Vec<u64> = all
        .iter()
        .filter(|release| release.status == ReleaseStatus::Deployed)
        .map(|release| release.number)
        .collect();
    let oldest = match good.len().checked_sub(how_many.max(1)) {
        Some(surplus) if surplus > 0 => good[surplus],
        _ => 0,
    };
    all.iter().partition(|release| release.number >= oldest)
}
