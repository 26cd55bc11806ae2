//! Who may still be sent traffic, and who has been sent some that it has not yet answered.
//!
//! The race this closes: a connection sits in a pod's accept queue, the pod gets SIGTERM and closes its listener, and the
//! kernel resets the connection. So letting go of a pod means to bar it and then to wait, briefly, until whatever was
//! already on its way has been answered.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// How long a pod is given to take up what was sent to it just before it was barred. Whatever is older has long been read by
/// the pod, which is all that matters. Long enough for a machine with far more to do than it has processors.
const SETTLE: Duration = Duration::from_millis(500);

/// The standing of every address that was ever sent something.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    places: Mutex<HashMap<IpAddr, Place>>,
    answered: Notify,
}

#[derive(Debug, Default)]
struct Place {
    barred: bool,
    /// When each visit began.
    unanswered: BTreeMap<u64, Instant>,
    visits: u64,
    tether: CancellationToken,
}

/// Something on its way to an address that has not answered yet. Dropped at the first byte that comes back.
#[derive(Debug)]
pub(crate) struct Visit {
    roster: Arc<Roster>,
    ip: IpAddr,
    number: u64,
}

impl Roster {
    fn places(&self) -> MutexGuard<'_, HashMap<IpAddr, Place>> {
        // Every change below is a single field: a panic elsewhere cannot leave half of one.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a visit to `ip`, unless it is barred.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Visit> {
        let mut places = self.places();
        let place = places.entry(ip).or_default();
        if place.barred {
            return None;
        }
        let number = place.visits;
        place.visits += 1;
        place.unanswered.insert(number, Instant::now());
        Some(Visit { roster: Arc::clone(self), ip, number })
    }

    pub(crate) fn is_barred(&self, ip: IpAddr) -> bool {
        self.places().get(&ip).is_some_and(|place| place.barred)
    }

    /// From now on `enter` refuses `ip`.
    pub(crate) fn bar(&self, ip: IpAddr) {
        self.places().entry(ip).or_default().barred = true;
    }

    /// Waits until nothing that was sent to `ip` within the last [`SETTLE`] is unanswered.
    pub(crate) async fn settle(&self, ip: IpAddr) {
        loop {
            let mut answered = std::pin::pin!(self.answered.notified());
            answered.as_mut().enable();
            let youngest = self.places().get(&ip).and_then(|place| place.unanswered.values().max().copied());
            let Some(youngest) = youngest else { return };
            tokio::select! {
                () = answered => {}
                () = tokio::time::sleep_until(youngest + SETTLE) => return,
            }
        }
    }

    /// `ip` belongs to someone new.
    pub(crate) fn admit(&self, ip: IpAddr) {
        if let Some(place) = self.places().get_mut(&ip) {
            place.barred = false;
        }
    }

    /// A new table: whoever is absent from it has been let go of for good, so that its bar has done its work.
    pub(crate) fn listed(&self, ips: &HashSet<IpAddr>) {
        for (ip, place) in self.places().iter_mut() {
            place.barred &= ips.contains(ip);
        }
    }

    /// Cancelled when `ip` is severed.
    pub(crate) fn tether(&self, ip: IpAddr) -> CancellationToken {
        self.places().entry(ip).or_default().tether.clone()
    }

    /// Ends everything tethered to `ip`.
    pub(crate) fn sever(&self, ip: IpAddr) {
        if let Some(place) = self.places().get_mut(&ip) {
            std::mem::take(&mut place.tether).cancel();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(place) = self.roster.places().get_mut(&self.ip) {
            place.unanswered.remove(&self.number);
        }
        self.roster.answered.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[tokio::test]
    async fn settles_as_soon_as_the_last_visit_is_answered() {
        let roster = Arc::new(Roster::default());
        let visit = roster.enter(IP).expect("nobody is barred yet");
        roster.bar(IP);
        assert!(roster.enter(IP).is_none());
        let begun = std::time::Instant::now();
        let (settled, ()) = tokio::join!(roster.settle(IP), async { drop(visit) });
        assert_eq!(settled, ());
        assert!(begun.elapsed() < SETTLE, "took {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_a_slow_answer() {
        let roster = Arc::new(Roster::default());
        let _slow = roster.enter(IP).expect("nobody is barred yet");
        roster.bar(IP);
        let begun = Instant::now();
        roster.settle(IP).await;
        assert_eq!(begun.elapsed(), SETTLE);
        roster.settle(IP).await;
        assert_eq!(begun.elapsed(), SETTLE, "an old one is not waited for at all");
    }

    #[test]
    fn a_bar_outlives_stale_tables_and_ends_with_the_first_fresh_one() {
        let roster = Arc::new(Roster::default());
        roster.bar(IP);
        roster.listed(&HashSet::from([IP]));
        assert!(roster.is_barred(IP), "a table made before the release is no reason to send there");
        roster.listed(&HashSet::new());
        assert!(roster.enter(IP).is_some());
        roster.bar(IP);
        roster.admit(IP);
        assert!(roster.enter(IP).is_some());
    }
}
