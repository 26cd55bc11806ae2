//! How soon a broken deploy is told: from the moment at which the cluster shows what decides it, by the recording of the rollout.

use std::time::Duration;

use skep_tests::gallery::Case;

use super::{median, row, spawn};

/// Every case of the gallery that a rollout ends, one after the other.
pub(super) fn of_the_gallery() {
    let floor = median(5, spawn);
    let broken = Case::all().into_iter().filter(|case| !case.expected.well);
    for case in broken {
        let Some(shipped) = case.ship() else { continue };
        let Some(line) = shipped.replayed() else { continue };
        let Some(millis) = line["millis_to_verdict"].as_u64() else { continue };
        let what = format!("time to verdict: {}, a deploy of {:.1} s", case.name, shipped.took.as_secs_f64());
        row(&what, Duration::from_millis(millis), floor, "1000 ms");
    }
}
