//! Which pod has which address.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard};

use super::{Cidr, Network};

/// Hands out pods' addresses; a returned one is reused last.
#[derive(Debug)]
pub(crate) struct Addresses {
    subnet: Cidr,
    gateway: Ipv4Addr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: BTreeSet<Ipv4Addr>,
    next: u32,
}

impl Addresses {
    pub(crate) fn of(network: &Network) -> Self {
        Self {
            subnet: network.pod_cidr,
            gateway: network.gateway,
            state: Mutex::new(State { used: BTreeSet::new(), next: 2 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// `before` if it is free and of this subnet, else the next free one; `None` when all are taken.
    pub(crate) fn take(&self, before: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let mut state = self.state();
        let before = before.filter(|address| self.subnet.contains(*address) && !state.used.contains(address));
        let last = u32::try_from(self.subnet.size()).unwrap_or(u32::MAX).saturating_sub(1);
        let start = state.next;
        let found = before.or_else(|| {
            (0..last).find_map(|step| {
                let index = (start + step) % last;
                let address = self.subnet.nth(index).filter(|_| index >= 2)?;
                (address != self.gateway && !state.used.contains(&address)).then_some(address)
            })
        })?;
        if before.is_none() {
            state.next = found.to_bits().wrapping_sub(self.subnet.address().to_bits()) + 1;
        }
        state.used.insert(found);
        Some(found)
    }

    pub(crate) fn release(&self, address: Ipv4Addr) {
        self.state().used.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_not_shared_and_the_last_returned_comes_last() {
        let pod_cidr: Cidr = "10.9.0.0/29".parse().unwrap();
        let network = Network {
            pod_cidr,
            service_cidr: "10.9.1.0/24".parse().unwrap(),
            gateway: pod_cidr.nth(1).unwrap(),
            bridge: None,
            no_outbound: None,
        };
        let addresses = Addresses::of(&network);
        let last = |address: Option<Ipv4Addr>| address.map(|address| address.octets()[3]);
        assert_eq!(last(addresses.take(None)), Some(2));
        assert_eq!(last(addresses.take(pod_cidr.nth(5))), Some(5));
        assert_eq!(last(addresses.take(pod_cidr.nth(5))), Some(3), "taken already");
        addresses.release(pod_cidr.nth(2).unwrap());
        assert_eq!(last(addresses.take(None)), Some(4));
        assert_eq!(last(addresses.take(None)), Some(6));
        assert_eq!(last(addresses.take(None)), Some(2));
        assert_eq!(addresses.take(None), None, "the last one is the broadcast address");
    }
}
