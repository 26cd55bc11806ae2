//! Which names and subnets a node takes: a function of its state directory and of what others have.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Cidr;
use crate::{NetworkPlan, NodeError};

const FILE: &str = "network.json";
const SUBNET_BITS: u8 = 22;
/// 10.128.0.0 to 10.239.255.255 in blocks of two subnets: away from what k3s (10.42, 10.43), kubeadm (10.96, 10.244) and
/// home routers use.
const FIRST: u32 = 0x0a80_0000;
const BLOCKS: u32 = 112 * 32;
const BLOCK: u32 = 1 << 11;

/// What is derived from the state directory alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    hash: u64,
    pub(super) bridge: String,
    pub(super) table: String,
    pub(super) mac: [u8; 6],
}

impl Names {
    pub(super) fn of(state_dir: &Path) -> Self {
        let hash = fnv1a(state_dir.as_os_str().as_encoded_bytes());
        let short = (hash >> 32) ^ (hash & 0xffff_ffff);
        let [_, _, a, b, c, d, e, _] = hash.to_be_bytes();
        Self {
            hash,
            bridge: format!("skep{short:08x}"),
            table: format!("skep{short:08x}"),
            // Locally administered.
            mac: [0x02, a, b, c, d, e],
        }
    }

    /// The host's end of a pod's link; 15 bytes at most.
    pub(super) fn pod_link(&self, address: Ipv4Addr) -> String {
        format!("sk{:06x}{:04x}", self.hash & 0xff_ffff, address.to_bits() & 0xffff)
    }

    /// The second byte of the node's addresses below 127.
    pub(super) fn loopback_block(&self) -> u8 {
        16 + u8::try_from(self.hash % 224).unwrap_or(0)
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The subnets in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chosen {
    pub(super) pod_cidr: Cidr,
    pub(super) service_cidr: Cidr,
}

/// The first free pair: what was asked for, what was had before, then every block from the derived one on.
pub(super) fn choose(
    wanted: NetworkPlan,
    before: Option<Chosen>,
    names: &Names,
    taken: &[Cidr],
) -> Result<Chosen, NodeError> {
    let apply = |chosen: Chosen| Chosen {
        pod_cidr: wanted.pod_cidr.unwrap_or(chosen.pod_cidr),
        service_cidr: wanted.service_cidr.unwrap_or(chosen.service_cidr),
    };
    let start = u32::try_from(names.hash % u64::from(BLOCKS)).unwrap_or(0);
    let derived = (0..BLOCKS).map(|step| block((start + step) % BLOCKS));
    let free = |chosen: &Chosen| {
        let clashes = |subnet: Cidr| taken.iter().find(|other| other.overlaps(&subnet));
        clashes(chosen.pod_cidr).or_else(|| clashes(chosen.service_cidr)).is_none()
            && !chosen.pod_cidr.overlaps(&chosen.service_cidr)
    };
    before.into_iter().chain(derived).map(apply).find(free).ok_or_else(|| NodeError::Network {
        message: match (wanted.pod_cidr, wanted.service_cidr) {
            (None, None) => "every subnet from 10.128.0.0 to 10.239.255.255 overlaps a route or link of this machine".to_owned(),
            (pods, services) => format!(
                "the wanted subnets (pods {}, Services {}) overlap each other, or a route or link of this machine",
                pods.map_or("any".to_owned(), |subnet| subnet.to_string()),
                services.map_or("any".to_owned(), |subnet| subnet.to_string()),
            ),
        },
        source: None,
    })
}

fn block(number: u32) -> Chosen {
    let first = FIRST + number * BLOCK;
    Chosen {
        pod_cidr: Cidr::new(Ipv4Addr::from_bits(first), SUBNET_BITS),
        service_cidr: Cidr::new(Ipv4Addr::from_bits(first + BLOCK / 2), SUBNET_BITS),
    }
}

/// What an earlier node of this directory chose; unreadable counts as none.
pub(super) fn load(state_dir: &Path) -> Option<Chosen> {
    serde_json::from_slice(&std::fs::read(state_dir.join(FILE)).ok()?).ok()
}

pub(super) fn save(state_dir: &Path, chosen: Chosen) -> Result<(), NodeError> {
    let path = state_dir.join(FILE);
    serde_json::to_vec(&chosen)
        .map_err(io::Error::other)
        .and_then(|text| std::fs::write(&path, text))
        .map_err(|source| NodeError::State { action: "write", path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Names {
        Names::of(Path::new(path))
    }

    #[test]
    fn the_choice_is_stable_and_moves_on_from_a_clash() {
        let names = names("/home/ada/.local/state/skep");
        let first = choose(NetworkPlan::default(), None, &names, &[]).unwrap();
        assert_eq!(choose(NetworkPlan::default(), None, &names, &[]).unwrap(), first);
        assert!(!first.pod_cidr.overlaps(&first.service_cidr));
        let second = choose(NetworkPlan::default(), None, &names, &[first.service_cidr]).unwrap();
        assert!(!second.pod_cidr.overlaps(&first.service_cidr));
        assert_eq!(
            choose(NetworkPlan::default(), Some(second), &names, &[]).unwrap(),
            second,
            "kept when free"
        );
    }

    #[test]
    fn a_wanted_subnet_that_is_taken_is_refused_by_name() {
        let wanted = NetworkPlan { pod_cidr: "192.168.0.0/24".parse().ok(), service_cidr: None };
        let error = choose(wanted, None, &names("/a"), &["192.168.0.0/16".parse().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("192.168.0.0/24"), "{error}");
    }

    #[test]
    fn names_fit_a_link_and_differ_by_directory() {
        let (a, b) = (names("/a"), names("/b"));
        assert_ne!(a.bridge, b.bridge);
        assert!(a.bridge.len() <= 15);
        assert!(a.pod_link(Ipv4Addr::new(10, 255, 255, 255)).len() <= 15);
    }
}
