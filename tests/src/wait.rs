//! Waiting on a condition, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Looks every 50 ms until `look` answers, for at most `within`.
///
/// # Panics
/// When it has not answered by then; `what` says what was waited for.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {} s", within.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
}
