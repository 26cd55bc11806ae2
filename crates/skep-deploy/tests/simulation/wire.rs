//! The network between a Skep and the API: the API's own HTTP, in the same process, with everything that networks do to requests.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{Method, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper_util::rt::TokioIo;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use skep_apiserver::ApiConnections;
use skep_cluster::Body;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service};

use crate::{observer::Observer, scenario::Faults};

pub(crate) const TOKEN: &str = "simulated";

/// The wire of one process.
#[derive(Clone)]
pub(crate) struct Wire {
    api: ApiConnections,
    observer: Observer,
    /// The identity that its process holds the lock by.
    who: String,
    per_mille: u32,
    away: Arc<Mutex<Away>>,
    rng: Arc<Mutex<StdRng>>,
    dead: Arc<AtomicBool>,
}

/// The body of an answer.
pub(crate) type Answer = UnsyncBoxBody<Bytes, BoxError>;

fn boxed<B>(body: B) -> Answer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// An absence of the network.
struct Away {
    /// How many requests come before it; `None` when there is none, or it has begun.
    after: Option<u32>,
    length: Duration,
    /// Cancelled when it begins: it cuts what is being answered.
    began: CancellationToken,
    ends: Instant,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// It never arrives.
    Lost,
    /// It is carried out, and its answer never arrives.
    Unanswered,
    /// The API stumbles before it does anything.
    Stumble(u16),
    /// The answer ends in its middle.
    Cut,
}

impl Wire {
    pub(crate) fn new(
        api: ApiConnections,
        observer: Observer,
        who: String,
        faults: &Faults,
        seed: u64,
    ) -> Self {
        let after = faults.away.map(|(after, _)| after);
        let length = faults.away.map_or(Duration::ZERO, |(_, length)| length);
        let away = Away { after, length, began: CancellationToken::new(), ends: Instant::now() };
        let (away, rng) = (Arc::new(Mutex::new(away)), Arc::new(Mutex::new(StdRng::seed_from_u64(seed))));
        Self { api, observer, who, per_mille: faults.per_mille, away, rng, dead: Arc::default() }
    }

    /// From now on nothing of this process reaches the API: it was killed.
    pub(crate) fn cut(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fate(&self) -> Fate {
        let per_mille = self.per_mille;
        self.draw(|rng| {
            if rng.random_range(0..1000) >= per_mille {
                return Fate::Fine;
            }
            match rng.random_range(0..8) {
                0 => Fate::Lost,
                1 | 2 => Fate::Unanswered,
                3 => Fate::Stumble(500),
                4 => Fate::Stumble(503),
                5 => Fate::Stumble(429),
                _ => Fate::Cut,
            }
        })
    }

    async fn carry(self, request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        let delay = self.draw(|rng| match rng.random_range(0..100) {
            0..2 => rng.random_range(500..2500),
            _ => rng.random_range(1..20),
        });
        sleep(Duration::from_millis(delay)).await;
        self.live().await;
        if self.is_away() {
            // Half of them are told at once, the others wait.
            let patience = self.draw(|rng| if rng.random_bool(0.5) { 1 } else { 5000 });
            sleep(Duration::from_millis(patience)).await;
            return Err(lost("the network is away"));
        }
        let fate = self.fate();
        let what = format!("{} {}", request.method(), request.uri());
        self.observer.note(&self.who, &format!("{what} ({fate:?})"));
        match fate {
            Fate::Lost => return Err(lost("the connection was refused")),
            Fate::Stumble(code) => return Ok(stumble(code)),
            Fate::Fine | Fate::Unanswered | Fate::Cut => {}
        }
        self.observer.asked(&self.who, request.method(), request.uri());
        let watches = request.method() == Method::GET
            && request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let response = self.deliver(request).await?;
        self.live().await;
        if fate == Fate::Unanswered {
            return Err(lost("the connection was reset"));
        }
        let cut = match fate {
            Fate::Cut if watches => Some(Duration::from_millis(self.draw(|rng| rng.random_range(1..20_000)))),
            Fate::Cut => Some(Duration::ZERO),
            _ => None,
        };
        let cut = sleep(cut.unwrap_or(Duration::MAX));
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner).began.clone();
        let to_come = !away.is_cancelled();
        let until = async move {
            tokio::select! {
                biased;
                () = cut => {}
                () = away.cancelled(), if to_come => {}
            }
        };
        Ok(response.map(|body| boxed(CutBody { inner: body, until: until.boxed() })))
    }

    /// Whether the network is away, which it may be from this request on.
    fn is_away(&self) -> bool {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.after = match away.after {
            Some(0) => {
                away.ends = Instant::now() + away.length;
                away.began.cancel();
                self.observer.note(&self.who, &format!("the network is away for {:?}", away.length));
                None
            }
            after => after.map(|after| after - 1),
        };
        away.began.is_cancelled() && Instant::now() < away.ends
    }

    /// Does not come back once the process is dead.
    async fn live(&self) {
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    async fn deliver(&self, mut request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        let headers = request.headers_mut();
        headers.insert(header::HOST, "simulation".parse()?);
        headers.insert(header::AUTHORIZATION, format!("Bearer {TOKEN}").parse()?);
        let (here, there) = tokio::io::duplex(1 << 16);
        let api = self.api.clone();
        tokio::spawn(async move { api.speak(there).await });
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(here)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?.map(boxed))
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Answer>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().carry(request).boxed()
    }
}

fn lost(why: &str) -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, why).into()
}

fn stumble(code: u16) -> Response<Answer> {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "InternalError",
        "message": "a simulated stumble",
    });
    let mut response = Response::new(boxed(http_body_util::Full::new(Bytes::from(status.to_string()))));
    // Without it, the client's own pauses are drawn by a chance that no seed decides.
    response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    response
}

/// An answer that breaks off.
struct CutBody {
    inner: Answer,
    until: BoxFuture<'static, ()>,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(lost("the connection was cut"))));
        }
        Pin::new(&mut self.inner).poll_frame(context).map_err(Into::into)
    }
}
