//! What the admin page shows. Counts only: nothing that a user wrote leaves through here.

use honeydue_model::{Counts, JobReport, Overview, RunReport};
use jiff::civil::Date;
use sqlx::Row as _;

use crate::{
    Store, StoreError,
    jobs::NOTHING,
    query::{Ask as _, query},
};

impl Store {
    /// Counts, jobs and their latest runs. `schema` is the version that [`Store::require_schema`] answered.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn overview(&self, today: Date, schema: i64) -> Result<Overview, StoreError> {
        Ok(Overview {
            counts: self.counts(today).await?,
            jobs: self.job_reports().await?,
            runs: self.run_reports().await?,
            uploads: self.upload_report().await?,
            schema,
        })
    }

    async fn counts(&self, today: Date) -> Result<Counts, StoreError> {
        let row = query(
            "select (select count(*) from users) as users, \
                 (select count(*) from sessions where expires_at > now()) as sessions, \
                 (select count(*) from residences) as residences, \
                 (select count(*) from tasks where done_on is null) as open_tasks, \
                 (select count(*) from tasks where done_on is null and due_on < $1::text::date) as overdue_tasks, \
                 (select count(*) from task_completions) as completions",
        )
        .bind(today.to_string())
        .one(self)
        .await?;
        Ok(Counts {
            users: row.try_get("users")?,
            sessions: row.try_get("sessions")?,
            residences: row.try_get("residences")?,
            open_tasks: row.try_get("open_tasks")?,
            overdue_tasks: row.try_get("overdue_tasks")?,
            completions: row.try_get("completions")?,
        })
    }

    async fn job_reports(&self) -> Result<Vec<JobReport>, StoreError> {
        let rows = query(
            "select job, count(*) filter (where state = 'done') as done, \
                 count(*) filter (where state in ('failed', 'lost')) as failed, \
                 to_char(max(started_at) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as last_started_at \
             from job_runs group by job order by job",
        )
        .all(self)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(JobReport {
                    job: row.try_get("job")?,
                    done: row.try_get("done")?,
                    failed: row.try_get("failed")?,
                    last_started_at: row.try_get("last_started_at")?,
                })
            })
            .collect()
    }

    async fn run_reports(&self) -> Result<Vec<RunReport>, StoreError> {
        let rows = query(
            "select job, to_char(scheduled_for at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as scheduled_for, \
                 state, worker, note, \
                 (extract(epoch from finished_at - started_at) * 1000)::bigint as millis \
             from job_runs where not (state = 'done' and note = $1) order by started_at desc, id desc limit 20",
        )
        .bind(NOTHING)
        .all(self)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(RunReport {
                    job: row.try_get("job")?,
                    scheduled_for: row.try_get("scheduled_for")?,
                    state: row.try_get("state")?,
                    worker: row.try_get("worker")?,
                    millis: row.try_get("millis")?,
                    note: row.try_get("note")?,
                })
            })
            .collect()
    }
}
