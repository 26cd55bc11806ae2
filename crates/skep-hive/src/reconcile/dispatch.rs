//! Which looks a change calls for.

use serde_json::Value;
use skep_apiserver::{Resources, WatchEvent};

use super::{Controller, Work};
use crate::controllers::{job, replicaset};
use crate::kind::Kind;
use crate::{object, selector};

/// The work that one event makes. Too much is harmless: a look that finds nothing to do writes nothing.
pub(super) fn concerned(resources: &Resources, kind: Kind, event: &WatchEvent) -> Vec<Work> {
    let one = event.object();
    let namespace = object::namespace(one);
    let mut work = Vec::new();
    let mut look = |controller, name: &str| work.push(Work::new(controller, namespace, name));
    match kind.name() {
        "Deployment" => {
            look(Controller::Deployment, object::name(one));
            for hpa in resources.list(Kind::HPA, Some(namespace)) {
                look(Controller::Autoscaler, object::name(&hpa));
            }
        }
        "ReplicaSet" => {
            look(Controller::ReplicaSet, object::name(one));
            for name in owners(resources, Kind::DEPLOYMENT, one) {
                look(Controller::Deployment, &name);
            }
        }
        "StatefulSet" => look(Controller::StatefulSet, object::name(one)),
        "DaemonSet" => look(Controller::DaemonSet, object::name(one)),
        "CronJob" => look(Controller::CronJob, object::name(one)),
        "PodDisruptionBudget" => look(Controller::Disruption, object::name(one)),
        "ResourceQuota" => look(Controller::Quota, object::name(one)),
        "ControllerRevision" => {
            if let Some(owner) = object::controller(one) {
                let controller = match object::text(owner, "/kind") {
                    "StatefulSet" => Controller::StatefulSet,
                    _ => Controller::DaemonSet,
                };
                look(controller, object::text(owner, "/name"));
            }
        }
        "Job" => {
            look(Controller::Job, object::name(one));
            match object::controller(one) {
                Some(owner) if object::text(owner, "/kind") == "CronJob" => {
                    look(Controller::CronJob, object::text(owner, "/name"));
                }
                _ => {}
            }
        }
        "Pod" => pod(resources, event, &mut look),
        // Endpoints are named after their Service.
        "Service" | "Endpoints" => look(Controller::Service, object::name(one)),
        "EndpointSlice" => {
            if let Some(service) = object::label(one, crate::controllers::endpoints::SERVICE_NAME) {
                look(Controller::Service, service);
            }
        }
        "HorizontalPodAutoscaler" => look(Controller::Autoscaler, object::name(one)),
        "PersistentVolumeClaim" => {
            look(Controller::Volume, object::name(one));
            let pods = resources.list(Kind::POD, Some(namespace));
            let waiting = pods.iter().filter(|pod| object::text(pod, "/spec/nodeName").is_empty());
            waiting.for_each(|pod| look(Controller::Scheduler, object::name(pod)));
        }
        "Ingress" => look(Controller::Ingress, object::name(one)),
        "Namespace" => work.push(Work::new(Controller::Namespace, "", object::name(one))),
        "Node" => {
            work.extend(waiting_pods(resources));
            for set in resources.list(Kind::DAEMON_SET, None) {
                work.push(Work::new(Controller::DaemonSet, object::namespace(&set), object::name(&set)));
            }
        }
        _ => {}
    }
    let gone = matches!(event, WatchEvent::Deleted(_));
    // What a pod that has ended had asked for is free for one that waits.
    if kind == Kind::POD && (gone || replicaset::is_finished(one)) {
        work.extend(waiting_pods(resources));
    }
    if !namespace.is_empty()
        && kind != Kind::EVENT
        && (gone || matches!(event, WatchEvent::Added(_)) || kind == Kind::POD)
    {
        for quota in resources.list(Kind::RESOURCE_QUOTA, Some(namespace)) {
            work.push(Work::new(Controller::Quota, namespace, object::name(&quota)));
        }
    }
    if gone && !namespace.is_empty() {
        work.push(Work::new(Controller::Namespace, "", namespace));
    }
    if gone || may_be_garbage(event) {
        work.push(Work::garbage());
    }
    work
}

/// The pods that have no node yet.
fn waiting_pods(resources: &Resources) -> impl Iterator<Item = Work> {
    let waits = |pod: &std::sync::Arc<Value>| object::text(pod, "/spec/nodeName").is_empty();
    resources
        .list(Kind::POD, None)
        .into_iter()
        .filter(waits)
        .map(|pod| Work::new(Controller::Scheduler, object::namespace(&pod), object::name(&pod)))
}

fn may_be_garbage(event: &WatchEvent) -> bool {
    let one = event.object();
    let owned = !object::array(one, "/metadata/ownerReferences").is_empty();
    let waits = object::is_deleting(one) && !object::array(one, "/metadata/finalizers").is_empty();
    waits || (owned && matches!(event, WatchEvent::Added(_)))
}

fn pod(resources: &Resources, event: &WatchEvent, look: &mut impl FnMut(Controller, &str)) {
    let pod = event.object();
    let namespace = object::namespace(pod);
    if object::text(pod, "/spec/nodeName").is_empty() {
        look(Controller::Scheduler, object::name(pod));
    }
    for (kind, controller) in [
        (Kind::REPLICA_SET, Controller::ReplicaSet),
        (Kind::STATEFUL_SET, Controller::StatefulSet),
        (Kind::DAEMON_SET, Controller::DaemonSet),
    ] {
        for name in owners(resources, kind, pod) {
            look(controller, &name);
        }
    }
    for budget in resources.list(Kind::PDB, Some(namespace)) {
        look(Controller::Disruption, object::name(&budget));
    }
    match object::controller(pod) {
        Some(owner) if object::text(owner, "/kind") == "Job" => {
            look(Controller::Job, object::text(owner, "/name"));
        }
        _ => {}
    }
    if object::has_finalizer(pod, job::TRACKING) {
        look(Controller::OrphanedPod, object::name(pod));
    }
    // A pod may have left a Service by losing a label, so its present labels do not tell which ones it concerns.
    for service in resources.list(Kind::SERVICE, Some(namespace)) {
        if object::map(&service, "/spec/selector").is_some() {
            look(Controller::Service, object::name(&service));
        }
    }
    for volume in object::array(pod, "/spec/volumes") {
        let claim = object::text(volume, "/persistentVolumeClaim/claimName");
        if !claim.is_empty() {
            look(Controller::Volume, claim);
        }
    }
}

/// Names of the objects of `kind` that control `one`, or that might adopt it since nobody does.
fn owners(resources: &Resources, kind: Kind, one: &Value) -> Vec<String> {
    match object::controller(one) {
        Some(owner) if object::text(owner, "/kind") == kind.name() => {
            vec![object::text(owner, "/name").to_owned()]
        }
        Some(_) => Vec::new(),
        None => resources
            .list(kind, Some(object::namespace(one)))
            .iter()
            .filter(|candidate| selector::matches(candidate.pointer("/spec/selector"), one))
            .map(|candidate| object::name(candidate).to_owned())
            .collect(),
    }
}
