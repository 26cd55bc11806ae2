//! Why the program stops, and the text of it: what, where, the lines of the file, what the server said, what next.

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use skep_migrate::{
    ConnectError, CreateError, DsnError, Failed, ParseError, RunError, SourceError, Statement,
};

use crate::signals::Asked;

/// Lines of a statement that are shown around the fault.
const SHOWN: usize = 12;

#[derive(Debug)]
pub(crate) enum Stop {
    Help,
    Version,
    /// Nothing to do: goose shows its help and fails.
    NoCommand,
    /// Go's flag package exits with 2.
    Flags(String),
    Usage(String),
    Dsn(DsnError),
    Connect(ConnectError),
    Source(SourceError),
    Create(CreateError),
    Run(RunError),
    /// `up-by-one` with nothing left.
    NoNextVersion,
    Timeout {
        limit: Duration,
        fate: Fate,
    },
    Signal {
        signal: Asked,
        fate: Fate,
    },
}

/// What became of a run that was stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It had no session yet.
    NotBegun,
    /// The server said that it ended the session.
    Ended,
    /// The server could not be asked.
    Unknown,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBegun => "nothing was run",
            Self::Ended => {
                "the server session was ended, so the migration that was running is rolled back (unless it says \
                 NO TRANSACTION) and the lock is free; run the command again to go on"
            }
            Self::Unknown => {
                "the server ends the session, its transaction and its lock when it notices, within seconds; run the \
                 command again to go on"
            }
        })
    }
}

impl Stop {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Help | Self::Version => 0,
            Self::Flags(_) => 2,
            Self::Signal { signal, .. } => signal.code(),
            Self::NoCommand
            | Self::Usage(_)
            | Self::Dsn(_)
            | Self::Connect(_)
            | Self::Source(_)
            | Self::Create(_)
            | Self::Run(_)
            | Self::NoNextVersion
            | Self::Timeout { .. } => 1,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Help | Self::Version | Self::NoCommand => Ok(()),
            Self::Flags(why) => f.write_str(why),
            Self::Usage(why) => write!(f, "goose run: {why}"),
            Self::Dsn(error) => write!(f, "goose run: {}", chain(error)),
            Self::Connect(error) => write!(f, "goose run: {}", chain(error)),
            Self::Create(error) => write!(f, "goose run: {}", chain(error)),
            Self::Source(error) | Self::Run(RunError::Source(error)) => source(f, error),
            Self::Run(RunError::Failed(failed)) => migration(f, failed),
            Self::Run(error) => write!(f, "goose run: {}", chain(error)),
            Self::NoNextVersion => f.write_str("goose run: no next version found"),
            Self::Timeout { limit, fate } => {
                write!(f, "goose run: not done after -timeout {}; {fate}", crate::duration::show(*limit))
            }
            Self::Signal { signal, fate } => write!(f, "goose run: {}; {fate}", signal.name()),
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}

fn source(f: &mut fmt::Formatter<'_>, error: &SourceError) -> fmt::Result {
    let SourceError::Parse { path, error: ParseError { place, problem }, text } = error else {
        return write!(f, "goose run: {}", chain(error));
    };
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    writeln!(f, "goose run: ERROR {name}: failed to parse SQL migration file: {problem}")?;
    writeln!(f, "  --> {}:{}:{}", path.display(), place.line, place.column)?;
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    excerpt(f, &[(place.line, line)], place.line, Some(place.column))?;
    write!(f, "  nothing was run")
}

fn migration(f: &mut fmt::Formatter<'_>, failed: &Failed) -> fmt::Result {
    let name = failed.path.file_name().unwrap_or(failed.path.as_os_str()).to_string_lossy();
    writeln!(f, "goose run: ERROR {name}: failed to run SQL migration: {}", failed.message)?;
    write!(f, "  --> {}:{}", failed.path.display(), failed.line)?;
    writeln!(f, "{}", failed.column.map(|column| format!(":{column}")).unwrap_or_default())?;
    if let Some(statement) = &failed.statement {
        excerpt(f, &around(statement, failed.line), failed.line, failed.column)?;
    }
    let message = &failed.message;
    for (label, text) in [("detail", &message.detail), ("hint", &message.hint), ("context", &message.context)]
    {
        if let Some(text) = text {
            writeln!(f, "  {label}: {}", text.replace('\n', "\n    "))?;
        }
    }
    if failed.statement.is_none() && message.code.as_deref() == Some("42P01") {
        let cause = "a statement of this file changed search_path (pg_dump's output does)";
        writeln!(
            f,
            "  hint: {cause}; take that out, or name the table with its schema: -table public.goose_db_version"
        )?;
    }
    let (done, all) = failed.done;
    let which = match &failed.statement {
        Some(_) => format!("statement {} of {all} ({})", done + 1, failed.direction.as_str()),
        None => format!(
            "after its {all} statements ({}), at recording the version or the commit",
            failed.direction.as_str()
        ),
    };
    let remains = match (failed.transaction, done) {
        (true, _) => "the file runs in a transaction, so nothing of it remains".to_owned(),
        (false, 0) => "NO TRANSACTION: what this statement did before it failed remains".to_owned(),
        (false, done) => format!("NO TRANSACTION: the {done} before it remain, and run again the next time"),
    };
    writeln!(f, "  {which}; {remains}")?;
    write!(f, "  migrations that were reported OK stay applied; correct the file and run the command again")
}

/// At most [`SHOWN`] lines of the statement, with the line at fault among them.
fn around(statement: &Statement, fault: usize) -> Vec<(usize, &str)> {
    let lines: Vec<(usize, &str)> = statement.numbered_lines().collect();
    let at = lines.iter().position(|(line, _)| *line == fault).unwrap_or(0);
    let first = at.saturating_sub(SHOWN - 3);
    lines.into_iter().skip(first).take(SHOWN).collect()
}

fn excerpt(
    f: &mut fmt::Formatter<'_>,
    lines: &[(usize, &str)],
    fault: usize,
    column: Option<usize>,
) -> fmt::Result {
    let width = lines.last().map_or(1, |(line, _)| line.to_string().len());
    for (line, text) in lines {
        writeln!(f, "  {line:>width$} | {text}")?;
        if let Some(column) = column.filter(|_| *line == fault) {
            let indent: String =
                text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            writeln!(f, "  {:>width$} | {indent}^", "")?;
        }
    }
    Ok(())
}
