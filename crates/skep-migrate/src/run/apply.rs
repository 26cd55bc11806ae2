//! One migration: begin, its statements, its row, commit.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::Finished;
use super::error::{At, RunError};
use crate::parse::{Direction, Script, Statement};
use crate::session::{Session, backend_of};
use crate::source::Migration;

/// A rollback that takes longer than this is left to the end of the session, which does the same.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);

/// Runs it, and with `record` the statement that notes it in the version table, in the same transaction if there is one.
pub(super) async fn apply(
    session: &mut Session,
    migration: &Migration,
    direction: Direction,
    script: &Script,
    record: Option<String>,
) -> Result<Finished, RunError> {
    let start = Instant::now();
    let step = Step { migration, direction, script, record };
    let locked = session.backend();
    if script.transaction {
        step.execute(&mut session.connection, "BEGIN", None, 0).await?;
    }
    let body = match same_session(&mut session.connection, locked, &step).await {
        Ok(()) => step.body(&mut session.connection).await,
        Err(error) => Err(error),
    };
    if let Err(error) = body {
        if script.transaction {
            // The first error is the one to tell; the session's end rolls back as well.
            let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut session.connection);
            let _ = timeout(ROLLBACK_LIMIT, rollback).await;
        }
        return Err(error);
    }
    if script.transaction {
        step.execute(&mut session.connection, "COMMIT", None, script.statements.len()).await?;
    }
    Ok(Finished {
        name: migration.name(),
        version: migration.version,
        direction,
        empty: script.statements.is_empty(),
        duration: start.elapsed(),
    })
}

struct Step<'a> {
    migration: &'a Migration,
    direction: Direction,
    script: &'a Script,
    record: Option<String>,
}

impl Step<'_> {
    async fn body(&self, connection: &mut PgConnection) -> Result<(), RunError> {
        for (done, statement) in self.script.statements.iter().enumerate() {
            self.execute(connection, statement.sql(), Some(statement), done).await?;
        }
        match &self.record {
            Some(record) => self.execute(connection, record, None, self.script.statements.len()).await,
            None => Ok(()),
        }
    }

    /// Sends one message by the simple protocol, as goose's driver does, so that a block may hold several commands.
    async fn execute(
        &self,
        connection: &mut PgConnection,
        sql: &str,
        statement: Option<&Statement>,
        done: usize,
    ) -> Result<(), RunError> {
        match sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.at(statement, done).failed(error)),
        }
    }

    fn at<'a>(&'a self, statement: Option<&'a Statement>, done: usize) -> At<'a> {
        At {
            migration: self.migration,
            direction: self.direction,
            statement,
            done: (done, self.script.statements.len()),
            transaction: self.script.transaction,
        }
    }
}

async fn same_session(connection: &mut PgConnection, locked: i32, step: &Step<'_>) -> Result<(), RunError> {
    let now = backend_of(connection).await.map_err(|error| step.at(None, 0).failed(error))?;
    if now == locked { Ok(()) } else { Err(RunError::Moved { locked, now }) }
}
