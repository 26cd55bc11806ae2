//! One function a command. The log lines are goose's, so that whoever reads a Job's log finds what they know.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use skep_migrate::{
    Canceller, Catalog, Direction, Migrator, Numbering, Outcome, Progress, Session, Task, create, resolve,
};
use tokio::time::timeout;

use crate::duration::show;
use crate::failure::{Fate, Stop};
use crate::settings::{Command, Settings};
use crate::signals::Signals;
use crate::ui::log;

pub(crate) async fn run(settings: Settings) -> Result<(), Stop> {
    match &settings.command {
        Command::Create(name) => make(&settings, name),
        Command::Validate => validate(&settings),
        _ => migrate(settings).await,
    }
}

fn make(settings: &Settings, name: &str) -> Result<(), Stop> {
    let numbering =
        if settings.sequential { Numbering::Sequential } else { Numbering::Timestamp(Timestamp::now()) };
    let path = create(&settings.dir, name, numbering).map_err(Stop::Create)?;
    log(&format!("Created new file: {}", path.display()));
    Ok(())
}

fn validate(settings: &Settings) -> Result<(), Stop> {
    let variable = |name: &str| settings.environment.get(name).map(Into::into);
    for migration in Catalog::from_dir(&settings.dir).map_err(Stop::Source)?.migrations() {
        let up = migration.script(Direction::Up, &variable).map_err(Stop::Source)?;
        let down = migration.script(Direction::Down, &variable).map_err(Stop::Source)?;
        if settings.verbose {
            let (up_count, down_count) = (up.statements.len(), down.statements.len());
            let notes = [(!up.transaction, ", NO TRANSACTION"), (up.contract, ", contract")];
            let notes: String = notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| *note).collect();
            log(&format!("{}: {up_count} up, {down_count} down{notes}", migration.name()));
        }
    }
    Ok(())
}

async fn migrate(settings: Settings) -> Result<(), Stop> {
    // Before anything else: as process 1 of a container, an unhandled SIGTERM would do nothing.
    let mut signals = Signals::listen();
    let found = resolve(settings.dsn.as_deref(), &settings.environment).map_err(Stop::Dsn)?;
    if let Some(pooler) = &found.pooler {
        log(&format!("goose: going past the pooler {pooler}, to {}", found.dsn));
    } else if settings.verbose {
        log(&format!("goose: database {} (from {})", found.dsn, found.origin));
    }
    let catalog = Catalog::from_dir(&settings.dir).map_err(Stop::Source)?;
    let mut session = tokio::select! {
        session = Session::connect(&found.dsn) => session.map_err(Stop::Connect)?,
        signal = signals.next() => return Err(Stop::Signal { signal, fate: Fate::NotBegun }),
    };
    let canceller = session.canceller();
    let result = tokio::select! {
        result = limited(settings.timeout, command(&settings, catalog, &mut session)) => result,
        signal = signals.next() => Err(Stop::Signal { signal, fate: Fate::Unknown }),
    };
    match result {
        Err(Stop::Timeout { limit, .. }) => Err(Stop::Timeout { limit, fate: ended(&canceller).await }),
        Err(Stop::Signal { signal, .. }) => Err(Stop::Signal { signal, fate: ended(&canceller).await }),
        other => {
            session.close().await;
            other
        }
    }
}

async fn ended(canceller: &Canceller) -> Fate {
    if canceller.end_session().await { Fate::Ended } else { Fate::Unknown }
}

async fn limited(limit: Option<Duration>, work: impl Future<Output = Result<(), Stop>>) -> Result<(), Stop> {
    match limit {
        None => work.await,
        Some(limit) => {
            timeout(limit, work).await.unwrap_or(Err(Stop::Timeout { limit, fate: Fate::Unknown }))
        }
    }
}

async fn command(settings: &Settings, catalog: Catalog, session: &mut Session) -> Result<(), Stop> {
    let mut migrator = Migrator::new(catalog)
        .table(settings.table.clone())
        .missing(settings.missing)
        .environment(settings.environment.clone());
    if !settings.versioned {
        migrator = migrator.unversioned();
    }
    let mut report = |progress: Progress<'_>| told(progress, settings.verbose);
    let task = match settings.command {
        Command::Run(task) => task,
        Command::Status => return status(&migrator, session).await,
        Command::Version | Command::Create(_) | Command::Validate => {
            let version = migrator.version(session).await.map_err(Stop::Run)?;
            log(&format!("goose: {} {version}", if settings.versioned { "version" } else { "file version" }));
            return Ok(());
        }
    };
    let outcome = migrator.run(session, task, &mut report).await.map_err(Stop::Run)?;
    finished(task, settings.versioned, outcome)
}

fn finished(task: Task, versioned: bool, Outcome { ran, version }: Outcome) -> Result<(), Stop> {
    match (task, ran) {
        (Task::Up | Task::UpTo(_), 1..) if versioned => {
            log(&format!("goose: successfully migrated database to version: {version}"));
        }
        (Task::Up | Task::UpTo(_) | Task::UpByOne, 1..) if !versioned => {
            log(&format!("goose: up to current file version: {version}"));
        }
        (Task::DownTo(_), _) if !versioned => {
            log(&format!("goose: down to current file version: {version}"));
        }
        (Task::Up | Task::UpTo(_) | Task::UpByOne, 0) | (Task::DownTo(_), _) => {
            log(&format!("goose: no migrations to run. current version: {version}"));
        }
        _ => {}
    }
    if task == Task::UpByOne && ran == 0 { Err(Stop::NoNextVersion) } else { Ok(()) }
}

async fn status(migrator: &Migrator, session: &mut Session) -> Result<(), Stop> {
    let lines = migrator.status(session).await.map_err(Stop::Run)?;
    log("    Applied At                  Migration");
    log("    =======================================");
    for line in lines {
        let time = line.applied_at.map(|time| time.strftime("%a %b %e %H:%M:%S %Y").to_string());
        log(&format!("    {:<24} -- {}", time.as_deref().unwrap_or("Pending"), line.name));
    }
    Ok(())
}

fn told(progress: Progress<'_>, verbose: bool) {
    match progress {
        Progress::WaitingForLock(Some(holder)) => {
            log(&format!("goose: waiting for the migration lock, held by {holder}"));
        }
        Progress::WaitingForLock(None) => log("goose: waiting for the migration lock"),
        Progress::Started(migration, direction) if verbose => {
            log(&format!("goose: running {} of {}", direction.as_str(), migration.path.display()));
        }
        Progress::Started(..) => {}
        Progress::Finished(done) => {
            let state = if done.empty { "EMPTY" } else { "OK  " };
            log(&format!("{state} {} ({})", done.name, show(done.duration)));
        }
    }
}
