//! The latest changes, kept so that a watcher can go on from the version that it has seen.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use crate::kind::Key;

/// How many changes are kept. A watcher that is further behind lists again.
const KEPT: usize = 8192;

/// One change of one object.
#[derive(Debug)]
pub(crate) struct Change {
    /// The version that the change made.
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) verb: Verb,
    /// The object after the change; its last state if it was deleted.
    pub(crate) object: Arc<Value>,
    /// The object before the change: a watcher with a selector must know whether it matched.
    pub(crate) previous: Option<Arc<Value>>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Added,
    Modified,
    Deleted,
}

/// Changes in order of version.
#[derive(Debug)]
pub(crate) struct Ring {
    changes: VecDeque<Arc<Change>>,
    /// The version before the oldest change that is kept.
    floor: u64,
}

impl Ring {
    /// A ring that knows nothing of what led to `version`.
    pub(crate) fn starting_at(version: u64) -> Self {
        Self { changes: VecDeque::new(), floor: version }
    }

    pub(crate) fn push(&mut self, change: Change) {
        if self.changes.len() == KEPT
            && let Some(oldest) = self.changes.pop_front()
        {
            self.floor = oldest.version;
        }
        self.changes.push_back(Arc::new(change));
    }

    /// Every change after `version`, or the oldest version that one can go on from.
    pub(crate) fn since(&self, version: u64) -> Result<impl Iterator<Item = &Arc<Change>>, u64> {
        if version < self.floor {
            return Err(self.floor);
        }
        let first = self.changes.partition_point(|change| change.version <= version);
        Ok(self.changes.range(first..))
    }
}
