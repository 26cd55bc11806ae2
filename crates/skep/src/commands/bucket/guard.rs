//! What a lifecycle rule would hide or delete at once is counted, and the user has to give that very number before it is set.

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::json;
use skep_storage::{Admin, Difference, Expiring, LifecycleRule, StoreError};

use super::Place;
use crate::report;

/// Listed versions between two lines of progress.
const STEP: u64 = 100_000;

/// Counts what the rules that are new or come sooner would hit. `None` when there is none of these.
pub(super) async fn count(
    place: &Place<'_>,
    admin: &Admin,
    differences: &[Difference<LifecycleRule>],
) -> Result<Option<Expiring>, StoreError> {
    let widened = |difference: &Difference<LifecycleRule>| match difference {
        Difference::Missing(rule) => rule.widens(None).then(|| rule.clone()),
        Difference::Other { found, wanted } => wanted.widens(Some(found)).then(|| wanted.clone()),
        Difference::Extra(_) => None,
    };
    let rules: Vec<LifecycleRule> = differences.iter().filter_map(widened).collect();
    if rules.is_empty() {
        return Ok(None);
    }
    let mut next = STEP;
    let progress = |listed: u64| {
        if listed >= next && !place.settings.json {
            errln!("{}: listed {listed} versions", place.described.name);
            next = listed + STEP;
        }
    };
    admin.expiring(&rules, Timestamp::now(), progress).await.map(Some)
}

/// Says what was counted.
pub(super) fn show(place: &Place<'_>, found: &Expiring) {
    let name = &place.described.name;
    if place.settings.json {
        report::json_line(json!({
            "type": "bucket-existing", "bucket": name, "count": found.count(), "current": found.current,
            "noncurrent": found.noncurrent, "unfinished": found.unfinished, "bytes": found.bytes,
            "oldest": found.oldest, "newest": found.newest, "sample": found.sample, "listed": found.listed,
        }));
        return;
    }
    outln!("{name}: {}", words(found));
    for key in &found.sample {
        outln!("    {key}");
    }
}

/// `the next run would hide or delete 3 objects (2 current, 1 older version; 1200 bytes), 8 to 40 days old, such as:`
fn words(found: &Expiring) -> String {
    let count = found.count();
    if count == 0 {
        return "the next run would hide or delete no object".to_owned();
    }
    let parts = [
        (found.current, "current", "current"),
        (found.noncurrent, "older version", "older versions"),
        (found.unfinished, "unfinished upload", "unfinished uploads"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    let days = |time: Option<Timestamp>| {
        time.map(|time| Timestamp::now().duration_since(time).as_hours().max(0) / 24)
    };
    let age = match (days(found.newest), days(found.oldest)) {
        (Some(newest), Some(oldest)) if newest == oldest => format!(", {oldest} days old"),
        (Some(newest), Some(oldest)) => format!(", {newest} to {oldest} days old"),
        _ => String::new(),
    };
    let objects = if count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
    let (parts, bytes) = (parts.join(", "), found.bytes);
    format!("the next run would hide or delete {objects} ({parts}; {bytes} bytes){age}, such as:")
}

/// Checks that the user knows the number.
///
/// # Errors
/// When there is something to hide or delete, and `agreed` is another number.
pub(super) fn agree(place: &Place<'_>, found: &Expiring, agreed: Option<u64>) -> Result<()> {
    let count = found.count();
    if agreed.unwrap_or(0) == count {
        return Ok(());
    }
    show(place, found);
    let (name, target) = (&place.described.name, place.target);
    let why = match agreed {
        None => format!("the lifecycle rules would hide or delete {count} that exist now"),
        Some(agreed) => {
            format!("--delete-existing says {agreed}, and the lifecycle rules would hide or delete {count}")
        }
    };
    bail!(
        "bucket {name}: refused to apply: {why}\nhint: copy what is needed to another prefix with `skep bucket copy FROM TO -t {target}`, or run `skep bucket lifecycle apply -t {target} --delete-existing {count}`"
    )
}
