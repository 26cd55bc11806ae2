//! Runs jobs when they are due. One task per job; each run is claimed in the database first, so any number of workers may run.

use std::time::{Duration, Instant};

use honeydue_service::Drain;
use honeydue_store::{
    StoreError,
    jobs::{Claim, NOTHING},
};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::{due::Schedule, table::Tools};

/// A run whose worker was not heard of for this long is over.
const LEASE: Duration = Duration::from_secs(60);
/// After a failure to reach the database.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long a run waits for a bucket that does not answer: it may start together with the worker.
const BUCKET_WAIT: Duration = Duration::from_secs(5 * 60);
/// The pause between two requests to it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What the jobs of one worker share.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) tools: Tools,
    pub(crate) worker: String,
    pub(crate) drain: Drain,
}

impl Runner {
    /// Runs every job until the drain begins and the runs that are under way have ended.
    pub(crate) async fn run(self, schedules: Vec<Schedule>) {
        let mut jobs = JoinSet::new();
        for schedule in schedules {
            let runner = self.clone();
            jobs.spawn(async move { runner.keep(&schedule).await });
        }
        while let Some(ended) = jobs.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a job's task ended badly");
            }
        }
    }

    /// Runs one job at its ticks. A tick that was missed while no worker was up is made good once, at start.
    async fn keep(&self, schedule: &Schedule) {
        let mut due = self.missed(schedule).await;
        loop {
            if due.is_some() && schedule.job.work.needs_bucket() && !self.wait_for_bucket(schedule).await {
                return;
            }
            if let Some(tick) = due
                && let Err(error) = self.run_once(schedule, tick).await
            {
                tracing::warn!(job = schedule.job.name, %error, "a run was not recorded; trying again");
                if !self.pause(RETRY_AFTER).await {
                    return;
                }
                continue;
            }
            let now = Timestamp::now();
            let Some(next) = schedule.next(now) else { return };
            let wait = Duration::try_from(next - now).unwrap_or(RETRY_AFTER);
            if !self.pause(wait).await {
                return;
            }
            due = Some(next);
        }
    }

    /// Waits for a bucket that does not answer, before the run is claimed: a bucket that isn't up yet must not count as a failed
    /// run. One that stays away or refuses fails the run itself. Returns false if the drain began first.
    async fn wait_for_bucket(&self, schedule: &Schedule) -> bool {
        let Some(storage) = &self.tools.storage else { return true };
        let begun = Instant::now();
        while let Err(error) = storage.answers().await {
            if !error.is_passing() || begun.elapsed() >= BUCKET_WAIT {
                break;
            }
            tracing::warn!(job = schedule.job.name, %error, "the bucket does not answer yet; the run waits for it");
            if !self.pause(LOOK_AGAIN).await {
                return false;
            }
        }
        true
    }

    async fn missed(&self, schedule: &Schedule) -> Option<Timestamp> {
        let tick = schedule.latest(Timestamp::now())?;
        match self.tools.store.missed_run(schedule.job.name, tick).await {
            Ok(missed) => missed.then_some(tick),
            // Claiming is exclusive anyway: when in doubt, try.
            Err(_) => Some(tick),
        }
    }

    /// Claims and does one run; does nothing when another worker has it.
    async fn run_once(&self, schedule: &Schedule, tick: Timestamp) -> Result<(), StoreError> {
        let job = schedule.job;
        let Some(claim) = self.tools.store.claim_run(job.name, tick, &self.worker, LEASE).await? else {
            tracing::debug!(job = job.name, %tick, "another worker has this run");
            return Ok(());
        };
        let outcome = tokio::select! {
            outcome = job.work.run(&self.tools, tick) => outcome.map_err(|error| error.to_string()),
            () = self.keep_alive(claim) => Err("the lease was lost to another worker".to_owned()),
        };
        match &outcome {
            Ok(note) if note == NOTHING => tracing::debug!(job = job.name, %tick, "nothing to do"),
            Ok(note) => tracing::info!(job = job.name, %tick, note, "run done"),
            Err(reason) => tracing::error!(job = job.name, %tick, reason, "run failed"),
        }
        self.tools.store.finish_run(claim, &outcome).await
    }

    /// Renews a claim; completes only when it was lost.
    async fn keep_alive(&self, claim: Claim) {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            match self.tools.store.renew_run(claim, LEASE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "a lease was not renewed; trying again"),
            }
        }
    }

    /// Waits; false when the drain began first.
    async fn pause(&self, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.drain.begun() => false,
        }
    }
}
