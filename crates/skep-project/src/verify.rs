//! `verify`: what proves that a release works.

use std::time::Duration;

use skep_model::{Check, RunCheck, UrlCheck};

use crate::{
    conceal::without_login,
    error::Fault,
    fields::{Field, Fields},
};

const WITHIN: Duration = Duration::from_secs(60);
const URL_KEYS: &[&str] = &["url", "status", "body", "faster-than", "certificate-days", "within"];
const RUN_KEYS: &[&str] = &["run", "command", "within"];

/// `https://…`, `{ url: https://…, status: 200 }`, or `{ run: api, command: [/api, selfcheck] }`.
pub(crate) fn check(field: &Field<'_>) -> Result<Check, Fault> {
    if field.text().is_ok() {
        return Ok(Check::Url(UrlCheck {
            url: url(field)?,
            status: Vec::new(),
            body: None,
            faster_than: None,
            certificate_days: None,
            within: WITHIN,
        }));
    }
    if field.has("run") {
        return run(&field.fields(RUN_KEYS)?).map(Check::Run);
    }
    let fields = field.fields(URL_KEYS)?;
    let place =
        fields.need("url", "what must answer, or `run`, a service whose `command` must end with 0")?;
    let check = UrlCheck {
        url: url(&place)?,
        status: fields.read("status", |field| statuses(&field))?.unwrap_or_default(),
        body: fields.read("body", |field| field.scalar())?,
        faster_than: fields.read("faster-than", |field| field.duration())?,
        certificate_days: fields.read("certificate-days", |field| days(&field))?,
        within: within(&fields)?,
    };
    if check.certificate_days.is_some() && !check.url.starts_with("https://") {
        let hint = "write the URL with `https://`, or leave `certificate-days` out";
        return Err(place.bad("has no certificate", hint));
    }
    Ok(Check::Url(check))
}

fn run(fields: &Fields<'_>) -> Result<RunCheck, Fault> {
    let service = fields.need("run", "the service whose image and settings it gets")?;
    let command = fields.need("command", "the program and its arguments, as a list")?;
    let words = command.strings()?;
    if words.is_empty() {
        return Err(command.bad("should name a program", "such as `[/api, selfcheck]`"));
    }
    Ok(RunCheck { service: service.text()?, command: words, within: within(fields)? })
}

fn within(fields: &Fields<'_>) -> Result<Duration, Fault> {
    Ok(fields.read("within", |within| within.duration())?.unwrap_or(WITHIN))
}

/// A URL as an error may repeat it: a webhook's path is its password.
fn shown(field: &Field<'_>, text: &str) -> String {
    if field.is_secret() { "this".to_owned() } else { format!("`{}`", without_login(text)) }
}

pub(crate) fn url(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with(['/', ':', '?']) => Ok(text),
        _ => Err(field.bad(
            format!("{} is not a URL", shown(field, &text)),
            "write it whole: `https://api.example.com/health/`",
        )),
    }
}

/// One status, or a list of them.
fn statuses(field: &Field<'_>) -> Result<Vec<u16>, Fault> {
    let one = |field: Field<'_>| match field.scalar().map(|text| text.parse()) {
        Ok(Ok(status @ 100..=599)) => Ok(status),
        _ => Err(field.wrong("a status such as `200`")),
    };
    match field.scalar() {
        Ok(_) => Ok(vec![one(field.clone())?]),
        Err(_) => field.items(one),
    }
}

fn days(field: &Field<'_>) -> Result<u32, Fault> {
    field.scalar()?.parse().map_err(|_| field.wrong("a whole number of days"))
}

/// Whether a check can be about this machine: production's URLs prove nothing about a deploy to hive.
pub(crate) fn is_local(check: &Check) -> bool {
    let Check::Url(UrlCheck { url, .. }) = check else { return true };
    is_loopback(url)
}

/// Whether a URL's host is this machine, by its name.
pub(crate) fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "::1"
}
