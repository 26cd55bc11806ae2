//! How long a pod may take by its own settings: who gives a program ten minutes to start means it.

use std::time::Duration;

use serde_json::Value;

/// The longest that a new pod of this workload may be unready, and then ready but not yet available, by what its template says.
pub(crate) fn of_probes(workload: &Value) -> Duration {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    let slowest = containers.map(|one| window(&one["startupProbe"]) + window(&one["readinessProbe"])).max();
    Duration::from_secs(slowest.unwrap_or(0) + seconds(&workload["spec"], "minReadySeconds", 0))
}

/// The time within which a probe must have passed once.
fn window(probe: &Value) -> u64 {
    if !probe.is_object() {
        return 0;
    }
    let tries = seconds(probe, "failureThreshold", 3).max(seconds(probe, "successThreshold", 1));
    let each = seconds(probe, "periodSeconds", 10).max(seconds(probe, "timeoutSeconds", 1));
    seconds(probe, "initialDelaySeconds", 0).saturating_add(tries.saturating_mul(each))
}

fn seconds(of: &Value, field: &str, default: u64) -> u64 {
    of[field].as_u64().unwrap_or(default)
}
