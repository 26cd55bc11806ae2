//! StatefulSets: pods with names and volumes of their own, made and replaced in order.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::claim;
use super::daemonset::available;
use super::history::{History, REVISION_HASH};
use super::replicaset::{is_finished, pod_from};
use crate::action::{Action, Step};
use crate::kind::Kind;
use crate::object;

/// What is in the namespace of a StatefulSet.
pub(crate) struct Around<'a> {
    pub(crate) pods: &'a [Arc<Value>],
    pub(crate) claims: &'a [Arc<Value>],
    pub(crate) revisions: &'a [Arc<Value>],
}

/// Looks at one StatefulSet.
pub(crate) fn step(set: &Value, around: &Around<'_>, now: Timestamp) -> Step {
    let members: Vec<_> = around.pods.iter().filter(|pod| ordinal(set, pod).is_some()).cloned().collect();
    let mut mine = match claim::claim(Kind::POD, set, &members) {
        Ok(mine) => mine,
        Err(claims) => return Step { actions: claims, again: None },
    };
    mine.sort_by_key(|pod| ordinal(set, pod));
    let current = object::text(set, "/status/currentRevision");
    let mut in_use: Vec<&str> = mine.iter().map(|pod| revision(pod)).collect();
    in_use.push(current);
    let history = match History::of(set, around.revisions, &in_use) {
        Ok(history) => history,
        Err(actions) => return Step { actions, again: None },
    };
    let current = if current.is_empty() { history.update() } else { current };
    let mut look =
        Look { set, now, history: &history, current, claims: around.claims, step: Step::default() };
    if !object::is_deleting(set) {
        look.correct(&mine);
    }
    look.report(&mine);
    look.step
}

struct Look<'a> {
    set: &'a Value,
    now: Timestamp,
    history: &'a History,
    /// The revision that pods had before the present template came.
    current: &'a str,
    claims: &'a [Arc<Value>],
    step: Step,
}

