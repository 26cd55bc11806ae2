//! A pod's task: it alone knows the truth about the pod, and everybody else sends it what happened.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Site;
use super::container::{self, write_etc};
use super::env::Sources;
use super::facts::Facts;
use super::plan::{self, Outcome, Restart, Role, Steps};
use super::probing::Kind;
use super::record::{Ending, Record};
use super::state::{Hold, Member, Run, State};
use super::stop::stop;
use super::volumes::Volumes;
use crate::init::wire::{Exit, SandboxSpec};
use crate::{PodInput, PodUpdate};

/// How soon a pod whose sandbox or volumes failed tries again.
const RETRY: Duration = Duration::from_secs(2);

/// What a pod is told from outside.
#[derive(Debug)]
pub(crate) enum Command {
    Sync(Box<PodInput>),
    Terminate(Duration),
    /// The node stops: end the processes within this time and leave everything else for the next start.
    Suspend(Duration),
}

/// What a pod's own tasks report.
#[derive(Debug)]
pub(super) enum Happened {
    Exited {
        index: usize,
        attempt: i32,
        exit: Option<Exit>,
    },
    Answered {
        index: usize,
        attempt: i32,
        kind: Kind,
        result: Result<(), String>,
    },
    Hooked {
        index: usize,
        attempt: i32,
        result: Result<(), String>,
    },
    Unpacked {
        index: usize,
        result: Result<(), String>,
    },
    StopHookFailed {
        index: usize,
        message: String,
    },
    SandboxGone {
        pid: i32,
    },
    /// What failed for a reason that may pass is to be tried again.
    Again {
        index: usize,
    },
}

/// How a pod's task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Gone,
    Suspended,
}

/// Starts a pod's task. It ends when the pod is gone or suspended.
pub(crate) fn spawn(
    site: Arc<Site>,
    input: PodInput,
    commands: mpsc::UnboundedReceiver<Command>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let (happened, reports) = mpsc::unbounded_channel();
        let mut pod = Pod::new(site, input, happened);
        pod.serve(commands, reports).await;
    })
}

/// What a pod's containers may refer to.
pub(super) fn sources<'a>(
    site: &'a Site,
    input: &'a PodInput,
    pod_ip: Ipv4Addr,
    host_ip: Ipv4Addr,
) -> Sources<'a> {
    Sources {
        facts: Facts { pod: &input.pod, pod_ip, host_ip, node_name: &site.config.node_name },
        config_maps: &input.config_maps,
        secrets: &input.secrets,
        service_env: &input.service_env,
    }
}

/// A pod, as its task holds it.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) site: Arc<Site>,
    pub(super) input: Arc<PodInput>,
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// `pods/<uid>`.
    pub(super) folder: PathBuf,
    pub(super) members: Vec<Member>,
    pub(super) volumes: BTreeMap<String, PathBuf>,
    /// The process that holds the namespaces.
    pub(super) sandbox: Option<i32>,
    pub(super) happened: mpsc::UnboundedSender<Happened>,
    pub(super) tasks: JoinSet<()>,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) started_at: Timestamp,
    pub(super) steps: Steps,
    pub(super) status: Option<PodStatus>,
    pub(super) record: Record,
    /// Volumes must be looked at again.
    pub(super) stale: bool,
    pub(super) retry: Option<Instant>,
    pub(super) complaint: Option<String>,
    pub(super) leaving: Option<watch::Sender<tokio::time::Instant>>,
    pub(super) suspending: bool,
}

impl Pod {
    fn new(site: Arc<Site>, input: PodInput, happened: mpsc::UnboundedSender<Happened>) -> Self {
        let meta = &input.pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (uid, namespace, name) = (text(&meta.uid), text(&meta.namespace), text(&meta.name));
        let folder = site.config.state_dir.join("pods").join(&uid);
        let record = Record::load(&folder);
        let steps = Steps { start: Vec::new(), wake: None, initialized: false, outcome: Outcome::Pending };
        let mut pod = Self {
            address: site.addresses.take(record.address),
            site,
            uid,
            namespace,
            name,
            folder,
            members: members(&input),
            input: Arc::new(input),
            volumes: BTreeMap::new(),
            sandbox: None,
            happened,
            tasks: JoinSet::new(),
            started_at: record.started_at.unwrap_or_else(Timestamp::now),
            steps,
            status: None,
            record,
            stale: true,
            retry: None,
            complaint: None,
            leaving: None,
            suspending: false,
        };
        pod.restore();
        pod
    }

