//! Starting a container: its image, its specification, its process, its watchers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use nix::sys::signal::Signal;

use super::container::{Obstacle, Recipe};
use super::plan::Role;
use super::prober::Target;
use super::probing::{Kind, Probing};
use super::record::Ending;
use super::state::{Hold, Run, State};
use super::worker::{Happened, Pod};
use crate::cgroup::{Group, Limits};
use crate::image::ImageConfig;
use crate::init::wire::ContainerSpec;
use crate::{ImageState, LocalImage};

impl Pod {
    /// Starts the container, or leaves it waiting with the reason.
    pub(super) async fn start(&mut self, index: usize) {
        let container = Arc::clone(&self.members[index].container);
        let image = match self.image(&container) {
            Ok(image) => image,
            Err(state) => {
                self.wait(index, *state);
                return;
            }
        };
        let Some(layers) = self.site.layers.unpacked(&image) else {
            self.unpack(index, image);
            return;
        };
        self.members[index].image_id = image.digest.clone();
        let config = ImageConfig::read(&image.config);
        let mut spec = match self.specify(&container, config.clone(), layers).await {
            Ok(spec) => spec,
            Err(obstacle) => {
                let (reason, message) = match obstacle {
                    Obstacle::Config(message) => ("CreateContainerConfigError", message),
                    Obstacle::Machine(message) => ("CreateContainerError", message),
                };
                self.wait(index, State::waiting(reason, Some(message), Hold::Input));
                return;
            }
        };
        let limits = Limits::of(&container);
        let group = match self.site.hierarchy.make(&self.uid, &container.name, &limits) {
            Ok(group) => group,
            Err(error) => {
                tracing::warn!(pod = self.name, container = container.name, %error, "limits are not applied");
                Group::default()
            }
        };
        spec.cgroup_procs = group.procs();
        let again =
            self.members[index].last.is_some() || matches!(self.members[index].state, State::Backing { .. });
        if again {
            self.members[index].restarts += 1;
        }
        self.note(
            index,
            "Pulled",
            format!(
                "Container image {:?} already present on machine",
                container.image.as_deref().unwrap_or_default()
            ),
            false,
        );
        self.launch(index, &container, &config, &spec, group).await;
    }

