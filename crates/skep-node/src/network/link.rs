//! Links, addresses and routes.

use std::io;
use std::net::Ipv4Addr;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::SockProtocol;

use super::Cidr;
use super::netlink::{ACK, Attributes, CREATE, DUMP, EXCLUSIVE, Message, REQUEST, Socket, attributes};
use crate::init::wire::LinkSpec;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const UP: u32 = 1;
const FAMILY_INET: u8 = 2;
const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u8 = 255;
const PROTOCOL_STATIC: u8 = 4;
const TYPE_UNICAST: u8 = 1;
const TYPE_LOCAL: u8 = 2;

fn open() -> io::Result<Socket> {
    Socket::open(SockProtocol::NetlinkRoute)
}

fn link_body(index: u32, flags: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&flags.to_ne_bytes());
    body
}

fn address_message(index: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let mut body = [FAMILY_INET, prefix, 0, 0, 0, 0, 0, 0];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    Message::new(NEW_ADDRESS, REQUEST | ACK | CREATE | EXCLUSIVE, &body)
        .attribute(IFA_LOCAL, &address.octets())
        .attribute(IFA_ADDRESS, &address.octets())
}

/// Scope 0: the universe; 254: this host.
fn route_body(prefix: u8, table: u8, scope: u8, kind: u8) -> [u8; 12] {
    [FAMILY_INET, prefix, 0, 0, table, PROTOCOL_STATIC, scope, kind, 0, 0, 0, 0]
}

fn index_of(name: &str) -> io::Result<u32> {
    Ok(if_nametoindex(name)?)
}

/// Makes a bridge with an address, up.
pub(crate) fn make_bridge(
    name: &str,
    mac: [u8; 6],
    address: Ipv4Addr,
    prefix: u8,
    mtu: u32,
) -> io::Result<()> {
    let mut socket = open()?;
    let bridge = Message::new(NEW_LINK, REQUEST | ACK | CREATE | EXCLUSIVE, &link_body(0, UP))
        .text(IFLA_IFNAME, name)
        // Of its own, or it would change with every pod.
        .attribute(IFLA_ADDRESS, &mac)
        .attribute(IFLA_MTU, &mtu.to_ne_bytes())
        .nest(IFLA_LINKINFO, &Attributes::default().text(IFLA_INFO_KIND, "bridge"));
    socket.request(&bridge)?;
    socket.request(&address_message(index_of(name)?, address, prefix))?;
    Ok(())
}

/// Removes a link if there is one of that name.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    let Ok(index) = index_of(name) else { return Ok(()) };
    open()?.request(&Message::new(DELETE_LINK, REQUEST | ACK, &link_body(index, 0)))?;
    Ok(())
}

/// Makes every address of `subnet` an address of this machine.
pub(crate) fn make_local(subnet: Cidr) -> io::Result<()> {
    match local_route(NEW_ROUTE, CREATE | EXCLUSIVE, subnet) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EEXIST) => Ok(()),
        other => other,
    }
}

/// Undoes [`make_local`].
pub(crate) fn make_foreign(subnet: Cidr) -> io::Result<()> {
    match local_route(DELETE_ROUTE, 0, subnet) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(()),
        other => other,
    }
}

fn local_route(kind: u16, flags: u16, subnet: Cidr) -> io::Result<()> {
    let route =
        Message::new(kind, REQUEST | ACK | flags, &route_body(subnet.prefix(), TABLE_LOCAL, 254, TYPE_LOCAL))
            .attribute(RTA_DST, &subnet.address().octets())
            .attribute(RTA_OIF, &index_of("lo")?.to_ne_bytes());
    open()?.request(&route)?;
    Ok(())
}