    /// Takes up where a node that ended left: what ran is started again and counts as a restart.
    fn restore(&mut self) {
        let policy = self.policy();
        for member in &mut self.members {
            let Some(before) = self.record.containers.get(&member.container.name) else { continue };
            member.restarts = before.restarts;
            member.container_id.clone_from(&before.container_id);
            member.last.clone_from(&before.last);
            let ending = match (before.running_since, &before.last, before.done) {
                (Some(since), _, _) => Ending {
                    code: 137,
                    signal: Some(9),
                    reason: "Error".to_owned(),
                    message: Some("the node stopped while the container ran".to_owned()),
                    started_at: since,
                    finished_at: Timestamp::now(),
                    container_id: before.container_id.clone(),
                },
                (None, Some(last), _) => last.clone(),
                (None, None, _) => continue,
            };
            let again =
                before.running_since.is_none() && !before.done || policy.again(member.role, ending.code);
            member.state = if again {
                State::Backing { ending, until: Instant::now(), delay: Duration::ZERO }
            } else {
                State::Ended(ending)
            };
        }
        // Namespaces are new, so what prepares them runs again, unless the pod has finished.
        let finished = self.look().outcome.is_final();
        for member in self.members.iter_mut().filter(|member| member.role == Role::Init && !finished) {
            if matches!(member.state, State::Ended(_)) {
                member.state = State::waiting("PodInitializing", None, Hold::Turn);
                member.last = None;
            }
        }
    }

