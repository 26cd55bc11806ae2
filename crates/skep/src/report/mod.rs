//! What is said at the end: the result, or the error with its evidence and a hint. The only place that makes text of errors.

mod page;
mod plan;
mod release;

use std::process::ExitCode;

use anyhow::Error;
use serde_json::{Value, json};
use skep_deploy::{App, Done, Failure, Restoration};
use skep_model::{Emit, Event, Step};
use skep_project::ProjectError;

use crate::{
    commands::Interrupted,
    exit,
    settings::{Settings, Show},
    terminal::{self, Paint as _},
    view::{annotate, duration, summarize},
};

pub(crate) use page::page;
pub(crate) use plan::{config_diff, diff, plan, plan_json};
use release::millis_between;
pub(crate) use release::{entry_json, entry_line, release, release_json, release_line};

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
        let text = format!("{error:#}");
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message, Some(hint.to_owned())),
            None => (text.as_str(), project.and_then(ProjectError::hint)),
        };
        json_line(json!({
            "type": "error", "code": code, "meaning": exit::meaning(code), "step": project.map(|_| Step::Load),
            "message": message, "hint": hint,
        }));
    } else {
        match error.downcast::<ProjectError>() {
            Ok(project) => terminal::colored(&format!("{:?}", miette::Report::new(project))),
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
        let causes: Vec<Value> =
            failure.causes().into_iter().map(|(of, cause)| json!({"of": of, "cause": cause})).collect();
        json_line(json!({
            "type": "error", "causes": causes, "code": exit::code(failure), "meaning": exit::meaning(exit::code(failure)), "step": failure.step, "message": message, "hint": hint,
            "release": failure.release, "standing": failure.standing, "restoration": failure.restoration.as_ref().map(restoration), "evidence": evidence, "bundle": failure.bundle,
        }));
        return;
    }
    for (of, lines) in failure.evidence().into_iter().filter(|(_, lines)| !lines.is_empty()) {
        errln!("\n{}", format!("the last lines of {of}:").dimmed());
        for line in lines {
            errln!("  {} {line}", "│".dimmed());
        }
    }
    errln!();
    say(&format!("{}: {message}", failure.step), None);
    let restoration = failure.restoration.as_ref().map(ToString::to_string);
    let state: Vec<String> = failure.standing.iter().cloned().chain(restoration).collect();
    if !state.is_empty() {
        let release =
            failure.release.map(|number| format!("release v{number} is closed; ")).unwrap_or_default();
        errln!("{} {release}{}", "state:".bold(), state.join("; "));
    }
    if let Some(number) = failure.release.filter(|_| failure.bundle) {
        let kept = format!("`skep bundle v{number}` writes its pods' logs, events and objects to a file");
        errln!("{} {kept}", "kept:".bold());
    }
    if let Some(hint) = &hint {
        errln!("{} {hint}", "hint:".bold());
    }
    if settings.show == Show::Actions {
        on_the_run_s_page(failure, &message, &state.join("; "), hint.as_deref());
    }
}

/// The same where a runner's people look first.
fn on_the_run_s_page(failure: &Failure, message: &str, state: &str, hint: Option<&str>) {
    annotate(&format!("skep: {} failed", failure.step), message);
    let mut page = format!("**{} failed:** {message}\n\n", failure.step);
    if !state.is_empty() {
        page += &format!("**state:** {state}\n\n");
    }
    page += &hint.map(|hint| format!("**hint:** {hint}\n\n")).unwrap_or_default();
    for (of, lines) in failure.evidence().into_iter().filter(|(_, lines)| !lines.is_empty()) {
        // Indented, a log can hold any sign.
        let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        page += &format!("The last lines of {of}:\n\n{lines}\n");
    }
    summarize(&page);
}

fn restoration(one: &Restoration) -> Value {
    match one {
        Restoration::Restored { to, number } => json!({"is": "restored", "to": to, "release": number}),
        Restoration::Failed { to, why, services } => {
            json!({"is": "failed", "to": to, "why": why, "services": services})
        }
        Restoration::Left { because } => json!({"is": "left", "because": because}),
    }
}

fn say(message: &str, hint: Option<&str>) {
    errln!("{} {message}", "error:".red().bold());
    if let Some(hint) = hint {
        errln!("{} {hint}", "hint:".bold());
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
            outln!("{} is up to date: nothing was changed{last}", app.project.app);
        }
        Some(release) => {
            let took = release
                .closed
                .map(|closed| duration(millis_between(release.created, closed)))
                .unwrap_or_default();
            let live =
                format!("{} v{} is live on {} ({took})", app.project.app, release.number, app.project.target);
            outln!("{live}");
            if settings.show == Show::Actions {
                let urls: String = urls.iter().map(|(name, url)| format!("- {name}: <{url}>\n")).collect();
                summarize(&format!("**{live}**\n\n{urls}\n"));
            }
        }
    }
    if settings.show != Show::Quiet {
        let width = urls.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, url) in &urls {
            outln!("  {name:<width$}  {url}");
        }
    }
}

/// Prints one object with the schema's version and the time.
/// Where a command that shows no progress sends its warnings: standard error, or a JSON line.
pub(crate) fn warnings(settings: &Settings) -> Emit {
    let json = settings.json;
    Emit::new(move |event| match event {
        Event::Warning { .. } if json => crate::view::json_event(event),
        Event::Warning { message } => errln!("warning: {message}"),
        _ => {}
    })
}

/// Prints a JSON object as one line.
pub(crate) fn json_line(value: Value) {
    crate::view::json_line(value);
}
