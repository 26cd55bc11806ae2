//! A rollout as it was seen: what there was when, and how it was judged. The same verdict function runs over it again, on any machine,
//! so that a report of a wrong verdict is one file and becomes a test.
//!
//! As text it is a JSON object a line: how the watching began, then what changed and what was said of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Around, Observed, Past, Rollout, Verdict};

/// Bytes of text that a recording may have. A rollout that changes more is recorded up to there.
const LARGEST: usize = 8 << 20;

/// The version of the format. Fields may be added; what is there keeps its meaning.
const VERSION: u32 = 1;

/// Kind and name of an object.
pub type Name = (String, String);

/// A recorded rollout.
#[derive(Debug, Clone)]
pub struct Recording {
    /// How the watching began.
    pub start: Start,
    /// What came then.
    pub frames: Vec<Frame>,
}

/// How the watching of a release's workloads began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// Of the format.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// The release.
    pub release: u64,
    /// The exit code by which an app refuses a schema.
    pub schema_exit_code: i64,
    /// What the pods had behind them.
    pub past: Past,
    /// The workloads, each with how long nothing may move, in milliseconds.
    pub workloads: Vec<(Name, u64)>,
}

/// A moment of a rollout. What records one borrows its objects: there may be thousands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame<Object = Value> {
    /// When.
    pub at: Timestamp,
    /// Objects that had come or changed.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Object>,
    /// Objects that had gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Name>,
    /// What was said that had not been said before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub said: BTreeMap<String, String>,
    /// For how many milliseconds nothing had been seen, when the cluster did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<u64>,
    /// Whether this is when people were told that it had failed, causes and all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// Whether what came then was too much to be recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Frame<&Value> {
    fn at(at: Timestamp) -> Self {
        let (changed, gone, said) = Default::default();
        Self { at, changed, gone, said, blind: None, told: false, cut: false }
    }
}

/// What a verdict says, in words that two runs of the same code agree upon.
pub fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ready { wanted, .. } => format!("ready, {wanted} of {wanted}"),
        Verdict::Failed(diagnosis) => format!("failed, {}: {diagnosis}", diagnosis.cause.code()),
        Verdict::Progressing { ready, wanted, old, waiting_for, failing } => {
            let old = if *old == 0 { String::new() } else { format!(", {old} old") };
            let failing = failing.as_ref().map(|why| format!("; failing: {why}")).unwrap_or_default();
            format!("{ready} of {wanted}{old}, waits for {waiting_for}{failing}")
        }
    }
}

/// Makes a recording while a rollout is watched.
#[derive(Debug)]
pub struct Recorder {
    text: String,
    said: BTreeMap<String, String>,
    is_cut: bool,
}

impl Recorder {
    /// Begins one.
    pub fn new(start: &Start) -> Self {
        let mut recorder = Self { text: String::new(), said: BTreeMap::new(), is_cut: false };
        recorder.line(start);
        recorder
    }

    /// The format's version, for a [`Start`].
    pub fn version() -> u32 {
        VERSION
    }

    /// Notes what has changed since the last moment, and what is said of it. Nothing new is not noted.
    pub fn note(
        &mut self,
        at: Timestamp,
        changed: Vec<&Value>,
        gone: Vec<Name>,
        verdicts: impl IntoIterator<Item = (String, String)>,
    ) {
        let is_new = |(of, words): &(String, String)| self.said.get(of) != Some(words);
        let said: BTreeMap<String, String> = verdicts.into_iter().filter(is_new).collect();
        self.said.extend(said.clone());
        if !(changed.is_empty() && gone.is_empty() && said.is_empty()) {
            self.line(&Frame { changed, gone, said, ..Frame::at(at) });
        }
    }

    /// Notes that nothing was seen for so long.
    pub fn was_blind(&mut self, at: Timestamp, away: Duration) {
        let millis = u64::try_from(away.as_millis()).unwrap_or(u64::MAX);
        self.line(&Frame { blind: Some(millis), ..Frame::at(at) });
    }

    /// Notes that people have been told.
    pub fn told(&mut self, at: Timestamp) {
        self.line(&Frame { told: true, ..Frame::at(at) });
    }

