//! A plan as text and as JSON: what each service gets and why, or every field.

use std::path::Path;

use serde_json::{Value, json};
use skep_deploy::{Adoption, Change, Difference, Drift, Drifted, Plan, Removal, Restart, Verb};
use skep_model::ObjectKey;

use super::json_line;
use crate::terminal::Paint as _;

/// Services first: what restarts, and why. Then objects, by what happens to them.
pub(crate) fn plan(plan: &Plan, title: &str, saved: Option<&Path>) {
    if is_nothing(plan) {
        outln!("{title}: nothing to do");
        return;
    }
    outln!("{}", heading(plan, title).bold());
    section(
        "completes",
        plan.completes().then(|| format!("v{}, which did not end well", plan.newest_release())),
    );
    section("restarts", restarts(plan));
    section("migrates", plan.migration().map(str::to_owned));
    let of = |verb| plan.changed().iter().filter(move |change| change.verb == verb);
    section("creates", of(Verb::Create).map(|change| change.object.to_string()));
    section("changes", of(Verb::Update).filter_map(|change| changed(plan, change)));
    section("makes anew", of(Verb::Recreate).map(|change| change.object.to_string()));
    section("removes", plan.removals().iter().map(removed));
    section("adopts", plan.adoptions().iter().map(adopted));
    section("renews", plan.pull_secrets().into_iter().map(|name| format!("pull secret {name}")));
    section("drifted", plan.drift().iter().map(drifted));
    let ship =
        saved.map_or("`skep deploy`".to_owned(), |file| format!("`skep deploy --plan {}`", file.display()));
    outln!("\n{}", hint(plan, "`skep diff` shows each field", &ship).dimmed());
}

/// Every field that changes.
pub(crate) fn diff(plan: &Plan, title: &str) {
    if is_nothing(plan) {
        outln!("{title}: nothing differs");
        return;
    }
    outln!("{}", heading(plan, title).bold());
    for change in plan.changed() {
        let (mark, is_new) = match change.verb {
            Verb::Create => ("+".green().to_string(), true),
            Verb::Update => ("~".yellow().to_string(), false),
            Verb::Recreate => ("±".yellow().to_string(), false),
        };
        let place = change.place.as_deref().map(|place| format!("  {place}")).unwrap_or_default();
        outln!("\n{mark} {}{}", change.object.to_string().bold(), place.dimmed());
        for field in &change.fields {
            if is_new {
                leaves(&field.path, field.to.as_ref().unwrap_or(&Value::Null));
            } else {
                one(field);
            }
        }
    }
    for Removal { object, because } in plan.removals() {
        outln!("\n{} {}  {}", "-".red(), object.to_string().bold(), because.to_string().dimmed());
    }
    if !plan.drift().is_empty() {
        outln!();
    }
    section("drifted", plan.drift().iter().map(drifted));
    outln!("\n{}", hint(plan, "`skep plan` shows what restarts and why", "`skep deploy`").dimmed());
}

/// Who restarts, and each key of a set that changes.
pub(crate) fn config_diff(plan: &Plan, title: &str) {
    if is_nothing(plan) {
        outln!("{title}: nothing differs");
        return;
    }
    outln!("{}", heading(plan, title).bold());
    section("restarts", restarts(plan));
    for change in plan.changed().iter().filter(|change| is_plain_set(plan, &change.object)) {
        outln!("\n{}", change.object.to_string().bold());
        let is_data =
            |field: &&Difference| field.path.starts_with("data") || field.path.starts_with("binaryData");
        change.fields.iter().filter(is_data).for_each(one);
    }
    section("drifted", plan.drift().iter().map(drifted));
    outln!("\n{}", hint(plan, "values of Secrets are hidden", "`skep config apply`").dimmed());
}

/// A ConfigMap or Secret under its plain name: its version says the same.
fn is_plain_set(plan: &Plan, object: &ObjectKey) -> bool {
    matches!(object.kind.as_str(), "ConfigMap" | "Secret") && !plan.is_version(object)
}

/// One object for `plan` and `diff` alike.
pub(crate) fn plan_json(plan: &Plan) {
    let field = |field: &Difference| json!({"path": field.path, "from": field.from, "to": field.to});
    let change = |change: &Change| {
        json!({
            "object": change.object, "verb": change.verb, "place": change.place, "restarts": change.restarts,
            "fields": change.fields.iter().map(field).collect::<Vec<_>>(),
        })
    };
    let drift = |drift: &Drift| match &drift.what {
        Drifted::Deleted => json!({"object": drift.object, "is": "deleted"}),
        Drifted::Added { path, manager, live } => {
            json!({"object": drift.object, "is": "added", "path": path, "manager": manager, "live": live})
        }
        Drifted::Field { path, manager, live, wanted } => {
            json!({"object": drift.object, "is": "field", "path": path, "manager": manager, "live": live, "wanted": wanted})
        }
    };
    let removal = |Removal { object, because }: &Removal| {
        let mut removal = json!(object);
        removal["because"] = because.to_string().into();
        removal
    };
    let adoption = |adoption: &Adoption| json!({"object": adoption.object, "managers": adoption.managers});
    json_line(json!({
        "type": "plan", "empty": is_nothing(plan), "completes": plan.completes(), "newestRelease": plan.newest_release(),
        "changes": plan.changed().iter().map(change).collect::<Vec<_>>(), "removes": plan.removals().iter().map(removal).collect::<Vec<_>>(),
        "migrates": plan.migration(), "adopts": plan.adoptions().iter().map(adoption).collect::<Vec<_>>(),
        "drift": plan.drift().iter().map(drift).collect::<Vec<_>>(), "pullSecrets": plan.pull_secrets(),
    }));
}

