//! What a lifecycle rule would do to what a bucket holds now: a rule knows names and ages alone, and what it deletes is gone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{LifecycleRule, ListedVersion};

/// Stores look at a bucket once a day: what grows old enough within a day is hit by the next run.
const NEXT_RUN: i64 = 24;
/// Names that are shown.
const SAMPLE: usize = 5;

/// What rules would hide or delete at their next run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expiring {
    /// Objects, as they are now.
    pub current: u64,
    /// Older versions of objects, and hidden ones.
    pub noncurrent: u64,
    /// Uploads in parts that were begun and not finished.
    pub unfinished: u64,
    /// All their bytes.
    pub bytes: u64,
    /// When the oldest came, as far as the store says.
    pub oldest: Option<Timestamp>,
    /// When the newest came.
    pub newest: Option<Timestamp>,
    /// The first names.
    pub sample: Vec<String>,
    /// Versions that were looked at.
    pub listed: u64,
}

impl Expiring {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.current + self.noncurrent + self.unfinished
    }

    fn add(&mut self, one: &ListedVersion) {
        self.bytes += one.size;
        self.oldest = self.oldest.into_iter().chain(one.last_modified).min();
        self.newest = self.newest.into_iter().chain(one.last_modified).max();
        if self.sample.len() < SAMPLE && self.sample.last() != Some(&one.key) {
            self.sample.push(one.key.clone());
        }
    }
}

impl LifecycleRule {
    /// Whether it hides or deletes something that `found`, the rule that is there for the same prefix, leaves alone.
    pub fn widens(&self, found: Option<&Self>) -> bool {
        let sooner = |wanted: Option<u32>, found: Option<u32>| match (wanted, found) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(wanted), Some(found)) => wanted < found,
        };
        sooner(self.days_to_hide, found.and_then(|found| found.days_to_hide))
            || sooner(self.days_to_delete, found.and_then(|found| found.days_to_delete))
    }
}

/// Counts what rules would hit, page by page in the order of names.
#[derive(Debug)]
pub(crate) struct Counting<'r> {
    rules: &'r [LifecycleRule],
    now: Timestamp,
    /// Versions of the names that the next page may go on with.
    pending: BTreeMap<String, Vec<ListedVersion>>,
    pub(crate) found: Expiring,
}

impl<'r> Counting<'r> {
    pub(crate) fn new(rules: &'r [LifecycleRule], now: Timestamp) -> Self {
        Self { rules, now, pending: BTreeMap::new(), found: Expiring::default() }
    }

