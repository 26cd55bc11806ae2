//! The hive's parts, started in the order in which they need each other and stopped in the reverse.

use std::net::SocketAddr;
use std::path::Path;

use skep_apiserver::{ApiServer, Resources, ResourcesConfig};
use skep_model::Platform;
use skep_node::{Level, Network, NetworkPlan, Node, NodeConfig, NodeError, PodUpdate};
use skep_proxy::{Dns, ServiceProxy};
use skep_registryd::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::error::HiveError;
use super::housekeeping::Broom;
use super::logs::NodeLogs;
use super::ports::{self, Listeners, Settings};
use super::seeds::{self, Machine};
use super::state_dir::StateDir;
use super::{HiveAddress, HiveConfig, api, readdress};
use crate::controllers::job::RetryDelay;
use crate::kind::Kind;
use crate::network::wiring::{DOMAIN, Traffic, Wiring};
use crate::pods::{ImageDirs, ImageSource, Kubelet, KubeletParts, PullBackoff, recovery};
use crate::reconcile::{Controllers, carry_out};

/// Container logs are rotated at this size.
const LOG_BYTES: u64 = 10 << 20;

/// A running hive.
#[derive(Debug)]
pub(super) struct Parts {
    address: HiveAddress,
    api: ApiServer,
    node: Option<Node>,
    traffic: Traffic,
    dns: Option<Dns>,
    /// Everything that runs until `stop`.
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// The node, or why there is none.
struct NodeStart {
    running: Option<(Node, mpsc::UnboundedReceiver<PodUpdate>)>,
    trouble: Option<String>,
}

impl Parts {
    pub(super) async fn start(config: &HiveConfig, home: &StateDir) -> Result<Self, HiveError> {
        let (settings, listeners) = Settings::settle(home, config).await?;
        let name = settings.node.unwrap_or_default();
        let ingress = listeners.ingress.clone();
        let start = start_node(config, home.path(), &name).await?;
        let node = start.running.as_ref().map(|(node, _)| node.clone());
        let started = Self::start_around(config, home, &name, start, listeners).await;
        if started.is_err() {
            // What was set up in the kernel would outlive this process.
            if let Some(node) = node {
                node.shutdown().await;
            }
            ingress.shutdown().await;
        }
        started
    }

    async fn start_around(
        config: &HiveConfig,
        home: &StateDir,
        name: &str,
        start: NodeStart,
        listeners: Listeners,
    ) -> Result<Self, HiveError> {
        let node = start.running.as_ref().map(|(node, _)| node.clone());
        let network = node.as_ref().map(Node::network);
        let resources = open_resources(config, home, network)?;
        let registry = open_registry(config, home)?;
        let registry_address = ports::address(&listeners.registry, "registry")?;
        plant(&resources, home, name, &start, network).await?;
        if let Some(network) = network {
            readdress::readdress(&resources, network.service_cidr).await?;
        }
        recover(&resources).await?;
        let dns = network.and_then(start_dns);
        let traffic = Traffic { services: ServiceProxy::start(), ingress: listeners.ingress };
        let stop = CancellationToken::new();
        let logs = NodeLogs { resources: resources.clone(), node: node.clone() };
        let (api, kubeconfig) = api::start(home, listeners.api, resources.clone(), logs).await?;
        let mut tasks = JoinSet::new();
        let served = registry.clone();
        let until = stop.clone();
        tasks.spawn(async move { served.serve(listeners.registry, until.cancelled_owned()).await });
        let images = ImageSource {
            registry,
            own_names: seeds::registry_names(registry_address.port()),
            dirs: ImageDirs { blobs: home.join("images/blobs"), notes: home.join("images/pulled") },
            platform: Platform::host(),
        };
        let (names_changed, names) = watch::channel(());
        let wiring = Wiring {
            resources: resources.clone(),
            traffic: traffic.clone(),
            dns: dns.clone(),
            names_changed,
        };
        tasks.spawn(wiring.run(stop.clone()));
        if let Some((node, updates)) = start.running {
            let kubelet = Kubelet::new(KubeletParts {
                resources: resources.clone(),
                names_by_hosts: node.capabilities().level == Level::Rootless,
                node,
                node_name: name.to_owned(),
                traffic: traffic.clone(),
                images: images.clone(),
                backoff: PullBackoff { initial: config.backoff.initial, max: config.backoff.max },
                volumes: home.join("volumes"),
                names_changed: names,
            });
            tasks.spawn(kubelet.run(updates, stop.clone()));
        }
        let broom = Broom { resources: resources.clone(), images, node: node.clone() };
        tasks.spawn(broom.run(stop.clone()));
        let controllers = Controllers {
            resources,
            node: name.to_owned(),
            volumes: home.join("volumes"),
            retry: RetryDelay {
                initial: config.backoff.initial,
                max: config.backoff.max.max(config.backoff.initial) * 2,
            },
        };
        tasks.spawn(controllers.run(stop.clone()));
        let address = HiveAddress {
            pid: std::process::id(),
            api: api.address(),
            registry: registry_address,
            ingress: ports::first(&traffic.ingress),
            kubeconfig,
            started: skep_ambient::now(),
        };
        Ok(Self { address, api, node, traffic, dns, tasks, stop })
    }

