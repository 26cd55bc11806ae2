//! What the keeper sees of uploads: counts, sizes and ages, never whose or what.

use honeydue_model::keeper::{ErasureReport, ReaperReport, UploadCounts, Uploads};
use sqlx::Row as _;

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

impl Store {
    /// How uploads fare.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn upload_report(&self) -> Result<Uploads, StoreError> {
        let states = query(
            "select state, count(*) as count, coalesce(sum(content_length), 0)::bigint as bytes, \
                 coalesce(extract(epoch from now() - min(created_at)), 0)::bigint as oldest \
             from pending_uploads group by state order by state",
        )
        .all(self)
        .await?;
        let counts = |row: &sqlx::postgres::PgRow| -> Result<UploadCounts, StoreError> {
            Ok(UploadCounts {
                state: row.try_get("state")?,
                count: row.try_get("count")?,
                bytes: row.try_get("bytes")?,
                oldest_seconds: row.try_get("oldest")?,
            })
        };
        let mut waiting = states.iter().map(counts).collect::<Result<Vec<_>, _>>()?;
        // Attached ones are files by now; their rows here only wait for their forms to die.
        waiting.retain(|counts| counts.state != "attached" && counts.state != "clearing");
        let kept = query(
            "select 'attached' as state, count(*) as count, coalesce(sum(content_length), 0)::bigint as bytes, \
                 coalesce(extract(epoch from now() - min(created_at)), 0)::bigint as oldest from files",
        )
        .one(self)
        .await?;
        let runs = query(
            "select to_char(started_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as started_at, \
                 finished_at is not null as finished, reaped, cleared, orphaned, refused, versions, \
                 (extract(epoch from coalesce(finished_at, now()) - started_at) * 1000)::bigint as millis \
             from reaper_runs order by id desc limit 10",
        )
        .all(self)
        .await?;
        let totals = query(
            "select coalesce(sum(reaped), 0)::bigint as reaped, coalesce(sum(refused), 0)::bigint as refused, \
                 coalesce(max(started_at) filter (where finished_at is not null) < now() - interval '1 day', \
                     exists (select 1 from pending_uploads where expires_at < now() - interval '1 day')) as overdue \
             from reaper_runs",
        )
        .one(self)
        .await?;
        let erasures = query(
            "select user_id, attempts, versions, last_error, \
                 to_char(requested_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as requested_at, \
                 to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as finished_at \
             from erasures order by finished_at is not null, requested_at desc limit 20",
        )
        .all(self)
        .await?;
        Ok(Uploads {
            waiting,
            kept: counts(&kept)?,
            reaped: totals.try_get("reaped")?,
            refused: totals.try_get("refused")?,
            is_overdue: totals.try_get("overdue")?,
            runs: runs
                .iter()
                .map(|row| {
                    Ok(ReaperReport {
                        started_at: row.try_get("started_at")?,
                        is_finished: row.try_get("finished")?,
                        millis: row.try_get("millis")?,
                        reaped: row.try_get("reaped")?,
                        cleared: row.try_get("cleared")?,
                        orphaned: row.try_get("orphaned")?,
                        refused: row.try_get("refused")?,
                        versions: row.try_get("versions")?,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
            erasures: erasures
                .iter()
                .map(|row| {
                    Ok(ErasureReport {
                        user: row.try_get("user_id")?,
                        requested_at: row.try_get("requested_at")?,
                        finished_at: row.try_get("finished_at")?,
                        attempts: row.try_get("attempts")?,
                        versions: row.try_get("versions")?,
                        last_error: row.try_get("last_error")?,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
        })
    }
}
