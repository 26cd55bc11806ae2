//! The node's handle: it starts the parts, routes commands to pods, and takes it all down.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cgroup::Hierarchy;
use crate::files::remove_tree;
use crate::image::Layers;
use crate::init::wire::HolderSpec;
use crate::log::{self, Logs};
use crate::network::{Addresses, Plumbing};
use crate::nursery::Nursery;
use crate::pod::{self, Command, Site};
use crate::{
    Capabilities, Level, LogRequest, LogStream, Network, NetworkPlan, NodeConfig, NodeError, PodInput,
    PodUpdate, probe,
};

/// How long pods get to end when the node stops. Databases use it to leave a clean state.
const SUSPEND_GRACE: Duration = Duration::from_secs(5);

/// How long the processes of a killed node may take to die.
const PREDECESSOR_GRACE: Duration = Duration::from_secs(20);

/// A running node. Clones are the same node.
#[derive(Debug, Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    site: Arc<Site>,
    capabilities: Capabilities,
    pods: Mutex<HashMap<String, Handle>>,
    /// Held while the node lives: one node a state directory.
    _lock: File,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
    /// Layers' digests that the pod's images need.
    layers: BTreeSet<String>,
}

impl Node {
    /// Clears away what a dead node of this state directory left, sets up the network and starts the process that holds the
    /// pods. The receiver is told everything that becomes of them.
    ///
    /// # Errors
    /// The state directory can't be used or another node uses it, no level is possible on this machine, no subnet is free, or
    /// [`NodeConfig::init_program`] does not work as one.
    pub async fn start(
        config: NodeConfig,
        network: NetworkPlan,
    ) -> Result<(Self, mpsc::UnboundedReceiver<PodUpdate>), NodeError> {
        let (updates, receiver) = mpsc::unbounded_channel();
        let inner = tokio::task::spawn_blocking(move || Inner::open(config, network, updates))
            .await
            .map_err(|error| NodeError::State {
                action: "start a node in",
                path: PathBuf::new(),
                source: io::Error::other(error),
            })??;
        Ok((Self { inner: Arc::new(inner) }, receiver))
    }

    /// The addresses in use.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.inner.site.plumbing.network
    }

    /// What was found at start; [`Capabilities::level`] is the one in use.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// Starts the pod, or updates what its containers will read next. A pod without `metadata.uid` is ignored.
    pub fn sync(&self, input: PodInput) {
        let Some(uid) = input.pod.metadata.uid.clone() else { return };
        let layers = layers_of(&input);
        let mut pods = self.inner.pods();
        if self.inner.site.is_gone(&uid) {
            // Said before the pod's end was heard of.
            return;
        }
        if let Some(handle) = pods.get_mut(&uid).filter(|handle| !handle.task.is_finished()) {
            handle.layers = layers;
            // A pod that is ending at this moment reads no more.
            let _ = handle.commands.send(Command::Sync(Box::new(input)));
            return;
        }
        let (commands, orders) = mpsc::unbounded_channel();
        let task = pod::spawn(Arc::clone(&self.inner.site), input, orders);
        pods.retain(|_, handle| !handle.task.is_finished());
        pods.insert(uid, Handle { commands, task, layers });
    }

    /// preStop, SIGTERM, wait, SIGKILL, all within `grace`; then [`PodUpdate::Gone`]. A second call may shorten the grace. A pod
    /// that was never synced is unknown here and brings no update.
    pub fn terminate(&self, uid: &str, grace: Duration) {
        if let Some(handle) = self.inner.pods().get(uid) {
            // A task that has ended has said so.
            let _ = handle.commands.send(Command::Terminate(grace));
        }
    }

    /// A container's log.
    ///
    /// # Errors
    /// [`NodeError::NoLogs`] when there is none of that attempt, or the file can't be read.
    pub async fn logs(&self, request: LogRequest) -> Result<LogStream, NodeError> {
        let logs = self.inner.site.logs.clone();
        tokio::task::spawn_blocking(move || log::open(&logs, &request)).await.unwrap_or_else(|error| {
            Err(NodeError::State {
                action: "read",
                path: PathBuf::from("logs"),
                source: io::Error::other(error),
            })
        })
    }

    /// Deletes unpacked layers that are neither in `keep` (digests of layers' blobs) nor named by a pod.
    pub async fn collect_layers(&self, keep: BTreeSet<String>) {
        let mut keep = keep;
        for handle in self.inner.pods().values().filter(|handle| !handle.commands.is_closed()) {
            keep.extend(handle.layers.iter().cloned());
        }
        let site = Arc::clone(&self.inner.site);
        let _ = tokio::task::spawn_blocking(move || site.layers.collect(&keep)).await;
    }

    /// Deletes the directories and logs of pods that are neither in `known` (uids) nor running: those that were deleted while no
    /// node ran.
    pub async fn collect_pods(&self, known: BTreeSet<String>) {
        let mut known = known;
        known.extend(self.inner.pods().keys().cloned());
        let site = Arc::clone(&self.inner.site);
        let _ = tokio::task::spawn_blocking(move || {
            for entry in fs::read_dir(site.config.state_dir.join("pods")).into_iter().flatten().flatten() {
                if !known.contains(entry.file_name().to_string_lossy().as_ref())
                    && let Err(error) = remove_tree(&entry.path())
                {
                    tracing::warn!(folder = %entry.path().display(), %error, "delete a pod's directory");
                }
            }
            site.logs.forget_others(&known);
        })
        .await;
    }

    /// The id of the process that holds the pods.
    #[must_use]
    pub fn init_pid(&self) -> u32 {
        self.inner.site.nursery.pid()
    }

    /// Ends every process (SIGTERM, five seconds at most, SIGKILL), and removes bridge, routes and control groups. Pods, logs and
    /// images stay for the next start, which brings the pods back.
    pub async fn shutdown(&self) {
        let handles: Vec<Handle> = self.inner.pods().drain().map(|(_, handle)| handle).collect();
        for handle in &handles {
            let _ = handle.commands.send(Command::Suspend(SUSPEND_GRACE));
        }
        for handle in handles {
            let _ = handle.task.await;
        }
        let site = Arc::clone(&self.inner.site);
        let _ = tokio::task::spawn_blocking(move || take_down(&site)).await;
    }
}

