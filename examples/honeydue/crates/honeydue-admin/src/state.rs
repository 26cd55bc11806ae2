//! What handlers share.

use honeydue_pages::{ApiClient, forms::Cookies};
use honeydue_service::{Drain, Release, client::Proxies, metrics::Metrics};

use crate::{access::Access, throttle::Throttle};

/// Everything that a request may need. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) api: ApiClient,
    /// The api's port for its own cluster.
    pub(crate) api_internal: ApiClient,
    pub(crate) worker: ApiClient,
    pub(crate) web: ApiClient,
    pub(crate) access: Access,
    pub(crate) keeper_token: String,
    pub(crate) release: Release,
    pub(crate) cookies: Cookies,
    pub(crate) proxies: Proxies,
    pub(crate) throttle: Throttle,
    pub(crate) metrics: Metrics,
    pub(crate) drain: Drain,
}