/// A pod's hardware address, which follows from its address: a pod that is given the address of one just gone is reached
/// at once, where a random one would leave the neighbours' tables wrong for up to a minute.
fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// Gives the pod held by process `pid` a link to the bridge: the host's end here, `eth0` there.
pub(crate) fn connect(spec: &LinkSpec, pid: i32) -> io::Result<()> {
    let mut socket = open()?;
    let peer = Attributes::with_body(&link_body(0, 0))
        .text(IFLA_IFNAME, "eth0")
        .attribute(IFLA_ADDRESS, &hardware_address(spec.address))
        .attribute(IFLA_MTU, &spec.mtu.to_ne_bytes())
        .attribute(IFLA_NET_NS_PID, &pid.to_ne_bytes());
    let data = Attributes::default().nest(VETH_INFO_PEER, &peer);
    let information = Attributes::default().text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, &data);
    let pair = Message::new(NEW_LINK, REQUEST | ACK | CREATE | EXCLUSIVE, &link_body(0, UP))
        .text(IFLA_IFNAME, &spec.host_name)
        .attribute(IFLA_MTU, &spec.mtu.to_ne_bytes())
        .attribute(IFLA_MASTER, &index_of(&spec.bridge)?.to_ne_bytes())
        .nest(IFLA_LINKINFO, &information);
    match socket.request(&pair) {
        // The end of a pod whose namespace the kernel has not yet taken down.
        Err(error) if error.raw_os_error() == Some(nix::libc::EEXIST) => {
            remove(&spec.host_name)?;
            socket.request(&pair)?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// Sets up the pod's own end. Called inside its network namespace.
pub(crate) fn settle(spec: &LinkSpec) -> io::Result<()> {
    let mut socket = open()?;
    let up = |index| Message::new(NEW_LINK, REQUEST | ACK, &link_body(index, UP));
    socket.request(&up(index_of("lo")?))?;
    let eth0 = index_of("eth0")?;
    socket.request(&address_message(eth0, spec.address, spec.prefix))?;
    socket.request(&up(eth0))?;
    let way_out =
        Message::new(NEW_ROUTE, REQUEST | ACK | CREATE, &route_body(0, TABLE_MAIN, 0, TYPE_UNICAST))
            .attribute(RTA_GATEWAY, &spec.gateway.octets())
            .attribute(RTA_OIF, &eth0.to_ne_bytes());
    socket.request(&way_out)?;
    Ok(())
}

/// Every subnet that this machine routes or has an address in, the default route aside; and the index of the link that the
/// default route uses.
pub(crate) fn taken() -> io::Result<(Vec<Cidr>, Option<u32>)> {
    let mut socket = open()?;
    let mut subnets = Vec::new();
    let mut way_out = None;
    let four = |bytes: &[u8]| bytes.first_chunk::<4>().copied();
    let mut body = [0; 12];
    body[0] = FAMILY_INET;
    for (_, answer) in socket.request(&Message::new(GET_ROUTE, REQUEST | DUMP, &body))? {
        let (Some(prefix), Some(rest)) = (answer.get(1).copied(), answer.get(12..)) else { continue };
        let found = attributes(rest);
        let of = |wanted| found.iter().find(|(kind, _)| *kind == wanted).and_then(|(_, value)| four(value));
        match of(RTA_DST) {
            Some(address) => subnets.push(Cidr::new(Ipv4Addr::from(address), prefix)),
            None if prefix == 0 => way_out = way_out.or(of(RTA_OIF).map(u32::from_ne_bytes)),
            None => {}
        }
    }
    for (_, answer) in
        socket.request(&Message::new(GET_ADDRESS, REQUEST | DUMP, &[FAMILY_INET, 0, 0, 0, 0, 0, 0, 0]))?
    {
        let (Some(prefix), Some(rest)) = (answer.get(1).copied(), answer.get(8..)) else { continue };
        let address = attributes(rest)
            .into_iter()
            .find(|(kind, _)| *kind == IFA_LOCAL)
            .and_then(|(_, value)| four(value));
        if let Some(address) = address {
            subnets.push(Cidr::new(Ipv4Addr::from(address), prefix));
        }
    }
    Ok((subnets, way_out))
}