fn is_nothing(plan: &Plan) -> bool {
    !plan.has_changes()
}

fn heading(plan: &Plan, title: &str) -> String {
    match plan.newest_release() {
        0 => format!("{title}, the first release"),
        newest => format!("{title}, after v{newest}"),
    }
}

fn hint(plan: &Plan, other: &str, ship: &str) -> String {
    match plan.is_contested() {
        true => format!("{other}; {ship} refuses until the fields that others own are settled"),
        false => format!("{other}; {ship} does it"),
    }
}

fn section(name: &str, lines: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = lines.into_iter().collect();
    if !lines.is_empty() {
        outln!("{name}");
    }
    for line in lines {
        outln!("  {line}");
    }
}

/// `api  image of api 1a2b3c → 4d5e6f`, and a line for each further reason.
fn restarts(plan: &Plan) -> Vec<String> {
    let restarting = || plan.changed().iter().filter(|change| !change.restarts.is_empty());
    let width = restarting().map(|change| change.object.name.len()).max().unwrap_or(0);
    let lines = |change: &Change| -> Vec<String> {
        let names = std::iter::once(change.object.name.clone()).chain(std::iter::repeat(String::new()));
        let reasons = names.zip(&change.restarts);
        reasons.map(|(name, restart)| format!("{name:<width$}  {}", because(restart))).collect()
    };
    restarting().flat_map(lines).collect()
}

fn because(restart: &Restart) -> String {
    match restart {
        Restart::Image { from: Some(from), to, .. } => format!("{restart} {} → {}", digest(from), digest(to)),
        _ => restart.to_string(),
    }
}

/// Enough of a digest to tell two apart; other references whole.
fn digest(image: &str) -> &str {
    match image.rsplit_once("@sha256:") {
        Some((_, hex)) => hex.get(..12).unwrap_or(hex),
        None => image,
    }
}

/// An object and its fields, in one line: those of the pod template are reasons to restart and have been told, and what is adopted
/// gets Skep's labels.
fn changed(plan: &Plan, change: &Change) -> Option<String> {
    const SHOWN: usize = 3;
    let adopted = plan.adoptions().iter().any(|adoption| adoption.object == change.object);
    let told = |path: &str| {
        path.starts_with("spec.template.")
            || path.contains("skep.dev/")
            || adopted && path.starts_with("metadata.labels")
    };
    let paths: Vec<&str> =
        change.fields.iter().map(|field| field.path.as_str()).filter(|path| !told(path)).collect();
    if paths.is_empty() {
        return (!adopted).then(|| change.object.to_string());
    }
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        rest => format!(", and {rest} more"),
    };
    let shown = paths.get(..SHOWN).unwrap_or(&paths).join(", ");
    Some(format!("{}  {}", change.object, format!("{shown}{more}").dimmed()))
}

fn removed(removal: &Removal) -> String {
    format!("{}  {}", removal.object, removal.because.to_string().dimmed())
}

fn adopted(adoption: &Adoption) -> String {
    let by = format!("written by {}", adoption.managers.join(", "));
    format!("{}  {}", adoption.object, by.dimmed())
}

fn drifted(drift: &Drift) -> String {
    match &drift.what {
        Drifted::Deleted => format!("{} was deleted, and will be made again", drift.object),
        Drifted::Added { path, manager, live } => {
            format!(
                "{} {path} is {}, of which the manifests say nothing; {manager} wrote it",
                drift.object,
                text(live)
            )
        }
        Drifted::Field { path, manager, live, wanted } => {
            let values = match (live, wanted) {
                (Some(live), Some(wanted)) => format!(" is {live}, the manifests say {wanted}"),
                _ => " is not what the manifests say".to_owned(),
            };
            format!("{} {path}{values}; {manager} wrote it", drift.object)
        }
    }
}

fn one(field: &Difference) {
    let path = &field.path;
    match (&field.from, &field.to) {
        (Some(from), Some(to)) => {
            outln!("    {path}");
            outln!("      {}", format!("- {}", text(from)).red());
            outln!("      {}", format!("+ {}", text(to)).green());
        }
        (None, Some(to)) => outln!("    {}", format!("+ {path}: {}", text(to)).green()),
        (Some(from), None) => outln!("    {}", format!("- {path}: {}", text(from)).red()),
        (None, None) => {}
    }
}

/// A new object, a line for each value that is no container of others.
fn leaves(path: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let key = if key.contains(['.', '/']) { format!("[\"{key}\"]") } else { format!(".{key}") };
                leaves(&format!("{path}{key}"), value);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                leaves(&format!("{path}[{index}]"), item);
            }
        }
        value => outln!("    {}", format!("+ {path}: {}", text(value)).green()),
    }
}

/// Text as it is, unless it has lines or ends that would be lost.
fn text(value: &Value) -> String {
    match value {
        Value::String(text)
            if !text.is_empty() && text.trim() == text && !text.contains(char::is_control) =>
        {
            text.clone()
        }
        other => other.to_string(),
    }
}
