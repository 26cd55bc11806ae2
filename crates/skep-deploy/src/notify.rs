//! The end of each release, told to a webhook: JSON, signed, tried again, and never a reason for anything to fail.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header::LOCATION, redirect};
use ring::hmac;
use serde_json::{Value, json};
use skep_model::{Event, Notify, NotifyUrl, Release, ReleaseStatus};

use crate::{
    App, Failure, Restoration,
    error::{Problem, innermost},
};

/// How long one try may take.
const ONE_TRY: Duration = Duration::from_secs(5);
/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// The pauses between tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Tells how a release ended. Whatever goes wrong with that is a warning.
pub(crate) async fn tell(app: &App, release: &Release, failure: Option<&Failure>) {
    let Some(notify) = &app.project.notify else { return };
    if let Err(why) = post(notify, &news(app, release, failure)).await {
        app.emit.emit(Event::Warning { message: format!("`notify` could not tell it: {why}") });
    }
}

/// What is told: the fields of `--output json`, and one sentence.
fn news(app: &App, release: &Release, failure: Option<&Failure>) -> Value {
    let (name, target, number) = (&app.project.app, &app.project.target, release.number);
    let restored = failure.and_then(|failure| match &failure.restoration {
        Some(Restoration::Restored { to, number }) => Some((*number, *to)),
        _ => None,
    });
    let outcome = match (failure, restored) {
        (None, _) => ReleaseStatus::Deployed,
        (Some(_), Some(_)) => ReleaseStatus::Restored,
        (Some(failure), None) if matches!(*failure.problem, Problem::Interrupted) => {
            ReleaseStatus::Interrupted
        }
        (Some(_), None) => ReleaseStatus::Failed,
    };
    let why = failure.map(|failure| app.cluster.redaction().redact_known(&failure.to_string()));
    let first = why.as_deref().and_then(|why| why.lines().next()).unwrap_or_default();
    let summary = match (outcome, restored) {
        (ReleaseStatus::Deployed, _) => format!("{name} v{number} is live on {target}"),
        (_, Some((_, to))) => format!("{name} v{number} failed on {target}, v{to} runs again: {first}"),
        (ReleaseStatus::Interrupted, _) => format!("{name} v{number} was stopped on {target}"),
        _ => format!("{name} v{number} FAILED on {target}: {first}"),
    };
    json!({
        "v": 1, "type": "release", "app": name, "target": target, "outcome": outcome, "summary": summary,
        "release": {
            "number": number, "reason": release.reason, "by": release.by, "commit": release.commit,
            "created": release.created, "closed": release.closed,
        },
        "failure": why, "hint": failure.and_then(Failure::hint),
        "restored": restored.map(|(release, to)| json!({"release": release, "to": to})),
    })
}

/// The template with the news in its places: `{{summary}}`, `{{app}}`, `{{target}}`, `{{number}}`, `{{outcome}}`, `{{failure}}`.
fn filled(template: &str, news: &Value) -> String {
    let places = [
        ("summary", &news["summary"]),
        ("app", &news["app"]),
        ("target", &news["target"]),
        ("number", &news["release"]["number"]),
        ("outcome", &news["outcome"]),
        ("failure", &news["failure"]),
    ];
    places.iter().fold(template.to_owned(), |text, (name, value)| {
        let value = match value {
            Value::String(text) => {
                let quoted = Value::from(text.as_str()).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Value::Null => String::new(),
            other => other.to_string(),
        };
        text.replace(&format!("{{{{{name}}}}}"), &value)
    })
}

/// The signature of `timestamp.body`: `sha256=` and the HMAC in hexadecimal digits. `timestamp` is in seconds since 1970, so that a
/// receiver can refuse an old delivery that is sent again.
fn signature(key: &str, timestamp: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, format!("{timestamp}.{body}").as_bytes())))
}

/// Follows a redirect that keeps method and body, within the origin: whoever answers elsewhere was not given this message.
fn within_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::origin);
        let keeps =
            matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let few = attempt.previous().len() <= REDIRECTS;
        if keeps && few && first == Some(attempt.url().origin()) { attempt.follow() } else { attempt.stop() }
    })
}

/// Why a redirect was not followed. Origins only: a path may be a password.
fn not_followed(answer: &Response) -> String {
    let from = answer.url().origin().ascii_serialization();
    let to = answer.headers().get(LOCATION).and_then(|to| answer.url().join(to.to_str().ok()?).ok());
    match to.map(|to| to.origin().ascii_serialization()) {
        Some(to) if to != from => {
            format!("{from} redirects to {to}, which is not followed: give the final URL")
        }
        _ => format!(
            "{from} answered {} and redirects in a way that is not followed: give the final URL",
            answer.status()
        ),
    }
}

async fn post(notify: &Notify, news: &Value) -> Result<(), String> {
    let from_env = |name: &str| match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!(
            "the environment variable {name} is not set; set it, or take `notify` out of skep.yaml"
        )),
    };
    let url = match &notify.url {
        NotifyUrl::Plain(url) => url.clone(),
        NotifyUrl::Env(name) => from_env(name)?,
    };
    // The path of a chat's webhook is its password.
    let url: Url = url.trim().parse().map_err(|_| "its URL is none".to_owned())?;
    let place = url.host_str().unwrap_or("its host").to_owned();
    let body = notify.template.as_ref().map_or_else(|| news.to_string(), |template| filled(template, news));
    let key = notify.secret_env.as_deref().map(from_env).transpose()?;
    let client = Client::builder()
        .timeout(ONE_TRY)
        .redirect(within_origin())
        .build()
        .map_err(|error| error.to_string())?;
    let delivery = hex::encode(skep_ambient::bytes::<16>());
    let mut pauses = PAUSES.iter();
    loop {
        let mut request = client
            .post(url.clone())
            .header("Content-Type", "application/json")
            .header("User-Agent", concat!("skep/", env!("CARGO_PKG_VERSION")))
            .header("X-Skep-Delivery", &delivery)
            .body(body.clone());
        if let Some(key) = &key {
            let timestamp = skep_ambient::now().as_second();
            request = request
                .header("X-Skep-Timestamp", timestamp)
                .header("X-Skep-Signature", signature(key, timestamp, &body));
        }
        let (why, again) = match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) if answer.status().is_redirection() => (not_followed(&answer), false),
            Ok(answer) => {
                let status = answer.status();
                let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                (format!("{place} answered {status}"), again)
            }
            Err(error) if error.is_timeout() => {
                (format!("{place} did not answer within {} s", ONE_TRY.as_secs()), true)
            }
            Err(error) => (format!("{place} can't be reached: {}", innermost(&error.without_url())), true),
        };
        match pauses.next() {
            Some(pause) if again => tokio::time::sleep(*pause).await,
            _ => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_stays_json() {
        let news = json!({"summary": "shop v2 FAILED: it said \"no\"\nand ended", "app": "shop", "release": {"number": 2}, "failure": null});
        let body = filled(r#"{"text": "{{summary}}", "n": "{{number}}", "why": "{{failure}}"}"#, &news);
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read, json!({"text": news["summary"], "n": "2", "why": ""}));
    }

    /// By `printf '1700000000.{"v":1}' | openssl dgst -sha256 -hmac Jefe`.
    #[test]
    fn signature_covers_timestamp_and_body() {
        assert_eq!(
            signature("Jefe", 1_700_000_000, r#"{"v":1}"#),
            "sha256=b8ca9c53c089840fe42c361412a1904f2ebe6462f8875d62a5e36dfb12651bdb"
        );
    }
}
