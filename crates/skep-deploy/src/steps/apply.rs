//! apply: everything else is written, wave by wave, all objects of a wave at once.

use serde_json::Value;
use skep_cluster::Force;
use skep_model::{Event, Outcome, Step};

use crate::{App, Failure, Plan, error::InStep, session::Session};

pub(crate) async fn apply(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Apply);
    let applied = write(app, plan, session).await;
    session.clock.settle(Step::Apply, applied, |changed| match changed {
        0 => (Outcome::Unchanged, "every object is as it should be".to_owned()),
        1 => (Outcome::Done, "1 object changed".to_owned()),
        changed => (Outcome::Done, format!("{changed} objects changed")),
    })?;
    Ok(())
}

async fn write(app: &App, plan: &Plan, session: &Session) -> Result<usize, Failure> {
    let mut changed = 0;
    for objects in plan.desired.apply_waves() {
        let planned = |object: &&Value| plan.changes(object);
        changed += objects.iter().filter(planned).count();
        wave(app, session, Step::Apply, &objects, plan.force).await?;
    }
    Ok(changed)
}

/// Applies one wave, after asking whether the lock still stands.
pub(crate) async fn wave(
    app: &App,
    session: &Session,
    step: Step,
    objects: &[Value],
    force: Force,
) -> Result<usize, Failure> {
    session.may_write(step)?;
    let applied = app.cluster.apply_all(objects, force).await.in_step(step)?;
    for applied in &applied {
        app.emit.emit(Event::Applied { object: applied.key.clone(), changed: true });
    }
    Ok(applied.len())
}
