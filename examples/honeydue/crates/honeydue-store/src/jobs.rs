//! The table `job_runs`: who runs which job for which tick of the clock, and how that went.
//!
//! A claim is one row. The table's two unique indexes make it exclusive: one run per job and tick, and one running run per
//! job. A run is kept alive by its lease; one whose worker vanished is marked `lost` by whoever claims next. Leases, unlike
//! advisory locks, work through a transaction-mode pooler.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

/// The note of a run that found nothing to do. One that runs each minute would fill the keeper's page with them: they are not shown, and kept
/// for a day.
pub const NOTHING: &str = "nothing to do";

/// A run that this worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    id: i64,
}

impl Store {
    /// Claims the run of `job` for `tick`; `None` when another worker has it, had it, or is still busy with an earlier one.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn claim_run(
        &self,
        job: &str,
        tick: Timestamp,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        query(
            "update job_runs set state = 'lost', finished_at = now(), note = 'its worker stopped without a word' \
             where job = $1 and state = 'running' and lease_until < now()",
        )
        .bind(job)
        .done(self)
        .await?;
        let row = query(
            "insert into job_runs (job, scheduled_for, worker, state, lease_until) \
             values ($1, $2::text::timestamptz, $3, 'running', now() + make_interval(secs => $4)) \
             on conflict do nothing returning id",
        )
        .bind(job)
        .bind(tick.to_string())
        .bind(worker)
        .bind(lease.as_secs_f64())
        .optional(self)
        .await?;
        Ok(row.map(|row| row.try_get("id").map(|id| Claim { id })).transpose()?)
    }

    /// Extends a claim; false when it was lost to another worker in the meantime.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn renew_run(&self, claim: Claim, lease: Duration) -> Result<bool, StoreError> {
        let renewed = query(
            "update job_runs set lease_until = now() + make_interval(secs => $2) where id = $1 and state = 'running'",
        )
        .bind(claim.id)
        .bind(lease.as_secs_f64())
        .done(self)
        .await?;
        Ok(renewed > 0)
    }

    /// Closes a claim with what the run did (`Ok`) or why it failed (`Err`).
    ///
    /// # Errors
    /// The database's failure.
    pub async fn finish_run(&self, claim: Claim, outcome: &Result<String, String>) -> Result<(), StoreError> {
        let (state, note) = match outcome {
            Ok(note) => ("done", note),
            Err(note) => ("failed", note),
        };
        query("update job_runs set state = $2, note = $3, finished_at = now() where id = $1 and state = 'running'")
            .bind(claim.id)
            .bind(state)
            .bind(note)
            .done(self)
            .await?;
        Ok(())
    }

    /// True when `job` has never been claimed for `tick` or later: the tick was missed.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn missed_run(&self, job: &str, tick: Timestamp) -> Result<bool, StoreError> {
        let row = query(
            "select not exists (select 1 from job_runs where job = $1 and scheduled_for >= $2::text::timestamptz) as missed",
        )
        .bind(job)
        .bind(tick.to_string())
        .one(self)
        .await?;
        Ok(row.try_get("missed")?)
    }
}
