//! Which pods came, got ready and went while a release was rolled out: what its report draws.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;
use skep_model::{ObjectKey, PodSpan};
use skep_rollout::{Past, pod};

/// Of how many pods it is kept.
const MOST: usize = 200;

/// The pods of a rollout, by workload, name and uid: a StatefulSet's pods keep their names.
#[derive(Debug, Default)]
pub(crate) struct Spans(BTreeMap<(String, String, String), PodSpan>);

impl Spans {
    /// Takes in the pods of one workload as they are now. `past`: those that were there before the release.
    pub(crate) fn see(&mut self, workload: &ObjectKey, pods: &[&Value], past: &Past, now: Timestamp) {
        let of = format!("{}/{}", workload.kind, workload.name);
        let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        let uids: HashSet<String> = pods.iter().map(|pod| text(pod, "uid")).collect();
        let known = self.0.iter_mut().filter(|((other, ..), _)| *other == of);
        for (_, span) in known.filter(|((.., uid), _)| !uids.contains(uid)) {
            span.ended.get_or_insert(now);
        }
        for object in pods {
            let (name, uid) = (text(object, "name"), text(object, "uid"));
            let key = (of.clone(), name.clone(), uid);
            if self.0.len() >= MOST && !self.0.contains_key(&key) {
                continue;
            }
            let follows = self.0.keys().any(|(other, pod, _)| *other == of && *pod == name);
            let span = self.0.entry(key).or_insert_with(|| PodSpan {
                of: of.clone(),
                pod: name.clone(),
                came: (follows || !past.knew(&name)).then_some(now),
                ready: None,
                ended: None,
            });
            if pod::is_ready(object) {
                span.ready.get_or_insert(now);
            }
            if pod::is_leaving(object) {
                span.ended.get_or_insert(now);
            }
        }
    }

    /// Them all, each workload's in the order in which they came.
    pub(crate) fn all(&self) -> Vec<PodSpan> {
        let mut all: Vec<PodSpan> = self.0.values().cloned().collect();
        all.sort_by(|one, other| (&one.of, one.came).cmp(&(&other.of, other.came)));
        all
    }
}
