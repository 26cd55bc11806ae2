//! The tables `tasks` and `task_completions`. Dates cross as text (`2026-03-01`), which spares a second calendar library.

use honeydue_model::{NewTask, Task, Urgency, schedule};
use jiff::civil::Date;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

macro_rules! select_tasks {
    ($filter:literal) => {
        concat!(
            "select t.id, t.residence_id, r.name as residence, t.title, t.notes, t.due_on::text as due_on, t.every_days, ",
            "t.done_on is not null as done, ",
            "(select max(c.done_on)::text from task_completions c where c.task_id = t.id) as last_done_on ",
            "from tasks t join residences r on r.id = t.residence_id ",
            "where r.owner_id = $1 ",
            $filter,
            " order by t.due_on, lower(t.title), t.id"
        )
    };
}

impl Store {
    /// What a person has left to do, most pressing first; of one residence if named.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn open_tasks(
        &self,
        owner: i64,
        residence: Option<i64>,
        today: Date,
    ) -> Result<Vec<Task>, StoreError> {
        let rows = query(select_tasks!("and t.done_on is null and ($2::bigint is null or r.id = $2)"))
            .bind(owner)
            .bind(residence)
            .all(self)
            .await?;
        rows.iter().map(|row| task(row, today)).collect()
    }

    /// One task of a person, done or not.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn task(&self, owner: i64, id: i64, today: Date) -> Result<Option<Task>, StoreError> {
        let row = query(select_tasks!("and t.id = $2")).bind(owner).bind(id).optional(self).await?;
        row.as_ref().map(|row| task(row, today)).transpose()
    }

    /// Adds a task to a residence; `None` when the person has no such residence.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn add_task(
        &self,
        owner: i64,
        residence: i64,
        new: &NewTask,
        today: Date,
    ) -> Result<Option<Task>, StoreError> {
        let row = query(
            "insert into tasks (residence_id, title, notes, due_on, every_days) \
             select id, $3, $4, $5::text::date, $6 from residences where owner_id = $1 and id = $2 returning id",
        )
        .bind(owner)
        .bind(residence)
        .bind(new.title.trim())
        .bind(new.notes.trim())
        .bind(new.due_on.to_string())
        .bind(new.every_days)
        .optional(self)
        .await?;
        match row {
            Some(row) => self.task(owner, row.try_get("id")?, today).await,
            None => Ok(None),
        }
    }

    /// Records that a task was done on `today`: one that repeats falls due again, one that doesn't is closed. `None` when the
    /// person has no such open task.
    ///
    /// The row is locked from reading to writing, so two clicks at once complete a task once each and never lose one.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn complete_task(&self, owner: i64, id: i64, today: Date) -> Result<Option<Task>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        if complete_in(&mut transaction, owner, id, today).await?.is_none() {
            return Ok(None);
        }
        transaction.commit().await?;
        self.task(owner, id, today).await
    }

    /// Deletes a task; false when there is none such.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn delete_task(&self, owner: i64, id: i64) -> Result<bool, StoreError> {
        let deleted = query(
            "delete from tasks t using residences r where r.id = t.residence_id and r.owner_id = $1 and t.id = $2",
        )
        .bind(owner)
        .bind(id)
        .done(self)
        .await?;
        Ok(deleted > 0)
    }
}

/// Completes a task within a transaction; the completion's id, or `None` when the person has no such open task.
pub(crate) async fn complete_in(
    transaction: &mut Transaction<'_, Postgres>,
    owner: i64,
    id: i64,
    today: Date,
) -> Result<Option<i64>, StoreError> {
    let row = query(
        "select t.due_on::text as due_on, t.every_days from tasks t join residences r on r.id = t.residence_id \
         where r.owner_id = $1 and t.id = $2 and t.done_on is null for update of t",
    )
    .bind(owner)
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let every_days: Option<i32> = row.try_get("every_days")?;
    let done = query(
        "insert into task_completions (task_id, due_on, done_on) values ($1, $2::text::date, $3::text::date) returning id",
    )
    .bind(id)
    .bind(row.try_get::<String, _>("due_on")?)
    .bind(today.to_string())
    .fetch_one(&mut **transaction)
    .await?;
    let (statement, date) = match every_days {
        Some(days) => {
            ("update tasks set due_on = $2::text::date where id = $1", schedule::next_due(today, days))
        }
        None => ("update tasks set done_on = $2::text::date where id = $1", today),
    };
    query(statement).bind(id).bind(date.to_string()).execute(&mut **transaction).await?;
    Ok(Some(done.try_get("id")?))
}

fn task(row: &PgRow, today: Date) -> Result<Task, StoreError> {
    let last_done_on: Option<String> = row.try_get("last_done_on")?;
    let task = Task {
        id: row.try_get("id")?,
        residence_id: row.try_get("residence_id")?,
        residence: row.try_get("residence")?,
        title: row.try_get("title")?,
        notes: row.try_get("notes")?,
        due_on: date("due_on", row.try_get("due_on")?)?,
        every_days: row.try_get("every_days")?,
        last_done_on: last_done_on.map(|text| date("last_done_on", text)).transpose()?,
        urgency: Urgency::Later,
        days_left: 0,
    };
    Ok(task.as_of(today, row.try_get("done")?))
}

/// A civil date from its text.
pub(crate) fn date(column: &'static str, text: String) -> Result<Date, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable { column, found: text })
}
