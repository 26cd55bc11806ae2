//! Questions for the machine's own resolvers, passed on byte for byte under a message id of our own.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::net::{TcpStream, UdpSocket};

/// How long one resolver may take, per try. Clients commonly give up after 5 s.
const TRY: Duration = Duration::from_millis(1500);
/// How often the list of resolvers is gone through.
const ROUNDS: usize = 2;

/// Response codes, in the low bits of a header's fourth byte, that another resolver may do better than.
const SERVFAIL: u8 = 2;
const REFUSED: u8 = 5;

/// The first good answer by UDP, at most `limit` bytes long: one that was cut short is asked for again by TCP, and
/// given as it was if the whole does not fit. When nobody answers by UDP (it is filtered, say), TCP is tried.
pub(super) async fn ask(resolvers: &[SocketAddr], query: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut worst = None;
    for &resolver in resolvers.iter().cycle().take(resolvers.len() * ROUNDS) {
        match tokio::time::timeout(TRY, by_udp(resolver, query)).await {
            Ok(Ok(answer)) if truncated(&answer) => {
                let whole = tokio::time::timeout(TRY, by_tcp(resolver, query)).await;
                let whole = whole.ok().and_then(Result::ok).filter(|whole| whole.len() <= limit);
                return Some(whole.unwrap_or(answer));
            }
            Ok(Ok(answer)) if inconclusive(&answer) => worst = Some(answer),
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, %resolver, "resolver does not answer"),
            Err(_) => tracing::debug!(%resolver, "resolver is silent"),
        }
    }
    match worst {
        Some(answer) => Some(answer),
        None => ask_tcp(resolvers, query).await.filter(|answer| answer.len() <= limit),
    }
}

/// The first good answer by TCP.
pub(super) async fn ask_tcp(resolvers: &[SocketAddr], query: &[u8]) -> Option<Vec<u8>> {
    let mut worst = None;
    for &resolver in resolvers {
        match tokio::time::timeout(TRY, by_tcp(resolver, query)).await {
            Ok(Ok(answer)) if inconclusive(&answer) => worst = Some(answer),
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, %resolver, "resolver does not answer by TCP"),
            Err(_) => tracing::debug!(%resolver, "resolver is silent on TCP"),
        }
    }
    worst
}

fn truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

fn inconclusive(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|flags| matches!(flags & 0x0f, SERVFAIL | REFUSED))
}

async fn by_udp(resolver: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A port of its own per question, and only this resolver may answer: hard to forge.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    let asked = under_new_id(query);
    socket.send(&asked).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = under_old_id(&buffer[..length], &asked, query) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(resolver: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let asked = under_new_id(query);
    super::write_framed(&mut stream, &asked).await?;
    let answer = super::read_framed(&mut stream).await?;
    under_old_id(&answer, &asked, query).ok_or_else(|| io::Error::other("an answer to another question"))
}

fn under_new_id(query: &[u8]) -> Vec<u8> {
    let mut asked = query.to_vec();
    for (byte, new) in asked.iter_mut().zip(rand::random::<[u8; 2]>()) {
        *byte = new;
    }
    asked
}

/// `answer` with the id of `query`, if it is an answer to what was asked.
fn under_old_id(answer: &[u8], asked: &[u8], query: &[u8]) -> Option<Vec<u8>> {
    let is_answer = answer.len() >= 12 && answer[..2] == asked[..2] && answer[2] & 0x80 != 0;
    is_answer.then(|| query.iter().take(2).chain(&answer[2..]).copied().collect())
}
