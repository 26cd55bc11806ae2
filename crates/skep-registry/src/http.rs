//! One HTTP exchange: a request as a value that can be made again, and the answer.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, stream};
use reqwest::{
    Method, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{self, HeaderMap},
};
use serde::Deserialize;
use skep_model::Digest;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::{client::Access, push::Meter};

/// How much of a file is read at once while it is sent.
const CHUNK: usize = 256 << 10;

/// A request, as often as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) access: Access,
    pub(crate) headers: Vec<(header::HeaderName, String)>,
    pub(crate) body: Body,
}

/// What a request sends.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Empty,
    Held(Bytes),
    /// `len` bytes of a file from `offset` on.
    File {
        path: PathBuf,
        offset: u64,
        len: u64,
        meter: Meter,
    },
}

impl Call {
    pub(crate) fn new(method: Method, url: Url, access: Access) -> Self {
        Self { method, url, access, headers: Vec::new(), body: Body::Empty }
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn content_type(self, value: &str) -> Self {
        self.header(header::CONTENT_TYPE, value)
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// An answer, its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Where it came from, after redirects.
    pub(crate) url: Url,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The content's digest as the registry sees it.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest").and_then(|text| text.parse().ok())
    }

    /// Where to go on, relative addresses resolved.
    pub(crate) fn location(&self) -> Option<Url> {
        self.header("location").and_then(|text| self.url.join(text).ok())
    }
}

/// How long a 429 or 503 asks to be left alone; only the form in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The registry's own words in an error's body: `CODE: message`, the first few of them.
pub(crate) fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    if let Ok(Errors { errors }) = serde_json::from_slice(body) {
        let told: Vec<String> = errors
            .into_iter()
            .take(3)
            .map(|one| [one.code, one.message].into_iter().flatten().collect::<Vec<_>>().join(": "))
            .filter(|text| !text.is_empty())
            .collect();
        return (!told.is_empty()).then(|| told.join("; "));
    }
    // A proxy's page in between: its first line says enough, if it is text at all.
    let text = std::str::from_utf8(body).ok()?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(200).collect())
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("nothing moved for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0} redirects, and still no end")]
    Redirects(u8),
}

/// Sends `call` once. Gives up when no byte of the request went out for `stall`, nor did an answer begin.
pub(crate) async fn send(
    client: &reqwest::Client,
    call: &Call,
    url: &Url,
    authorization: Option<&str>,
    stall: Duration,
) -> Result<Result<Response, NoAnswer>, (PathBuf, io::Error)> {
    let pulse = Arc::new(AtomicU64::new(0));
    let mut request = client.request(call.method.clone(), url.clone());
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    request = match &call.body {
        // Registries want a length on every upload call, also where there is nothing to send.
        Body::Empty if matches!(call.method, Method::POST | Method::PUT | Method::PATCH) => {
            request.header(header::CONTENT_LENGTH, 0)
        }
        Body::Empty => request,
        Body::Held(bytes) => request.body(bytes.clone()),
        Body::File { path, offset, len, meter } => {
            let open = async {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(io::SeekFrom::Start(*offset)).await?;
                Ok(file)
            };
            let file = open.await.map_err(|error| (path.clone(), error))?;
            request.header(header::CONTENT_LENGTH, *len).body(reqwest::Body::wrap_stream(chunks(
                file,
                *len,
                meter.clone(),
                pulse.clone(),
            )))
        }
    };
    let mut answer = std::pin::pin!(request.send());
    let mut seen = 0;
    loop {
        match tokio::time::timeout(stall, &mut answer).await {
            Ok(done) => return Ok(done.map_err(|error| NoAnswer::Http(error.without_url()))),
            Err(_) if pulse.load(Ordering::Relaxed) != seen => seen = pulse.load(Ordering::Relaxed),
            Err(_) => return Ok(Err(NoAnswer::Stalled(stall))),
        }
    }
}

fn chunks(
    file: tokio::fs::File,
    len: u64,
    meter: Meter,
    pulse: Arc<AtomicU64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut file = file;
    file.set_max_buf_size(CHUNK);
    stream::try_unfold((file, len), move |(mut file, left)| {
        let (meter, pulse) = (meter.clone(), pulse.clone());
        async move {
            if left == 0 {
                return Ok(None);
            }
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let mut chunk = bytes::BytesMut::with_capacity(want);
            let mut limited = (&mut file).take(want as u64);
            while chunk.len() < want {
                if limited.read_buf(&mut chunk).await? == 0 {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the file became shorter while it was sent",
                    ));
                }
            }
            let got = chunk.len() as u64;
            pulse.fetch_add(got, Ordering::Relaxed);
            meter.add(got);
            Ok(Some((chunk.freeze(), (file, left - got))))
        }
    })
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(response: Response, limit: usize, stall: Duration) -> Result<Bytes, NoAnswer> {
    let mut response = response;
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = next_chunk(&mut response, stall).await? {
        if body.len() + chunk.len() > limit {
            return Err(NoAnswer::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The next piece of a body; `None` at its end.
pub(crate) async fn next_chunk(response: &mut Response, stall: Duration) -> Result<Option<Bytes>, NoAnswer> {
    match tokio::time::timeout(stall, response.chunk()).await {
        Ok(chunk) => chunk.map_err(|error| NoAnswer::Http(error.without_url())),
        Err(_) => Err(NoAnswer::Stalled(stall)),
    }
}

/// True for a registry on this machine: `localhost`, `*.localhost`, `127.0.0.1:5000`, `[::1]:5000`.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    is_localhost(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// Resolves names under `localhost` itself (RFC 6761), since not every libc does.
#[derive(Debug)]
pub(crate) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str();
            if is_localhost(host) {
                let here = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
                return Ok(Box::new(here.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_this_machine() {
        for registry in
            ["localhost", "localhost:5000", "registry.localhost:80", "127.0.0.1:1", "127.8.0.9", "[::1]:5000"]
        {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in
            ["registry.example.com", "10.0.0.1:5000", "localhost.example.com", "[2001:db8::1]:5000"]
        {
            assert!(!is_loopback(registry), "{registry}");
        }
    }

    #[test]
    fn the_registry_s_own_words() {
        let body = br#"{"errors":[{"code":"DENIED","message":"quota exceeded","detail":{}}]}"#;
        assert_eq!(message(body).as_deref(), Some("DENIED: quota exceeded"));
        assert_eq!(message(b"\n<html>502</html>\n").as_deref(), Some("<html>502</html>"));
        assert_eq!(message(b""), None);
    }
}
