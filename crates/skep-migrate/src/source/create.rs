//! `create NAME`: a new, empty migration.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

use super::{Catalog, SourceError, template};

/// How a new migration is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// By the time given, in UTC, to the second: `20260824101500`.
    Timestamp(Timestamp),
    /// One above the highest that is not a timestamp, in five digits: `00012`.
    Sequential,
}

/// A migration that can't be made.
#[derive(Debug, Error)]
pub enum CreateError {
    /// Nothing is left of the name.
    #[error("`{0}` is no name for a migration: expected letters or digits, for example `add_tasks`")]
    Name(String),
    /// The folder can't be read for the next number.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file exists or can't be written.
    #[error("failed to create migration file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Writes a new SQL migration into `dir` and answers its path.
///
/// # Errors
/// When the name is empty, the folder is missing, or the file exists.
pub fn create(dir: &Path, name: &str, numbering: Numbering) -> Result<PathBuf, CreateError> {
    let description = template::snake_case(name);
    if description.is_empty() {
        return Err(CreateError::Name(name.into()));
    }
    let version = match numbering {
        Numbering::Timestamp(now) => now.strftime("%Y%m%d%H%M%S").to_string(),
        Numbering::Sequential => format!("{:05}", next_number(&Catalog::from_dir(dir)?)),
    };
    let path = dir.join(format!("{version}_{description}.sql"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(template::SQL.as_bytes()));
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(CreateError::Write { path, source }),
    }
}

fn next_number(catalog: &Catalog) -> i64 {
    let sequential = catalog.migrations().iter().map(|migration| migration.version);
    sequential.filter(|version| !is_timestamp(*version)).max().unwrap_or(0) + 1
}

/// Whether a version reads as a date after 1970, which is how goose tells the two numberings apart.
fn is_timestamp(version: i64) -> bool {
    jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", version.to_string())
        .is_ok_and(|time| time.year() >= 1970 && version >= 19_700_101_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Numbering {
        Numbering::Timestamp("2026-08-24T10:15:00Z".parse().unwrap())
    }

    #[test]
    fn names_and_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, numbering| {
            let path = create(dir.path(), name, numbering).unwrap();
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(made("Add some tasks!", now()), "20260824101500_add_some_tasks.sql");
        // A timestamp does not take part in the sequence.
        assert_eq!(made("first", Numbering::Sequential), "00001_first.sql");
        assert_eq!(made("second one", Numbering::Sequential), "00002_second_one.sql");
        let catalog = Catalog::from_dir(dir.path()).unwrap();
        for migration in catalog.migrations() {
            let up = migration.script(crate::Direction::Up, &|_| None).unwrap();
            assert_eq!(up.statements.len(), 1);
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "x", now()).unwrap();
        assert!(matches!(create(dir.path(), "x", now()), Err(CreateError::Write { .. })));
        assert!(matches!(create(dir.path(), "../", now()), Err(CreateError::Name(_))));
        assert!(matches!(create(&dir.path().join("none"), "x", now()), Err(CreateError::Write { .. })));
    }
}
