//! `skep replay`: a rollout that failed, judged once more by the program that is installed now.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use serde_json::json;
use skep_deploy::Recording;
use skep_model::Emit;
use skep_project::Reads;

use crate::{args, compose, report, settings::Settings, terminal::Paint as _};

/// The exit code for a replay that says something else than the deploy did.
const DIFFERS: u8 = 2;

pub(crate) async fn run(settings: &Settings, replay: &args::Replay) -> Result<ExitCode> {
    let recording = load(settings, replay.of.as_deref()).await?;
    let (then, now) = (recording.said(), recording.replay());
    let same = then == now;
    if settings.json {
        report::json_line(json!({
            "type": "replay", "release": recording.start.release, "began": recording.start.at,
            "then": steps(&then), "now": steps(&now), "same": same, "cut": recording.is_cut(),
            "millis_to_verdict": recording.time_to_verdict().map(|time| time.as_millis()),
        }));
    } else {
        print(&recording, &now, same);
    }
    Ok(ExitCode::from(if same { 0 } else { DIFFERS }))
}

/// From a release of the app, or from a file that somebody sent.
async fn load(settings: &Settings, of: Option<&str>) -> Result<Recording> {
    let number = of.map(|text| text.trim_start_matches('v').parse::<u64>());
    if let (Some(file), Some(Err(_))) = (of, &number) {
        let bytes = std::fs::read(Path::new(file)).with_context(|| {
            format!(
                "{file} is no release of this app, and no file that can be read: `skep bundle` writes one"
            )
        })?;
        return skep_deploy::recording_of(&bytes).map_err(|why| anyhow!("{file} can't be replayed: {why}"));
    }
    let composed = compose::load(settings, Reads::Address)?;
    let app = compose::app(settings, composed, Emit::nowhere()).await?;
    Ok(skep_deploy::recording(&app, number.and_then(Result::ok)).await?)
}

type Said = [(Timestamp, BTreeMap<String, String>)];

fn steps(said: &Said) -> Vec<serde_json::Value> {
    said.iter().map(|(at, said)| json!({"at": at, "said": said})).collect()
}

fn print(recording: &Recording, now: &Said, same: bool) {
    let begin = recording.start.at;
    let last = recording.frames.last().map_or(begin, |frame| frame.at.max(begin));
    let since = |at: Timestamp| at.duration_since(begin).as_secs_f64();
    outln!(
        "v{}, watched from {begin:.0}: {} moments in {:.1} s",
        recording.start.release.bold(),
        recording.frames.len(),
        since(last),
    );
    for (at, said) in now {
        for (of, words) in said {
            outln!("{:>7.1} s  {of}: {words}", since(*at));
        }
    }
    if recording.is_cut() {
        outln!("there was more than a recording may hold: what came later is not in it");
    }
    if let Some(time) = recording.time_to_verdict() {
        outln!("told {} ms after the cluster had shown it", time.as_millis());
    }
    if same {
        outln!("the verdicts are those of the deploy");
        return;
    }
    outln!("{}", "the deploy said otherwise:".yellow());
    for (at, said) in recording.said() {
        for (of, words) in said {
            outln!("{:>7.1} s  {of}: {words}", since(at));
        }
    }
}