    /// The prefixes to list, each object under one of them alone.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        let all = || self.rules.iter().map(|rule| rule.prefix.as_str());
        let mut outer: Vec<String> = all()
            .filter(|prefix| !all().any(|other| other != *prefix && prefix.starts_with(other)))
            .map(str::to_owned)
            .collect();
        outer.sort();
        outer.dedup();
        outer
    }

    /// Takes a page. Stores list names in order, and not all of them the versions of one name.
    pub(crate) fn page(&mut self, versions: Vec<ListedVersion>) {
        self.found.listed += versions.len() as u64;
        for version in versions {
            self.pending.entry(version.key.clone()).or_default().push(version);
        }
        let last = self.pending.pop_last();
        for (_, versions) in std::mem::take(&mut self.pending) {
            self.object(versions);
        }
        self.pending.extend(last);
    }

    /// There is no further page.
    pub(crate) fn end(&mut self) {
        for (_, versions) in std::mem::take(&mut self.pending) {
            self.object(versions);
        }
    }

    /// An upload in parts. Stores differ in which rule ends it: each that would hide such an object counts.
    pub(crate) fn unfinished(&mut self, upload: &ListedVersion) {
        let mut rules = self.rules.iter().filter(|rule| upload.key.starts_with(&rule.prefix));
        if rules.any(|rule| self.is_past(upload.last_modified, rule.days_to_hide)) {
            self.found.unfinished += 1;
            self.found.add(upload);
        }
    }

    fn object(&mut self, mut versions: Vec<ListedVersion>) {
        // Newest first. What has no time stays where the store has put it.
        versions.sort_by_key(|one| std::cmp::Reverse(one.last_modified));
        let mut newer: Option<Option<Timestamp>> = None;
        for version in versions {
            let mut rules = self.rules.iter().filter(|rule| version.key.starts_with(&rule.prefix));
            let hit = rules.any(|rule| match newer {
                None => self.is_past(version.last_modified, rule.days_to_hide),
                Some(hidden) => self.is_past(hidden, rule.days_to_delete),
            });
            if hit && !version.is_delete_marker {
                match newer {
                    None => self.found.current += 1,
                    Some(_) => self.found.noncurrent += 1,
                }
                self.found.add(&version);
            }
            newer = Some(version.last_modified);
        }
    }

    /// Whether so many days have passed at the next run. Of what has no time that is assumed.
    fn is_past(&self, since: Option<Timestamp>, days: Option<u32>) -> bool {
        let Some(days) = days else { return false };
        let wait = SignedDuration::from_hours(i64::from(days) * 24 - NEXT_RUN);
        since.is_none_or(|since| self.now.duration_since(since) >= wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, hide: Option<u32>, delete: Option<u32>) -> LifecycleRule {
        LifecycleRule { prefix: prefix.to_owned(), days_to_hide: hide, days_to_delete: delete }
    }

    fn now() -> Timestamp {
        "2026-12-01T00:00:00Z".parse().expect("a time")
    }

    fn version(key: &str, days: i64, marker: bool) -> ListedVersion {
        ListedVersion {
            key: key.to_owned(),
            version: Some(format!("{key}{days}")),
            size: 10,
            is_delete_marker: marker,
            last_modified: Some(now() - SignedDuration::from_hours(24 * days)),
        }
    }

    fn count(rules: &[LifecycleRule], pages: &[&[ListedVersion]]) -> Expiring {
        let mut counting = Counting::new(rules, now());
        pages.iter().for_each(|page| counting.page(page.to_vec()));
        counting.end();
        counting.found
    }

    #[test]
    fn rule_hits_what_is_old_enough_at_its_next_run() {
        let rules = [rule("uploads/", Some(7), Some(1))];
        let objects = [
            version("files/a", 100, false),
            version("uploads/a", 30, false),
            version("uploads/b", 6, false),
            version("uploads/c", 5, false),
            ListedVersion { last_modified: None, ..version("uploads/d", 0, false) },
        ];
        let found = count(&rules, &[&objects]);
        assert_eq!((found.current, found.noncurrent, found.bytes, found.listed), (3, 0, 30, 5));
        assert_eq!(found.sample, ["uploads/a", "uploads/b", "uploads/d"]);
        assert_eq!(found.oldest, objects[1].last_modified);
    }

    #[test]
    fn older_versions_and_hidden_objects_are_counted_from_when_they_were_replaced() {
        let rules = [rule("u/", Some(7), Some(2))];
        let versions = [
            // Hidden three days ago: its bytes go. The mark itself is none.
            version("u/a", 3, true),
            version("u/a", 4, false),
            // Replaced half a page ago; the current one is young.
            version("u/b", 0, false),
        ];
        let rest = [version("u/b", 40, false), version("u/b", 50, false), version("u/c", 9, true)];
        let found = count(&rules, &[&versions, &rest]);
        assert_eq!((found.current, found.noncurrent), (0, 2), "{found:?}");
        // A store that lists marks after versions.
        let unsorted = [version("u/a", 4, false), version("u/b", 0, false), version("u/a", 3, true)];
        assert_eq!(count(&rules, &[&unsorted]).noncurrent, 1);
    }

    #[test]
    fn each_object_is_counted_once_under_overlapping_rules() {
        let rules = [rule("u/", Some(30), None), rule("u/tmp/", Some(2), None)];
        assert_eq!(Counting::new(&rules, now()).prefixes(), ["u/"]);
        let found = count(&rules, &[&[version("u/a", 10, false), version("u/tmp/a", 40, false)]]);
        assert_eq!(found.count(), 1);
        let mut counting = Counting::new(&rules, now());
        counting.unfinished(&version("u/tmp/b", 5, false));
        counting.unfinished(&version("u/b", 5, false));
        assert_eq!(counting.found.count(), 1);
    }

    #[test]
    fn rule_is_widened_by_anything_that_comes_sooner() {
        let found = rule("u/", Some(7), Some(3));
        for wanted in
            [rule("u/", Some(6), Some(3)), rule("u/", Some(7), Some(2)), rule("u/", Some(9), Some(1))]
        {
            assert!(wanted.widens(Some(&found)) && wanted.widens(None), "{wanted}");
        }
        for wanted in [rule("u/", Some(7), Some(3)), rule("u/", Some(8), None), rule("u/", None, Some(9))] {
            assert!(!wanted.widens(Some(&found)), "{wanted}");
        }
        assert!(rule("u/", Some(7), Some(3)).widens(Some(&rule("u/", None, Some(3)))));
    }
}
