//! When to look again at what only time changes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Work;

/// The earliest time at which each piece of work wants to be looked at.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Work, Timestamp>);

impl Timers {
    /// Replaces the time of `work`: the latest look knows best.
    pub(super) fn set(&mut self, work: Work, at: Timestamp) {
        self.0.insert(work, at);
    }

    /// Takes the work whose time has come.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Work> {
        self.0.extract_if(.., |_, at| *at <= now).map(|(work, _)| work).collect()
    }

    /// Waits until something is due; for ever if nothing is set.
    pub(super) async fn wait(&self) {
        match self.0.values().min() {
            Some(at) => {
                let left = Duration::try_from(at.duration_since(skep_ambient::now())).unwrap_or_default();
                tokio::time::sleep(left).await;
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::Controller;

    #[test]
    fn the_latest_wish_counts_and_is_taken_once() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let work = |name| Work::new(Controller::Job, "a", name);
        let mut timers = Timers::default();
        timers.set(work("x"), at(10));
        timers.set(work("x"), at(20));
        timers.set(work("y"), at(15));
        assert_eq!(timers.due(at(10)), Vec::<Work>::new());
        assert_eq!(timers.due(at(16)), [work("y")]);
        assert_eq!(timers.due(at(30)), [work("x")]);
        assert_eq!(timers.due(at(40)), Vec::<Work>::new());
    }
}
