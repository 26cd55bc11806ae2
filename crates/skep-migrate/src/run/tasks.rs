//! The tasks, each run while the lock is held.

use super::{Migrator, Outcome, Progress, Report, RunError, Task, apply};
use crate::history::History;
use crate::parse::{Direction, Script};
use crate::plan::{self, PlanError};
use crate::session::Session;
use crate::source::Migration;
use crate::table;

/// What a task runs: everything in it is read and parsed.
type Steps<'a> = Vec<(&'a Migration, Direction, Script)>;

impl Migrator {
    pub(super) async fn run_locked(
        &self,
        session: &mut Session,
        task: Task,
        report: Report<'_>,
    ) -> Result<Outcome, RunError> {
        let history = self.history(session).await?;
        let steps = match task {
            Task::Up => return self.up(session, &history, i64::MAX, usize::MAX, report).await,
            Task::UpTo(target) => return self.up(session, &history, target, usize::MAX, report).await,
            Task::UpByOne => return self.up(session, &history, i64::MAX, 1, report).await,
            Task::DownTo(target) => return self.down_to(session, history, target, report).await,
            Task::Down => self.read([self.current_file(&history)?], Direction::Down)?,
            Task::Redo => self.redo(&history)?,
            Task::Reset => self.reset(&history)?,
        };
        self.perform(session, &steps, report).await?;
        let version = self.current(&self.history(session).await?)?;
        Ok(Outcome { ran: steps.len(), version })
    }

    async fn up(
        &self,
        session: &mut Session,
        history: &History,
        target: i64,
        most: usize,
        report: Report<'_>,
    ) -> Result<Outcome, RunError> {
        let current = self.current(history)?;
        let pending = plan::up(&self.catalog, history, target, self.missing)?;
        let steps = self.read(pending.into_iter().take(most), Direction::Up)?;
        self.perform(session, &steps, report).await?;
        let version = steps.last().map_or(current, |(migration, ..)| migration.version);
        Ok(Outcome { ran: steps.len(), version })
    }

    async fn down_to(
        &self,
        session: &mut Session,
        mut history: History,
        target: i64,
        report: Report<'_>,
    ) -> Result<Outcome, RunError> {
        if !self.versioned {
            let above = self.catalog.migrations().iter().rev().filter(|file| file.version > target);
            let steps = self.read(above, Direction::Down)?;
            self.perform(session, &steps, report).await?;
            return Ok(Outcome { ran: steps.len(), version: target });
        }
        let mut ran = 0;
        // Step by step, because the order is that of the table's rows, not of the versions.
        loop {
            let current = self.current(&history)?;
            if current == 0 || current <= target {
                return Ok(Outcome { ran, version: current });
            }
            let steps = self.read([self.current_file(&history)?], Direction::Down)?;
            self.perform(session, &steps, report).await?;
            ran += 1;
            history = self.history(session).await?;
        }
    }

    fn redo(&self, history: &History) -> Result<Steps<'_>, RunError> {
        let file = self.current_file(history)?;
        let mut steps = self.read([file], Direction::Down)?;
        steps.extend(self.read([file], Direction::Up)?);
        Ok(steps)
    }

    fn reset(&self, history: &History) -> Result<Steps<'_>, RunError> {
        let files = if self.versioned {
            plan::reset(&self.catalog, history)?
        } else {
            self.catalog.migrations().iter().rev().collect()
        };
        self.read(files, Direction::Down)
    }

    async fn perform(
        &self,
        session: &mut Session,
        steps: &Steps<'_>,
        report: Report<'_>,
    ) -> Result<(), RunError> {
        for (migration, direction, script) in steps {
            report(Progress::Started(migration, *direction));
            let record = self.versioned.then(|| match direction {
                Direction::Up => table::insert(&self.table, migration.version),
                Direction::Down => table::delete(&self.table, migration.version),
            });
            let finished = apply::apply(session, migration, *direction, script, record).await?;
            report(Progress::Finished(&finished));
        }
        Ok(())
    }

    fn read<'a>(
        &self,
        migrations: impl IntoIterator<Item = &'a Migration>,
        direction: Direction,
    ) -> Result<Steps<'a>, RunError> {
        let variable = |name: &str| self.environment.get(name).map(Into::into);
        migrations
            .into_iter()
            .map(|migration| Ok((migration, direction, migration.script(direction, &variable)?)))
            .collect()
    }

    async fn history(&self, session: &mut Session) -> Result<History, RunError> {
        if !self.versioned {
            return Ok(History::default());
        }
        table::read_or_create(&mut session.connection, &self.table).await.map_err(RunError::reading)
    }

    pub(super) fn current(&self, history: &History) -> Result<i64, RunError> {
        if !self.versioned {
            return Ok(self.catalog.newest().unwrap_or(0));
        }
        Ok(history.current().ok_or_else(|| PlanError::NoCurrent { table: self.table.to_string() })?)
    }

    fn current_file(&self, history: &History) -> Result<&Migration, RunError> {
        Ok(plan::down(&self.catalog, self.current(history)?)?)
    }
}
