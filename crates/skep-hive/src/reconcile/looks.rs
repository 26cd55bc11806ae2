//! One look of each controller: reads what it needs, decides, writes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_apiserver::Status;

use super::write::carry_out;
use super::{Controller, Controllers, Work};
use crate::action::{Action, Step};
use crate::controllers::{
    deployment, endpoints, garbage, hpa, job, namespace, replicaset, scheduler, volume,
};
use crate::kind::{self, Kind};
use crate::object;

impl Controllers {
    /// Looks once. The time, if any, is when to look again.
    pub(super) async fn look(&self, work: &Work) -> Result<Option<Timestamp>, Status> {
        let step = match work.controller {
            Controller::Volume => self.volume(work).await?,
            _ => self.decide(work),
        };
        let manager = manager(work.controller);
        let refused = |status: &Status| !status.is_conflict();
        match carry_out(&self.resources, step.actions, manager).await {
            Ok(()) => Ok(step.again),
            Err(status) if work.controller == Controller::ReplicaSet && refused(&status) => {
                self.tell_refusal(work, &status).await?;
                Err(status)
            }
            Err(status) => Err(status),
        }
    }

    fn decide(&self, work: &Work) -> Step {
        let now = Timestamp::now();
        let space = work.namespace.as_str();
        let list = |kind| self.resources.list(kind, Some(space));
        let get = |kind| self.resources.get(kind, Some(space), &work.name);
        match work.controller {
            Controller::Deployment => get(Kind::DEPLOYMENT)
                .map(|one| deployment::step(&one, &list(Kind::REPLICA_SET), &list(Kind::POD), now)),
            Controller::ReplicaSet => {
                get(Kind::REPLICA_SET).map(|one| replicaset::step(&one, &list(Kind::POD), now))
            }
            Controller::Job => get(Kind::JOB).map(|one| job::step(&one, &list(Kind::POD), self.retry, now)),
            Controller::Service => get(Kind::SERVICE).map(|one| {
                let old = get(Kind::ENDPOINTS);
                endpoints::step(&one, &list(Kind::POD), &list(Kind::ENDPOINT_SLICE), old.as_deref())
            }),
            Controller::Autoscaler => get(Kind::HPA).map(|one| self.autoscale(&one, now)),
            Controller::Scheduler => get(Kind::POD).and_then(|one| {
                let node = self.resources.get(Kind::NODE, None, &self.node)?;
                Some(scheduler::step(&one, &node, &list(Kind::PVC), now))
            }),
            Controller::OrphanedPod => get(Kind::POD).map(|one| self.orphaned_pod(&one)),
            Controller::Ingress => get(Kind::INGRESS).map(|one| ingress_status(&one)),
            Controller::Namespace => self.resources.get(Kind::NAMESPACE, None, &work.name).map(|one| {
                let contents =
                    if object::is_deleting(&one) { self.contents(Some(&work.name)) } else { Vec::new() };
                namespace::step(&one, &contents)
            }),
            Controller::Garbage => {
                let served = |version: &str, kind: &str| Kind::find(version, kind).is_some();
                Some(garbage::step(&self.contents(None), served))
            }
            Controller::Volume => None,
        }
        .unwrap_or_default()
    }

    fn contents(&self, namespace: Option<&str>) -> Vec<(Kind, Arc<Value>)> {
        let kinds = kind::ALL.iter().filter(|kind| namespace.is_none() || kind.namespaced());
        let list = |kind: &Kind| {
            let kind = *kind;
            self.resources.list(kind, namespace).into_iter().map(move |one| (kind, one))
        };
        kinds.flat_map(list).collect()
    }

    fn autoscale(&self, one: &Value, now: Timestamp) -> Step {
        let name = object::text(one, "/spec/scaleTargetRef/name");
        let target = self.resources.get(Kind::DEPLOYMENT, Some(object::namespace(one)), name);
        hpa::step(one, target.as_deref(), now)
    }

    fn orphaned_pod(&self, pod: &Value) -> Step {
        let owner = object::controller(pod);
        let exists = owner.is_some_and(|owner| {
            let found =
                self.resources.get(Kind::JOB, Some(object::namespace(pod)), object::text(owner, "/name"));
            found.is_some_and(|job| object::uid(&job) == object::text(owner, "/uid"))
        });
        Step { actions: job::release_orphan(pod, exists).into_iter().collect(), again: None }
    }

    /// Binds a claim, and removes the data of claims of that name that are gone.
    async fn volume(&self, work: &Work) -> Result<Step, Status> {
        let directory = self.volumes.join(&work.namespace).join(&work.name);
        let claim = self.resources.get(Kind::PVC, Some(&work.namespace), &work.name);
        let current = claim.as_deref().map(object::uid);
        for volume in self.resources.list(Kind::PV, None) {
            let of = |pointer| object::text(&volume, pointer);
            let named =
                of("/spec/claimRef/namespace") == work.namespace && of("/spec/claimRef/name") == work.name;
            if named && current != Some(of("/spec/claimRef/uid")) {
                remove(&directory).await?;
                carry_out(&self.resources, vec![Action::delete(Kind::PV, &volume)], "pv-controller").await?;
            }
        }
        let Some(claim) = claim else { return Ok(Step::default()) };
        let volume = self.resources.get(Kind::PV, None, &volume::volume_name(&claim));
        let pods = self.resources.list(Kind::POD, Some(&work.namespace));
        let in_use = pods.iter().any(|pod| volume::is_used_by(pod, &work.name));
        Ok(volume::step(&claim, &directory, volume.is_some(), in_use))
    }

    /// The API refused a ReplicaSet's pod: that belongs into its status, where a rollout's watcher finds it.
    async fn tell_refusal(&self, work: &Work, refusal: &Status) -> Result<(), Status> {
        let Some(set) = self.resources.get(Kind::REPLICA_SET, Some(&work.namespace), &work.name) else {
            return Ok(());
        };
        let mut actions: Vec<_> =
            replicaset::refused(&set, &refusal.message, Timestamp::now()).into_iter().collect();
        actions.push(Action::warning(&set, "FailedCreate", format!("Error creating: {}", refusal.message)));
        carry_out(&self.resources, actions, manager(Controller::ReplicaSet)).await
    }
}

async fn remove(directory: &Path) -> Result<(), Status> {
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = directory.display();
            Err(Status::internal(format!("cannot remove the data of a deleted claim in {path}: {error}")))
        }
        _ => Ok(()),
    }
}

/// Every Ingress is served on this machine.
fn ingress_status(ingress: &Value) -> Step {
    let status = json!({"loadBalancer": {"ingress": [{"hostname": "localhost"}]}});
    Step { actions: Action::status(ingress, status).into_iter().collect(), again: None }
}

/// Who writes, as `managedFields` and events show it.
fn manager(controller: Controller) -> &'static str {
    match controller {
        Controller::Deployment => "deployment-controller",
        Controller::ReplicaSet => "replicaset-controller",
        Controller::Job | Controller::OrphanedPod => "job-controller",
        Controller::Service => "endpoint-slice-controller",
        Controller::Autoscaler => "horizontal-pod-autoscaler",
        Controller::Namespace => "namespace-controller",
        Controller::Scheduler => "default-scheduler",
        Controller::Volume => "pv-controller",
        Controller::Ingress => "ingress-controller",
        Controller::Garbage => "garbage-collector",
    }
}