/// Ends what runs and undoes what the node set up. Twice is as good as once. Blocks.
fn take_down(site: &Site) {
    site.nursery.stop();
    site.plumbing.tear_down();
    site.hierarchy.remove();
    if let Some(memory) = &site.memory {
        let _ = fs::remove_dir_all(memory);
    }
}

impl Drop for Inner {
    /// A node that nobody shut down leaves nothing behind either; its pods are killed.
    fn drop(&mut self) {
        take_down(&self.site);
    }
}

impl Inner {
    fn open(
        config: NodeConfig,
        plan: NetworkPlan,
        updates: mpsc::UnboundedSender<PodUpdate>,
    ) -> Result<Self, NodeError> {
        let mut config = config;
        let state = |action| {
            let path = config.state_dir.clone();
            move |source| NodeError::State { action, path, source }
        };
        fs::create_dir_all(config.state_dir.join("pods")).map_err(state("create"))?;
        // Names derive from the path, so it has one spelling.
        config.state_dir = config.state_dir.canonicalize().map_err(state("resolve"))?;
        let lock = lock(&config.state_dir)?;
        let holder_lock = config.state_dir.join("holder.lock");
        await_predecessor(&holder_lock)?;
        let mut capabilities = probe(&config.state_dir);
        let level = config.level.clone().unwrap_or_else(|| capabilities.level.clone());
        let rootless = match &level {
            Level::Root => false,
            Level::Rootless => true,
            Level::None { why } => return Err(NodeError::NotPossible { why: why.clone() }),
        };
        capabilities.level = level;
        let plumbing = if rootless {
            Plumbing::loopback(&config.state_dir)
        } else {
            Plumbing::build(&config.state_dir, plan)?
        };
        let name = plumbing.name().to_owned();
        let hierarchy = Hierarchy::open(&name);
        capabilities.cgroups = hierarchy.version().clone();
        let holder = HolderSpec { rootless, lock: holder_lock, leftovers: plumbing.leftovers() };
        let nursery = Nursery::start(&config.init_program, holder)
            .inspect_err(|_| plumbing.tear_down())
            .map(Arc::new)?;
        let site = Site {
            rootless,
            root_filesystem: capabilities.root_filesystem,
            nursery,
            addresses: Addresses::of(&plumbing.network),
            plumbing,
            layers: Layers::open(&config.state_dir, !rootless)?,
            logs: Logs::new(&config.state_dir, config.log_bytes),
            hierarchy,
            http: prober()?,
            memory: memory(&name),
            config,
            updates,
            gone: Mutex::default(),
        };
        Ok(Self { site: Arc::new(site), capabilities, pods: Mutex::default(), _lock: lock })
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.pods.lock().unwrap_or_else(|held| held.into_inner())
    }
}

fn layers_of(input: &PodInput) -> BTreeSet<String> {
    let ready = input.images.values().filter_map(|state| match state {
        crate::ImageState::Ready(image) => Some(image),
        _ => None,
    });
    ready.flat_map(|image| image.layers.iter().map(|layer| layer.digest.clone())).collect()
}

fn lock(state_dir: &Path) -> Result<File, NodeError> {
    let path = state_dir.join("node.lock");
    let failed = |source| NodeError::State { action: "lock", path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(failed(io::Error::new(io::ErrorKind::ResourceBusy, "another node uses this state directory")))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Waits until the last process of a node that was killed is gone: two databases on one volume would spoil it.
fn await_predecessor(path: &Path) -> Result<(), NodeError> {
    let failed = |source| NodeError::State { action: "lock", path: path.to_owned(), source };
    let file = File::options().create(true).append(true).open(path).map_err(failed)?;
    let deadline = Instant::now() + PREDECESSOR_GRACE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(failed(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "processes of the node that ran here before do not end",
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// The client for HTTP probes: what the kubelet's does and does not mind.
fn prober() -> Result<reqwest::Client, NodeError> {
    // The binary's main does this first; without it the client would panic. An error: somebody was faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent("kube-probe/1.36")
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .map_err(|error| NodeError::Network {
            message: "make a client for probes".to_owned(),
            source: Some(io::Error::other(error)),
        })
}

/// A directory in memory for `medium: Memory`, without a mount that a dead node would leave.
fn memory(name: &str) -> Option<PathBuf> {
    let folder = Path::new("/dev/shm").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).ok().map(|()| folder)
}
