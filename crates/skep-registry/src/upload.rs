//! One blob's way into a registry: in one piece, or in several with the place to go on from asked after a break.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use reqwest::{Method, Url, header};
use skep_model::{Digest, ImageRef};

use crate::{
    At, Client, RegistryError,
    client::Access,
    http::{Answer, Body, Call},
    push::{Content, Meter, Source},
    retry::{Failure, retrying},
};

/// The piece that is tried when a proxy in front of the registry finds a whole blob too large.
const SMALL_PIECE: u64 = 16 << 20;
/// How long the cancelling of uploads may keep a push that has failed anyway.
const CANCELLING: Duration = Duration::from_secs(2);

/// Uploads of a push that were begun and have not ended, each with its blob; several of one blob when tries failed.
#[derive(Debug, Default)]
pub(crate) struct Begun(Mutex<Vec<(Digest, Url)>>);

impl Begun {
    fn sessions(&self) -> MutexGuard<'_, Vec<(Digest, Url)>> {
        // A list of addresses is valid whatever was interrupted.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last upload of `blob` came to its end.
    fn ended(&self, blob: Digest) {
        let mut sessions = self.sessions();
        if let Some(last) = sessions.iter().rposition(|(of, _)| *of == blob) {
            sessions.remove(last);
        }
    }
}

impl Client {
    /// Sends `source`, or has the registry take it from another of its repositories.
    pub(crate) async fn upload(
        &self,
        image: &ImageRef,
        source: &Source,
        begun: &Begun,
        meter: &Meter,
    ) -> Result<(), RegistryError> {
        let at = self.at_blob(image, &source.digest, "push");
        let whole = match source.content {
            Content::Held(_) => true,
            Content::File(_) => source.size <= self.config().piece,
        };
        let retry = &self.config().retry;
        if whole {
            let sent = retrying(retry, || self.upload_whole(image, source, begun, meter, &at)).await;
            match (&source.content, sent) {
                (Content::File(_), Err(RegistryError::Unexpected { status: 413, .. })) => {}
                (_, sent) => return sent,
            }
        }
        let piece = if whole { SMALL_PIECE } else { self.config().piece };
        retrying(retry, || self.upload_pieces(image, source, piece, begun, meter, &at)).await
    }

    /// Begins an upload of what will not be sent, and cancels it.
    pub(crate) async fn begin_and_cancel(
        &self,
        image: &ImageRef,
        source: &Source,
    ) -> Result<(), RegistryError> {
        let at = self.at_blob(image, &source.digest, "push");
        let begun = Begun::default();
        retrying(&self.config().retry, || self.begin(image, source, &begun, &at)).await?;
        self.cancel(image, &begun).await;
        Ok(())
    }

    /// Has the registry drop what came of uploads that will not be finished: on a full disk it is in the way of the next push.
    pub(crate) async fn cancel(&self, image: &ImageRef, begun: &Begun) {
        let sessions = mem::take(&mut *begun.sessions());
        let cancelled = sessions.into_iter().map(|(digest, session)| async move {
            let at = self.at_blob(image, &digest, "push");
            let call = Call::new(Method::DELETE, session, Access::Push);
            if let Err(failure) = self.call_once(image, &call, &at).await {
                tracing::debug!(error = %failure.error, "an unfinished upload stays until the registry drops it");
            }
        });
        if tokio::time::timeout(CANCELLING, join_all(cancelled)).await.is_err() {
            tracing::debug!(
                "unfinished uploads stay until the registry drops them: it did not answer in time"
            );
        }
    }

    async fn upload_whole(
        &self,
        image: &ImageRef,
        source: &Source,
        begun: &Begun,
        meter: &Meter,
        at: &At,
    ) -> Result<(), Failure> {
        let Some(session) = self.begin(image, source, begun, at).await? else {
            return Ok(());
        };
        let body = match &source.content {
            Content::Held(bytes) => Body::Held(bytes.clone()),
            Content::File(path) => {
                Body::File { path: path.clone(), offset: 0, len: source.size, meter: meter.clone() }
            }
        };
        let counted = Counted::of(meter);
        let call = Call::new(Method::PUT, closing(session, source), Access::Push)
            .content_type("application/octet-stream")
            .body(body);
        let answer = self.call_once(image, &call, at).await;
        let answer = counted.settle(answer).map_err(forgotten)?;
        if matches!(source.content, Content::Held(_)) {
            meter.add(source.size);
        }
        verified(source, &answer, at)?;
        begun.ended(source.digest);
        Ok(())
    }

