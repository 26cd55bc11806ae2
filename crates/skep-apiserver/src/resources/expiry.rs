//! Events are news: an hour after the last word about one it is dropped.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use serde_json::Value;

use super::Resources;
use crate::kind::Kind;
use crate::meta;
use crate::store::{Effect, Turn};

/// Seconds that an event is kept.
const KEPT: i64 = 3600;
/// Seconds between two looks for old ones.
const PAUSE: i64 = 60;

/// When old events were last looked for, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct LastSweep(AtomicI64);

impl Resources {
    /// Drops old events, unless that was done a moment ago.
    pub(super) fn expire_events(&self, turn: &Turn<'_>, now: Timestamp) {
        let now = now.as_second();
        if now - self.swept.0.load(Ordering::Relaxed) < PAUSE {
            return;
        }
        self.swept.0.store(now, Ordering::Relaxed);
        for event in self.list(Kind::EVENT, None) {
            if last_word(&event).is_some_and(|last| now - last > KEPT) {
                let key = self.key(Kind::EVENT, meta::namespace(&event), meta::name(&event));
                // Nobody waits for it: an event that a crash brings back is dropped again.
                let (_, synced) = self.store.commit(turn, key, Effect::Remove((*event).clone()), false);
                drop(synced);
            }
        }
    }
}

/// Seconds since 1970 of the last time that an event was written.
fn last_word(event: &Value) -> Option<i64> {
    let times = ["/metadata/creationTimestamp", "/lastTimestamp", "/series/lastObservedTime"];
    let seconds = |pointer| meta::text(event, pointer)?.parse::<Timestamp>().ok().map(Timestamp::as_second);
    times.into_iter().filter_map(seconds).max()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::resources::{ResourcesConfig, WriteOptions};

    #[test]
    fn an_event_is_kept_for_an_hour() {
        let resources = Resources::open(ResourcesConfig::default()).unwrap();
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "reason": "Pulled"});
        let made = resources.create_now(Kind::EVENT, event, &WriteOptions::by("test"));
        assert!(made.is_ok());
        let after = |minutes: u64| {
            resources.expire_events(
                &resources.store.turn(),
                skep_ambient::now() + Duration::from_secs(60 * minutes),
            );
            resources.list(Kind::EVENT, None).len()
        };
        assert_eq!(after(50), 1);
        assert_eq!(after(62), 0);
    }
}
