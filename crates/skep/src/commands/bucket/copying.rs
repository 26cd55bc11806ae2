//! `skep bucket copy FROM TO`.

use std::process::ExitCode;

use serde_json::json;
use skep_storage::{Admin, CopyReport, Copying, StoreError};

use super::Place;
use crate::{args, report};

/// Objects between two lines of progress.
const STEP: u64 = 100;

/// Copies, and says what became of it. An object that was not copied fails the command.
pub(super) async fn run(
    place: &Place<'_>,
    admin: &Admin,
    copy: &args::BucketCopy,
) -> Result<anyhow::Result<ExitCode>, StoreError> {
    let args::BucketCopy { from, to, dry_run } = copy;
    if let Some(why) = refused(from, to) {
        return Ok(Err(anyhow::anyhow!("{why}\nhint: such as `skep bucket copy uploads/ files/`")));
    }
    let name = &place.described.name;
    let mut done = 0;
    let copied = admin.copy_prefix(from, to, *dry_run, |_, _: &Copying| {
        done += 1;
        if done % STEP == 0 && !place.settings.json {
            errln!("{name}: {done} objects");
        }
    });
    let report = copied.await?;
    show(place, copy, &report);
    let failed = report.conflicts.len() + report.failed.len();
    if failed == 0 {
        return Ok(Ok(ExitCode::SUCCESS));
    }
    let objects = if failed == 1 { "1 object was".to_owned() } else { format!("{failed} objects were") };
    Ok(Err(anyhow::anyhow!(
        "bucket {name}: {objects} not copied\nhint: rename or remove what has such a name under {to}, then run the same command again"
    )))
}

/// Copies below their own source would be copied too.
fn refused(from: &str, to: &str) -> Option<String> {
    let is_folder = |prefix: &str| prefix.len() > 1 && prefix.ends_with('/') && !prefix.starts_with('/');
    if !is_folder(from) || !is_folder(to) {
        return Some("a prefix ends in a slash and does not begin with one".to_owned());
    }
    let nested = from.starts_with(to) || to.starts_with(from);
    nested.then(|| format!("`{from}` and `{to}` overlap"))
}

fn show(place: &Place<'_>, copy: &args::BucketCopy, report: &CopyReport) {
    let name = &place.described.name;
    if place.settings.json {
        report::json_line(json!({
            "type": "bucket-copy", "bucket": name, "from": copy.from, "to": copy.to, "dryRun": copy.dry_run,
            "copied": report.copied, "bytes": report.bytes, "there": report.there, "gone": report.gone,
            "conflicts": report.conflicts,
            "failed": report.failed.iter().map(|(key, why)| json!({"key": key, "why": why})).collect::<Vec<_>>(),
        }));
        return;
    }
    for key in &report.conflicts {
        errln!("{name}: {key}: another object has the name of its copy");
    }
    for (key, why) in &report.failed {
        errln!("{name}: {key}: {why}");
    }
    let verb = if copy.dry_run { "would be copied" } else { "copied and verified" };
    outln!(
        "{name}: {} {verb} ({} bytes), {} already there, {} conflicts, {} failed",
        report.copied,
        report.bytes,
        report.there,
        report.conflicts.len(),
        report.failed.len()
    );
}
