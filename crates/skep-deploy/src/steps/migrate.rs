//! migrate: the gate. A Job named by its template's hash: one that runs is joined, one that is complete is skipped, one that
//! failed is deleted and made again. Conditions decide, not counts.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use skep_cluster::{ClusterError, LogQuery, Snapshot};
use skep_model::{Event, ObjectKey, Outcome, Step};
use skep_rollout::{Observed, Rollout, Verdict, workload::JobState};
use tokio::task::JoinSet;

use super::{apply, roll};
use crate::{
    App, Failure, Plan,
    error::{InStep, Problem},
    owned::{around, owned_by},
    session::{LOOK_UP, Session},
};

/// How many lines of a failed migration's log are shown.
const TAIL: usize = 30;
/// How long the log of an ended migration is waited for.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn migrate(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    let Some(job) = &plan.desired.migration else {
        return Ok(());
    };
    session.clock.start(Step::Migrate);
    let ended = gate(app, plan, job, session).await;
    session.clock.settle(Step::Migrate, ended, |how| match how {
        Gate::WasComplete => (Outcome::Unchanged, "done by an earlier deploy".to_owned()),
        Gate::Joined => (Outcome::Done, "joined a migration that was running".to_owned()),
        Gate::Ran => (Outcome::Done, "done".to_owned()),
    })?;
    Ok(())
}

/// How the gate was passed.
#[derive(Debug, Clone, Copy)]
enum Gate {
    WasComplete,
    Joined,
    Ran,
}

async fn gate(app: &App, plan: &Plan, job: &Value, session: &mut Session) -> Result<Gate, Failure> {
    let Some(key) = ObjectKey::of(job) else {
        return Ok(Gate::WasComplete);
    };
    let found = app.cluster.get(&key).await.in_step(Step::Migrate)?;
    let how = match found.as_ref().map(JobState::read) {
        Some(JobState::Complete) => return Ok(Gate::WasComplete),
        Some(JobState::Running) => Gate::Joined,
        Some(JobState::Failed { .. }) => {
            remove(app, session, &key).await?;
            Gate::Ran
        }
        None => Gate::Ran,
    };
    if matches!(how, Gate::Ran) {
        apply::wave(app, plan, session, Step::Migrate, std::slice::from_ref(job), plan.force, |_| true)
            .await?;
    }
    let migrated = watch(app, session, &key).await?;
    session.forget_the_old_schema(app, migrated).await?;
    Ok(how)
}

/// Deletes the Job of a migration that failed, and waits until it is gone.
async fn remove(app: &App, session: &Session, key: &ObjectKey) -> Result<(), Failure> {
    session.may_write(Step::Migrate).await?;
    app.cluster.delete(key).await.in_step(Step::Migrate)?;
    apply::gone(app, session, key, Step::Migrate).await
}

/// Waits for the Job's end; when that was, by the cluster's clock.
async fn watch(app: &App, session: &Session, key: &ObjectKey) -> Result<Option<Timestamp>, Failure> {
    let mut rollout =
        Rollout::new(app.patience(), app.schema_exit_code, session.past.clone(), skep_ambient::now());
    let mut view = roll::first_look(app, Some(session), Step::Migrate).await?;
    let mut logs = Logs::new(app);
    let mut was_there = false;
    loop {
        session.may_write(Step::Migrate).await?;
        let seen = view.latest();
        logs.follow(seen, key);
        was_there |= seen.get("Job", &key.name).is_some();
        match judge(&mut rollout, seen, key, was_there) {
            Verdict::Ready { .. } => {
                let completed = completion_time(seen, key);
                logs.finish().await;
                return Ok(completed);
            }
            // The lock is looked at though nothing moves: a migration may take its time.
            Verdict::Progressing { .. } => {
                if let Ok(changed) = tokio::time::timeout(LOOK_UP, view.changed()).await {
                    changed.in_step(Step::Migrate)?;
                }
            }
            Verdict::Failed(diagnosis) => {
                let log = logs.finish().await;
                return Err(Failure::at(Step::Migrate, Problem::Migration { diagnosis, log }));
            }
        }
    }
}

fn completion_time(seen: &Snapshot, key: &ObjectKey) -> Option<Timestamp> {
    seen.get("Job", &key.name)?["status"]["completionTime"].as_str()?.parse().ok()
}

fn judge(rollout: &mut Rollout, seen: &Snapshot, key: &ObjectKey, was_there: bool) -> Verdict {
    let around = around(seen);
    let workload = seen.get("Job", &key.name);
    if workload.is_none() && !was_there {
        // Just created: the watch of jobs may be behind the apply's answer.
        return Verdict::Progressing {
            ready: 0,
            wanted: 1,
            old: 0,
            waiting_for: "the job".to_owned(),
            failing: None,
        };
    }
    let verdict = rollout.step(Observed { workload, around: &around }, skep_ambient::now());
    match (verdict, workload) {
        // A Job whose pod can't start has no condition yet; a final symptom of the pod is final for it.
        (moving @ Verdict::Progressing { .. }, Some(job)) => {
            roll::final_symptom(&owned_by(job, &seen.all("Pod")), &around.events)
                .map_or(moving, Verdict::Failed)
        }
        (verdict, _) => verdict,
    }
}

/// Follows the log of each of the Job's pods as it runs.
struct Logs {
    app: App,
    followed: BTreeSet<String>,
    tasks: JoinSet<Vec<String>>,
}

impl Logs {
    fn new(app: &App) -> Self {
        Self { app: app.clone(), followed: BTreeSet::new(), tasks: JoinSet::new() }
    }

    fn follow(&mut self, seen: &Snapshot, key: &ObjectKey) {
        let Some(job) = seen.get("Job", &key.name) else {
            return;
        };
        for pod in owned_by(job, &seen.all("Pod")) {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let status = &pod["status"]["containerStatuses"][0]["state"];
            let started = status["running"].is_object() || status["terminated"].is_object();
            if started && self.followed.insert(name.clone()) {
                self.tasks.spawn(read(self.app.clone(), name));
            }
        }
    }

    /// The last lines, once the logs have ended.
    async fn finish(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let all = async {
            while let Some(task) = self.tasks.join_next().await {
                lines.extend(task.unwrap_or_default());
            }
        };
        if tokio::time::timeout(LOG_PATIENCE, all).await.is_err() {
            self.tasks.abort_all();
        }
        let surplus = lines.len().saturating_sub(TAIL);
        lines.split_off(surplus)
    }
}

async fn read(app: App, pod: String) -> Vec<String> {
    let query = LogQuery { namespace: app.namespace().to_owned(), pod, follow: true, ..LogQuery::default() };
    let mut lines = Vec::new();
    let mut each = |line: String| {
        app.emit.emit(Event::MigrateOutput { line: line.clone() });
        lines.push(line);
    };
    match app.cluster.log_lines(&query).await {
        Ok(stream) => {
            let mut stream = std::pin::pin!(stream);
            while let Some(Ok(line)) = stream.next().await {
                each(line);
            }
        }
        Err(withheld @ ClusterError::Withheld { .. }) => each(withheld.to_string()),
        Err(_) => {}
    }
    lines
}
