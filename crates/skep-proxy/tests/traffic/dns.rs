//! DNS, asked the way resolvers ask.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use skep_proxy::Dns;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::SOON;

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message
}

async fn udp(at: SocketAddr, message: &Message) -> Message {
    let socket = UdpSocket::bind((LOCAL, 0)).await.expect("a port");
    socket.send_to(&message.to_vec().expect("valid"), at).await.expect("sent");
    let mut buffer = vec![0; 4096];
    let length =
        tokio::time::timeout(SOON, socket.recv(&mut buffer)).await.expect("in time").expect("an answer");
    Message::from_vec(&buffer[..length]).expect("a message")
}

async fn tcp(at: SocketAddr, messages: &[Message]) -> Vec<Message> {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let mut answers = Vec::new();
    for message in messages {
        let bytes = message.to_vec().expect("valid");
        stream.write_u16(bytes.len().try_into().expect("short")).await.expect("sent");
        stream.write_all(&bytes).await.expect("sent");
        let mut answer = vec![0; usize::from(stream.read_u16().await.expect("an answer"))];
        stream.read_exact(&mut answer).await.expect("a whole one");
        answers.push(Message::from_vec(&answer).expect("a message"));
    }
    answers
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    let address = |record: &Record| match record.data {
        RData::A(ip) => Some(IpAddr::V4(ip.0)),
        RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
        _ => None,
    };
    message.answers.iter().filter_map(address).collect()
}

fn start(upstream: Vec<SocketAddr>) -> (Dns, SocketAddr) {
    let dns = Dns::start(vec![(LOCAL, 0).into()], upstream).expect("a free port");
    let at = dns.addresses()[0];
    (dns, at)
}

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 44, 0, last))
}

#[tokio::test]
async fn cluster_names_are_answered_here() {
    let (dns, at) = start(vec![]);
    dns.set(HashMap::from([
        ("api.honeydue.svc.cluster.local.".to_owned(), vec![ip(1)]),
        ("Pods.honeydue.svc.cluster.local".to_owned(), vec![ip(2), ip(3), Ipv6Addr::LOCALHOST.into()]),
    ]));
    let answer = udp(at, &question("API.honeydue.svc.cluster.local.", RecordType::A)).await;
    assert_eq!((answer.metadata.id, answer.metadata.response_code), (4711, ResponseCode::NoError));
    assert_eq!(addresses(&answer), [ip(1)]);
    assert_eq!(
        answer.queries[0].name().to_string(),
        "API.honeydue.svc.cluster.local.",
        "as it was asked (0x20)"
    );
    for (name, kind, code, expected) in [
        ("pods.honeydue.svc.cluster.local.", RecordType::A, ResponseCode::NoError, vec![ip(2), ip(3)]),
        (
            "pods.honeydue.svc.cluster.local.",
            RecordType::AAAA,
            ResponseCode::NoError,
            vec![Ipv6Addr::LOCALHOST.into()],
        ),
        ("api.honeydue.svc.cluster.local.", RecordType::AAAA, ResponseCode::NoError, vec![]),
        ("api.honeydue.svc.cluster.local.", RecordType::SRV, ResponseCode::NoError, vec![]),
        // It exists, though nothing is there: musl takes NXDOMAIN for the end of the search.
        ("honeydue.svc.cluster.local.", RecordType::A, ResponseCode::NoError, vec![]),
        ("nobody.honeydue.svc.cluster.local.", RecordType::A, ResponseCode::NXDomain, vec![]),
        ("example.com.honeydue.svc.cluster.local.", RecordType::A, ResponseCode::NXDomain, vec![]),
    ] {
        let answer = udp(at, &question(name, kind)).await;
        assert_eq!(answer.metadata.response_code, code, "{name} {kind}");
        assert_eq!(addresses(&answer), expected, "{name} {kind}");
    }
    let pointer = udp(at, &question("1.0.44.10.in-addr.arpa.", RecordType::PTR)).await;
    assert_eq!(pointer.answers[0].data.to_string(), "api.honeydue.svc.cluster.local.");
    let outside = udp(at, &question("example.com.", RecordType::A)).await;
    assert_eq!(outside.metadata.response_code, ResponseCode::ServFail, "there is nobody to ask");
    dns.shutdown().await;
}

