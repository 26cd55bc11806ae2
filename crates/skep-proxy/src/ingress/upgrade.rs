//! Connections that stop being HTTP: WebSockets and whatever else an `Upgrade` header names.

use std::{net::SocketAddr, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{CONNECTION, UPGRADE},
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::Shared;

/// A client's wish to leave HTTP, taken from its request.
#[derive(Debug)]
pub(super) struct Wish {
    protocol: HeaderValue,
    client: OnUpgrade,
}

impl Wish {
    /// Takes the wish out of `request`, if there is one.
    pub(super) fn take(request: &mut Request<Incoming>) -> Option<Self> {
        let asked = request
            .headers()
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
        let protocol = request.headers().get(UPGRADE).filter(|_| asked)?.clone();
        Some(Self { protocol, client: hyper::upgrade::on(request) })
    }

    /// Says it to the backend: these headers are per connection and have to be made anew.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The backend agreed: bytes flow both ways from when the 101 has reached the client.
    pub(super) fn grant(self, shared: &Arc<Shared>, backend: SocketAddr, response: &mut Response<Incoming>) {
        let agreed = response.headers().get(UPGRADE).cloned().unwrap_or(self.protocol);
        let upstream = hyper::upgrade::on(&mut *response);
        super::headers::remove_hop_by_hop(response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, agreed);
        let tether = shared.roster.tether(backend.ip());
        let draining = shared.draining.clone();
        let client = self.client;
        let spliced = async move {
            let (client, upstream) = tokio::try_join!(client, upstream).map_err(std::io::Error::other)?;
            copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await
        };
        shared.tasks.0.spawn(async move {
            tokio::select! {
                ended = spliced => {
                    if let Err(error) = ended {
                        tracing::trace!(%error, %backend, "upgraded connection broke");
                    }
                }
                () = tether.cancelled() => {}
                () = draining.cancelled() => {}
            }
        });
    }
}
