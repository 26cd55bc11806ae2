//! Which migrations run: pure, from the version table and the folder.

use thiserror::Error;

use crate::history::History;
use crate::source::{Catalog, Migration};

/// What to do about migrations below the database's version that were never applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// Refuse to run anything: goose's default, and what tells two branches apart before they reach production.
    #[default]
    Refuse,
    /// Apply them first: goose's `-allow-missing`.
    Allow,
}

/// Why nothing can be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// goose's answer to an empty folder, and to `up-to` below the first file.
    #[error("no migration files found")]
    NoFiles,
    /// Out-of-order files.
    #[error("found {} missing migrations before current version {current}:{}\nrun with -allow-missing to apply them, or give them numbers above {current}", files.len(), list(files))]
    Missing {
        /// The highest version the table knows.
        current: i64,
        /// Versions and files, ascending.
        files: Vec<(i64, String)>,
    },
    /// The table has rows for nothing, not even version 0.
    #[error(
        "no next version found: the version table has no applied row, not even version 0; insert one with INSERT INTO {table} (version_id, is_applied) VALUES (0, true)"
    )]
    NoCurrent {
        /// The table's name.
        table: String,
    },
    /// The current version's file isn't in the folder, so it can't be rolled back.
    #[error("migration {0}: no current version found: there is no file with that version in the folder")]
    NoFile(i64),
}

fn list(files: &[(i64, String)]) -> String {
    files.iter().map(|(version, file)| format!("\n\tversion {version}: {file}")).collect()
}

/// The migrations that an up to `target` applies, in order.
pub(crate) fn up<'a>(
    catalog: &'a Catalog,
    history: &History,
    target: i64,
    missing: Missing,
) -> Result<Vec<&'a Migration>, PlanError> {
    let files: Vec<&Migration> =
        catalog.migrations().iter().filter(|migration| migration.version <= target).collect();
    if files.is_empty() {
        return Err(PlanError::NoFiles);
    }
    let current = history.highest_applied().unwrap_or(0);
    let pending: Vec<&Migration> =
        files.into_iter().filter(|migration| !history.is_applied(migration.version)).collect();
    let skipped: Vec<(i64, String)> = pending
        .iter()
        .filter(|migration| migration.version < current)
        .map(|migration| (migration.version, migration.path.display().to_string()))
        .collect();
    if !skipped.is_empty() && missing == Missing::Refuse {
        return Err(PlanError::Missing { current, files: skipped });
    }
    Ok(pending)
}

/// The migration that a single down rolls back.
pub(crate) fn down(catalog: &Catalog, current: i64) -> Result<&Migration, PlanError> {
    if catalog.migrations().is_empty() {
        return Err(PlanError::NoFiles);
    }
    catalog.get(current).ok_or(PlanError::NoFile(current))
}

/// The applied migrations that a reset rolls back, newest first. Applied ones without a file are left alone, as in goose.
pub(crate) fn reset<'a>(catalog: &'a Catalog, history: &History) -> Result<Vec<&'a Migration>, PlanError> {
    if catalog.migrations().is_empty() {
        return Err(PlanError::NoFiles);
    }
    Ok(catalog.migrations().iter().rev().filter(|migration| history.is_applied(migration.version)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Row;

    fn catalog(versions: &[i64]) -> Catalog {
        let names: Vec<String> = versions.iter().map(|version| format!("{version:05}_x.sql")).collect();
        Catalog::embedded(names.iter().map(|name| (name.as_str(), ""))).unwrap()
    }

    fn history(oldest_first: &[(i64, bool)]) -> History {
        History::from_newest_first(
            oldest_first.iter().rev().map(|&(version, applied)| Row { version, applied }).collect(),
        )
    }

    fn versions(plan: Result<Vec<&Migration>, PlanError>) -> Result<Vec<i64>, Vec<i64>> {
        match plan {
            Ok(list) => Ok(list.iter().map(|migration| migration.version).collect()),
            Err(PlanError::Missing { files, .. }) => Err(files.iter().map(|(version, _)| *version).collect()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn up_follows_gooses_order() {
        type Case = (&'static [i64], &'static [(i64, bool)], i64, Missing, Result<Vec<i64>, Vec<i64>>);
        let max = i64::MAX;
        let table: &[Case] = &[
            (&[1, 2, 3], &[(0, true)], max, Missing::Refuse, Ok(vec![1, 2, 3])),
            (&[1, 2, 3], &[(0, true)], 2, Missing::Refuse, Ok(vec![1, 2])),
            (&[1, 2, 3], &[(0, true), (1, true), (2, true)], max, Missing::Refuse, Ok(vec![3])),
            (&[1, 2], &[(0, true), (1, true), (2, true)], max, Missing::Refuse, Ok(vec![])),
            // 2 came after 3 was applied.
            (&[1, 2, 3, 4], &[(0, true), (1, true), (3, true)], max, Missing::Refuse, Err(vec![2])),
            (&[1, 2, 3, 4], &[(0, true), (1, true), (3, true)], max, Missing::Allow, Ok(vec![2, 4])),
            // up-to looks no further than its target.
            (&[1, 2, 3, 4], &[(0, true), (1, true), (4, true)], 2, Missing::Refuse, Err(vec![2])),
            (&[1, 2, 3, 4], &[(0, true), (1, true), (4, true)], 1, Missing::Refuse, Ok(vec![])),
            // A down that goose 2 recorded as a row.
            (
                &[1, 2, 3],
                &[(0, true), (1, true), (2, true), (2, false)],
                max,
                Missing::Refuse,
                Ok(vec![2, 3]),
            ),
            // The database is ahead of the folder: an older image runs its migrations.
            (&[1, 2], &[(0, true), (1, true), (2, true), (3, true)], max, Missing::Refuse, Ok(vec![])),
        ];
        for (files, rows, target, missing, expected) in table {
            let (catalog, history) = (catalog(files), history(rows));
            let plan = versions(up(&catalog, &history, *target, *missing));
            assert_eq!(&plan, expected, "{files:?} {rows:?} to {target}");
        }
    }

    #[test]
    fn an_empty_folder_is_an_error_as_in_goose() {
        assert_eq!(up(&catalog(&[]), &history(&[]), 9, Missing::Refuse), Err(PlanError::NoFiles));
        assert_eq!(up(&catalog(&[5]), &history(&[]), 4, Missing::Refuse), Err(PlanError::NoFiles));
        assert_eq!(down(&catalog(&[]), 0), Err(PlanError::NoFiles));
        assert_eq!(down(&catalog(&[1]), 2), Err(PlanError::NoFile(2)));
    }

    #[test]
    fn missing_migrations_are_named() {
        let (catalog, history) = (catalog(&[1, 2, 3]), history(&[(0, true), (3, true)]));
        let message = up(&catalog, &history, i64::MAX, Missing::Refuse).unwrap_err().to_string();
        assert!(message.contains("found 2 missing migrations before current version 3"), "{message}");
        assert!(message.contains("version 2: 00002_x.sql"), "{message}");
    }
}