impl Look<'_> {
    /// One thing after the other: what is missing, then what is too many, then what is out of date.
    fn correct(&mut self, mine: &[Arc<Value>]) {
        let in_order = object::text(self.set, "/spec/podManagementPolicy") != "Parallel";
        let first = object::integer(self.set, "/spec/ordinals/start").unwrap_or(0);
        let wanted = first..first + object::integer(self.set, "/spec/replicas").unwrap_or(1);
        for at in wanted.clone() {
            let found = mine.iter().find(|pod| ordinal(self.set, pod) == Some(at));
            let waits = match found {
                None => self.create(at, first),
                Some(pod) if is_finished(pod) => {
                    self.delete(pod);
                    true
                }
                Some(pod) => object::is_deleting(pod) || !self.is_available(pod),
            };
            if waits && in_order {
                return;
            }
        }
        let mut surplus: Vec<_> = mine
            .iter()
            .filter(|pod| ordinal(self.set, pod).is_some_and(|at| !wanted.contains(&at)))
            .collect();
        surplus.sort_by_key(|pod| Reverse(ordinal(self.set, pod)));
        for pod in surplus {
            if !object::is_deleting(pod) {
                self.delete(pod);
            }
            if in_order {
                return;
            }
        }
        if object::text(self.set, "/spec/updateStrategy/type") == "RollingUpdate" {
            self.update(mine, first);
        }
    }

    /// Replaces the highest pod that is out of date, once all above it are well.
    fn update(&mut self, mine: &[Arc<Value>], first: i64) {
        let lowest = first + self.partition();
        for pod in mine.iter().rev().filter(|pod| ordinal(self.set, pod).is_some_and(|at| at >= lowest)) {
            if revision(pod) != self.history.update() && !object::is_deleting(pod) {
                return self.delete(pod);
            }
            if object::is_deleting(pod) || !self.is_available(pod) {
                return;
            }
        }
    }

    fn partition(&self) -> i64 {
        object::integer(self.set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0)
    }

    fn is_available(&mut self, pod: &Value) -> bool {
        object::text(pod, "/status/phase") == "Running" && available(self.set, pod, self.now, &mut self.step)
    }

    fn delete(&mut self, pod: &Value) {
        let (name, set) = (object::name(pod), object::name(self.set));
        self.step.push(Action::delete(Kind::POD, pod));
        let message = format!("delete Pod {name} in StatefulSet {set} successful");
        self.step.push(Action::event(self.set, "SuccessfulDelete", message));
    }

    /// Makes a pod and the claims of its own that are not there yet. Always worth waiting for.
    fn create(&mut self, at: i64, first: i64) -> bool {
        let rolls = object::text(self.set, "/spec/updateStrategy/type") == "RollingUpdate";
        let kept_back = rolls && at < first + self.partition();
        let revision = if kept_back { self.current } else { self.history.update() };
        let template = self.history.template(revision).or_else(|| self.set.pointer("/spec/template"));
        let mut template = template.cloned().unwrap_or_default();
        if let Some(fields) = template.as_object_mut() {
            fields.remove("$patch");
        }
        let name = format!("{}-{at}", object::name(self.set));
        let mut pod = pod_from(self.set, &template);
        let spec = &mut pod["spec"];
        spec["hostname"] = json!(name);
        spec["subdomain"] = self.set["spec"]["serviceName"].clone();
        let mut volumes = object::array(spec, "/volumes").to_vec();
        for claim in object::array(self.set, "/spec/volumeClaimTemplates") {
            let (volume, full) = (object::name(claim), format!("{}-{name}", object::name(claim)));
            volumes.retain(|one| one["name"] != volume);
            volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": full}}));
            if !self.claims.iter().any(|one| object::name(one) == full) {
                self.step.push(Action::Create(self.claim(claim, &full)));
            }
        }
        if !volumes.is_empty() {
            spec["volumes"] = Value::from(volumes);
        }
        let metadata = &mut pod["metadata"];
        if let Some(fields) = metadata.as_object_mut() {
            fields.remove("generateName");
        }
        metadata["name"] = json!(name);
        metadata["labels"]["statefulset.kubernetes.io/pod-name"] = json!(name);
        metadata["labels"]["apps.kubernetes.io/pod-index"] = json!(at.to_string());
        metadata["labels"][REVISION_HASH] = json!(revision);
        self.step.push(Action::Create(pod));
        let message = format!("create Pod {name} in StatefulSet {} successful", object::name(self.set));
        self.step.push(Action::event(self.set, "SuccessfulCreate", message));
        true
    }

    fn claim(&self, template: &Value, name: &str) -> Value {
        let no_labels = Map::new();
        let mut labels = object::map(template, "/metadata/labels").unwrap_or(&no_labels).clone();
        let selected = object::map(self.set, "/spec/selector/matchLabels").unwrap_or(&no_labels);
        labels.extend(selected.clone());
        let mut metadata = json!({"name": name, "namespace": object::namespace(self.set), "labels": labels});
        if let Some(annotations) = template.pointer("/metadata/annotations") {
            metadata["annotations"] = annotations.clone();
        }
        if object::text(self.set, "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted") == "Delete" {
            metadata["ownerReferences"] = json!([object::controller_reference(self.set)]);
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]})
    }

    fn report(&mut self, mine: &[Arc<Value>]) {
        let update = self.history.update();
        let staying = |pod: &&Arc<Value>| !object::is_deleting(pod);
        let of = |wanted: &str| mine.iter().filter(staying).filter(|pod| revision(pod) == wanted).count();
        let ready = mine.iter().filter(staying).filter(|pod| object::is_true(pod, "Ready")).count();
        let mut free = 0;
        for pod in mine.iter().filter(staying) {
            free += usize::from(self.is_available(pod));
        }
        let (mut current, mut of_current) = (self.current, of(self.current));
        let all = usize::try_from(object::integer(self.set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
        if of(update) == all && mine.len() == all && ready == all {
            (current, of_current) = (update, all);
        }
        let status = json!({
            "replicas": mine.len(),
            "readyReplicas": ready,
            "availableReplicas": free,
            "currentReplicas": of_current,
            "updatedReplicas": of(update),
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": 0,
            "observedGeneration": object::integer(self.set, "/metadata/generation").unwrap_or(1),
        });
        self.step.actions.extend(Action::status(self.set, status));
    }
}

/// The number in the name of a pod, if the name is one of this set's.
fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    let rest = object::name(pod).strip_prefix(object::name(set))?.strip_prefix('-')?;
    rest.parse().ok().filter(|at: &i64| *at >= 0 && at.to_string() == rest)
}