    async fn upload_pieces(
        &self,
        image: &ImageRef,
        source: &Source,
        piece: u64,
        begun: &Begun,
        meter: &Meter,
        at: &At,
    ) -> Result<(), Failure> {
        let Content::File(path) = &source.content else {
            return self.upload_whole(image, source, begun, meter, at).await;
        };
        let Some(mut session) = self.begin(image, source, begun, at).await? else {
            return Ok(());
        };
        let all = Counted::of(meter);
        let mut offset = 0;
        let mut breaks = 0;
        while offset < source.size {
            let len = piece.max(1).min(source.size - offset);
            let call = Call::new(Method::PATCH, session.clone(), Access::Push)
                .content_type("application/octet-stream")
                .header(header::CONTENT_RANGE, format!("{offset}-{}", offset + len - 1))
                .body(Body::File { path: path.clone(), offset, len, meter: meter.clone() });
            let counted = Counted::of(meter);
            match counted.settle(self.call_once(image, &call, at).await) {
                Ok(answer) => {
                    offset = received(&answer).unwrap_or(offset + len);
                    session = answer.location().unwrap_or(session);
                }
                Err(failure) if resumable(&failure.error) && breaks < self.config().retry.attempts => {
                    breaks += 1;
                    match self.resume(image, &session, at).await {
                        Ok((next, at_offset)) if at_offset <= source.size => {
                            (session, offset) = (next, at_offset);
                        }
                        // The session is gone: the caller begins another.
                        _ => return all.settle(Err(failure)),
                    }
                }
                Err(failure) => return all.settle(Err(forgotten(failure))),
            }
        }
        let call = Call::new(Method::PUT, closing(session, source), Access::Push);
        let answer = all.settle(self.call_once(image, &call, at).await).map_err(|failure| Failure {
            // A server that still held bytes of a broken piece has put them between ours; a fresh session has no such past.
            again: breaks > 0,
            ..failure
        })?;
        verified(source, &answer, at)?;
        begun.ended(source.digest);
        Ok(())
    }

    /// Opens an upload. `None` when the registry took the blob from the repository that was named.
    async fn begin(
        &self,
        image: &ImageRef,
        source: &Source,
        begun: &Begun,
        at: &At,
    ) -> Result<Option<Url>, Failure> {
        let mut url = self.url(image, "blobs/uploads/")?;
        if let Some(from) = &source.mount_from {
            url.query_pairs_mut().append_pair("mount", &source.digest.to_string()).append_pair("from", from);
        }
        let call = Call::new(Method::POST, url, Access::Push);
        let answer = self.call_once(image, &call, at).await?;
        if answer.status == reqwest::StatusCode::CREATED {
            return Ok(None);
        }
        let location = answer.location().ok_or_else(|| RegistryError::Malformed {
            at: Box::new(at.clone()),
            expected: "a Location to upload to",
            source: None,
        })?;
        begun.sessions().push((source.digest, location.clone()));
        Ok(Some(location))
    }

    /// Asks how much of an upload has arrived.
    async fn resume(&self, image: &ImageRef, session: &Url, at: &At) -> Result<(Url, u64), Failure> {
        let call = Call::new(Method::GET, session.clone(), Access::Push);
        let answer = self.call_once(image, &call, at).await?;
        let next = answer.location().unwrap_or_else(|| session.clone());
        Ok((next, received(&answer).unwrap_or(0)))
    }
}

/// A registry that was restarted no longer knows the session: another one may do.
fn forgotten(failure: Failure) -> Failure {
    Failure { again: failure.again || failure.error.is_not_found(), ..failure }
}

/// True when the session may still be good: it broke off, or (416) more of the broken piece arrived after we asked how much.
fn resumable(error: &RegistryError) -> bool {
    error.is_passing() || matches!(error, RegistryError::Unexpected { status: 416, .. })
}

/// How many bytes a `Range: 0-N` says are there. `0-0` is how registries write nothing.
fn received(answer: &Answer) -> Option<u64> {
    let last: u64 = answer.header("range")?.split_once('-')?.1.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

fn closing(session: Url, source: &Source) -> Url {
    let mut url = session;
    url.query_pairs_mut().append_pair("digest", &source.digest.to_string());
    url
}

fn verified(source: &Source, answer: &Answer, at: &At) -> Result<(), Failure> {
    match answer.digest() {
        Some(found) if found != source.digest => {
            Err(RegistryError::DigestMismatch { at: Box::new(at.clone()), expected: source.digest, found }
                .into())
        }
        _ => Ok(()),
    }
}

/// Where a blob's meter stood when a try began, so that the try's bytes are taken back if it fails.
struct Counted<'a> {
    meter: &'a Meter,
    before: u64,
}

impl<'a> Counted<'a> {
    fn of(meter: &'a Meter) -> Self {
        Self { meter, before: meter.own() }
    }

    fn settle<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if outcome.is_err() {
            self.meter.take_back(self.meter.own().saturating_sub(self.before));
        }
        outcome
    }
}
