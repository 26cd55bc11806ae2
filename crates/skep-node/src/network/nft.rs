//! Lets pods reach the outside by lending them this machine's address: one nf_tables table per node.

use std::io;

use nix::sys::socket::SockProtocol;

use super::Cidr;
use super::netlink::{ACK, APPEND, Attributes, CREATE, Message, REQUEST, Socket};

const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// `nfgenmsg` of the IPv4 family.
const IPV4: [u8; 4] = [2, 0, 0, 0];
/// `nfgenmsg` that opens and closes a batch for nf_tables.
const BATCH: [u8; 4] = [0, 0, 0, 10];

const TABLE_OWNED: u32 = 0x2;
const HOOK_POSTROUTING: u32 = 4;
const PRIORITY_SOURCE_NAT: u32 = 100;
const CHAIN: &str = "postrouting";
const OFFSET_SOURCE: u32 = 12;
const OFFSET_DESTINATION: u32 = 16;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

/// Adds the table `name`: what leaves `pods` for anywhere else gets this machine's address. The kernel removes the table
/// when the returned socket closes, even by a kill, where it knows owned tables (5.12 and later).
pub(super) fn masquerade(name: &str, pods: Cidr) -> io::Result<Socket> {
    let mut socket = Socket::open(SockProtocol::NetlinkNetFilter)?;
    // What a dead node may have left where tables have no owner.
    let _ = socket.batch(&batch(vec![Message::new(DELETE_TABLE, REQUEST | ACK, &IPV4).text(1, name)]));
    if socket.batch(&batch(table(name, TABLE_OWNED, pods))).is_err() {
        socket = Socket::open(SockProtocol::NetlinkNetFilter)?;
        socket.batch(&batch(table(name, 0, pods)))?;
    }
    Ok(socket)
}

/// Removes the table.
pub(super) fn remove(socket: &mut Socket, name: &str) -> io::Result<()> {
    socket.batch(&batch(vec![Message::new(DELETE_TABLE, REQUEST | ACK, &IPV4).text(1, name)]))
}

fn batch(messages: Vec<Message>) -> Vec<Message> {
    let mut all = vec![Message::new(BATCH_BEGIN, REQUEST, &BATCH)];
    all.extend(messages);
    all.push(Message::new(BATCH_END, REQUEST, &BATCH));
    all
}

fn table(name: &str, flags: u32, pods: Cidr) -> Vec<Message> {
    let hook = Attributes::default()
        .attribute(1, &HOOK_POSTROUTING.to_be_bytes())
        .attribute(2, &PRIORITY_SOURCE_NAT.to_be_bytes());
    let mut rule = Attributes::default();
    for expression in from_inside(OFFSET_SOURCE, pods, EQUAL)
        .into_iter()
        .chain(from_inside(OFFSET_DESTINATION, pods, NOT_EQUAL))
        .chain([expression("masq", &Attributes::default())])
    {
        rule = rule.nest(1, &expression);
    }
    vec![
        Message::new(NEW_TABLE, REQUEST | ACK | CREATE, &IPV4)
            .text(1, name)
            .attribute(2, &flags.to_be_bytes()),
        Message::new(NEW_CHAIN, REQUEST | ACK | CREATE, &IPV4)
            .text(1, name)
            .text(3, CHAIN)
            .nest(4, &hook)
            .text(7, "nat"),
        Message::new(NEW_RULE, REQUEST | ACK | CREATE | APPEND, &IPV4)
            .text(1, name)
            .text(2, CHAIN)
            .nest(4, &rule),
    ]
}

/// Compares the packet's address at `offset` of its IPv4 header with the subnet.
fn from_inside(offset: u32, subnet: Cidr, comparison: u32) -> [Attributes; 3] {
    let number = |value: u32| value.to_be_bytes();
    let data = |bytes: [u8; 4]| Attributes::default().attribute(1, &bytes);
    let bits = u32::MAX.checked_shl(32 - u32::from(subnet.prefix())).unwrap_or(0);
    let load = Attributes::default()
        .attribute(1, &number(1))
        .attribute(2, &number(1))
        .attribute(3, &number(offset))
        .attribute(4, &number(4));
    let mask = Attributes::default()
        .attribute(1, &number(1))
        .attribute(2, &number(1))
        .attribute(3, &number(4))
        .nest(4, &data(number(bits)))
        .nest(5, &data([0; 4]));
    let compare = Attributes::default()
        .attribute(1, &number(1))
        .attribute(2, &number(comparison))
        .nest(3, &data(subnet.address().octets()));
    [expression("payload", &load), expression("bitwise", &mask), expression("cmp", &compare)]
}

fn expression(name: &str, data: &Attributes) -> Attributes {
    Attributes::default().text(1, name).nest(2, data)
}
