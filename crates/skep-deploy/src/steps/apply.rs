//! apply: everything else is written, wave by wave, all objects of a wave at once.

use std::time::Duration;

use serde_json::Value;
use skep_cluster::Force;
use skep_model::{Event, ObjectKey, Outcome, Step};
use tokio::time::Instant;

use super::definitions;
use crate::{
    App, Failure, Plan, adopt,
    error::{InStep, Problem},
    session::Session,
};

/// How often an object that is being deleted is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long it may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn apply(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Apply);
    let applied = waves(app, session, Step::Apply, plan.desired.apply_waves(), plan).await;
    session.clock.settle(Step::Apply, applied, |changed| summary(*changed)).map(|_| ())
}

/// How many objects changed, in words.
pub(crate) fn summary(changed: usize) -> (Outcome, String) {
    match changed {
        0 => (Outcome::Unchanged, "every object is as it should be".to_owned()),
        1 => (Outcome::Done, "1 object changed".to_owned()),
        changed => (Outcome::Done, format!("{changed} objects changed")),
    }
}

/// Applies planned objects, a wave after the other; how many of them the plan saw differ.
pub(crate) async fn waves(
    app: &App,
    session: &Session,
    step: Step,
    waves: Vec<Vec<Value>>,
    plan: &Plan,
) -> Result<usize, Failure> {
    let mut changed = 0;
    for mut objects in waves {
        objects.retain(|object| plan.may_write(object));
        let objects = &objects;
        changed += objects.iter().filter(|object| plan.changes(object)).count();
        adopt::take_over(app, plan, objects, step).await?;
        make_room(app, plan, session, objects, step).await?;
        wave(app, plan, session, step, objects, plan.force, |object| plan.changes(object)).await?;
        definitions::served(app, session, objects, step).await?;
    }
    Ok(changed)
}

/// Deletes what is to be made anew, and waits until it is gone.
async fn make_room(
    app: &App,
    plan: &Plan,
    session: &Session,
    objects: &[Value],
    step: Step,
) -> Result<(), Failure> {
    for key in objects.iter().filter_map(ObjectKey::of).filter(|key| plan.recreates(key)) {
        session.may_write(step).await?;
        app.cluster.delete(&key).await.in_step(step)?;
        let message = format!("{key} is deleted, and made anew once it is gone");
        app.emit.emit(Event::Warning { message });
        gone(app, session, &key, step).await?;
    }
    Ok(())
}

/// Waits until an object that was deleted is gone.
pub(super) async fn gone(app: &App, session: &Session, key: &ObjectKey, step: Step) -> Result<(), Failure> {
    let since = Instant::now();
    while app.cluster.get(key).await.in_step(step)?.is_some() {
        session.may_write(step).await?;
        if since.elapsed() > GONE_WITHIN {
            let what = format!("{key} is still there {} s after it was deleted", GONE_WITHIN.as_secs());
            let hint =
                format!("something holds it: look at `metadata.finalizers` of {key}, then deploy again");
            return Err(Failure::at(step, Problem::Project { what, hint }));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Applies one wave, after asking whether the lock still stands. `changes` tells what is news.
pub(crate) async fn wave(
    app: &App,
    plan: &Plan,
    session: &Session,
    step: Step,
    objects: &[Value],
    force: Force,
    changes: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    session.may_write(step).await?;
    let substituted = &plan.desired.substituted;
    let filled: Vec<Value> = objects.iter().map(|object| substituted.fill(object).into_owned()).collect();
    let applied = session.watched(step, app.cluster.apply_all(&filled, force)).await?;
    let applied = applied.map_err(|error| substituted.mask_error(error)).in_step(step)?;
    for (object, applied) in objects.iter().zip(applied) {
        app.emit.emit(Event::Applied { object: applied.key, changed: changes(object) });
    }
    Ok(())
}
