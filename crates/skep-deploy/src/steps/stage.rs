//! stage: what must be there before the migration and the services: storage, RBAC, versioned config and secrets, and the
//! workloads that the migration needs, which are awaited.

use serde_json::Value;
use skep_cluster::Force;
use skep_model::Step;

use super::{apply, roll};
use crate::{App, Failure, Plan, session::Session};

pub(crate) async fn stage(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    session.clock.start(Step::Stage);
    let staged = write(app, plan, session).await;
    session.clock.settle(Step::Stage, staged, |changed| apply::summary(*changed)).map(|_| ())
}

async fn write(app: &App, plan: &Plan, session: &mut Session) -> Result<usize, Failure> {
    let keys = plan.keys.as_slice();
    apply::wave(app, plan, session, Step::Stage, keys, Force::Yes, |_| true).await?;
    let renewed = plan.pull_secrets.write(app, Step::Stage).await?;
    let changed = apply::waves(app, session, Step::Stage, plan.desired.stage_waves(), plan).await?;
    let needed: Vec<&Value> = plan.desired.needed_workloads().collect();
    if !needed.is_empty() {
        roll::await_ready(app, Some(session), Step::Stage, &needed).await?;
    }
    Ok(changed + keys.len() + renewed)
}