fn revision(pod: &Value) -> &str {
    object::label(pod, REVISION_HASH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::simulation::World;

    fn set(replicas: i64, edit: impl FnOnce(&mut Value)) -> Value {
        let mut set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "a"},
            "spec": {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}});
        edit(&mut set);
        set
    }

    fn images(world: &World) -> Vec<(String, String)> {
        let mut all: Vec<_> = world
            .all("Pod")
            .iter()
            .map(|pod| {
                let image = object::text(pod, "/spec/containers/0/image").to_owned();
                (object::name(pod).to_owned(), image)
            })
            .collect();
        all.sort();
        all
    }

    fn named(image: [&str; 3]) -> Vec<(String, String)> {
        let each = image.iter().enumerate();
        each.map(|(at, image)| (format!("db-{at}"), (*image).to_owned())).collect()
    }

    fn with_image(world: &mut World, image: &str) {
        world.edit("StatefulSet", "db", |set| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        });
    }

    fn is_ready(pod: &Value) -> bool {
        object::is_true(pod, "Ready")
    }

    #[test]
    fn pods_come_one_after_the_other_with_names_and_claims() {
        let mut world = World::new();
        world.create(set(3, |_| {}));
        world.settle(&mut |world| {
            let waiting = world.all("Pod").iter().filter(|pod| !is_ready(pod)).count();
            assert!(waiting <= 1, "in order");
        });
        assert_eq!(images(&world), named(["one"; 3]));
        let claims: Vec<_> =
            world.all("PersistentVolumeClaim").iter().map(|one| object::name(one).to_owned()).collect();
        assert_eq!(claims, ["data-db-0", "data-db-1", "data-db-2"]);
        let pod = world.all("Pod")[0].clone();
        assert_eq!(pod["spec"]["hostname"], "db-0");
        assert_eq!(pod["spec"]["subdomain"], "db");
        assert_eq!(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-db-0");
        let status = world.one("StatefulSet")["status"].clone();
        assert_eq!((&status["readyReplicas"], &status["updatedReplicas"]), (&json!(3), &json!(3)));
        assert_eq!(status["currentRevision"], status["updateRevision"]);
    }

    #[test]
    fn a_new_template_goes_from_the_highest_down_and_keeps_the_claims() {
        let mut world = World::new();
        world.create(set(3, |_| {}));
        world.settled();
        with_image(&mut world, "two");
        world.settle(&mut |world| {
            let away = 3 - world.all("Pod").iter().filter(|pod| is_ready(pod)).count();
            assert!(away <= 1, "one at a time");
            let old = images(world).iter().filter(|(_, image)| image == "one").count();
            let low = images(world).iter().take(old).all(|(_, image)| image == "one");
            assert!(low, "from the highest: {:?}", images(world));
        });
        assert_eq!(images(&world), named(["two"; 3]));
        assert_eq!(world.all("PersistentVolumeClaim").len(), 3);
        let status = world.one("StatefulSet")["status"].clone();
        assert_eq!(status["currentRevision"], status["updateRevision"]);
    }

    /// As Kubernetes has it: what stands still stays so until somebody deletes the pod, whatever the template says by then.
    #[test]
    fn a_broken_pod_holds_back_all_that_comes_after() {
        let mut world = World::new();
        world.create(set(3, |_| {}));
        world.settled();
        world.broken_image = Some("bad");
        with_image(&mut world, "bad");
        world.settled();
        assert_eq!(images(&world), named(["one", "one", "bad"]));
        with_image(&mut world, "one");
        world.settled();
        assert_eq!(images(&world), named(["one", "one", "bad"]));
        world.objects.retain(|one| object::name(one) != "db-2");
        world.settled();
        assert_eq!(images(&world), named(["one"; 3]));
    }

    #[test]
    fn below_the_partition_pods_stay_as_they_were() {
        let mut world = World::new();
        world.create(set(3, |set| set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(2)));
        world.settled();
        with_image(&mut world, "two");
        world.settled();
        assert_eq!(images(&world), named(["one", "one", "two"]));
        world.objects.retain(|one| object::name(one) != "db-0");
        world.settled();
        assert_eq!(images(&world), named(["one", "one", "two"]));
        assert_ne!(
            world.one("StatefulSet")["status"]["currentRevision"],
            world.one("StatefulSet")["status"]["updateRevision"]
        );
    }

    #[test]
    fn what_is_too_many_goes_from_the_highest_and_leaves_its_claim() {
        let mut world = World::new();
        world.create(set(3, |set| set["spec"]["podManagementPolicy"] = json!("Parallel")));
        world.settled();
        world.edit("StatefulSet", "db", |set| set["spec"]["replicas"] = json!(1));
        world.settled();
        assert_eq!(images(&world), named(["one"; 3])[..1]);
        assert_eq!(world.all("PersistentVolumeClaim").len(), 3);
    }
}
