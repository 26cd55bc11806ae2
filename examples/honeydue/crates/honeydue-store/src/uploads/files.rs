//! What is kept, and what it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use honeydue_model::{Completion, Document, StoredFile};
use sqlx::{
    Postgres, Row as _, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
    tasks::date,
};

/// A file that its owner may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Its upload's id, which its key is made of.
    pub id: Uuid,
    /// What it is.
    pub content_type: String,
}

impl Store {
    /// A file of a person that belongs to something.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn file(&self, owner: i64, id: Uuid) -> Result<Option<KeptFile>, StoreError> {
        let row = query(
            "select content_type from files where owner_id = $1 and id = $2::text::uuid \
             and (completion_id is not null or document_id is not null)",
        )
        .bind(owner)
        .bind(id.to_string())
        .optional(self)
        .await?;
        row.map(|row| Ok(KeptFile { id, content_type: row.try_get("content_type")? })).transpose()
    }

    /// Which of these are files.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn known_files(&self, ids: &BTreeSet<Uuid>) -> Result<BTreeSet<Uuid>, StoreError> {
        let known = query("select id::text as id from files where id = any($1::text[]::uuid[])");
        self.known(known, ids).await
    }

    /// Which of these are uploads.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn known_uploads(&self, ids: &BTreeSet<Uuid>) -> Result<BTreeSet<Uuid>, StoreError> {
        let known = query("select id::text as id from pending_uploads where id = any($1::text[]::uuid[])");
        self.known(known, ids).await
    }

    async fn known(
        &self,
        asked: Query<'static, Postgres, PgArguments>,
        ids: &BTreeSet<Uuid>,
    ) -> Result<BTreeSet<Uuid>, StoreError> {
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        asked.bind(ids).all(self).await?.iter().map(id).collect()
    }

    /// Which of these files still belong to something.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn files_in_use(&self, ids: &BTreeSet<Uuid>) -> Result<BTreeSet<Uuid>, StoreError> {
        let known = query(
            "select id::text as id from files where id = any($1::text[]::uuid[]) \
                 and (completion_id is not null or document_id is not null)",
        );
        self.known(known, ids).await
    }

    /// Files that belong to something, by their ids, some at once, each with whose it is.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn files_after(&self, after: Uuid) -> Result<Vec<(i64, Uuid)>, StoreError> {
        let rows = query(
            "select id::text as id, owner_id from files where id > $1::text::uuid \
                 and (completion_id is not null or document_id is not null) order by id limit 500",
        )
        .bind(after.to_string())
        .all(self)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("owner_id")?, id(row)?))).collect()
    }

    /// The times that a task was done, the latest hundred, the latest first; empty when the person has no such task.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn completions(&self, owner: i64, task: i64) -> Result<Vec<Completion>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let rows = query(
            "select c.id, c.task_id, c.due_on::text as due_on, c.done_on::text as done_on \
             from task_completions c join tasks t on t.id = c.task_id join residences r on r.id = t.residence_id \
             where r.owner_id = $1 and t.id = $2 order by c.id desc limit 100",
        )
        .bind(owner)
        .bind(task)
        .fetch_all(&mut *transaction)
        .await?;
        let mut files = files_of(&mut transaction, OF_COMPLETIONS, &ids(&rows)?).await?;
        transaction.commit().await?;
        rows.iter().map(|row| completion_of(row, &mut files)).collect()
    }

    /// The documents of a residence, the first thousand by title; empty when the person has no such residence.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn documents(&self, owner: i64, residence: i64) -> Result<Vec<Document>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let rows = query(
            "select d.id, d.residence_id, d.title from documents d join residences r on r.id = d.residence_id \
             where r.owner_id = $1 and r.id = $2 order by lower(d.title), d.id limit 1000",
        )
        .bind(owner)
        .bind(residence)
        .fetch_all(&mut *transaction)
        .await?;
        let mut files = files_of(&mut transaction, OF_DOCUMENTS, &ids(&rows)?).await?;
        transaction.commit().await?;
        rows.iter().map(|row| document_of(row, &mut files)).collect()
    }

    /// Deletes a document; its files go with the next reaper's run. False when there is none such.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn delete_document(&self, owner: i64, id: i64) -> Result<bool, StoreError> {
        let deleted = query(
            "delete from documents d using residences r \
             where r.id = d.residence_id and r.owner_id = $1 and d.id = $2",
        )
        .bind(owner)
        .bind(id)
        .done(self)
        .await?;
        Ok(deleted > 0)
    }
}

pub(super) async fn completion(
    transaction: &mut Transaction<'_, Postgres>,
    owner: i64,
    id: i64,
) -> Result<Option<Completion>, StoreError> {
    let row = query(
        "select c.id, c.task_id, c.due_on::text as due_on, c.done_on::text as done_on \
         from task_completions c join tasks t on t.id = c.task_id join residences r on r.id = t.residence_id \
         where r.owner_id = $1 and c.id = $2",
    )
    .bind(owner)
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut files = files_of(transaction, OF_COMPLETIONS, &[id]).await?;
    completion_of(&row, &mut files).map(Some)
}

pub(super) async fn document(
    transaction: &mut Transaction<'_, Postgres>,
    owner: i64,
    id: i64,
) -> Result<Option<Document>, StoreError> {
    let row = query(
        "select d.id, d.residence_id, d.title from documents d join residences r on r.id = d.residence_id \
         where r.owner_id = $1 and d.id = $2",
    )
    .bind(owner)
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut files = files_of(transaction, OF_DOCUMENTS, &[id]).await?;
    document_of(&row, &mut files).map(Some)
}

/// Files by what they belong to.
type Files = BTreeMap<i64, Vec<StoredFile>>;

const OF_COMPLETIONS: &str = "select completion_id as of, id::text as id, content_type, content_length from files \
     where completion_id = any($1) order by id";
const OF_DOCUMENTS: &str = "select document_id as of, id::text as id, content_type, content_length from files \
     where document_id = any($1) order by id";

async fn files_of(
    transaction: &mut Transaction<'_, Postgres>,
    of: &'static str,
    owners: &[i64],
) -> Result<Files, StoreError> {
    let mut files = Files::new();
    for row in query(of).bind(owners.to_vec()).fetch_all(&mut **transaction).await? {
        files.entry(row.try_get("of")?).or_default().push(file(&row)?);
    }
    Ok(files)
}

fn ids(rows: &[PgRow]) -> Result<Vec<i64>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

fn completion_of(row: &PgRow, files: &mut Files) -> Result<Completion, StoreError> {
    let id = row.try_get("id")?;
    Ok(Completion {
        id,
        task_id: row.try_get("task_id")?,
        due_on: date("due_on", row.try_get("due_on")?)?,
        done_on: date("done_on", row.try_get("done_on")?)?,
        files: files.remove(&id).unwrap_or_default(),
    })
}

fn document_of(row: &PgRow, files: &mut Files) -> Result<Document, StoreError> {
    let id = row.try_get("id")?;
    Ok(Document {
        id,
        residence_id: row.try_get("residence_id")?,
        title: row.try_get("title")?,
        files: files.remove(&id).unwrap_or_default(),
    })
}

/// The id of a row.
pub(super) fn id(row: &PgRow) -> Result<Uuid, StoreError> {
    let found: String = row.try_get("id")?;
    found.parse().map_err(|_| StoreError::Unreadable { column: "id", found })
}

fn file(row: &PgRow) -> Result<StoredFile, StoreError> {
    Ok(StoredFile {
        id: row.try_get("id")?,
        content_type: row.try_get("content_type")?,
        content_length: row.try_get("content_length")?,
    })
}