    async fn serve(
        &mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut reports: mpsc::UnboundedReceiver<Happened>,
    ) {
        loop {
            let ending =
                if self.leaving.is_some() || self.suspending { self.leave() } else { self.advance().await };
            if let Some(ending) = ending {
                drop(commands);
                self.finish(ending).await;
                return;
            }
            self.publish();
            let wake = self.wake();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    // Nobody is left to tell: the node was dropped.
                    None => self.suspend(Duration::ZERO),
                },
                Some(report) = reports.recv() => self.learn(report),
                () = sleep_until(wake), if wake.is_some() => {}
                Some(_) = self.tasks.join_next() => {}
            }
            // Everything that has come by now is one change.
            while let Ok(report) = reports.try_recv() {
                self.learn(report);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Sync(input) => {
                self.input = Arc::new(*input);
                self.stale = true;
                for member in &mut self.members {
                    if let State::Waiting { hold, .. } = &mut member.state
                        && *hold == Hold::Input
                    {
                        *hold = Hold::Turn;
                    }
                }
            }
            Command::Terminate(grace) => self.terminate(grace),
            Command::Suspend(grace) => self.suspend(grace),
        }
    }

    fn suspend(&mut self, grace: Duration) {
        self.suspending = true;
        self.terminate(grace);
    }

    fn terminate(&mut self, grace: Duration) {
        let deadline = tokio::time::Instant::now() + grace;
        match &self.leaving {
            // A later call may shorten the grace, never extend it.
            Some(leaving) => {
                leaving.send_if_modified(|at| {
                    let nearer = deadline < *at;
                    *at = (*at).min(deadline);
                    nearer
                });
            }
            None => self.leaving = Some(watch::channel(deadline).0),
        }
    }

    /// One step towards the end; done when nothing runs any more. Sidecars go last.
    fn leave(&mut self) -> Option<Farewell> {
        let deadline = self.leaving.as_ref().map(watch::Sender::subscribe)?;
        let running = |member: &Member| member.run().is_some();
        if !self.members.iter().any(running) {
            return Some(if self.suspending { Farewell::Suspended } else { Farewell::Gone });
        }
        let apps_run = self.members.iter().any(|member| running(member) && member.role != Role::Sidecar);
        for index in 0..self.members.len() {
            if running(&self.members[index]) && !(apps_run && self.members[index].role == Role::Sidecar) {
                self.stop(index, deadline.clone(), true);
            }
        }
        None
    }

    /// Begins to end a container, once. `leaving`: the pod's own deadline replaces that of a restart under way.
    pub(super) fn stop(
        &mut self,
        index: usize,
        deadline: watch::Receiver<tokio::time::Instant>,
        leaving: bool,
    ) {
        let happened = self.happened.clone();
        let message = format!("Stopping container {}", self.members[index].container.name);
        let Some(run) = self.members[index].run_mut() else { return };
        let hooked = match &run.stopping {
            None => false,
            // The pod's end takes over from a restart under way, whose hook has run or runs.
            Some((restart, false)) if leaving => {
                restart.abort();
                true
            }
            Some(_) => return,
        };
        if leaving {
            self.note(index, "Killing", message, false);
        }
        let hook =
            self.members[index].container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.clone());
        let hook = hook.filter(|_| !hooked);
        let Some(run) = self.members[index].run_mut() else { return };
        let complain = move |message| {
            let _ = happened.send(Happened::StopHookFailed { index, message });
        };
        // Only its readiness still matters to anybody.
        run.probes.retain(|kind, _| *kind == Kind::Readiness);
        let stopping = stop(run.target.clone(), hook, run.stop_signal, deadline, complain);
        run.stopping = Some((self.tasks.spawn(stopping), leaving));
    }

    /// One step towards what the pod should be.
    async fn advance(&mut self) -> Option<Farewell> {
        let unwanted = self.input.pod.metadata.deletion_timestamp.is_some() && self.sandbox.is_none();
        self.steps = self.look();
        if unwanted {
            return None;
        }
        if self.steps.outcome.is_final() {
            self.wind_down();
            return None;
        }
        if self.retry.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        if let Err((reason, message)) = self.prepare().await {
            self.retry = Some(Instant::now() + RETRY);
            if self.complaint.as_ref() != Some(&message) {
                self.tell(reason, message.clone(), true, None);
                self.complaint = Some(message);
            }
            return None;
        }
        self.retry = None;
        // A container that can't be started is passed by, so this ends.
        for _ in 0..=self.members.len() {
            self.steps = self.look();
            let start = std::mem::take(&mut self.steps.start);
            if start.is_empty() {
                break;
            }
            for index in start {
                self.start(index).await;
            }
        }
        self.ask();
        self.steps = self.look();
        None
    }

    fn look(&self) -> Steps {
        let now = Instant::now();
        let stands: Vec<_> = self.members.iter().map(|member| (member.role, member.stand(now))).collect();
        plan::next(&stands, now)
    }

    /// A pod that has come to its end keeps neither sidecars nor namespaces.
    fn wind_down(&mut self) {
        let deadline = tokio::time::Instant::now() + self.grace();
        for index in 0..self.members.len() {
            if self.members[index].run().is_some() {
                self.stop(index, watch::channel(deadline).1, true);
            }
        }
        if self.members.iter().all(|member| member.run().is_none())
            && let Some(pid) = self.sandbox.take()
        {
            self.site.nursery.signal(pid, nix::sys::signal::Signal::SIGKILL);
            self.site.hierarchy.remove_pod(&self.uid);
            for member in &self.members {
                container::discard(&self.folder, &member.container.name);
            }
        }
    }

    /// Directories, volumes and namespaces.
    async fn prepare(&mut self) -> Result<(), (&'static str, String)> {
        if self.stale {
            let (site, input, folder) =
                (Arc::clone(&self.site), Arc::clone(&self.input), self.folder.clone());
            let (pod_ip, host_ip, hostname) = (self.shown_address(), self.host(), self.hostname());
            let memory = self.site.memory.as_ref().map(|memory| memory.join(&self.uid));
            let group =
                self.input.pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()?.fs_group);
            let made = tokio::task::spawn_blocking(move || {
                write_etc(&site, &input, pod_ip, &folder, &hostname)
                    .map_err(|error| format!("write {}: {error}", folder.display()))?;
                let group = group.and_then(|group| u32::try_from(group).ok());
                let volumes = Volumes { folder: folder.join("volumes"), memory, group };
                volumes.prepare(&input, &sources(&site, &input, pod_ip, host_ip))
            });
            let made = made.await.unwrap_or_else(|error| Err(error.to_string()));
            self.volumes = made.map_err(|message| ("FailedMount", message))?;
            self.stale = false;
            self.complaint = None;
        }
        if self.sandbox.is_none() {
            self.make_sandbox().await.map_err(|message| ("FailedCreatePodSandBox", message))?;
        }
        Ok(())
    }

    async fn make_sandbox(&mut self) -> Result<(), String> {
        if self.address.is_none() {
            self.address = self.site.addresses.take(None);
        }
        let address = self.address.ok_or("no address is free in the pods' subnet")?;
        let link = if self.on_host_network() { None } else { self.site.plumbing.link(address) };
        let child = self.site.nursery.sandbox(SandboxSpec { hostname: self.hostname(), link }).await?;
        let (pid, happened) = (child.pid, self.happened.clone());
        self.tasks.spawn(async move {
            let _ = child.exit.await;
            let _ = happened.send(Happened::SandboxGone { pid });
        });
        self.sandbox = Some(pid);
        Ok(())
    }

    /// Puts the probes' questions that are due.
    fn ask(&mut self) {
        let now = Instant::now();
        for index in 0..self.members.len() {
            let attempt = self.members[index].restarts;
            let Some(run) = self.members[index].run_mut() else { continue };
            let started = run.started();
            for (kind, (probe, probing)) in &mut run.probes {
                if !probing.is_due(now, started) {
                    continue;
                }
                probing.ask(now);
                let (target, probe, happened, kind) =
                    (run.target.clone(), Arc::clone(probe), self.happened.clone(), *kind);
                self.tasks.spawn(async move {
                    let result = target.probe(&probe).await;
                    let _ = happened.send(Happened::Answered { index, attempt, kind, result });
                });
            }
        }
    }

    /// The next time that something is due.
    fn wake(&self) -> Option<Instant> {
        if self.leaving.is_some() {
            return None;
        }
        let probes = self.members.iter().filter_map(Member::run);
        let probes = probes.flat_map(|run: &Run| {
            let started = run.started();
            run.probes.values().filter_map(move |(_, probing)| probing.wakes(started))
        });
        probes.chain(self.steps.wake).chain(self.retry).min()
    }

    async fn finish(&mut self, ending: Farewell) {
        self.steps = self.look();
        let status = self.render();
        if let Some(pid) = self.sandbox.take() {
            self.site.nursery.signal(pid, nix::sys::signal::Signal::SIGKILL);
        }
        self.tasks.shutdown().await;
        self.site.hierarchy.remove_pod(&self.uid);
        if ending == Farewell::Suspended {
            return;
        }
        let (site, folder, uid) = (Arc::clone(&self.site), self.folder.clone(), self.uid.clone());
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        let _ = tokio::task::spawn_blocking(move || {
            if let Err(error) = crate::files::remove_tree(&folder) {
                tracing::warn!(folder = %folder.display(), %error, "delete a pod's directory");
            }
            if let Some(memory) = &site.memory {
                let _ = std::fs::remove_dir_all(memory.join(&uid));
            }
            site.logs.forget(&namespace, &name, &uid);
        })
        .await;
        if let Some(address) = self.address {
            self.site.addresses.release(address);
        }
        self.site.mark_gone(&self.uid);
        let _ = self.site.updates.send(PodUpdate::Gone {
            uid: self.uid.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            status: Box::new(status),
        });
    }

    pub(super) fn policy(&self) -> Restart {
        Restart::read(self.input.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()))
    }

    pub(super) fn grace(&self) -> Duration {
        let seconds = self.input.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        Duration::from_secs(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(30))
    }

    fn on_host_network(&self) -> bool {
        self.site.rootless || self.input.pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true))
    }

    pub(super) fn hostname(&self) -> String {
        let wanted = self.input.pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
        let name = wanted.unwrap_or_else(|| self.name.clone());
        // The kernel's limit is 64; Kubernetes cuts at 63.
        name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
    }

    pub(super) fn host(&self) -> Ipv4Addr {
        self.site.plumbing.network.gateway
    }

    pub(super) fn status_address(&self) -> Option<Ipv4Addr> {
        if self.on_host_network() && !self.site.rootless { Some(self.host()) } else { self.address }
    }

    /// The pod's address as its containers see it.
    pub(super) fn shown_address(&self) -> Ipv4Addr {
        self.status_address().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Where probes go.
    pub(super) fn probe_address(&self) -> Ipv4Addr {
        self.shown_address()
    }
}

fn members(input: &PodInput) -> Vec<Member> {
    let Some(spec) = &input.pod.spec else { return Vec::new() };
    let init = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        Member::new(container, if sidecar { Role::Sidecar } else { Role::Init })
    });
    init.chain(spec.containers.iter().map(|container| Member::new(container, Role::App))).collect()
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
