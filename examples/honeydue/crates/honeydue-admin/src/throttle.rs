//! Limits of sign-in attempts, per client and in total: there is one password that everybody would guess.
//!
//! The counters are in memory, because the Deployment has one replica. Only wrong passwords count; browsers that have a cookie are not
//! affected.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The window of attempts.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Attempts of one client.
const OF_CLIENT: usize = 5;
/// Attempts of all clients: 28,800 guesses a day, too few to find a random password.
const OF_ALL: usize = 100;

/// Counts attempts. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttle {
    attempts: Arc<Mutex<Attempts>>,
}

/// The times of the attempts within the window, at most [`OF_ALL`].
#[derive(Debug, Default)]
struct Attempts {
    all: VecDeque<Instant>,
    clients: HashMap<String, VecDeque<Instant>>,
}

impl Throttle {
    /// Counts an attempt of `client` at `now`.
    ///
    /// # Errors
    /// The time to wait when a limit is reached.
    pub(crate) fn attempt(&self, client: &str, now: Instant) -> Result<(), Duration> {
        let mut attempts = self.lock();
        attempts.forget_before(now);
        let Attempts { all, clients } = &mut *attempts;
        let its_own = clients.get(client);
        let full =
            its_own.filter(|own| own.len() >= OF_CLIENT).or(Some(&*all).filter(|all| all.len() >= OF_ALL));
        if let Some(oldest) = full.and_then(VecDeque::front) {
            return Err(WINDOW.saturating_sub(now.saturating_duration_since(*oldest)));
        }
        all.push_back(now);
        clients.entry(client.to_owned()).or_default().push_back(now);
        Ok(())
    }

    /// Removes a client's successful attempt, and its earlier ones from its own counter.
    pub(crate) fn forgive(&self, client: &str) {
        let mut attempts = self.lock();
        if let Some(latest) = attempts.clients.remove(client).and_then(|own| own.back().copied())
            && let Some(place) = attempts.all.iter().rposition(|moment| *moment == latest)
        {
            attempts.all.remove(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempts {
    fn forget_before(&mut self, now: Instant) {
        let is_old = |moment: &Instant| now.saturating_duration_since(*moment) >= WINDOW;
        let forget = |moments: &mut VecDeque<Instant>| {
            while moments.front().is_some_and(is_old) {
                moments.pop_front();
            }
        };
        forget(&mut self.all);
        self.clients.retain(|_, own| {
            forget(own);
            !own.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_that_guesses_waits_and_others_do_not() {
        let (throttle, begun) = (Throttle::default(), Instant::now());
        for second in 0..5 {
            assert_eq!(throttle.attempt("a", begun + Duration::from_secs(second)), Ok(()));
        }
        let sixth = throttle.attempt("a", begun + Duration::from_secs(60));
        assert_eq!(sixth, Err(Duration::from_secs(240)), "until the first is forgotten");
        assert_eq!(throttle.attempt("b", begun + Duration::from_secs(60)), Ok(()));
        assert_eq!(throttle.attempt("a", begun + WINDOW), Ok(()));
        assert!(throttle.attempt("a", begun + WINDOW).is_err(), "one place is free at a time");
    }

    #[test]
    fn many_clients_together_have_a_limit_and_bounded_memory() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let taken = (0..1000).filter(|number| throttle.attempt(&number.to_string(), now).is_ok()).count();
        assert_eq!(taken, OF_ALL);
        assert_eq!(throttle.lock().clients.len(), OF_ALL);
        assert_eq!(throttle.attempt("another", now + WINDOW), Ok(()));
        assert_eq!(throttle.lock().clients.len(), 1);
    }

    #[test]
    fn right_password_is_not_counted() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(throttle.attempt("a", now), Ok(()));
            throttle.forgive("a");
        }
    }
}
