//! The tables `reminders` and `digests`: made by the worker, read by the api.

use honeydue_model::{Digest, Reminder};
use jiff::civil::Date;
use sqlx::Row as _;

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
    tasks::date,
};

impl Store {
    /// Makes a reminder for every open task due by `until` that has none for that date. Answers how many were made.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn make_reminders(&self, until: Date) -> Result<u64, StoreError> {
        let made = query(
            "insert into reminders (task_id, due_on) select id, due_on from tasks \
             where done_on is null and due_on <= $1::text::date on conflict do nothing",
        )
        .bind(until.to_string())
        .done(self)
        .await?;
        Ok(made)
    }

    /// Makes the digest of the week that begins on `monday` for everyone who has a residence. Answers how many were made.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn make_digests(&self, monday: Date) -> Result<u64, StoreError> {
        let made = query(
            "insert into digests (user_id, week_of, done, due, overdue) \
             select r.owner_id, $1::text::date, \
                 (select count(*) from task_completions c join tasks d on d.id = c.task_id \
                  join residences h on h.id = d.residence_id where h.owner_id = r.owner_id \
                  and c.done_on >= $1::text::date - 7 and c.done_on < $1::text::date)::int, \
                 count(t.id) filter (where t.due_on >= $1::text::date and t.due_on < $1::text::date + 7)::int, \
                 count(t.id) filter (where t.due_on < $1::text::date)::int \
             from residences r left join tasks t on t.residence_id = r.id and t.done_on is null \
             group by r.owner_id on conflict do nothing",
        )
        .bind(monday.to_string())
        .done(self)
        .await?;
        Ok(made)
    }

    /// A person's reminders, nearest date first.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn reminders(&self, owner: i64) -> Result<Vec<Reminder>, StoreError> {
        let rows = query(
            "select m.task_id, t.title, r.name as residence, m.due_on::text as due_on from reminders m \
             join tasks t on t.id = m.task_id join residences r on r.id = t.residence_id \
             where r.owner_id = $1 and t.done_on is null order by m.due_on, m.id limit 50",
        )
        .bind(owner)
        .all(self)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Reminder {
                    task_id: row.try_get("task_id")?,
                    title: row.try_get("title")?,
                    residence: row.try_get("residence")?,
                    due_on: date("due_on", row.try_get("due_on")?)?,
                })
            })
            .collect()
    }

    /// A person's latest digest.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn digest(&self, owner: i64) -> Result<Option<Digest>, StoreError> {
        let row = query(
            "select week_of::text as week_of, done, due, overdue from digests where user_id = $1 \
             order by week_of desc limit 1",
        )
        .bind(owner)
        .optional(self)
        .await?;
        row.map(|row| {
            Ok(Digest {
                week_of: date("week_of", row.try_get("week_of")?)?,
                done: row.try_get("done")?,
                due: row.try_get("due")?,
                overdue: row.try_get("overdue")?,
            })
        })
        .transpose()
    }
}
