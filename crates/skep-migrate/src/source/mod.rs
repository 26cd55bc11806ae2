//! Where migrations come from: a folder, or names and texts that a program embeds.

mod create;
mod template;

use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

use crate::parse::{Direction, ParseError, Script, parse};
use crate::version::{NameError, version_of};

pub use create::{CreateError, Numbering, create};

/// One migration's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The number before the first `_`.
    pub version: i64,
    /// As it was found: folder and name. Errors name it.
    pub path: PathBuf,
    text: Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    OnDisk,
    Embedded(String),
    /// A Go migration: goose compiles it into a program, nobody else can run it.
    Go,
}

/// A folder's migrations, ordered by version, each version once. Texts are read when they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    migrations: Vec<Migration>,
}

/// A folder or a migration that can't be used.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The folder isn't there.
    #[error("{} directory does not exist; name the folder with the migrations with -dir or GOOSE_MIGRATION_DIR", .0.display())]
    NoFolder(PathBuf),
    /// The folder or a file can't be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What was read.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A `.sql` file that is not named as a migration.
    #[error("could not parse the name of SQL migration file {}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with the name.
        #[source]
        source: NameError,
    },
    /// Two files claim one version.
    #[error("two migrations have version {version}: {} and {}; give one of them another number", first.display(), second.display())]
    Duplicate {
        /// The version.
        version: i64,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A Go migration would have to run.
    #[error("{} is a Go migration, which only a goose binary with that file compiled in can run", .0.display())]
    Go(PathBuf),
    /// A migration's text is wrong.
    #[error("{}:{}:{}: {}", path.display(), error.place.line, error.place.column, error.problem)]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where. It is part of the message already.
        error: ParseError,
        /// The whole text, for showing the place.
        text: String,
    },
}

impl Catalog {
    /// The migrations of a folder: every `*.sql`, and every `*.go` that is named as one. Other files are passed over.
    ///
    /// # Errors
    /// When the folder is missing or unreadable, a `.sql` file's name has no version, or a version comes twice.
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self, SourceError> {
        let dir = dir.as_ref();
        let unreadable = |source| SourceError::Unreadable { path: dir.into(), source };
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SourceError::NoFolder(dir.into()));
            }
            entries => entries.map_err(unreadable)?,
        };
        let mut migrations = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let name = name.to_string_lossy();
            let path = dir.join(&*name);
            if name.ends_with(".sql") {
                let version =
                    version_of(&name).map_err(|source| SourceError::Name { path: path.clone(), source })?;
                migrations.push(Migration { version, path, text: Text::OnDisk });
            } else if name.ends_with(".go") && !name.ends_with("_test.go") {
                // Helpers in Go live beside Go migrations: goose passes over those without a version.
                let Ok(version) = version_of(&name) else { continue };
                migrations.push(Migration { version, path, text: Text::Go });
            }
        }
        Self::ordered(migrations)
    }

    /// Migrations that a program carries with it: pairs of file name and text.
    ///
    /// ```
    /// let catalog = skep_migrate::Catalog::embedded([
    ///     ("00001_users.sql", "-- +goose Up\nCREATE TABLE users (id bigint);\n"),
    /// ])?;
    /// assert_eq!(catalog.newest(), Some(1));
    /// # Ok::<(), skep_migrate::SourceError>(())
    /// ```
    ///
    /// # Errors
    /// When a name has no version or a version comes twice.
    pub fn embedded<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, SourceError> {
        let migrations = files.into_iter().map(|(name, text)| {
            let path = PathBuf::from(name);
            let version =
                version_of(name).map_err(|source| SourceError::Name { path: path.clone(), source })?;
            Ok(Migration { version, path, text: Text::Embedded(text.into()) })
        });
        Self::ordered(migrations.collect::<Result<_, _>>()?)
    }

    fn ordered(mut migrations: Vec<Migration>) -> Result<Self, SourceError> {
        migrations.sort_by(|a, b| a.version.cmp(&b.version).then_with(|| a.path.cmp(&b.path)));
        if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version == pair[1].version) {
            return Err(SourceError::Duplicate {
                version: pair[0].version,
                first: pair[0].path.clone(),
                second: pair[1].path.clone(),
            });
        }
        Ok(Self { migrations })
    }

    /// All of them, lowest version first.
    #[must_use]
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The one with this version.
    #[must_use]
    pub fn get(&self, version: i64) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.version == version)
    }

    /// The newest version: what an app that reads its migrations at start hands to `require_schema_applied`.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.migrations.last().map(|migration| migration.version)
    }
}

impl Migration {
    /// The file's name without its folder.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Reads and parses one direction. `variable` answers the environment, for `ENVSUB ON`.
    ///
    /// # Errors
    /// When the file can't be read or parsed, or is a Go migration.
    pub fn script(
        &self,
        direction: Direction,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Script, SourceError> {
        let text = match &self.text {
            Text::Embedded(text) => text.clone(),
            Text::OnDisk => fs::read_to_string(&self.path)
                .map_err(|source| SourceError::Unreadable { path: self.path.clone(), source })?,
            Text::Go => return Err(SourceError::Go(self.path.clone())),
        };
        parse(&text, direction, variable).map_err(|error| SourceError::Parse {
            path: self.path.clone(),
            error,
            text,
        })
    }
}
