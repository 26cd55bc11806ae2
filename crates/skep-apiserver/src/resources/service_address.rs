//! Addresses for Services. The Services themselves are the record of what is taken.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::Resources;
use crate::kind::Kind;
use crate::meta;
use crate::status::{Cause, Status};

/// The network that Services get their addresses from.
#[derive(Debug)]
pub(super) struct ServiceAddresses {
    /// First address and how many there are.
    network: Option<(u32, u32)>,
    reserved: HashSet<Ipv4Addr>,
}

impl ServiceAddresses {
    pub(super) fn new(cidr: Option<(Ipv4Addr, u8)>, reserved: Vec<Ipv4Addr>) -> Self {
        let network = cidr.map(|(address, prefix)| {
            let size = 1_u32.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(u32::MAX);
            (u32::from(address) & !(size.wrapping_sub(1)), size)
        });
        Self { network, reserved: reserved.into_iter().collect() }
    }

    /// Settles `spec.clusterIP` and `spec.clusterIPs`. The caller holds the store's turn.
    pub(super) fn assign(
        &self,
        resources: &Resources,
        service: &mut Value,
        live: Option<&Value>,
    ) -> Result<(), Status> {
        let external = meta::text(service, "/spec/type") == Some("ExternalName");
        let spec = meta::fields(meta::child(service, "spec"));
        if external {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
            return Ok(());
        }
        let given =
            spec.get("clusterIP").and_then(Value::as_str).filter(|ip| !ip.is_empty()).map(str::to_owned);
        let before = live.and_then(|live| meta::text(live, "/spec/clusterIP")).map(str::to_owned);
        let address = match (given, before) {
            (Some(given), before) => {
                if before.as_deref() != Some(&given) {
                    self.check(resources, service, &given)?;
                }
                Some(given)
            }
            (None, Some(before)) => Some(before),
            (None, None) => self.free(resources)?,
        };
        if let Some(address) = address {
            let spec = meta::fields(meta::child(service, "spec"));
            spec.insert("clusterIPs".to_owned(), json!([address]));
            spec.insert("clusterIP".to_owned(), Value::from(address));
        }
        Ok(())
    }

    fn taken(&self, resources: &Resources) -> HashSet<Ipv4Addr> {
        let services = resources.list(Kind::SERVICE, None);
        let addresses = services.iter().filter_map(|s| meta::text(s, "/spec/clusterIP")?.parse().ok());
        addresses.chain(self.reserved.iter().copied()).collect()
    }

    /// The lowest free address: none are the network's own, its first host (often a gateway) and the broadcast.
    fn free(&self, resources: &Resources) -> Result<Option<String>, Status> {
        let Some((first, size)) = self.network else {
            return Ok(None);
        };
        let taken = self.taken(resources);
        let mut hosts = (1..size.saturating_sub(1)).map(|offset| Ipv4Addr::from(first.wrapping_add(offset)));
        match hosts.find(|address| !taken.contains(address)) {
            Some(address) => Ok(Some(address.to_string())),
            None => Err(Status::internal(format!(
                "no free service address: all of the {size} addresses from {} are taken",
                Ipv4Addr::from(first)
            ))),
        }
    }

    fn check(&self, resources: &Resources, service: &Value, address: &str) -> Result<(), Status> {
        let invalid = |why: String| {
            Status::invalid(
                "Service",
                meta::name(service),
                vec![Cause {
                    reason: "FieldValueInvalid",
                    message: format!("Invalid value: \"{address}\": {why}"),
                    field: "spec.clusterIPs[0]".to_owned(),
                }],
            )
        };
        if address == "None" {
            return Ok(());
        }
        let Ok(parsed) = address.parse::<Ipv4Addr>() else {
            return Err(invalid("must be a valid IPv4 address, \"None\" or empty".to_owned()));
        };
        if let Some((first, size)) = self.network
            && u32::from(parsed).wrapping_sub(first) >= size
        {
            let first = Ipv4Addr::from(first);
            return Err(invalid(format!("not in the service network of {size} addresses from {first}")));
        }
        if self.taken(resources).contains(&parsed) {
            return Err(invalid("provided IP is already allocated".to_owned()));
        }
        Ok(())
    }
}
