//! How a run fails, with everything the server said and the place in the file.

use std::path::PathBuf;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use thiserror::Error;

use crate::lock::LockError;
use crate::parse::{Direction, Statement};
use crate::plan::PlanError;
use crate::source::{Migration, SourceError};

/// A run that failed. Migrations that finished before stay applied, so the next run continues after them.
#[derive(Debug, Error)]
pub enum RunError {
    /// Nothing was run: files and version table don't fit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Nothing was run: a file that was to run is wrong.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The version table.
    #[error("cannot read or make the version table")]
    Table(#[source] sqlx::Error),
    /// Another server process answers than the one that was locked.
    #[error(
        "the session moved from server process {locked} to {now} under the lock: a pooler in transaction mode is in \
         between; give the direct address in GOOSE_DIRECT_DBSTRING"
    )]
    Moved {
        /// The process that has the lock.
        locked: i32,
        /// The one that answered.
        now: i32,
    },
    /// A migration failed.
    #[error(transparent)]
    Failed(Box<Failed>),
}

impl RunError {
    pub(super) fn reading(source: sqlx::Error) -> Self {
        Self::Table(source)
    }
}

/// A migration that failed, at one of its statements or at its end.
#[derive(Debug, Error)]
#[error("{}:{line}: {message}", path.display())]
pub struct Failed {
    /// The file.
    pub path: PathBuf,
    /// Up or down.
    pub direction: Direction,
    /// Where the server pointed to, else where the statement begins; from 1.
    pub line: usize,
    /// The same, in characters from 1; `None` when the server pointed nowhere.
    pub column: Option<usize>,
    /// The statement, as it was sent; `None` when recording the version or the commit failed.
    pub statement: Option<Statement>,
    /// Statements of this file that went through before, and how many it has.
    pub done: (usize, usize),
    /// Whether the file ran in a transaction, so that nothing of it remains.
    pub transaction: bool,
    /// What the server said.
    pub message: ServerMessage,
    /// The client's error.
    #[source]
    pub source: sqlx::Error,
}

/// A server's error in its parts. When the connection broke there is only a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// The first line.
    pub message: String,
    /// SQLSTATE, five characters.
    pub code: Option<String>,
    /// Its DETAIL.
    pub detail: Option<String>,
    /// Its HINT.
    pub hint: Option<String>,
    /// Its CONTEXT: for a function, where in it.
    pub context: Option<String>,
    /// Character of the statement, from 1.
    pub position: Option<usize>,
}

impl std::fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.code {
            Some(code) => write!(f, " (SQLSTATE {code})"),
            None => Ok(()),
        }
    }
}

impl ServerMessage {
    /// The parts of an error.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        let server = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        let Some(server) = server else {
            return Self { message: error.to_string(), ..Self::default() };
        };
        let owned = |text: Option<&str>| text.map(Into::into);
        Self {
            message: server.message().into(),
            code: Some(server.code().into()),
            detail: owned(server.detail()),
            hint: owned(server.hint()),
            context: owned(server.r#where()),
            position: match server.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                _ => None,
            },
        }
    }
}

/// Where in a migration something failed.
pub(super) struct At<'a> {
    pub(super) migration: &'a Migration,
    pub(super) direction: Direction,
    pub(super) statement: Option<&'a Statement>,
    pub(super) done: (usize, usize),
    pub(super) transaction: bool,
}

impl At<'_> {
    pub(super) fn failed(&self, source: sqlx::Error) -> RunError {
        let message = ServerMessage::of(&source);
        let begins = self.statement.map_or(1, Statement::line);
        let pointed = self
            .statement
            .zip(message.position)
            .map(|(statement, position)| statement.line_and_column(position));
        RunError::Failed(Box::new(Failed {
            path: self.migration.path.clone(),
            direction: self.direction,
            line: pointed.map_or(begins, |(line, _)| line),
            column: pointed.map(|(_, column)| column),
            statement: self.statement.cloned(),
            done: self.done,
            transaction: self.transaction,
            message,
            source,
        }))
    }
}
