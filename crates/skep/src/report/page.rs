//! A release as a page: one HTML file that needs nothing else, to be sent to somebody or kept with a ticket.

use askama::Template;
use jiff::Timestamp;
use skep_deploy::{HistoryEntry, Report};
use skep_model::{PodSpan, ReasonForRelease, Release, ReleaseStatus, StepTiming};

use super::release::millis_between;
use crate::view::duration;

/// The page's text.
///
/// # Errors
/// When the template can't be filled, which it always can.
pub(crate) fn page(target: &str, report: &Report) -> Result<String, askama::Error> {
    let HistoryEntry { release, changed } = &report.entry;
    let axis = Axis::of(release);
    let mut rows: Vec<Row> =
        release.timings.iter().filter_map(|timing| step_row(&axis, timing, release)).collect();
    if let Some(first) = rows.first_mut() {
        first.heading = Some("steps".to_owned());
    }
    let mut of = "";
    for span in &release.pods {
        let heading = (of != span.of).then(|| span.of.clone());
        of = &span.of;
        rows.push(Row { heading, ..pod_row(&axis, span) });
    }
    let images = release.images.iter().chain(&release.third_party).map(|(name, digest)| Image {
        name: name.clone(),
        digest: digest.to_string(),
        commit: release.commits.get(name).cloned().unwrap_or_default(),
    });
    Page {
        app: &release.app,
        target,
        number: release.number,
        status: release.status.to_string(),
        is_good: release.status == ReleaseStatus::Deployed,
        why: match &release.reason {
            ReasonForRelease::Deploy => String::new(),
            other => other.to_string(),
        },
        begun: axis.from.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        took: duration(millis_between(axis.from, axis.to)),
        by: &release.by,
        commit: release.commit.as_deref(),
        told: report.told.as_deref().or(release.failure.as_deref()),
        changed,
        rows,
        images: images.collect(),
        version: env!("CARGO_PKG_VERSION"),
    }
    .render()
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    app: &'a str,
    target: &'a str,
    number: u64,
    status: String,
    is_good: bool,
    why: String,
    begun: String,
    took: String,
    by: &'a str,
    commit: Option<&'a str>,
    told: Option<&'a str>,
    changed: &'a [String],
    rows: Vec<Row>,
    images: Vec<Image>,
    version: &'static str,
}

struct Row {
    heading: Option<String>,
    name: String,
    bars: Vec<Bar>,
    took: String,
}

/// A part of a row, in percent of the whole.
struct Bar {
    class: &'static str,
    left: String,
    width: String,
    title: String,
}

struct Image {
    name: String,
    digest: String,
    commit: String,
}

/// The time that the page is about.
struct Axis {
    from: Timestamp,
    to: Timestamp,
}

impl Axis {
    fn of(release: &Release) -> Self {
        let ends = release.timings.iter().filter_map(|timing| Some(end(timing.started?, timing.millis)));
        let from = release.timings.iter().filter_map(|timing| timing.started).min();
        let from = from.unwrap_or(release.created).min(release.created);
        Self { from, to: ends.chain(release.closed).max().unwrap_or(release.created).max(from) }
    }

    fn bar(&self, class: &'static str, from: Timestamp, to: Timestamp, what: &str) -> Bar {
        let whole = millis_between(self.from, self.to).max(1) as f64;
        let (from, to) = (from.clamp(self.from, self.to), to.clamp(self.from, self.to));
        let percent = |millis: u64| format!("{:.2}", millis as f64 / whole * 100.0);
        let millis = millis_between(from, to);
        Bar {
            class,
            left: percent(millis_between(self.from, from)),
            width: percent(millis),
            title: format!("{what} {}", duration(millis)),
        }
    }
}

fn end(started: Timestamp, millis: u64) -> Timestamp {
    let millis = jiff::SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    started.saturating_add(millis).unwrap_or(started)
}

/// A step; one of a record that does not tell when it began is left out.
fn step_row(axis: &Axis, timing: &StepTiming, release: &Release) -> Option<Row> {
    let started = timing.started?;
    let is_last = release.timings.last().is_some_and(|last| std::ptr::eq(last, timing));
    let class = if is_last && release.failure.is_some() { "failed" } else { "step" };
    Some(Row {
        heading: None,
        name: timing.step.to_string(),
        bars: vec![axis.bar(class, started, end(started, timing.millis), "took")],
        took: duration(timing.millis),
    })
}

/// A pod: waiting until it was ready, then until it ended or the release was over.
fn pod_row(axis: &Axis, span: &PodSpan) -> Row {
    let until = span.ended.unwrap_or(axis.to);
    let (bars, took) = match span.came {
        None => (vec![axis.bar("before", axis.from, until, "was there before, for")], String::new()),
        Some(came) => {
            let ready = span.ready.unwrap_or(until).min(until);
            let mut bars = vec![axis.bar("waiting", came, ready, "not ready for")];
            if span.ready.is_some() {
                bars.push(axis.bar("ready", ready, until, "ready for"));
            }
            (bars, span.ready.map(|ready| duration(millis_between(came, ready))).unwrap_or_default())
        }
    };
    Row { heading: None, name: span.pod.clone(), bars, took }
}
