//! The bundle of a release that failed: its record, what was said, and the events, objects and logs of its pods as they were then, before
//! anything was put back. Secrets are stars in it.

use std::{io::Read, time::Duration};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures::{StreamExt, future::join_all};
use serde_json::Value;
use skep_cluster::{Bundles, ClusterError, LogQuery, Redaction, Snapshot};
use skep_model::{Event, ObjectKey, Release, Step};
use skep_rollout::recording::Recording;

use crate::{
    App, Failure, Plan,
    error::{InStep, Problem},
    events::{ClusterEvent, Of},
    owned::{owned_by, pods_of},
    session::Session,
};

/// How long the release that comes again may be kept waiting.
const LONGEST: Duration = Duration::from_secs(5);
/// How many lines of each log are kept; a bundle that grows too large keeps fewer.
const LINES: u32 = 2_000;

/// The file of what was said.
const FAILURE: &str = "failure.txt";
/// Bytes that a bundle may have when it is unpacked. Logs compress to a tenth, and the archive of one fits into a Secret.
const LARGEST_UNPACKED: u64 = 64 << 20;
/// The file of the rollout as it was seen.
const RECORDING: &str = "recording.jsonl";

/// A bundle, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The release's number.
    pub number: u64,
    /// A gzipped tar archive.
    pub archive: Vec<u8>,
    /// The names of the files in it.
    pub files: Vec<String>,
}

/// The bundle of a release, or of the newest one that has any.
///
/// # Errors
/// When there is none, or the API fails.
pub async fn bundle(app: &App, number: Option<u64>) -> Result<Bundle, Failure> {
    let releases = app.releases().all().await.in_step(Step::Load)?;
    let numbers = match number {
        Some(number) => vec![number],
        None => releases.iter().rev().map(|release| release.number).collect(),
    };
    for number in numbers {
        if let Some(archive) = store(app).load(number).await.in_step(Step::Load)? {
            let files = listed(&archive).map_err(|error| unusable(number, &error)).in_step(Step::Load)?;
            return Ok(Bundle { number, archive, files });
        }
    }
    let (what, hint) = match number {
        Some(number) if releases.iter().any(|release| release.number == number) => (
            format!("v{number} has no bundle"),
            "a bundle is kept of a release that failed once its pods were touched; `skep history` tells which did".to_owned(),
        ),
        Some(number) => {
            (format!("there is no v{number}"), "`skep history` lists the releases that are kept".to_owned())
        }
        None => ("no release that is kept has a bundle".to_owned(), "a bundle is kept of a release that failed".to_owned()),
    };
    Err(Failure::at(Step::Load, Problem::Project { what, hint }))
}

/// The recorded rollout in the bundle of a release.
///
/// # Errors
/// When there is no bundle, or none in it.
pub async fn recording(app: &App, number: Option<u64>) -> Result<Recording, Failure> {
    let Bundle { number, archive, .. } = bundle(app, number).await?;
    recording_in(&archive)
        .map_err(|why| unreadable(&format!("the bundle of v{number}"), &why))
        .in_step(Step::Load)
}

/// The recorded rollout in the archive of a bundle, or a recording itself.
///
/// # Errors
/// When it is neither.
pub fn recording_of(bytes: &[u8]) -> Result<Recording, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Recording::parse(text).map_err(|error| error.to_string()),
        Err(_) => recording_in(bytes),
    }
}

fn recording_in(archive: &[u8]) -> Result<Recording, String> {
    match file_in(archive, RECORDING) {
        Ok(Some(text)) => Recording::parse(&text).map_err(|error| error.to_string()),
        Ok(None) => Err("it holds no recording: the release failed before its pods were awaited".to_owned()),
        Err(error) => Err(format!("it is no bundle: {error}")),
    }
}

