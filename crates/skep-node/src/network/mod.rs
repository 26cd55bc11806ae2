//! The addresses that pods and Services have, and the links that carry them.
//!
//! Every name and the first choice of subnets derive from the state directory, so nodes side by side do not meet and a
//! node finds what a dead one of the same directory left.

mod addresses;
mod cidr;
pub(crate) mod link;
mod netlink;
mod nft;
mod plan;

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Mutex;

pub(crate) use addresses::Addresses;
pub use cidr::{Cidr, CidrError};
use plan::{Chosen, Names};

use crate::init::wire::{Leftovers, LinkSpec};
use crate::{NetworkPlan, NodeError};

/// The network as it was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Pods' addresses.
    pub pod_cidr: Cidr,
    /// Services' addresses: all of them are local to this machine, so that anything may listen on any of them.
    pub service_cidr: Cidr,
    /// The host as pods see it; their name server is expected here, port 53.
    pub gateway: Ipv4Addr,
    /// The bridge's name; `None` where pods share the host's network.
    pub bridge: Option<String>,
    /// Why pods reach nothing outside this machine; `None` when they do.
    pub no_outbound: Option<String>,
}

/// The network and what must be held or undone for it.
#[derive(Debug)]
pub(crate) struct Plumbing {
    pub(crate) network: Network,
    names: Names,
    mtu: u32,
    masquerade: Mutex<Option<netlink::Socket>>,
}

impl Plumbing {
    /// Clears away what a dead node left and sets up bridge, routes and outbound translation.
    pub(crate) fn build(state_dir: &Path, wanted: NetworkPlan) -> Result<Self, NodeError> {
        let names = Names::of(state_dir);
        let before = plan::load(state_dir);
        link::remove(&names.bridge).map_err(|error| failed("remove the old bridge", error))?;
        if let Some(before) = before {
            link::make_foreign(before.service_cidr).map_err(|error| failed("remove the old route", error))?;
        }
        let (taken, way_out) = link::taken().map_err(|error| failed("list routes", error))?;
        let chosen = plan::choose(wanted, before, &names, &taken)?;
        plan::save(state_dir, chosen)?;
        let gateway = chosen.pod_cidr.nth(1).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mtu = way_out.and_then(mtu_of).unwrap_or(1500);
        link::make_bridge(&names.bridge, names.mac, gateway, chosen.pod_cidr.prefix(), mtu)
            .map_err(|error| failed("make a bridge", error))?;
        link::make_local(chosen.service_cidr).map_err(|error| failed("route the Services' subnet", error))?;
        let (masquerade, no_outbound) = match outbound(&names.table, chosen) {
            Ok(socket) => (Some(socket), None),
            Err(message) => (None, Some(message)),
        };
        let network = Network {
            pod_cidr: chosen.pod_cidr,
            service_cidr: chosen.service_cidr,
            gateway,
            bridge: Some(names.bridge.clone()),
            no_outbound,
        };
        Ok(Self { network, names, mtu, masquerade: Mutex::new(masquerade) })
    }

    /// Loopback addresses alone: pods share the host's network.
    pub(crate) fn loopback(state_dir: &Path) -> Self {
        let names = Names::of(state_dir);
        let block = Ipv4Addr::new(127, names.loopback_block(), 0, 0);
        let service_cidr = Cidr::new(block, 17);
        let pod_cidr = Cidr::new(Ipv4Addr::from_bits(block.to_bits() | 0x8000), 17);
        let gateway = service_cidr.nth(1).unwrap_or(Ipv4Addr::LOCALHOST);
        let network = Network { pod_cidr, service_cidr, gateway, bridge: None, no_outbound: None };
        Self { network, names, mtu: 0, masquerade: Mutex::new(None) }
    }

    /// A name that no other node on this machine has.
    pub(crate) fn name(&self) -> &str {
        &self.names.bridge
    }

    /// A pod's link, where it has one.
    pub(crate) fn link(&self, address: Ipv4Addr) -> Option<LinkSpec> {
        let bridge = self.network.bridge.clone()?;
        Some(LinkSpec {
            host_name: self.names.pod_link(address),
            bridge,
            address,
            prefix: self.network.pod_cidr.prefix(),
            gateway: self.network.gateway,
            mtu: self.mtu,
        })
    }

    /// What another process must remove if this one can't.
    pub(crate) fn leftovers(&self) -> Option<Leftovers> {
        let bridge = self.network.bridge.clone()?;
        Some(Leftovers { bridge, service_cidr: self.network.service_cidr })
    }

    /// Undoes all of it.
    pub(crate) fn tear_down(&self) {
        if self.network.bridge.is_none() {
            return;
        }
        if let Some(mut socket) = self.masquerade.lock().unwrap_or_else(|held| held.into_inner()).take()
            && let Err(error) = nft::remove(&mut socket, &self.names.table)
        {
            tracing::warn!(table = self.names.table, %error, "remove the outbound translation");
        }
        if let Err(error) = link::make_foreign(self.network.service_cidr) {
            tracing::warn!(subnet = %self.network.service_cidr, %error, "remove the Services' route");
        }
        if let Err(error) = link::remove(&self.names.bridge) {
            tracing::warn!(bridge = self.names.bridge, %error, "remove the bridge");
        }
    }
}

fn outbound(table: &str, chosen: Chosen) -> Result<netlink::Socket, String> {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
        .map_err(|error| format!("turn on ip_forward: {error}"))?;
    nft::masquerade(table, chosen.pod_cidr)
        .map_err(|error| format!("add an nf_tables masquerade rule: {error}"))
}

fn mtu_of(index: u32) -> Option<u32> {
    std::fs::read_dir("/sys/class/net").ok()?.flatten().find_map(|entry| {
        let read = |name| std::fs::read_to_string(entry.path().join(name)).ok()?.trim().parse::<u32>().ok();
        (read("ifindex")? == index).then(|| read("mtu")).flatten()
    })
}

fn failed(what: &str, error: io::Error) -> NodeError {
    NodeError::Network { message: what.to_owned(), source: Some(error) }
}
