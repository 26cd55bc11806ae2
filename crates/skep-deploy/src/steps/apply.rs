//! apply: everything else is written, wave by wave, all objects of a wave at once.

use std::time::Duration;

use serde_json::Value;
use skep_cluster::Force;
use skep_model::{Event, ObjectKey, Outcome, Step};

use crate::{App, Failure, Plan, adopt, error::InStep, session::Session};

/// How often an object that is being deleted is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

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
    for objects in &waves {
        changed += objects.iter().filter(|object| plan.changes(object)).count();
        adopt::take_over(app, plan, objects, step).await?;
        make_room(app, plan, session, objects, step).await?;
        wave(app, session, step, objects, plan.force, |object| plan.changes(object)).await?;
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
        session.may_write(step)?;
        app.cluster.delete(&key).await.in_step(step)?;
        while app.cluster.get(&key).await.in_step(step)?.is_some() {
            session.may_write(step)?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Applies one wave, after asking whether the lock still stands. `changes` tells what is news.
pub(crate) async fn wave(
    app: &App,
    session: &Session,
    step: Step,
    objects: &[Value],
    force: Force,
    changes: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    session.may_write(step)?;
    let applied = app.cluster.apply_all(objects, force).await.in_step(step)?;
    for (object, applied) in objects.iter().zip(applied) {
        app.emit.emit(Event::Applied { object: applied.key, changed: changes(object) });
    }
    Ok(())
}