    pub(super) fn address(&self) -> &HiveAddress {
        &self.address
    }

    /// Waits for a part that ends although nobody asked: without it the rest would only seem to work.
    pub(super) async fn any_ended(&mut self) -> HiveError {
        let why = match self.tasks.join_next().await {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) | None => "without an error".to_owned(),
        };
        HiveError::PartEnded { why }
    }

    /// Stops everything: first what takes new work, then the pods, then what carried their traffic.
    pub(super) async fn stop(mut self) {
        self.api.shutdown().await;
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the hive had ended by a panic");
            }
        }
        self.traffic.shutdown().await;
        if let Some(node) = &self.node {
            node.shutdown().await;
        }
        if let Some(dns) = &self.dns {
            dns.shutdown().await;
        }
    }
}

async fn start_node(config: &HiveConfig, state_dir: &Path, name: &str) -> Result<NodeStart, HiveError> {
    let node = NodeConfig {
        node_name: name.to_owned(),
        cluster_domain: DOMAIN.to_owned(),
        backoff: config.backoff,
        log_bytes: LOG_BYTES,
        level: config.level.clone(),
        ..NodeConfig::new(state_dir, &config.init_program)
    };
    match Node::start(node, NetworkPlan::default()).await {
        Ok(running) => Ok(NodeStart { running: Some(running), trouble: None }),
        // The API still has its uses, and the Node object says why nothing runs.
        Err(error @ NodeError::NotPossible { .. }) => {
            Ok(NodeStart { running: None, trouble: Some(error.to_string()) })
        }
        Err(error) => Err(error.into()),
    }
}

fn open_resources(
    config: &HiveConfig,
    home: &StateDir,
    network: Option<&Network>,
) -> Result<Resources, HiveError> {
    let gateway = network.map(|network| network.gateway);
    Ok(Resources::open(ResourcesConfig {
        file: (!config.ephemeral).then(|| home.join("hive.redb")),
        service_cidr: network.map(|network| (network.service_cidr.address(), network.service_cidr.prefix())),
        reserved: gateway
            .into_iter()
            .chain(network.and_then(|network| network.service_cidr.nth(1)))
            .collect(),
    })?)
}

fn open_registry(config: &HiveConfig, home: &StateDir) -> Result<Registry, HiveError> {
    let dir = home.join("registry");
    Ok(if config.ephemeral { Registry::ephemeral(dir)? } else { Registry::open(dir)? })
}

async fn plant(
    resources: &Resources,
    home: &StateDir,
    name: &str,
    start: &NodeStart,
    network: Option<&Network>,
) -> Result<(), HiveError> {
    let capabilities = match &start.running {
        Some((node, _)) => node.capabilities().clone(),
        None => skep_node::probe(home.path()),
    };
    let machine = Machine { name, capabilities: &capabilities, trouble: start.trouble.as_deref(), network };
    Ok(seeds::plant(resources, &machine).await?)
}

/// No pod runs yet, whatever its object says.
async fn recover(resources: &Resources) -> Result<(), HiveError> {
    let pods = resources.list(Kind::POD, None);
    let actions = pods.iter().filter_map(|pod| recovery::recovered(pod, skep_ambient::now())).collect();
    Ok(carry_out(resources, actions, "kubelet").await?)
}

/// The pods' name server. Without it names do not resolve, and everything else works.
fn start_dns(network: &Network) -> Option<Dns> {
    network.bridge.as_ref()?;
    let bind = SocketAddr::from((network.gateway, 53));
    match Dns::start(vec![bind], upstream()) {
        Ok(dns) => Some(dns),
        Err(error) => {
            tracing::warn!(%error, "names do not resolve in pods");
            None
        }
    }
}

/// This machine's own resolvers.
fn upstream() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|address| address.trim().parse().ok())
        .map(|ip: std::net::IpAddr| SocketAddr::new(ip, 53))
        .collect()
}
