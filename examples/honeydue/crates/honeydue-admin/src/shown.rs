//! The pages as values.

use askama::Template;
use honeydue_model::{JobReport, Overview, RunReport};
use honeydue_pages::ClientError;
use honeydue_service::Release;
use serde_json::Value;

/// Everything at a glance.
#[derive(Template)]
#[template(path = "overview.html")]
pub(crate) struct Page {
    pub(crate) style: &'static str,
    pub(crate) ready: bool,
    pub(crate) checks: Vec<Check>,
    pub(crate) running: Vec<Running>,
    pub(crate) overview: Option<Overview>,
    pub(crate) trouble: Option<String>,
    pub(crate) environment: String,
    pub(crate) greeting: String,
}

/// Asks for the password.
#[derive(Template)]
#[template(path = "gate.html")]
pub(crate) struct Gate {
    pub(crate) style: &'static str,
    pub(crate) wrong: Option<&'static str>,
}

/// One part of the api's readiness.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) value: String,
}

impl Check {
    /// A part that is not well.
    pub(crate) fn failed(name: &str, value: String) -> Self {
        Self { name: name.to_owned(), class: "overdue", value }
    }
}

/// The parts of a readiness answer, in the order that matters.
pub(crate) fn checks(details: &Value) -> Vec<Check> {
    ["database", "cache", "schema", "serving"]
        .into_iter()
        .map(|name| match details["checks"][name].as_str() {
            Some("ok") => Check { name: name.to_owned(), class: "done", value: "ok".to_owned() },
            Some(reason) => Check::failed(name, reason.to_owned()),
            None => Check::failed(name, "the api did not say".to_owned()),
        })
        .collect()
}

/// A service and the release it runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) class: &'static str,
    pub(crate) detail: String,
}

impl Running {
    /// A service that answered.
    pub(crate) fn known(release: Release) -> Self {
        let mut detail: Vec<_> =
            release.commit.map(|commit| format!("commit {commit}")).into_iter().collect();
        detail.extend(release.pod);
        Self {
            service: release.service, version: release.version, class: "done", detail: detail.join(" · ")
        }
    }

    /// A service that did not.
    pub(crate) fn away(service: &str, error: &ClientError) -> Self {
        Self {
            service: service.to_owned(),
            version: "away".to_owned(),
            class: "overdue",
            detail: error.to_string(),
        }
    }
}

/// How a run ended, as a colour.
fn run_class(run: &RunReport) -> &'static str {
    match run.state.as_str() {
        "done" => "done",
        "running" => "soon",
        _ => "overdue",
    }
}

/// A job's colour: failures among its runs deserve a look.
fn job_class(job: &JobReport) -> &'static str {
    if job.failed > 0 { "overdue" } else { "done" }
}

/// `2026-03-01T10:30:00Z` without what everyone knows.
fn short_time(text: &str) -> String {
    text.trim_end_matches('Z').replace('T', " ")
}

/// Bytes, as people say them.
fn size(bytes: &i64) -> String {
    match *bytes {
        bytes @ ..1_000 => format!("{bytes} B"),
        bytes @ ..1_000_000 => format!("{} kB", bytes / 1_000),
        bytes @ ..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        bytes => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// Seconds, as people say them.
fn age(seconds: &i64) -> String {
    match *seconds {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failing_part_is_shown_with_its_reason() {
        let shown = checks(&json!({ "checks": { "database": "ok", "cache": "refused", "schema": "ok" } }));
        let classes: Vec<_> = shown.iter().map(|check| (check.name.as_str(), check.class)).collect();
        assert_eq!(
            classes,
            [("database", "done"), ("cache", "overdue"), ("schema", "done"), ("serving", "overdue")]
        );
        assert_eq!(shown[1].value, "refused");
    }
}
