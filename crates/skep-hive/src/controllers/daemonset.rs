//! DaemonSets: a pod on each node that may have one. Here that is one node.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::history::{History, REVISION_HASH};
use super::replicaset::{is_finished, pod_from};
use super::{claim, scheduler};
use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::object;

/// Looks at one DaemonSet. `pods` and `revisions`: all of its namespace.
pub(crate) fn step(
    set: &Value,
    pods: &[Arc<Value>],
    revisions: &[Arc<Value>],
    node: &Value,
    now: Timestamp,
) -> Step {
    let mine = match claim::claim(Kind::POD, set, pods) {
        Ok(mine) => mine,
        Err(claims) => return Step { actions: claims, again: None },
    };
    let in_use: Vec<&str> = mine.iter().filter_map(|pod| object::label(pod, REVISION_HASH)).collect();
    let history = match History::of(set, revisions, &in_use) {
        Ok(history) => history,
        Err(actions) => return Step { actions, again: None },
    };
    let mut step = Step::default();
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_default();
    tolerate(&mut template);
    let wanted = scheduler::may_run(&template["spec"], node);
    let may_stay = scheduler::may_stay(&template["spec"], node);
    let look = Look { set, node, now, update: history.update_hash(), wanted, may_stay };
    if !object::is_deleting(set) {
        look.correct(&mine, &template, &mut step);
    }
    look.report(&mine, &mut step);
    step
}

/// What keeps other pods away does not keep these: they are what watches over a node in trouble.
fn tolerate(template: &mut Value) {
    let borne = [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ];
    let mut tolerations = object::array(template, "/spec/tolerations").to_vec();
    let added = borne.map(|(key, effect)| {
        json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect})
    });
    tolerations.extend(added);
    template["spec"]["tolerations"] = json!(tolerations);
}

struct Look<'a> {
    set: &'a Value,
    node: &'a Value,
    now: Timestamp,
    update: &'a str,
    /// Whether a pod may come to the node.
    wanted: bool,
    /// Whether one that is there may stay.
    may_stay: bool,
}

impl Look<'_> {
    fn correct(&self, mine: &[Arc<Value>], template: &Value, step: &mut Step) {
        let running: Vec<_> =
            mine.iter().filter(|pod| !object::is_deleting(pod) && !is_finished(pod)).collect();
        for pod in mine.iter().filter(|pod| is_finished(pod) && !object::is_deleting(pod)) {
            let message = format!("Found failed daemon pod {}, will try to kill it", object::name(pod));
            step.push(Action::delete(Kind::POD, pod));
            step.push(Action::warning(self.set, "FailedDaemonPod", message));
        }
        if !self.may_stay {
            running.iter().for_each(|pod| step.push(Action::delete(Kind::POD, pod)));
        }
        if !self.wanted {
            return;
        }
        if mine.is_empty() {
            step.push(Action::Create(self.pod(template)));
            return;
        }
        if object::text(self.set, "/spec/updateStrategy/type") != "RollingUpdate" {
            return;
        }
        let (new, old): (Vec<_>, Vec<_>) = running.into_iter().partition(|pod| self.is_new(pod));
        let Some(first) = old.first() else { return };
        let surge = &self.set["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"];
        let may_surge = !(surge.is_null() || *surge == 0 || *surge == "0%");
        if !may_surge || !self.is_available(first, step) || new.iter().any(|pod| self.is_available(pod, step))
        {
            for pod in old {
                step.push(Action::delete(Kind::POD, pod));
                let message = format!("Deleted pod: {}", object::name(pod));
                step.push(Action::event(self.set, "SuccessfulDelete", message));
            }
        } else if new.is_empty() {
            step.push(Action::Create(self.pod(template)));
        }
    }

    fn is_new(&self, pod: &Value) -> bool {
        object::label(pod, REVISION_HASH) == Some(self.update)
    }

    fn is_available(&self, pod: &Value, step: &mut Step) -> bool {
        available(self.set, pod, self.now, step)
    }

    fn pod(&self, template: &Value) -> Value {
        let mut pod = pod_from(self.set, template);
        pod["metadata"]["labels"][REVISION_HASH] = json!(self.update);
        let number = object::annotation(self.set, "deprecated.daemonset.template.generation");
        if !number.is_empty() {
            pod["metadata"]["labels"]["pod-template-generation"] = json!(number);
        }
        let fields = json!([{"key": "metadata.name", "operator": "In", "values": [object::name(self.node)]}]);
        let affinity =
            &mut pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        match affinity["nodeSelectorTerms"].as_array_mut() {
            Some(terms) => terms.iter_mut().for_each(|term| term["matchFields"] = fields.clone()),
            None => *affinity = json!({"nodeSelectorTerms": [{"matchFields": fields}]}),
        }
        pod
    }

    fn report(&self, mine: &[Arc<Value>], step: &mut Step) {
        let present: Vec<_> =
            mine.iter().filter(|pod| !object::is_deleting(pod) && !is_finished(pod)).collect();
        let there = i64::from(!present.is_empty());
        let ready = present.iter().filter(|pod| object::is_true(pod, "Ready"));
        let ready = i64::from(ready.count() > 0);
        let mut free = 0;
        for pod in &present {
            free = free.max(i64::from(self.is_available(pod, step)));
        }
        let updated = i64::from(present.iter().any(|pod| self.is_new(pod)));
        let wanted = i64::from(self.wanted);
        let status = json!({
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": there * wanted,
            "numberMisscheduled": there * (1 - wanted),
            "numberReady": ready * wanted,
            "updatedNumberScheduled": updated * wanted,
            "numberAvailable": free * wanted,
            "numberUnavailable": wanted - free * wanted,
            "observedGeneration": object::integer(self.set, "/metadata/generation").unwrap_or(1),
        });
        step.actions.extend(Action::status(self.set, status));
    }
}

