//! An IPv4 subnet as a value.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 subnet: `10.42.7.0/24`. The address' host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// The subnet of `prefix` bits (0 to 32) that holds `address`.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { address: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// The first address, which names the subnet.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The number of leading bits that are fixed.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How many addresses it holds, the first and the last included.
    #[must_use]
    pub fn size(&self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// The address at `index` from the first, if it is inside.
    #[must_use]
    pub fn nth(&self, index: u32) -> Option<Ipv4Addr> {
        (u64::from(index) < self.size())
            .then(|| Ipv4Addr::from_bits(self.address.to_bits().wrapping_add(index)))
    }

    /// Whether `address` is inside.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.address.to_bits()
    }

    /// Whether any address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The text is not `a.b.c.d/bits`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an IPv4 subnet such as 10.42.7.0/24")]
pub struct CidrError {
    text: String,
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || CidrError { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let prefix = prefix.parse().ok().filter(|bits| *bits <= 32).ok_or_else(wrong)?;
        Ok(Self::new(address.parse().map_err(|_| wrong())?, prefix))
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(subnet: Cidr) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_knows_its_addresses() {
        let subnet: Cidr = "10.42.7.9/24".parse().unwrap();
        assert_eq!(subnet.to_string(), "10.42.7.0/24");
        assert_eq!(subnet.nth(1), Some(Ipv4Addr::new(10, 42, 7, 1)));
        assert_eq!(subnet.nth(256), None);
        assert!(subnet.contains(Ipv4Addr::new(10, 42, 7, 255)));
        assert!(!subnet.contains(Ipv4Addr::new(10, 42, 8, 0)));
        assert!(subnet.overlaps(&"10.0.0.0/8".parse().unwrap()));
        assert!(!subnet.overlaps(&"10.42.8.0/24".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains(Ipv4Addr::LOCALHOST));
        assert!("10.42.7.0".parse::<Cidr>().is_err());
        assert!("10.42.7.0/33".parse::<Cidr>().is_err());
    }
}
