//! What is said at the end: the result, or the error with its evidence and a hint. The only place that makes text of errors.

mod plan;

use std::process::ExitCode;

use anyhow::Error;
use jiff::{Timestamp, Unit};
use owo_colors::OwoColorize;
use serde_json::{Value, json};
use skep_deploy::{App, Done, Failure};
use skep_model::{ReasonForRelease, Release, ReleaseStatus, Step};
use skep_project::ProjectError;

use crate::{commands::Interrupted, exit, settings::Settings, view::duration};

pub(crate) use plan::{diff, plan, plan_json};

/// Tells the end of a command and picks its exit code.
pub(crate) fn ended(settings: &Settings, result: Result<ExitCode, Error>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(failure) = error.downcast_ref::<Failure>() {
        tell(settings, failure);
        return ExitCode::from(exit::code(failure));
    }
    let code = match () {
        () if error.is::<ProjectError>() => 10,
        () if error.is::<Interrupted>() => exit::INTERRUPTED,
        () => exit::FAILED,
    };
    if settings.json {
        let project = error.downcast_ref::<ProjectError>();
        json_line(json!({
            "type": "error", "code": code, "meaning": exit::meaning(code), "step": project.map(|_| Step::Load),
            "message": format!("{error:#}"), "hint": project.and_then(ProjectError::hint),
        }));
    } else {
        match error.downcast::<ProjectError>() {
            Ok(project) => anstream::eprintln!("{:?}", miette::Report::new(project)),
            Err(error) => say(&format!("{error:#}"), None),
        }
    }
    ExitCode::from(code)
}

fn tell(settings: &Settings, failure: &Failure) {
    let (message, hint) = (failure.to_string(), failure.hint());
    if settings.json {
        let evidence: Vec<Value> =
            failure.evidence().into_iter().map(|(of, lines)| json!({"of": of, "lines": lines})).collect();
        json_line(json!({
            "type": "error", "code": exit::code(failure), "meaning": exit::meaning(exit::code(failure)), "step": failure.step, "message": message, "hint": hint,
            "release": failure.release, "standing": failure.standing, "evidence": evidence,
        }));
        return;
    }
    for (of, lines) in failure.evidence().into_iter().filter(|(_, lines)| !lines.is_empty()) {
        anstream::eprintln!("\n{}", format!("the last lines of {of}:").dimmed());
        for line in lines {
            anstream::eprintln!("  {} {line}", "│".dimmed());
        }
    }
    anstream::eprintln!();
    say(&format!("{}: {message}", failure.step), None);
    if let Some(standing) = &failure.standing {
        let release =
            failure.release.map(|number| format!("release v{number} is closed; ")).unwrap_or_default();
        anstream::eprintln!("{} {release}{standing}", "state:".bold());
    }
    if let Some(hint) = hint {
        anstream::eprintln!("{} {hint}", "hint:".bold());
    }
}

fn say(message: &str, hint: Option<&str>) {
    anstream::eprintln!("{} {message}", "error:".red().bold());
    if let Some(hint) = hint {
        anstream::eprintln!("{} {hint}", "hint:".bold());
    }
}

/// The end of a deploy or rollback that went well.
pub(crate) fn shipped(settings: &Settings, app: &App, done: &Done) {
    let urls = done.plan.urls(app);
    if settings.json {
        let release = done.release.as_ref().map(release_json);
        json_line(
            json!({"type": "done", "changed": done.release.is_some(), "release": release, "urls": urls}),
        );
        return;
    }
    match &done.release {
        None => {
            let last = done
                .plan
                .last_release()
                .map(|number| format!(", release v{number} runs"))
                .unwrap_or_default();
            anstream::println!("{} is up to date: nothing was changed{last}", app.project.app);
        }
        Some(release) => {
            let took = release
                .closed
                .map(|closed| duration(millis_between(release.created, closed)))
                .unwrap_or_default();
            anstream::println!(
                "{} v{} is live on {} ({took})",
                app.project.app,
                release.number,
                app.project.target
            );
        }
    }
    if settings.show != crate::settings::Show::Quiet {
        let width = urls.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, url) in &urls {
            anstream::println!("  {name:<width$}  {url}");
        }
    }
}

/// `v12  deployed     3 min ago  ana@laptop  d3708e6  12.1 s`
pub(crate) fn release_line(release: &Release) -> String {
    let status = match release.status {
        ReleaseStatus::Deployed => format!("{:<11}", release.status).green().to_string(),
        ReleaseStatus::Pending => format!("{:<11}", release.status).yellow().to_string(),
        _ => format!("{:<11}", release.status).red().to_string(),
    };
    let took = release
        .closed
        .map(|closed| duration(millis_between(release.created, closed)))
        .unwrap_or_else(|| "-".to_owned());
    let commit = release.commit.as_deref().unwrap_or("-");
    let why = match &release.reason {
        ReasonForRelease::Deploy => String::new(),
        ReasonForRelease::Adopted => "  what ran before".to_owned(),
        ReasonForRelease::Rollback { to } => format!("  back to v{to}"),
    };
    let number = format!("v{}", release.number);
    let failure = release.failure.as_deref().and_then(|failure| failure.lines().next());
    let failure = failure.map(|line| format!("\n       {}", line.dimmed())).unwrap_or_default();
    format!(
        "{number:<4} {status} {:>10}  {}  {commit}  {took}{why}{failure}",
        ago(release.created),
        release.by
    )
}

/// A record's outline; its objects are left out.
pub(crate) fn release_json(release: &Release) -> Value {
    json!({
        "number": release.number, "status": release.status, "reason": release.reason, "created": release.created,
        "closed": release.closed, "by": release.by, "commit": release.commit, "images": release.images,
        "timings": release.timings, "failure": release.failure,
    })
}

/// Prints one object with the schema's version and the time.
pub(crate) fn json_line(value: Value) {
    crate::view::json_line(value);
}

fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

fn ago(at: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(at).as_secs().max(0);
    match seconds {
        0..=59 => format!("{seconds} s ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        _ => at.round(Unit::Day).map_or_else(|_| at.to_string(), |day| day.strftime("%Y-%m-%d").to_string()),
    }
}
