//! The bearer token of a kubeconfig: its `token`, or that of its `tokenFile`, which another program renews.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;

use crate::kubeconfig::KubeconfigError;

/// How old a token may be before the file is read again, as in client-go.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// A token, and the file that it is read from.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    path: Option<PathBuf>,
    last: Arc<Mutex<(HeaderValue, Timestamp)>>,
}

impl Token {
    /// The `token` of a user.
    pub(crate) fn inline(token: &str) -> Result<Self, KubeconfigError> {
        let what = "is not a token that an HTTP header can hold";
        let header = header(token).map_err(|_| KubeconfigError::Field { field: "token", what })?;
        Ok(Self::new(None, header))
    }

    /// Reads the `tokenFile` of a user for the first time.
    pub(crate) fn file(path: &Path) -> Result<Self, KubeconfigError> {
        let header = read(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                KubeconfigError::Field { field: "tokenFile", what: "names a file that does not hold a token" }
            }
            _ => KubeconfigError::File { field: "tokenFile", error },
        })?;
        Ok(Self::new(Some(path.to_owned()), header))
    }

    fn new(path: Option<PathBuf>, header: HeaderValue) -> Self {
        Self { path, last: Arc::new(Mutex::new((header, skep_ambient::now()))) }
    }

    /// The request with the token. When its file is gone, the last token that was read is sent.
    pub(crate) fn authorize(&self, mut request: Request<Body>) -> Request<Body> {
        let now = skep_ambient::now();
        if let Ok(mut last) = self.last.lock() {
            if let Some(path) = self.path.as_ref().filter(|_| now.duration_since(last.1) > FRESH) {
                last.0 = read(path).unwrap_or_else(|_| last.0.clone());
                last.1 = now;
            }
            request.headers_mut().insert(AUTHORIZATION, last.0.clone());
        }
        request
    }
}

/// Without the line end that editors write; kubectl does without it too.
fn read(path: &Path) -> io::Result<HeaderValue> {
    header(fs::read_to_string(path)?.trim())
}

fn header(token: &str) -> io::Result<HeaderValue> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(invalid)?;
    value.set_sensitive(true);
    Ok(value)
}
