//! What no input decides: the time of day, and chance.
//!
//! Rooms that act over time ask here and nowhere else, so that a simulation can decide both ([`Simulated`]): whole deploys then run on one
//! thread, by tokio's paused clock, and go the same way for the same seed. Spans of time are measured by `tokio::time::Instant`, which
//! follows that clock by itself.

use std::cell::RefCell;

use jiff::Timestamp;
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;
use uuid::Uuid;

thread_local! {
    static SIMULATED: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// What a simulation has decided for its thread.
struct World {
    began: Timestamp,
    since: Instant,
    chance: StdRng,
}

/// The time of day.
#[must_use]
pub fn now() -> Timestamp {
    SIMULATED.with_borrow(|world| match world {
        Some(world) => world.began + world.since.elapsed(),
        None => Timestamp::now(),
    })
}

/// Bytes that nobody can guess.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SIMULATED.with_borrow_mut(|world| match world {
        Some(world) => world.chance.fill_bytes(&mut bytes),
        None => rand::rng().fill_bytes(&mut bytes),
    });
    bytes
}

/// An identifier that nobody else has.
#[must_use]
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(bytes()).into_uuid()
}

/// While it lives, time and chance of its thread are simulated.
#[derive(Debug)]
pub struct Simulated(());

impl Simulated {
    /// The day begins at `began` and passes as tokio's clock does; chance follows `seed`.
    #[must_use]
    pub fn begin(began: Timestamp, seed: u64) -> Self {
        let world = World { began, since: Instant::now(), chance: StdRng::seed_from_u64(seed) };
        SIMULATED.set(Some(world));
        Self(())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        SIMULATED.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_decides_time_and_chance_until_it_ends() {
        let began = Timestamp::UNIX_EPOCH;
        let once = || {
            let _simulated = Simulated::begin(began, 7);
            let now = now();
            assert!(now >= began && now < began + std::time::Duration::from_secs(60), "{now}");
            (uuid(), uuid())
        };
        assert_eq!(once(), once());
        assert_ne!(once().0, once().1);
        assert!(now() > began + std::time::Duration::from_secs(60));
        assert_ne!(uuid(), uuid());
    }
}
