//! Netlink messages as values, and the socket that they go through.
//!
//! Written by hand because the dozen messages that a node needs must also be sent by a forked child inside a pod's
//! namespace, where no runtime is.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const APPEND: u16 = 0x800;

const HEADER: usize = 16;
const KIND_ERROR: u16 = 2;
const KIND_DONE: u16 = 3;
const NESTED: u16 = 0x8000;

/// A message under construction: header, fixed body, attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(body);
        Self { bytes }
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        push(&mut self.bytes, kind, value);
        self
    }

    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    pub(crate) fn nest(self, kind: u16, attributes: &Attributes) -> Self {
        self.attribute(kind | NESTED, &attributes.bytes)
    }

    /// The packet, with its length and number filled in.
    pub(crate) fn packet(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// What goes into a nested attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    /// Nested attributes that begin with a fixed body.
    pub(crate) fn with_body(body: &[u8]) -> Self {
        Self { bytes: body.to_vec() }
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        push(&mut self.bytes, kind, value);
        self
    }

    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    pub(crate) fn nest(self, kind: u16, inner: &Self) -> Self {
        self.attribute(kind | NESTED, &inner.bytes)
    }
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The attributes in `bytes`, by kind.
pub(crate) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & !NESTED;
        let Some(value) = bytes.get(4..length) else { break };
        found.push((kind, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// A netlink socket of the network namespace that it was opened in.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(crate) fn open(protocol: SockProtocol) -> io::Result<Self> {
        let descriptor = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // The kernel answers at once or not at all.
        setsockopt(&descriptor, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
        Ok(Self { descriptor, sequence: 0 })
    }

    /// Sends one message and returns what came before its acknowledgement: kind and body of each.
    pub(crate) fn request(&mut self, message: &Message) -> io::Result<Vec<(u16, Vec<u8>)>> {
        self.sequence += 1;
        self.transmit(&message.packet(self.sequence))?;
        self.answers(self.sequence)
    }

    /// Sends several messages in one packet; the last one's acknowledgement decides.
    pub(crate) fn batch(&mut self, messages: &[Message]) -> io::Result<()> {
        let mut packet = Vec::new();
        let mut asked = Vec::new();
        for message in messages {
            self.sequence += 1;
            let flags = u16::from_ne_bytes([message.bytes[6], message.bytes[7]]);
            if flags & ACK != 0 {
                asked.push(self.sequence);
            }
            packet.extend(message.packet(self.sequence));
        }
        self.transmit(&packet)?;
        for sequence in asked {
            self.answers(sequence)?;
        }
        Ok(())
    }

    fn transmit(&self, packet: &[u8]) -> io::Result<()> {
        send(self.descriptor.as_raw_fd(), packet, MsgFlags::empty())?;
        Ok(())
    }

    fn answers(&self, sequence: u32) -> io::Result<Vec<(u16, Vec<u8>)>> {
        let mut found = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = recv(self.descriptor.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some((head, _)) = rest.split_first_chunk::<HEADER>() {
                let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
                let kind = u16::from_ne_bytes([head[4], head[5]]);
                let number = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
                let Some(body) = rest.get(HEADER..length) else { break };
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                match kind {
                    KIND_ERROR => {
                        let code = body.first_chunk::<4>().map_or(0, |code| i32::from_ne_bytes(*code));
                        // In a batch the first error speaks, whichever message it is about.
                        if code != 0 {
                            return Err(io::Error::from_raw_os_error(-code));
                        }
                        if number == sequence {
                            return Ok(found);
                        }
                    }
                    KIND_DONE if number == sequence => return Ok(found),
                    _ if number == sequence => found.push((kind, body.to_vec())),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let message = Message::new(16, REQUEST, &[0; 16])
            .text(3, "eth0")
            .nest(18, &Attributes::default().text(1, "veth"));
        let packet = message.packet(7);
        assert_eq!(packet.len() % 4, 0);
        assert_eq!(u32::from_ne_bytes(packet[0..4].try_into().unwrap()) as usize, packet.len());
        let read = attributes(&packet[32..]);
        assert_eq!(read[0], (3, b"eth0\0".as_slice()));
        assert_eq!(read[1].0, 18);
        assert_eq!(attributes(read[1].1), vec![(1, b"veth\0".as_slice())]);
    }
}
