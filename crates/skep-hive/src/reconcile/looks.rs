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
    cronjob, daemonset, deployment, disruption, endpoints, garbage, hpa, job, namespace, quota, replicaset,
    scheduler, statefulset, volume,
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
            Err(status) if refused(&status) && owner_kind(work.controller).is_some() => {
                self.tell_refusal(work, &status).await?;
                Err(status)
            }
            Err(status) => Err(status),
        }
    }

    fn decide(&self, work: &Work) -> Step {
        let now = skep_ambient::now();
        let space = work.namespace.as_str();
        let list = |kind| self.resources.list(kind, Some(space));
        let get = |kind| self.resources.get(kind, Some(space), &work.name);
        match work.controller {
            Controller::Deployment => get(Kind::DEPLOYMENT)
                .map(|one| deployment::step(&one, &list(Kind::REPLICA_SET), &list(Kind::POD), now)),
            Controller::ReplicaSet => {
                get(Kind::REPLICA_SET).map(|one| replicaset::step(&one, &list(Kind::POD), now))
            }
            Controller::StatefulSet => get(Kind::STATEFUL_SET).map(|one| {
                let (pods, claims, revisions) =
                    (list(Kind::POD), list(Kind::PVC), list(Kind::CONTROLLER_REVISION));
                let around = statefulset::Around { pods: &pods, claims: &claims, revisions: &revisions };
                statefulset::step(&one, &around, now)
            }),
            Controller::DaemonSet => get(Kind::DAEMON_SET).and_then(|one| {
                let node = self.resources.get(Kind::NODE, None, &self.node)?;
                Some(daemonset::step(&one, &list(Kind::POD), &list(Kind::CONTROLLER_REVISION), &node, now))
            }),
            Controller::CronJob => get(Kind::CRON_JOB).map(|one| cronjob::step(&one, &list(Kind::JOB), now)),
            Controller::Disruption => get(Kind::PDB)
                .map(|one| disruption::step(&one, &list(Kind::POD), |pod| self.scale_of(pod), now)),
            Controller::Quota => get(Kind::RESOURCE_QUOTA)
                .map(|one| quota::step(&one, &skep_apiserver::quota_used(&self.resources, &one))),
            Controller::Job => get(Kind::JOB).map(|one| job::step(&one, &list(Kind::POD), self.retry, now)),
            Controller::Service => get(Kind::SERVICE).map(|one| {
                let old = get(Kind::ENDPOINTS);
                endpoints::step(&one, &list(Kind::POD), &list(Kind::ENDPOINT_SLICE), old.as_deref())
            }),
            Controller::Autoscaler => get(Kind::HPA).map(|one| self.autoscale(&one, now)),
            Controller::Scheduler => get(Kind::POD).and_then(|one| {
                let node = self.resources.get(Kind::NODE, None, &self.node)?;
                let there = self.resources.list(Kind::POD, None);
                Some(scheduler::step(&one, &node, &there, &list(Kind::PVC), now))
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

    /// What there is, in a namespace or everywhere. Events are looked through in a namespace alone: they have no owner.
    fn contents(&self, namespace: Option<&str>) -> Vec<(Kind, Arc<Value>)> {
        let kinds = kind::ALL
            .iter()
            .filter(|kind| if namespace.is_some() { kind.namespaced() } else { **kind != Kind::EVENT });
        let list = |kind: &Kind| {
            let kind = *kind;
            self.resources.list(kind, namespace).into_iter().map(move |one| (kind, one))
        };
        kinds.flat_map(list).collect()
    }

    /// How many pods the controller of one wants.
    fn scale_of(&self, pod: &Value) -> Option<i64> {
        let space = Some(object::namespace(pod));
        let owner = object::controller(pod)?;
        let name = object::text(owner, "/name");
        let replicas = |kind| object::integer(&*self.resources.get(kind, space, name)?, "/spec/replicas");
        match object::text(owner, "/kind") {
            "StatefulSet" => replicas(Kind::STATEFUL_SET),
            "ReplicaSet" => {
                let set = self.resources.get(Kind::REPLICA_SET, space, name)?;
                let deployment = object::controller(&set).map(|owner| object::text(owner, "/name"));
                let deployment =
                    deployment.and_then(|name| self.resources.get(Kind::DEPLOYMENT, space, name));
                object::integer(deployment.as_deref().unwrap_or(&set), "/spec/replicas")
            }
            _ => None,
        }
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

    /// The API refused a pod: a ReplicaSet tells that in its status, and everybody in an Event, where a rollout's watcher finds it.
    async fn tell_refusal(&self, work: &Work, refusal: &Status) -> Result<(), Status> {
        let owner = owner_kind(work.controller)
            .and_then(|kind| self.resources.get(kind, Some(&work.namespace), &work.name));
        let Some(owner) = owner else { return Ok(()) };
        let mut actions: Vec<_> = match work.controller {
            Controller::ReplicaSet => replicaset::refused(&owner, &refusal.message, skep_ambient::now()),
            _ => None,
        }
        .into_iter()
        .collect();
        actions.push(Action::warning(&owner, "FailedCreate", format!("Error creating: {}", refusal.message)));
        carry_out(&self.resources, actions, manager(work.controller)).await
    }
}

/// The kinds that make pods.
fn owner_kind(controller: Controller) -> Option<Kind> {
    match controller {
        Controller::ReplicaSet => Some(Kind::REPLICA_SET),
        Controller::StatefulSet => Some(Kind::STATEFUL_SET),
        Controller::DaemonSet => Some(Kind::DAEMON_SET),
        Controller::Job => Some(Kind::JOB),
        _ => None,
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
        Controller::StatefulSet => "statefulset-controller",
        Controller::DaemonSet => "daemonset-controller",
        Controller::CronJob => "cronjob-controller",
        Controller::Disruption => "disruption-controller",
        Controller::Quota => "resourcequota-controller",
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
