//! verify: the URLs that prove that the release works.

use std::{net::SocketAddr, time::Duration};

use futures::future::try_join_all;
use reqwest::{Client, Url};
use skep_model::{Event, Outcome, Step, UrlCheck};
use tokio::time::{Instant, sleep};

use super::Clock;
use crate::{App, Failure, error::Problem};

/// How long one answer may take.
const ONE_TRY: Duration = Duration::from_secs(10);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The port that skep.yaml writes for hive's ingress.
const WRITTEN_PORT: u16 = 8080;

pub(crate) async fn verify(app: &App, clock: &mut Clock) -> Result<(), Failure> {
    let checks = &app.project.verify;
    if checks.is_empty() {
        return Ok(());
    }
    clock.start(Step::Verify);
    let verified = try_join_all(checks.iter().map(|check| answer(app, check))).await;
    clock.settle(Step::Verify, verified, |all| match all.len() {
        1 => (Outcome::Done, "1 URL answers".to_owned()),
        urls => (Outcome::Done, format!("{urls} URLs answer")),
    })?;
    Ok(())
}

async fn answer(app: &App, check: &UrlCheck) -> Result<(), Failure> {
    let at = |url: &str, answer: String| {
        Failure::at(Step::Verify, Problem::Verify { url: url.to_owned(), answer })
    };
    let url = actual(app, &check.url).map_err(|why| at(&check.url, why))?;
    let broken = |answer: String| at(url.as_str(), answer);
    let client = client(&url).map_err(|error| broken(innermost(&error)))?;
    let deadline = Instant::now() + check.within;
    loop {
        let (ok, answer) = ask(&client, &url).await;
        app.emit.emit(Event::Verified { url: url.to_string(), ok, answer: answer.clone() });
        if ok {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(broken(format!("{answer}, for {} s", check.within.as_secs())));
        }
        sleep(PAUSE).await;
    }
}

async fn ask(client: &Client, url: &Url) -> (bool, String) {
    let since = Instant::now();
    match client.get(url.clone()).send().await {
        Ok(response) => {
            let status = response.status();
            (
                status.is_success() || status.is_redirection(),
                format!("{} in {} ms", status.as_u16(), since.elapsed().as_millis()),
            )
        }
        Err(error) => (false, innermost(&error)),
    }
}

/// The URL as it is on this machine: `:8080` of a `*.localhost` host is hive's ingress, whatever its port.
pub(crate) fn actual(app: &App, url: &str) -> Result<Url, String> {
    let mut url: Url = url.parse().map_err(|error| format!("it is not a URL: {error}"))?;
    if let Some(port) = app.ingress_port
        && is_local(&url)
        && url.port() == Some(WRITTEN_PORT)
    {
        url.set_port(Some(port)).map_err(|()| "it can't have a port".to_owned())?;
    }
    Ok(url)
}

fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"))
}

/// Names below `localhost` are this machine (RFC 6761), but many resolvers don't know it.
fn client(url: &Url) -> reqwest::Result<Client> {
    let mut builder =
        Client::builder().timeout(ONE_TRY).redirect(reqwest::redirect::Policy::none()).no_proxy();
    if is_local(url)
        && let Some(host) = url.host_str()
    {
        let here: SocketAddr = ([127, 0, 0, 1], url.port_or_known_default().unwrap_or(80)).into();
        builder = builder.resolve(host, here);
    }
    builder.build()
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
