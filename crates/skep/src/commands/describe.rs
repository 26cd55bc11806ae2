//! `skep describe`: one service, on one page.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use skep_deploy::{ContainerDescription, Description, Looked, PodDescription};
use skep_model::Emit;
use skep_project::Reads;

use super::diagnose;
use crate::{args, compose, exit, report, settings::Settings, terminal::Paint as _};

pub(crate) async fn run(settings: &Settings, describe: args::Describe) -> Result<ExitCode> {
    let app = compose::app(settings, compose::load(settings, Reads::Registry)?, Emit::nowhere()).await?;
    let described = skep_deploy::describe(&app, &describe.service).await?;
    if settings.json {
        report::json_line(as_json(&described));
    } else {
        print(&described);
    }
    let is_ill = matches!(described.diagnosed.state, Looked::Ill(_));
    Ok(if is_ill { ExitCode::from(exit::CHANGES) } else { ExitCode::SUCCESS })
}

fn print(one: &Description) {
    diagnose::print(&one.diagnosed);
    let by = one.release.as_deref().unwrap_or("nobody who said so");
    told("is", &[format!("{}, written by {by}", one.diagnosed.object.kind)]);
    for container in &one.containers {
        let ContainerDescription { name, image, readiness, requests, limits } = container;
        told("runs", &[format!("{name}: {image}")]);
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        let asks = readiness.as_deref().unwrap_or("none: it counts as ready as soon as it runs");
        detail(&format!("readiness {asks}"));
        detail(&format!("requests {}; limits {}", or_none(requests), or_none(limits)));
    }
    told("reads", &one.reads);
    told("reached by", &one.reached_by);
    for pod in &one.pods {
        let PodDescription { name, node, since, ready, restarts, ended, waits_for } = pod;
        let how = if *ready { "ready".green().to_string() } else { "not ready".yellow().to_string() };
        told("pod", &[format!("{name}  {how}, on {node} since {since}, {restarts} restarts")]);
        waits_for.iter().for_each(|what| detail(&format!("waits for {what}")));
        ended.iter().for_each(|how| detail(&format!("its last run ended with {how}")));
    }
    let events: Vec<String> =
        one.events.iter().map(|event| format!("{} {} {event}", event.at, event.about)).collect();
    told("said", &events);
}

/// Lines below one word.
fn told(word: &str, lines: &[String]) {
    for (number, line) in lines.iter().enumerate() {
        let word = if number == 0 { word } else { "" };
        outln!("  {} {line}", format!("{word:<10}").dimmed());
    }
}

fn detail(text: &str) {
    outln!("  {:<10}   {text}", "");
}

fn as_json(one: &Description) -> Value {
    let Description { diagnosed, release, containers, reads, reached_by, pods, events } = one;
    let containers: Vec<Value> = containers
        .iter()
        .map(|one| json!({"name": one.name, "image": one.image, "readiness": one.readiness, "requests": one.requests, "limits": one.limits}))
        .collect();
    let pods: Vec<Value> = pods
        .iter()
        .map(|pod| json!({
            "name": pod.name, "node": pod.node, "since": pod.since, "ready": pod.ready, "restarts": pod.restarts,
            "ended": pod.ended, "waitsFor": pod.waits_for,
        }))
        .collect();
    let events: Vec<Value> = events.iter().map(super::events::as_json).collect();
    let mut described = diagnose::as_json(diagnosed);
    described["type"] = "description".into();
    described["release"] = json!(release);
    described["containers"] = containers.into();
    described["reads"] = json!(reads);
    described["reachedBy"] = json!(reached_by);
    described["pods"] = pods.into();
    described["events"] = events.into();
    described
}
