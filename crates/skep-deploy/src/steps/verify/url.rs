//! A URL that must answer well.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Response, Url, tls::TlsInfo};
use skep_model::{Event, UrlCheck};
use tokio::time::{Instant, sleep};
use x509_parser::parse_x509_certificate;

use super::{FailedCheck, path};
use crate::{App, Plan, error::innermost, traffic::here};

/// How long one answer may take.
const ONE_TRY: Duration = Duration::from_secs(10);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// How much of a body is read, and how much of it is shown.
const READ: usize = 1 << 20;
const SHOWN: usize = 80;
const SECONDS_OF_A_DAY: i64 = 24 * 3600;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    ok: bool,
    /// `None` where there was no HTTP answer.
    pub(super) status: Option<u16>,
    said: String,
}

/// Asks until it answers well, or its time is up.
pub(super) async fn check(app: &App, plan: &Plan, check: &UrlCheck) -> Result<(), FailedCheck> {
    let unusable = |why: String| FailedCheck {
        check: check.url.clone(),
        answer: why,
        path: Vec::new(),
        hint: "correct it in `verify` of skep.yaml".to_owned(),
    };
    let url = actual(app, &check.url).map_err(unusable)?;
    let client = client(&url).map_err(|error| unusable(innermost(&error)))?;
    let deadline = Instant::now() + check.within;
    loop {
        let answer = ask(app, &client, &url, check).await;
        let said = answer.said.clone();
        app.emit.emit(Event::Verified { check: url.to_string(), ok: answer.ok, answer: said });
        if answer.ok {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            let (path, hint) = path::between(plan, &url, &answer);
            let answer = format!("{}, for {} s", answer.said, check.within.as_secs());
            return Err(FailedCheck { check: url.to_string(), answer, path, hint });
        }
        sleep(PAUSE).await;
    }
}

async fn ask(app: &App, client: &Client, url: &Url, check: &UrlCheck) -> Answer {
    let since = Instant::now();
    let response = match client.get(url.clone()).send().await {
        Ok(response) => response,
        Err(error) => return Answer { ok: false, status: None, said: innermost(&error) },
    };
    let status = response.status().as_u16();
    let certificate = response.extensions().get::<TlsInfo>().cloned();
    let body = match &check.body {
        Some(_) => read(response).await,
        None => Ok(String::new()),
    };
    let took = since.elapsed();
    let answered = format!("{status} in {} ms", took.as_millis());
    let bad = |why: String| Answer { ok: false, status: Some(status), said: format!("{answered}{why}") };
    if !check.takes(status) {
        return match check.status.as_slice() {
            [] => bad(String::new()),
            some => {
                bad(format!(", not {}", some.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")))
            }
        };
    }
    if let Some(wanted) = &check.body {
        match body {
            Ok(body) if body.contains(wanted) => {}
            Ok(body) => {
                return bad(format!(
                    ", without `{wanted}` in its body: `{}`",
                    shown(&app.cluster.redaction().redact(&body))
                ));
            }
            Err(error) => return bad(format!(", and its body can't be read: {}", innermost(&error))),
        }
    }
    if let Some(most) = check.faster_than.filter(|most| took > *most) {
        return bad(format!(", slower than {} ms", most.as_millis()));
    }
    if let Some(days) = check.certificate_days {
        match left(certificate.as_ref()) {
            Some(left) if left >= i64::from(days) => {}
            Some(left) => return bad(format!(", and its certificate ends in {left} days, before {days}")),
            None => return bad(", and its certificate can't be read".to_owned()),
        }
    }
    Answer { ok: true, status: Some(status), said: answered }
}

async fn read(mut response: Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() >= READ {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn shown(body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// For how many whole days a certificate is good still.
fn left(tls: Option<&TlsInfo>) -> Option<i64> {
    let (_, certificate) = parse_x509_certificate(tls?.peer_certificate()?).ok()?;
    let end = certificate.validity().not_after.timestamp();
    Some((end - skep_ambient::now().as_second()) / SECONDS_OF_A_DAY)
}

/// The URL as it is on this machine: `:8080` of a `*.localhost` host is hive's ingress, whatever its port, and so it is of `localhost`,
/// because whoever asks is no pod.
fn actual(app: &App, url: &str) -> Result<Url, String> {
    let url = here(url, app.ingress_port);
    let mut url: Url = url.parse().map_err(|error| format!("it is not a URL: {error}"))?;
    if let (Some(port), Some("localhost"), Some(8080)) = (app.ingress_port, url.host_str(), url.port()) {
        url.set_port(Some(port)).map_err(|()| "it can't have a port".to_owned())?;
    }
    Ok(url)
}

fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"))
}

/// Names below `localhost` are this machine (RFC 6761), but many resolvers don't know it.
fn client(url: &Url) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .timeout(ONE_TRY)
        .redirect(reqwest::redirect::Policy::none())
        .tls_info(true)
        .no_proxy();
    if is_local(url)
        && let Some(host) = url.host_str()
    {
        let here: SocketAddr = ([127, 0, 0, 1], url.port_or_known_default().unwrap_or(80)).into();
        builder = builder.resolve(host, here);
    }
    builder.build()
}