#[tokio::test]
async fn what_udp_cannot_carry_is_cut_and_comes_whole_by_tcp() {
    let (dns, at) = start(vec![]);
    let all = (1..=60).map(ip).collect::<Vec<_>>();
    let name = "many.ns.svc.cluster.local.";
    dns.set(HashMap::from([(name.to_owned(), all.clone())]));
    let asked = question(name, RecordType::A);
    let cut = udp(at, &asked).await;
    assert!(cut.metadata.truncation);
    let mut large = asked.clone();
    large.set_edns({
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        edns
    });
    let whole = udp(at, &large).await;
    assert!(!whole.metadata.truncation && whole.edns.is_some());
    assert_eq!(addresses(&whole), all);
    for answer in tcp(at, &[asked.clone(), asked]).await {
        assert_eq!(addresses(&answer), all);
    }
    dns.shutdown().await;
}

/// A resolver that knows every name; by UDP it cuts the names that begin with `big`.
async fn resolver() -> SocketAddr {
    let tcp = TcpListener::bind((LOCAL, 0)).await.expect("a port");
    let address = tcp.local_addr().expect("bound");
    let udp = Arc::new(UdpSocket::bind(address).await.expect("the same port"));
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let (length, client) = udp.recv_from(&mut buffer).await.expect("a query");
            let response = resolve(&buffer[..length], true);
            udp.send_to(&response, client).await.expect("sent");
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.expect("accept");
            let mut query = vec![0; usize::from(stream.read_u16().await.expect("a query"))];
            stream.read_exact(&mut query).await.expect("a whole one");
            let response = resolve(&query, false);
            stream.write_u16(response.len().try_into().expect("short")).await.expect("sent");
            stream.write_all(&response).await.expect("sent");
        }
    });
    address
}

fn resolve(query: &[u8], udp: bool) -> Vec<u8> {
    let query = Message::from_vec(query).expect("a message");
    let mut response = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    let asked = query.queries[0].clone();
    if udp && asked.name().to_string().starts_with("big") {
        response.metadata.truncation = true;
    } else {
        response.add_answer(Record::from_rdata(asked.name().clone(), 60, RData::A(LOCAL.into())));
    }
    response.add_query(asked);
    response.to_vec().expect("valid")
}

#[tokio::test]
async fn other_names_are_forwarded_past_resolvers_that_do_not_answer() {
    // One that refuses (nobody is there), then one that works.
    let closed = UdpSocket::bind((LOCAL, 0)).await.expect("a port").local_addr().expect("bound");
    let (dns, at) = start(vec![closed, resolver().await]);
    let asked = question("example.com.", RecordType::A);
    let answer = udp(at, &asked).await;
    assert_eq!((answer.metadata.id, addresses(&answer)), (4711, vec![IpAddr::V4(LOCAL)]));
    assert_eq!(addresses(&tcp(at, &[asked]).await[0]), [IpAddr::V4(LOCAL)]);
    let cut = question("big.example.com.", RecordType::A);
    assert_eq!(addresses(&udp(at, &cut).await), [IpAddr::V4(LOCAL)], "asked again by TCP");
    dns.shutdown().await;
}

#[tokio::test]
async fn nonsense_does_no_harm_and_shutdown_frees_the_port() {
    let silent = UdpSocket::bind((LOCAL, 0)).await.expect("a port");
    let (dns, at) = start(vec![silent.local_addr().expect("bound")]);
    let socket = UdpSocket::bind((LOCAL, 0)).await.expect("a port");
    for nonsense in [&b""[..], b"x", &[0xff; 40], &[0; 13]] {
        socket.send_to(nonsense, at).await.expect("sent");
    }
    // Waits for the silent resolver when the end comes.
    let pending = question("example.com.", RecordType::A).to_vec().expect("valid");
    socket.send_to(&pending, at).await.expect("sent");
    let answer = udp(at, &question("x.cluster.local.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    tokio::time::timeout(Duration::from_secs(1), dns.shutdown()).await.expect("at once");
    let again = Dns::start(vec![at], vec![]).expect("the port is free");
    let clash = Dns::start(vec![at], vec![]).expect_err("the port is taken");
    assert_eq!((clash.name.as_str(), clash.listen), ("dns", at));
    again.shutdown().await;
}
