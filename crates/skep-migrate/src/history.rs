//! What the version table says: which versions are applied, and which is current.
//!
//! goose appends a row for every migration; the newest row (by `id`) of a version decides whether it is applied.

use std::collections::BTreeMap;

/// One row of the version table, without its `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The migration's version; 0 is the row goose makes with the table.
    pub version: i64,
    /// True for an up, false for a down (goose before version 3 recorded downs; now it deletes the rows).
    pub applied: bool,
}

/// The version table as one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    newest_first: Vec<Row>,
    state: BTreeMap<i64, bool>,
}

impl History {
    /// From the table's rows, newest `id` first.
    #[must_use]
    pub fn from_newest_first(rows: Vec<Row>) -> Self {
        let mut state = BTreeMap::new();
        for row in &rows {
            state.entry(row.version).or_insert(row.applied);
        }
        Self { newest_first: rows, state }
    }

    /// Whether the newest row of `version` says so.
    #[must_use]
    pub fn is_applied(&self, version: i64) -> bool {
        self.state.get(&version).copied().unwrap_or(false)
    }

    /// The highest applied version; 0 when there is only goose's first row; `None` when not even that.
    #[must_use]
    pub fn highest_applied(&self) -> Option<i64> {
        self.state.iter().rev().find(|(_, applied)| **applied).map(|(version, _)| *version)
    }

    /// goose's current version: of the applied ones, the one that was recorded last. It differs from
    /// [`highest_applied`](Self::highest_applied) after a missing migration was applied out of order.
    #[must_use]
    pub fn current(&self) -> Option<i64> {
        self.newest_first.iter().find(|row| self.is_applied(row.version)).map(|row| row.version)
    }

    /// The row that was written last.
    #[must_use]
    pub fn latest_row(&self) -> Option<Row> {
        self.newest_first.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(oldest_first: &[(i64, bool)]) -> History {
        History::from_newest_first(
            oldest_first.iter().rev().map(|&(version, applied)| Row { version, applied }).collect(),
        )
    }

    #[test]
    fn the_newest_row_of_a_version_decides() {
        // rows oldest first; current; highest applied; is 2 applied
        type Case = (&'static [(i64, bool)], Option<i64>, Option<i64>, bool);
        let table: &[Case] = &[
            (&[], None, None, false),
            (&[(0, true)], Some(0), Some(0), false),
            (&[(0, true), (1, true), (2, true)], Some(2), Some(2), true),
            (&[(0, true), (1, true), (2, true), (2, false)], Some(1), Some(1), false),
            (&[(0, true), (1, true), (2, false), (2, true)], Some(2), Some(2), true),
            (&[(0, true), (1, true), (3, true), (2, true)], Some(2), Some(3), true),
            (&[(0, true), (1, true), (2, true), (2, false), (1, false)], Some(0), Some(0), false),
            (&[(0, false)], None, None, false),
        ];
        for (rows, current, highest, two) in table {
            let history = history(rows);
            assert_eq!(history.current(), *current, "{rows:?}");
            assert_eq!(history.highest_applied(), *highest, "{rows:?}");
            assert_eq!(history.is_applied(2), *two, "{rows:?}");
        }
    }

    #[test]
    fn the_latest_row_may_be_a_down() {
        let latest = history(&[(0, true), (1, true), (1, false)]).latest_row();
        assert_eq!(latest, Some(Row { version: 1, applied: false }));
    }
}
