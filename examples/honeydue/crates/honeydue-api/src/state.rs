//! What handlers share.

use honeydue_files::Storage;
use honeydue_service::{Drain, Release, Sealer, client::Proxies, metrics::Metrics};
use honeydue_store::{Cache, Store, passwords::Passwords};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// Everything that a request may need. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) cache: Cache,
    /// The bucket; `None` when this honeyDue keeps no files.
    pub(crate) storage: Option<Storage>,
    pub(crate) sealer: Sealer,
    pub(crate) passwords: Passwords,
    pub(crate) proxies: Proxies,
    pub(crate) release: Release,
    pub(crate) metrics: Metrics,
    pub(crate) drain: Drain,
}

/// The day that "overdue" is judged by: the civil day in UTC.
pub(crate) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
