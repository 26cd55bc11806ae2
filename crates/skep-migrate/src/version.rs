//! A migration's version: the number before the first `_` of its file name.
//!
//! Both of goose's forms are numbers, `00012_add_tasks.sql` and `20260824101500_add_tasks.sql`, and order by value.

use thiserror::Error;

/// A file name that is no migration's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Neither `.sql` nor `.go`.
    #[error("{name}: a migration's name ends in .sql")]
    Extension {
        /// The file name, without its folder.
        name: String,
    },
    /// No `_` parts the version from the description.
    #[error("{name}: expected VERSION_description.sql, found no `_` (for example 00001_{name})")]
    Separator {
        /// The file name, without its folder.
        name: String,
    },
    /// What is before the first `_` is not a number from 1 to 2^63 - 1.
    #[error("{name}: expected a version above 0 before the first `_`, found `{found}`")]
    Number {
        /// The file name, without its folder.
        name: String,
        /// The text before the first `_`.
        found: String,
    },
}

/// The version in a migration's file name; a folder before the name is ignored.
///
/// # Errors
/// When the name is not `VERSION_description.sql` (or `.go`, which goose allows and this crate cannot run).
///
/// ```
/// assert_eq!(skep_migrate::version_of("migrations/00012_add_tasks.sql"), Ok(12));
/// assert!(skep_migrate::version_of("schema.sql").is_err());
/// ```
pub fn version_of(file_name: &str) -> Result<i64, NameError> {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    if !(name.ends_with(".sql") || name.ends_with(".go")) {
        return Err(NameError::Extension { name: name.into() });
    }
    let Some((number, _)) = name.split_once('_') else {
        return Err(NameError::Separator { name: name.into() });
    };
    match number.parse::<i64>() {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(NameError::Number { name: name.into(), found: number.into() }),
    }
}

/// The newest version among file names; names that are no migration's are passed over. `None` when none is left.
///
/// An app calls it on the names it was built with, from a build script (with `default-features = false`, so that
/// nothing of the database client is compiled for it) or on a list it embeds, and hands the result to
/// `require_schema_applied`.
///
/// ```
/// let newest = skep_migrate::newest_version(["00001_users.sql", "README.md", "00002_tasks.sql"]);
/// assert_eq!(newest, Some(2));
/// ```
pub fn newest_version(file_names: impl IntoIterator<Item: AsRef<str>>) -> Option<i64> {
    file_names.into_iter().filter_map(|name| version_of(name.as_ref()).ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_goose_reads_them() {
        for (name, expected) in [
            ("00001_a.sql", Some(1)),
            ("1_a.sql", Some(1)),
            ("20260824101500_a_b.sql", Some(20_260_824_101_500)),
            ("migrations/00007_x.sql", Some(7)),
            ("00002_x.go", Some(2)),
            ("+3_x.sql", Some(3)),
            ("9223372036854775807_x.sql", Some(i64::MAX)),
            ("9223372036854775808_x.sql", None),
            ("00000_x.sql", None),
            ("-1_x.sql", None),
            ("_x.sql", None),
            ("00001.sql", None),
            ("00001-x.sql", None),
            ("v1_x.sql", None),
            ("00001_x.sql.bak", None),
            ("00001_x", None),
        ] {
            assert_eq!(version_of(name).ok(), expected, "{name}");
        }
    }

    #[test]
    fn a_bad_name_says_what_was_expected() {
        let message = version_of("db/schema.sql").unwrap_err().to_string();
        assert!(message.contains("VERSION_description.sql"), "{message}");
        let message = version_of("v1_x.sql").unwrap_err().to_string();
        assert!(message.contains("found `v1`"), "{message}");
    }

    #[test]
    fn the_newest_is_by_value_not_by_spelling() {
        assert_eq!(newest_version(["9_a.sql", "00010_b.sql", "notes.txt"]), Some(10));
        assert_eq!(newest_version(Vec::<String>::new()), None);
    }
}