fn file_in(archive: &[u8], name: &str) -> std::io::Result<Option<String>> {
    for entry in unpacked(archive).entries()? {
        let mut entry = entry?;
        if entry.path().is_ok_and(|path| path.as_os_str() == name) {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// What was said when a release failed, if that was kept.
pub(crate) async fn told_of(app: &App, number: u64) -> Option<String> {
    let archive = store(app).load(number).await.ok()??;
    file_in(&archive, FAILURE).ok()?
}

fn unreadable(what: &str, why: &str) -> Problem {
    Problem::Project {
        what: format!("{what} can't be replayed: {why}"),
        hint: "`skep bundle` writes it to a file and lists what is in it".to_owned(),
    }
}

fn unpackable(error: &std::io::Error) -> Problem {
    Problem::Project {
        what: format!("the archive can't be made: {error}"),
        hint: "read the logs with `skep logs`".to_owned(),
    }
}

fn unusable(number: u64, error: &std::io::Error) -> Problem {
    Problem::Project {
        what: format!("the bundle of v{number} is damaged: {error}"),
        hint: "somebody has changed the Secret that holds it".to_owned(),
    }
}

/// What is beyond the limit is missing, so that the archive ends in its middle.
fn unpacked(archive: &[u8]) -> tar::Archive<impl Read> {
    tar::Archive::new(GzDecoder::new(archive).take(LARGEST_UNPACKED))
}

fn listed(archive: &[u8]) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in unpacked(archive).entries()? {
        let mut entry = entry?;
        names.push(entry.path()?.display().to_string());
        // What is cut off shows when it is read.
        std::io::copy(&mut entry, &mut std::io::sink())?;
    }
    Ok(names)
}

pub(crate) fn store(app: &App) -> Bundles {
    Bundles::new(app.cluster.clone(), app.namespace(), app.project.app.clone())
}

/// Keeps what is there now. That it can't be kept makes the failure no worse: it is a warning.
pub(crate) async fn keep(app: &App, plan: &Plan, session: &Session, failure: &Failure) -> bool {
    let kept = tokio::time::timeout(LONGEST, collect(app, plan, session, failure));
    let why = match kept.await {
        Ok(Ok(())) => return true,
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => format!("it took longer than {} s", LONGEST.as_secs()),
    };
    let message = format!("what was found of v{} could not be kept: {why}", session.number());
    app.emit.emit(Event::Warning { message });
    false
}

async fn collect(app: &App, plan: &Plan, session: &Session, failure: &Failure) -> Result<(), Failure> {
    let release = session.release();
    let mut recording = session.recording.lock().map(|text| text.clone()).unwrap_or_default();
    let mut view = app.cluster.view(app.namespace());
    let step = failure.step;
    let seen = view.changed().await.in_step(step)?;
    app.cluster.read_secrets(app.namespace(), "diagnostics").await.in_step(step)?;
    let workloads = plan.desired.workloads().chain(&plan.desired.migration).filter_map(ObjectKey::of);
    let found = Found::of(seen, workloads);
    let mut lines = LINES;
    loop {
        let logs = logs(app, &found.pods, lines).await;
        let archive = packed(&files(release, failure, &found, &logs, &recording, app.cluster.redaction()));
        let archive = archive.map_err(|error| unpackable(&error)).in_step(step)?;
        if archive.len() <= Bundles::LARGEST || (lines < 10 && recording.is_empty()) {
            return store(app).save(release.number, &archive).await.in_step(step);
        }
        if lines < 10 {
            recording.clear();
        }
        lines /= 4;
    }
}

/// What belongs to the release's workloads.
struct Found<'s> {
    objects: Vec<&'s Value>,
    pods: Vec<&'s Value>,
    events: Vec<&'s Value>,
}

impl<'s> Found<'s> {
    fn of(seen: &'s Snapshot, workloads: impl Iterator<Item = ObjectKey>) -> Self {
        let all_pods = seen.all("Pod");
        let sets = seen.all("ReplicaSet");
        let (mut objects, mut pods, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for key in workloads {
            let Some(workload) = seen.get(&key.kind, &key.name) else { continue };
            of.push(Of::workload(seen, &key));
            pods.extend(pods_of(workload, &sets, &all_pods));
            objects.push(workload);
            // A set that has no pods is of a release before.
            objects
                .extend(owned_by(workload, &sets).into_iter().filter(|set| set["status"]["replicas"] != 0));
        }
        objects.extend(&pods);
        let is_about = |event: &&Value| of.iter().any(|of| of.is_about(event));
        let events = seen.all("Event").into_iter().filter(is_about).collect();
        Self { objects, pods, events }
    }
}

/// The ends of the logs of every container, and of the one before it where it was started again.
async fn logs(app: &App, pods: &[&Value], lines: u32) -> Vec<(String, String)> {
    let wanted = pods.iter().flat_map(|pod| {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let lists = ["initContainerStatuses", "containerStatuses"];
        let statuses = lists.into_iter().filter_map(|list| pod["status"][list].as_array()).flatten();
        statuses.flat_map(move |status| {
            let container = status["name"].as_str().unwrap_or_default();
            let restarted = status["restartCount"].as_u64().is_some_and(|restarts| restarts > 0);
            let now = (name, container, false);
            [Some(now), restarted.then_some((name, container, true))].into_iter().flatten()
        })
    });
    let read = wanted.map(|(pod, container, previous)| async move {
        let query = LogQuery {
            namespace: app.namespace().to_owned(),
            pod: pod.to_owned(),
            container: Some(container.to_owned()),
            tail: Some(lines),
            previous,
            ..LogQuery::default()
        };
        let text: Vec<String> = match app.cluster.log_lines(&query).await {
            Ok(log) => log.filter_map(|line| async { line.ok() }).collect().await,
            Err(withheld @ ClusterError::Withheld { .. }) => vec![withheld.to_string()],
            Err(_) => return None,
        };
        let before = if previous { ".previous" } else { "" };
        (!text.is_empty()).then(|| (format!("logs/{pod}/{container}{before}.log"), text.join("\n") + "\n"))
    });
    join_all(read).await.into_iter().flatten().collect()
}

/// The files, by their names in the archive.
fn files(
    release: &Release,
    failure: &Failure,
    found: &Found<'_>,
    logs: &[(String, String)],
    recording: &str,
    redaction: &Redaction,
) -> Vec<(String, String)> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let mut files = vec![
        (FAILURE.to_owned(), told(failure)),
        ("release.json".to_owned(), serde_json::to_value(release).as_ref().map(pretty).unwrap_or_default()),
        ("events.txt".to_owned(), events(&found.events)),
    ];
    files.extend(found.objects.iter().filter_map(|object| {
        let key = ObjectKey::of(object)?;
        Some((format!("objects/{}-{}.json", key.kind, key.name), pretty(object)))
    }));
    files.extend(logs.iter().cloned());
    if !recording.is_empty() {
        files.push((RECORDING.to_owned(), recording.to_owned()));
    }
    files.into_iter().map(|(name, text)| (name, redaction.redact(&text))).collect()
}

fn told(failure: &Failure) -> String {
    let mut text = format!("{}: {failure}\n", failure.step);
    if let Some(hint) = failure.hint() {
        text += &format!("hint: {hint}\n");
    }
    for (of, lines) in failure.evidence() {
        text += &format!("\nthe last lines of {of}:\n");
        lines.iter().for_each(|line| text += &format!("  {line}\n"));
    }
    text
}

/// A line each, the newest last: `2026-01-01T00:00:00Z Pod/api-7d9 BackOff, 3 times: Back-off restarting failed container`.
fn events(events: &[&Value]) -> String {
    let mut events: Vec<ClusterEvent> = events.iter().map(|event| ClusterEvent::read(event)).collect();
    events.sort();
    events.iter().map(|event| format!("{} {} {event}\n", event.at, event.about)).collect()
}

fn packed(files: &[(String, String)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}
