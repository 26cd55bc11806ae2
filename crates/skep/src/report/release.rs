//! Releases as text and as JSON: a line in the history, or one of them whole.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};
use skep_deploy::HistoryEntry;
use skep_model::{ReasonForRelease, Release, ReleaseStatus};

use crate::terminal::Paint as _;
use crate::view::duration;

/// How many columns of what a release changed are shown in the history.
const CHANGED: usize = 72;

/// A release's line, and what it changed below.
pub(crate) fn entry_line(entry: &HistoryEntry) -> String {
    let line = release_line(&entry.release);
    if entry.changed.is_empty() {
        return line;
    }
    let mut changed = entry.changed.join(", ");
    if let Some((end, _)) = changed.char_indices().nth(CHANGED) {
        changed.truncate(end);
        changed.push('…');
    }
    format!("{line}\n       {}", changed.dimmed())
}

/// One release, whole.
pub(crate) fn release(entry: &HistoryEntry) {
    let release = &entry.release;
    outln!("{}", release_line(release));
    let lines = |name: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            outln!("{name}");
        }
        for line in lines {
            outln!("  {line}");
        }
    };
    lines("changed", entry.changed.clone());
    let width = release.images.keys().chain(release.third_party.keys()).map(String::len).max().unwrap_or(0);
    let image = |(name, digest): (&String, &skep_model::Digest)| {
        let commit = release.commits.get(name).map(|commit| format!("  {commit}")).unwrap_or_default();
        format!("{name:<width$}  {digest}{commit}")
    };
    lines("images", release.images.iter().chain(&release.third_party).map(image).collect());
    let of = |kinds: &[&str]| -> Vec<String> {
        let keys = release.inventory.iter().filter(|key| kinds.contains(&key.kind.as_str()));
        keys.map(ToString::to_string).collect()
    };
    lines("config", of(&["ConfigMap", "Secret"]));
    let others = release.inventory.iter().filter(|key| !matches!(key.kind.as_str(), "ConfigMap" | "Secret"));
    lines("objects", others.map(ToString::to_string).collect());
    let timing = |timing: &skep_model::StepTiming| format!("{:<8} {}", timing.step, duration(timing.millis));
    lines("steps", release.timings.iter().map(timing).collect());
}

/// A release's outline with what it changed, as `history` and `show` print it.
pub(crate) fn entry_json(entry: &HistoryEntry) -> Value {
    let mut line = release_json(&entry.release);
    line["type"] = "release".into();
    line["changed"] = json!(entry.changed);
    line
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
        other => format!("  {other}"),
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
        "closed": release.closed, "by": release.by, "commit": release.commit, "commits": release.commits, "images": release.images,
        "timings": release.timings, "failure": release.failure,
    })
}

pub(super) fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
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
