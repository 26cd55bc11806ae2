//! Request counts and latencies in Prometheus' text format.
//!
//! A registry of its own is small enough (two families) that a metrics framework would be the larger part. Routes are the
//! router's patterns, never the raw path, so that the number of series has a bound.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The counts of one process. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    service: &'static str,
    version: &'static str,
    families: Arc<Mutex<Families>>,
}

#[derive(Debug, Default)]
struct Families {
    requests: BTreeMap<Labels, u64>,
    latencies: BTreeMap<String, Histogram>,
    /// What a service counts of its own, each with its help text.
    counters: BTreeMap<&'static str, (&'static str, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    route: String,
    method: String,
    status: u16,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    /// No requests yet.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str) -> Self {
        Self { service, version, families: Arc::default() }
    }

    /// Adds to a counter of the service's own. `name` ends in `_total`; `help` is a sentence.
    pub fn add(&self, name: &'static str, help: &'static str, by: u64) {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.counters.entry(name).or_insert((help, 0)).1 += by;
    }

    fn record(&self, labels: Labels, took: Duration) {
        let seconds = took.as_secs_f64();
        // Counters stay meaningful after a panic elsewhere, so a poisoned lock is simply taken.
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = families.latencies.entry(labels.route.clone()).or_default();
        histogram.count += 1;
        histogram.seconds += seconds;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
        *families.requests.entry(labels).or_default() += 1;
    }

    /// The text that a scrape gets.
    #[must_use]
    pub fn render(&self) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&families).unwrap_or_default()
    }

    fn write(&self, families: &Families) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "# HELP honeydue_build_info The release that answers.\n# TYPE honeydue_build_info gauge"
        )?;
        writeln!(text, "honeydue_build_info{{service=\"{}\",version=\"{}\"}} 1", self.service, self.version)?;
        writeln!(text, "# HELP http_requests_total Requests answered.\n# TYPE http_requests_total counter")?;
        for (Labels { route, method, status }, count) in &families.requests {
            writeln!(
                text,
                "http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {count}"
            )?;
        }
        for (name, (help, count)) in &families.counters {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}")?;
        }
        writeln!(text, "# HELP http_request_duration_seconds Time to the answer's head.")?;
        writeln!(text, "# TYPE http_request_duration_seconds histogram")?;
        for (route, Histogram { buckets, count, seconds }) in &families.latencies {
            let name = "http_request_duration_seconds";
            for (bound, below) in BUCKETS.iter().zip(buckets) {
                writeln!(text, "{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {below}")?;
            }
            writeln!(text, "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {count}")?;
            writeln!(text, "{name}_sum{{route=\"{route}\"}} {seconds}")?;
            writeln!(text, "{name}_count{{route=\"{route}\"}} {count}")?;
        }
        Ok(text)
    }
}

/// Middleware that counts a request and its time. Apply it with `Router::layer`, so that the route is known.
pub async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    metrics.record(Labels { route, method, status: response.status().as_u16() }, begun.elapsed());
    response
}

/// Handler for `/metrics`.
pub async fn scrape(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_labels_tell_statuses_apart() {
        let metrics = Metrics::new("api", "1.2.3");
        let labels = |status| Labels { route: "/api/tasks/".into(), method: "GET".into(), status };
        metrics.record(labels(200), Duration::from_millis(7));
        metrics.record(labels(200), Duration::from_millis(80));
        metrics.record(labels(401), Duration::from_millis(1));
        metrics.add("honeydue_things_total", "Things.", 2);
        metrics.add("honeydue_things_total", "Things.", 3);
        let text = metrics.render();
        for line in [
            "honeydue_things_total 5",
            "honeydue_build_info{service=\"api\",version=\"1.2.3\"} 1",
            "http_requests_total{route=\"/api/tasks/\",method=\"GET\",status=\"200\"} 2",
            "http_requests_total{route=\"/api/tasks/\",method=\"GET\",status=\"401\"} 1",
            "http_request_duration_seconds_bucket{route=\"/api/tasks/\",le=\"0.005\"} 1",
            "http_request_duration_seconds_bucket{route=\"/api/tasks/\",le=\"0.01\"} 2",
            "http_request_duration_seconds_bucket{route=\"/api/tasks/\",le=\"+Inf\"} 3",
            "http_request_duration_seconds_count{route=\"/api/tasks/\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "no line {line:?} in:\n{text}");
        }
    }
}