    /// Whether it has come to its end: what is noted now is not recorded.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The recording so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line(&mut self, line: &impl Serialize) {
        if self.is_cut {
            return;
        }
        let Ok(mut line) = serde_json::to_string(line) else { return };
        if self.text.len() + line.len() > LARGEST {
            self.is_cut = true;
            line = serde_json::to_string(&Frame { cut: true, ..Frame::at(Timestamp::UNIX_EPOCH) })
                .unwrap_or_default();
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

/// A text that is no recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRecording {
    line: usize,
    why: String,
}

impl fmt::Display for NoRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the recording: {}", self.line, self.why)
    }
}

impl std::error::Error for NoRecording {}

impl Recording {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or a newer Skep wrote it.
    pub fn parse(text: &str) -> Result<Self, NoRecording> {
        let wrong = |line: usize, why: String| NoRecording { line: line + 1, why };
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().ok_or_else(|| wrong(0, "it is empty".to_owned()))?;
        let start: Start = serde_json::from_str(first).map_err(|error| wrong(0, error.to_string()))?;
        if start.version > VERSION {
            let why = format!("format {} is newer than this Skep, which reads {VERSION}", start.version);
            return Err(wrong(0, why));
        }
        let frame = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| wrong(at, error.to_string()))
        };
        Ok(Self { start, frames: lines.map(frame).collect::<Result<_, _>>()? })
    }

    /// Judges it all again: what is said when, in the form of [`Frame::said`].
    pub fn replay(&self) -> Vec<(Timestamp, BTreeMap<String, String>)> {
        let Start { at, schema_exit_code, past, workloads, .. } = &self.start;
        let rollout = |(name, millis): &(Name, u64)| {
            let patience = Duration::from_millis(*millis);
            (name.clone(), Rollout::new(patience, *schema_exit_code, past.clone(), *at))
        };
        let mut rollouts: BTreeMap<Name, Rollout> = workloads.iter().map(rollout).collect();
        let mut objects: BTreeMap<Name, Value> = BTreeMap::new();
        let (mut said, mut all) = (BTreeMap::new(), Vec::new());
        for frame in self.frames.iter().filter(|frame| !frame.told && !frame.cut) {
            if let Some(millis) = frame.blind {
                rollouts.values_mut().for_each(|rollout| rollout.was_blind(Duration::from_millis(millis)));
                continue;
            }
            for object in &frame.changed {
                objects.insert(name_of(object), object.clone());
            }
            for name in &frame.gone {
                objects.remove(name);
            }
            let of_kind = |kind: &str| -> Vec<&Value> {
                let all = objects.iter().filter(|((found, _), _)| found == kind);
                all.map(|(_, object)| object).collect()
            };
            let around = Around::new(&of_kind("ReplicaSet"), &of_kind("Pod"), &of_kind("Event"));
            let (mut new, mut ready) = (BTreeMap::new(), BTreeSet::new());
            for (name, rollout) in &mut rollouts {
                let observed = Observed { workload: objects.get(name), around: &around };
                let verdict = rollout.step(observed, frame.at);
                if matches!(verdict, Verdict::Ready { .. }) {
                    ready.insert(name.clone());
                }
                let (of, words) = (format!("{}/{}", name.0, name.1), words(&verdict));
                if said.get(&of) != Some(&words) {
                    said.insert(of.clone(), words.clone());
                    new.insert(of, words);
                }
            }
            // What is ready is not judged again.
            rollouts.retain(|name, _| !ready.contains(name));
            if !new.is_empty() {
                all.push((frame.at, new));
            }
        }
        all
    }

    /// What was said when it was recorded.
    pub fn said(&self) -> Vec<(Timestamp, BTreeMap<String, String>)> {
        let said = self.frames.iter().filter(|frame| !frame.said.is_empty());
        said.map(|frame| (frame.at, frame.said.clone())).collect()
    }

    /// How long it took from the moment at which the cluster showed the first failure until people were told of it.
    pub fn time_to_verdict(&self) -> Option<Duration> {
        let failed = |frame: &&Frame| frame.said.values().any(|words| words.starts_with("failed"));
        let shown = self.frames.iter().find(failed)?.at;
        let told = self.frames.iter().find(|frame| frame.told)?.at;
        told.duration_since(shown).try_into().ok()
    }

    /// Whether there was more than could be recorded.
    pub fn is_cut(&self) -> bool {
        self.frames.iter().any(|frame| frame.cut)
    }
}

fn name_of(object: &Value) -> Name {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}