    async fn launch(
        &mut self,
        index: usize,
        container: &Arc<Container>,
        config: &ImageConfig,
        spec: &ContainerSpec,
        group: Group,
    ) {
        let Some(sandbox) = self.sandbox else { return };
        let attempt = self.members[index].restarts;
        self.members[index].container_id = format!("skep://{}/{}/{attempt}", self.uid, container.name);
        if let State::Backing { ending, .. } = &self.members[index].state {
            self.members[index].last = Some(ending.clone());
        }
        let (since, at) = (Timestamp::now(), Instant::now());
        let running = match self.site.nursery.run(sandbox, spec).await {
            Ok(running) => running,
            Err(message) => {
                self.note(
                    index,
                    "Failed",
                    format!("Error: failed to start container {:?}: {message}", container.name),
                    true,
                );
                let ending = Ending {
                    code: 128,
                    signal: None,
                    reason: "StartError".to_owned(),
                    message: Some(message),
                    started_at: since,
                    finished_at: Timestamp::now(),
                    container_id: self.members[index].container_id.clone(),
                };
                self.ended(index, ending, std::time::Duration::ZERO);
                return;
            }
        };
        self.note(index, "Created", "Container created".to_owned(), false);
        self.note(index, "Started", "Container started".to_owned(), false);
        let pid = running.child.pid;
        let folder = self.site.logs.folder(&self.namespace, &self.name, &self.uid, &container.name);
        let capture = self.site.logs.capture(&folder, attempt, running.stdout, running.stderr);
        let happened = self.happened.clone();
        let exit = running.child.exit;
        self.tasks.spawn(async move {
            let exit = match capture {
                // The log is whole before anybody learns of the end.
                Ok(capture) => tokio::join!(capture, exit).1,
                Err(error) => {
                    tracing::warn!(%error, "open a container's log");
                    exit.await
                }
            };
            let _ = happened.send(Happened::Exited { index, attempt, exit: exit.ok() });
        });
        let target = Target {
            nursery: Arc::clone(&self.site.nursery),
            pid,
            address: self.probe_address(),
            container: Arc::clone(container),
            inside: Arc::new(ContainerSpec { root: None, ..spec.clone() }),
            http: self.site.http.clone(),
        };
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
        let hooked = hook.is_some();
        if let Some(hook) = hook {
            let (target, happened) = (target.clone(), self.happened.clone());
            self.tasks.spawn(async move {
                let result = target.hook(&hook, std::time::Duration::from_secs(3600)).await;
                let _ = happened.send(Happened::Hooked { index, attempt, result });
            });
        }
        let stop_signal = container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.stop_signal.as_deref()?.parse().ok())
            .or(config.stop_signal)
            .unwrap_or(Signal::SIGTERM);
        let probes = probes(container, self.members[index].role, at);
        self.members[index].state = State::Running(Box::new(Run {
            pid,
            since,
            at,
            target,
            probes,
            hooked,
            group,
            stop_signal,
            stopping: None,
        }));
    }

    fn image(&self, container: &Container) -> Result<LocalImage, Box<State>> {
        match self.input.images.get(container.image.as_deref().unwrap_or_default()) {
            None | Some(ImageState::Pulling) => {
                Err(Box::new(State::waiting("ContainerCreating", None, Hold::Input)))
            }
            Some(ImageState::Ready(image)) => Ok(image.clone()),
            Some(ImageState::Failed { reason, message }) => {
                Err(Box::new(State::waiting(reason, Some(message.clone()), Hold::Input)))
            }
        }
    }

    fn unpack(&mut self, index: usize, image: LocalImage) {
        self.wait(index, State::waiting("ContainerCreating", None, Hold::Unpacking));
        let (site, happened) = (Arc::clone(&self.site), self.happened.clone());
        self.tasks.spawn(async move {
            let result = site.layers.unpack(&image).await;
            let _ = happened.send(Happened::Unpacked { index, result });
        });
    }

    async fn specify(
        &self,
        container: &Arc<Container>,
        image: ImageConfig,
        layers: Vec<String>,
    ) -> Result<ContainerSpec, Obstacle> {
        let (site, input, container) =
            (Arc::clone(&self.site), Arc::clone(&self.input), Arc::clone(container));
        let (folder, hostname, volumes) = (self.folder.clone(), self.hostname(), self.volumes.clone());
        let (pod_ip, host_ip) = (self.shown_address(), self.host());
        let cook = move || {
            let sources = super::worker::sources(&site, &input, pod_ip, host_ip);
            Recipe {
                site: &site,
                input: &input,
                sources,
                container: &container,
                image: &image,
                layers,
                volumes: &volumes,
                folder: &folder,
                hostname: &hostname,
            }
            .cook()
        };
        tokio::task::spawn_blocking(cook)
            .await
            .unwrap_or_else(|error| Err(Obstacle::Machine(format!("prepare the container: {error}"))))
    }

    /// Puts the container into a waiting state; a new complaint is an event.
    fn wait(&mut self, index: usize, state: State) {
        let complaint = match (&state, &self.members[index].state) {
            (
                State::Waiting { reason, message: Some(message), .. },
                State::Waiting { reason: old, message: before, .. },
            ) if reason != old || before.as_ref() != Some(message) => Some(message.clone()),
            (State::Waiting { message: Some(message), .. }, State::Backing { .. }) => Some(message.clone()),
            _ => None,
        };
        if let State::Backing { ending, .. } = &self.members[index].state {
            self.members[index].last = Some(ending.clone());
        }
        self.members[index].state = state;
        if let Some(message) = complaint {
            self.note(index, "Failed", format!("Error: {message}"), true);
        }
    }
}

fn probes(
    container: &Container,
    role: Role,
    at: Instant,
) -> BTreeMap<Kind, (Arc<k8s_openapi::api::core::v1::Probe>, Probing)> {
    if role == Role::Init {
        return BTreeMap::new();
    }
    [
        (Kind::Startup, &container.startup_probe),
        (Kind::Readiness, &container.readiness_probe),
        (Kind::Liveness, &container.liveness_probe),
    ]
    .into_iter()
    .filter_map(|(kind, probe)| {
        let probe = probe.as_ref()?;
        Some((kind, (Arc::new(probe.clone()), Probing::new(kind, probe, at))))
    })
    .collect()
}
