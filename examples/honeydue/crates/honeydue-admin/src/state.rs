//! What handlers share.

use honeydue_pages::ApiClient;
use honeydue_service::{Drain, Release, client::Proxies};

use crate::{access::Access, throttle::Throttle};

/// Everything that a request may need. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) api: ApiClient,
    pub(crate) worker: ApiClient,
    pub(crate) web: ApiClient,
    pub(crate) access: Access,
    pub(crate) keeper_token: String,
    pub(crate) release: Release,
    pub(crate) secure_cookies: bool,
    pub(crate) proxies: Proxies,
    pub(crate) throttle: Throttle,
    pub(crate) drain: Drain,
}