/// Ready for `minReadySeconds`; only time decides the rest, so the step asks to be taken again.
pub(super) fn available(set: &Value, pod: &Value, now: Timestamp, step: &mut Step) -> bool {
    let Some(ready) = object::condition(pod, "Ready").filter(|ready| ready["status"] == "True") else {
        return false;
    };
    let wait = SignedDuration::from_secs(object::integer(set, "/spec/minReadySeconds").unwrap_or(0));
    match object::time(ready, "/lastTransitionTime").and_then(|since| since.checked_add(wait).ok()) {
        Some(due) if due > now && !wait.is_zero() => {
            step.at(due);
            false
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::simulation::World;

    fn set(surge: i64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "a"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": surge}},
                "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}}}})
    }

    fn rolled(surge: i64, mut check: impl FnMut(usize)) -> World {
        let mut world = World::new();
        world.create(set(surge));
        world.settled();
        world.edit("DaemonSet", "agent", |set| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("two");
        });
        world.settle(&mut |world| check(world.all("Pod").len()));
        world
    }

    #[test]
    fn the_node_has_one_pod_and_a_new_template_replaces_it() {
        let world = rolled(0, |pods| assert!(pods <= 1));
        assert_eq!(object::text(&world.one("Pod"), "/spec/containers/0/image"), "two");
        let status = world.one("DaemonSet")["status"].clone();
        assert_eq!((&status["numberAvailable"], &status["updatedNumberScheduled"]), (&json!(1), &json!(1)));
        assert_eq!(world.all("ControllerRevision").len(), 2);
    }

    #[test]
    fn with_a_surge_the_old_pod_stays_until_the_new_one_is_there() {
        let world = rolled(1, |pods| assert!(pods >= 1));
        assert_eq!(object::text(&world.one("Pod"), "/spec/containers/0/image"), "two");
    }

    #[test]
    fn a_taint_keeps_new_pods_away_and_one_that_ends_pods_ends_these() {
        let pods = |key: &str, effect: &str, there: bool| {
            let mut world = World::new();
            if there {
                world.create(set(0));
                world.settled();
            }
            world.taints = json!([{"key": key, "effect": effect}]);
            if !there {
                world.create(set(0));
            }
            world.settled();
            world.all("Pod").len()
        };
        for (key, effect, stay, come) in [
            ("for", "PreferNoSchedule", 1, 1),
            ("for", "NoSchedule", 1, 0),
            ("for", "NoExecute", 0, 0),
            ("node.kubernetes.io/disk-pressure", "NoSchedule", 1, 1),
            ("node.kubernetes.io/not-ready", "NoExecute", 1, 1),
        ] {
            assert_eq!((pods(key, effect, true), pods(key, effect, false)), (stay, come), "{key}:{effect}");
        }
    }

    #[test]
    fn a_node_that_it_does_not_want_gets_none() {
        let mut world = World::new();
        let mut picky = set(0);
        picky["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "fast"});
        world.create(picky);
        world.settled();
        assert!(world.all("Pod").is_empty());
        assert_eq!(world.one("DaemonSet")["status"]["desiredNumberScheduled"], 0);
    }
}
