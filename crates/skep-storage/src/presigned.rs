//! What a client gets: where to send its bytes, and with what.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use url::Url;

/// A signed upload. As JSON: `{"method": "POST", "url": …, "fields": {…}}` or `{"method": "PUT", "url": …, "headers": {…}}`.
///
/// Whoever has it may use it until it expires, more than once: it is a secret, and `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "method")]
pub enum Presigned {
    /// A form: these fields, and after them `file`.
    #[serde(rename = "POST")]
    Post {
        /// Where the form goes.
        url: Url,
        /// Its fields, in their order.
        #[serde(serialize_with = "as_map")]
        fields: Vec<(&'static str, String)>,
    },
    /// A request with exactly these headers. A browser sets `content-length` by itself.
    #[serde(rename = "PUT")]
    Put {
        /// Where the bytes go.
        url: Url,
        /// What the request must carry.
        #[serde(serialize_with = "as_map")]
        headers: Vec<(&'static str, String)>,
    },
}

fn as_map<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

impl fmt::Debug for Presigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, url) = match self {
            Self::Post { url, .. } => ("POST", url),
            Self::Put { url, .. } => ("PUT", url),
        };
        // Without its query, which is the signature.
        write!(f, "Presigned({method} {}{})", url.host_str().unwrap_or_default(), url.path())
    }
}
