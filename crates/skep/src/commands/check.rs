//! `skep check`: errors first. Exit code 11 when there are any.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use skep_deploy::{Finding, Severity};
use skep_project::Reads;

use crate::{commands::hive, compose, exit, report, settings::Settings, terminal::Paint as _, view::View};

pub(crate) async fn run(settings: &Settings) -> Result<ExitCode> {
    let composed = compose::load(settings, Reads::Everything)?;
    let title = composed.title();
    let view = View::open(settings, &title);
    let findings = match absent_hive(settings, &composed) {
        None => {
            let app = compose::app(settings, composed, view.emit()).await?;
            skep_deploy::check(&app).await
        }
        Some(absent) => {
            let app = compose::app_without_cluster(settings, composed, view.emit())?;
            skep_deploy::check_without_cluster(&app).await.map(|mut findings| {
                findings.push(absent);
                findings
            })
        }
    };
    view.close();
    let findings = findings?;
    for finding in &findings {
        if settings.json {
            report::json_line(json!({
                "type": "finding", "severity": finding.severity.to_string(), "place": finding.place,
                "message": finding.what, "hint": finding.hint,
            }));
            continue;
        }
        let severity = match finding.severity {
            Severity::Warning => finding.severity.yellow().to_string(),
            Severity::Error | Severity::Objection => finding.severity.red().to_string(),
        };
        outln!("{severity}: {finding}");
        if !finding.hint.is_empty() {
            outln!("  {}", finding.hint.dimmed());
        }
    }
    let errors = findings.iter().filter(|finding| finding.severity != Severity::Warning).count();
    if !settings.json && findings.is_empty() {
        outln!("{title}: nothing to find fault with");
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::CHECK) })
}

/// What to say where the cluster of this machine would have been asked, and does not run.
fn absent_hive(settings: &Settings, composed: &compose::Composed) -> Option<Finding> {
    let error = hive::running(settings).err().filter(|_| composed.is_on_hive())?.to_string();
    let (what, hint) = error.split_once("\nhint: ").unwrap_or((&error, ""));
    let what = format!("{what}, so its registry was not asked for others' images");
    Some(Finding::warning(composed.project().target.clone(), what, hint.to_owned()))
}
