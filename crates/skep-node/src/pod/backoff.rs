//! How long a container waits before it is started again.

use std::time::Duration;

use crate::Backoff;

/// A container's place on the ladder of delays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ladder {
    next: Duration,
}

impl Ladder {
    /// The delay after a run of `ran`, and one step up.
    pub(crate) fn step(&mut self, backoff: &Backoff, ran: Duration) -> Duration {
        if ran >= backoff.reset {
            self.next = Duration::ZERO;
        }
        let delay = self.next;
        self.next = if delay.is_zero() { backoff.initial } else { (delay * 2).min(backoff.max) };
        delay.min(backoff.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_kubernetes() {
        let backoff = Backoff::default();
        let mut ladder = Ladder::default();
        let second = Duration::from_secs(1);
        let delays: Vec<u64> = (0..8).map(|_| ladder.step(&backoff, second).as_secs()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(ladder.step(&backoff, Duration::from_secs(600)), Duration::ZERO, "ten good minutes");
        assert_eq!(ladder.step(&backoff, second), Duration::from_secs(10));
    }
}
