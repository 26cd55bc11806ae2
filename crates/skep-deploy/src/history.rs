//! `skep history` and `skep show`: every release that is kept, and what each changed.

use std::collections::BTreeSet;

use serde_json::Value;
use skep_manifest::{Reason, Versions, changed_keys, differences, restart_reasons};
use skep_model::{ObjectKey, Release, ReleaseStatus, Step};

use crate::{
    App, Failure, cause,
    error::{InStep, Problem},
};

/// A release, and what it changed.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The release.
    pub release: Release,
    /// `image of api`, `config honeydue-config (GREETING)`, `Service/web`, against the good release before it; empty for the first.
    pub changed: Vec<String>,
}

/// Every release that is kept, newest first.
///
/// # Errors
/// When the API fails.
pub async fn history(app: &App) -> Result<Vec<HistoryEntry>, Failure> {
    let releases = app.releases().all().await.in_step(Step::Load)?;
    app.warn_of_unreadable(&releases);
    Ok(entries(&releases))
}

fn entries(releases: &[Release]) -> Vec<HistoryEntry> {
    let entry = |(at, release): (usize, &Release)| {
        let before = releases[..at].iter().rfind(|before| before.status == ReleaseStatus::Deployed);
        let changed = before.map(|before| what_changed(before, release)).unwrap_or_default();
        HistoryEntry { release: release.clone(), changed }
    };
    releases.iter().enumerate().map(entry).rev().collect()
}

/// One release; the newest if `number` is `None`.
///
/// # Errors
/// When there is none, or the API fails.
pub async fn show(app: &App, number: Option<u64>) -> Result<HistoryEntry, Failure> {
    let releases = app.releases().all().await.in_step(Step::Load)?;
    releases.readable(number.unwrap_or_else(|| releases.newest())).in_step(Step::Load)?;
    let mut entries = entries(&releases).into_iter();
    let found = match number {
        None => entries.next(),
        Some(number) => entries.find(|entry| entry.release.number == number),
    };
    found.ok_or_else(|| {
        let what = number
            .map_or("there is no release yet".to_owned(), |number| format!("there is no release v{number}"));
        let hint = "`skep history` shows which are kept".to_owned();
        Failure::at(Step::Load, Problem::Project { what, hint })
    })
}

/// What differs between the contents of two releases, each thing once. Versions of config are told by the services that read them.
fn what_changed(before: &Release, after: &Release) -> Vec<String> {
    let mut changed = BTreeSet::new();
    let mut versions = Versions::of_release(before);
    versions.extend(Versions::of_release(after));
    for object in after.objects.iter().filter(|object| !skep_manifest::is_version_or_copy(object)) {
        let Some(key) = ObjectKey::of(object) else { continue };
        match find(before, &key) {
            None => {
                changed.insert(format!("{key} added"));
            }
            Some(old) => {
                let fields = differences(&cause::without(old.clone()), &cause::without(object.clone()));
                let reasons = restart_reasons(&fields, &versions);
                let told = fields.iter().filter(|field| field.path.starts_with("spec.template.")).count();
                changed.extend(reasons.iter().map(|reason| words(reason, before, after)));
                if fields.len() > told {
                    changed.insert(key.to_string());
                }
            }
        }
    }
    let removed = after.removed.iter().filter(|key| !versions.contains(key));
    changed.extend(removed.map(|key| format!("{key} removed")));
    // A Secret that pods read has been told by them.
    for (name, version) in &after.secrets {
        let told = format!("secret {name}");
        if before.secrets.get(name).is_some_and(|old| old != version) {
            changed.insert(told);
        }
    }
    changed.into_iter().collect()
}

fn find<'r>(release: &'r Release, key: &ObjectKey) -> Option<&'r Value> {
    release.objects.iter().find(|object| ObjectKey::of(object).is_some_and(|other| other.same_object(key)))
}

fn words(reason: &Reason, before: &Release, after: &Release) -> String {
    match reason {
        Reason::Image { container, .. } => format!("image of {container}"),
        Reason::Field { path } => path.clone(),
        Reason::Config { kind: "Secret", set, .. } => format!("secret {set}"),
        Reason::Config { set, from, to, .. } => {
            let version = |release: &Release, name: &str| {
                let is =
                    |object: &&Value| object["kind"] == "ConfigMap" && object["metadata"]["name"] == name;
                release.objects.iter().find(is).cloned()
            };
            match version(before, from).zip(version(after, to)) {
                Some((from, to)) => format!("config {set} ({})", changed_keys(&from, &to).join(", ")),
                None => format!("config {set}"),
            }
        }
    }
}

/// The commit of the last good release, for what is compared with it.
pub(crate) async fn last_good_commit(app: &App) -> Option<String> {
    commit_of_last_good(&app.releases().all().await.ok()?)
}

pub(crate) fn commit_of_last_good(releases: &[Release]) -> Option<String> {
    let good = releases.iter().rev().find(|release| release.status == ReleaseStatus::Deployed)?;
    let commit = good.commit.as_deref()?;
    Some(commit.strip_suffix("-dirty").unwrap_or(commit).to_owned())
}
