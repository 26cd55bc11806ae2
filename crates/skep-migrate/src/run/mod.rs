//! The runner: takes goose's lock, plans, and runs migrations over one [`Session`].
//!
//! Every command that writes holds the lock from before it reads the version table until it is done. Everything that will
//! run is parsed first, so that a mistake in a file stops the run before it began.

mod apply;
mod error;
mod tasks;

use std::time::Duration;

use jiff::civil::DateTime;
use tokio::time::timeout;

use crate::environment::Environment;
use crate::lock::{self, Holder, LockPolicy};
use crate::parse::Direction;
use crate::plan::{Missing, PlanError};
use crate::session::Session;
use crate::source::{Catalog, Migration};
use crate::table::{self, TableName};

pub use error::{Failed, RunError, ServerMessage};

/// After this the end of the session is left to unlock.
const UNLOCK_LIMIT: Duration = Duration::from_secs(5);

/// What happens during a run, as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another run has the lock; it is tried again.
    WaitingForLock(Option<&'a Holder>),
    /// A migration is about to run.
    Started(&'a Migration, Direction),
    /// A migration has run.
    Finished(&'a Finished),
}

/// A migration that has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The file's name without its folder.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// Up or down.
    pub direction: Direction,
    /// No statement in that direction; the version is recorded all the same.
    pub empty: bool,
    /// From its beginning to its commit.
    pub duration: Duration,
}

/// What to do with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Apply every pending migration.
    Up,
    /// Apply every pending migration up to and including this version.
    UpTo(i64),
    /// Apply the next pending migration; [`Outcome::ran`] is 0 when there was none.
    UpByOne,
    /// Roll the current version back; it is an error when it has no file, which is so for version 0.
    Down,
    /// Roll back, the last applied first, until the current version is this or lower.
    DownTo(i64),
    /// Roll the current version back and apply it again.
    Redo,
    /// Roll every applied migration that has a file back, newest version first.
    Reset,
}

/// Is told what happens, as it happens.
pub type Report<'a> = &'a mut (dyn FnMut(Progress<'_>) + Send);

/// How a task left the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How many migrations ran.
    pub ran: usize,
    /// goose's current version afterwards.
    pub version: i64,
}

/// One file's line in `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLine {
    /// The file's name without its folder.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// When it was applied; `None`: pending.
    pub applied_at: Option<DateTime>,
}

/// Runs a catalog's migrations.
#[derive(Debug, Clone)]
pub struct Migrator {
    catalog: Catalog,
    table: TableName,
    missing: Missing,
    lock: LockPolicy,
    environment: Environment,
    versioned: bool,
}

impl Migrator {
    /// With goose's defaults: its table, its lock, no out-of-order migrations, no variables.
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            table: TableName::default(),
            missing: Missing::default(),
            lock: LockPolicy::default(),
            environment: Environment::default(),
            versioned: true,
        }
    }

    /// Keeps the versions in another table.
    #[must_use]
    pub fn table(mut self, table: TableName) -> Self {
        self.table = table;
        self
    }

    /// Says what to do about out-of-order migrations.
    #[must_use]
    pub fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// Waits for the lock in another way.
    #[must_use]
    pub fn lock(mut self, lock: LockPolicy) -> Self {
        self.lock = lock;
        self
    }

    /// The variables that `ENVSUB ON` puts in.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Runs files without looking at or writing versions: goose's `-no-versioning`, for seeds.
    #[must_use]
    pub fn unversioned(mut self) -> Self {
        self.versioned = false;
        self
    }

    /// What it runs.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Does a task under the lock. What ran before a failure stays applied, so that the next run continues after it.
    ///
    /// # Errors
    /// When the lock can't be had, files and version table don't fit, a file is wrong, or a statement fails.
    pub async fn run(
        &self,
        session: &mut Session,
        task: Task,
        report: Report<'_>,
    ) -> Result<Outcome, RunError> {
        let waiting = |holder: Option<&Holder>| report(Progress::WaitingForLock(holder));
        lock::acquire(&mut session.connection, &self.lock, waiting).await?;
        let result = self.run_locked(session, task, report).await;
        let released = timeout(UNLOCK_LIMIT, lock::release(&mut session.connection, &self.lock)).await;
        // The run's own error matters more than that of the unlocking, which the end of the session does anyway.
        let outcome = result?;
        released.unwrap_or(Ok(()))?;
        Ok(outcome)
    }

    /// Every file and when it was applied. Reads only; a database without the table has everything pending.
    ///
    /// # Errors
    /// When there is no file or the table can't be read.
    pub async fn status(&self, session: &mut Session) -> Result<Vec<StatusLine>, RunError> {
        if self.catalog.migrations().is_empty() {
            return Err(PlanError::NoFiles.into());
        }
        let times = match self.versioned {
            true => {
                table::applied_at(&mut session.connection, &self.table).await.map_err(RunError::reading)?
            }
            false => Default::default(),
        };
        let line = |migration: &Migration| StatusLine {
            name: migration.name(),
            version: migration.version,
            applied_at: times.get(&migration.version).copied(),
        };
        Ok(self.catalog.migrations().iter().map(line).collect())
    }

    /// goose's current version; 0 for a database without the table. Reads only.
    ///
    /// # Errors
    /// When the table can't be read or is empty.
    pub async fn version(&self, session: &mut Session) -> Result<i64, RunError> {
        if !self.versioned {
            return Ok(self.catalog.newest().unwrap_or(0));
        }
        let history = table::read(&mut session.connection, &self.table).await.map_err(RunError::reading)?;
        history.map_or(Ok(0), |history| self.current(&history))
    }
}
