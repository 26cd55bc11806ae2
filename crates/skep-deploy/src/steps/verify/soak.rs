//! The soak: for a while, no container of the release may end, and none that was ready may cease to be.

use std::collections::BTreeMap;

use serde_json::Value;
use skep_model::{ObjectKey, Step};
use skep_rollout::{Observed, Soak};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    App, Failure, Plan, diagnose,
    error::{InStep, Problem},
    owned::around,
    session::{LOOK_UP, Session},
    steps::roll::WORDS,
};

pub(super) async fn soak(app: &App, plan: &Plan, session: &Session) -> Result<(), Failure> {
    let end = Instant::now() + app.project.rollout.soak;
    if app.project.rollout.soak.is_zero() {
        return Ok(());
    }
    let workloads: Vec<ObjectKey> = plan.desired.workloads().filter_map(ObjectKey::of).collect();
    let counts =
        |key: &&ObjectKey| !session.ill_before().contains_key(*key) && !matches!(key.kind.as_str(), "Job");
    let mut soaks: BTreeMap<&ObjectKey, Soak> =
        workloads.iter().filter(counts).map(|key| (key, Soak::default())).collect();
    let mut view = app.cluster.view(app.namespace());
    let mut wordless = None;
    loop {
        session.may_write(Step::Verify).await?;
        let next = match wordless {
            None => (Instant::now() + LOOK_UP).min(end),
            Some(since) => since + WORDS,
        };
        match timeout_at(next, view.changed()).await {
            Ok(changed) => {
                changed.in_step(Step::Verify)?;
            }
            Err(_) => sleep_until(next).await,
        }
        let seen = view.latest();
        let around = around(seen);
        let one = |(key, soak): (&&ObjectKey, &mut Soak)| {
            let workload: Option<&Value> = seen.get(&key.kind, &key.name);
            soak.step(Observed { workload, around: &around }).map(|diagnosis| ((*key).clone(), diagnosis))
        };
        let failed: Vec<_> = soaks.iter_mut().filter_map(one).collect();
        let lacks_words = failed.iter().any(|(_, diagnosis)| diagnosis.cause.lacks_words());
        if lacks_words && wordless.get_or_insert_with(Instant::now).elapsed() < WORDS {
            continue;
        }
        if !failed.is_empty() {
            let failed = diagnose::all_explained(app, seen, failed, session.has_migrated()).await;
            return Err(Failure::at(Step::Verify, Problem::Unsteady(failed)));
        }
        if Instant::now() >= end {
            return Ok(());
        }
    }
}
