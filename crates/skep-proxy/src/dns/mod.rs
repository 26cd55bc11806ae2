//! DNS for pods: the cluster's names from a table, everything else from the machine's own resolvers.
//!
//! `table` answers, `upstream` asks others. Only the wire format is hickory's; the server is the two loops below.

mod table;
mod upstream;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Mutex, Semaphore},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    BindError,
    accept::{accept, listen},
};
use table::{Answer, Table};

/// Queries that wait for an upstream at once; beyond it they are dropped, and resolvers ask again.
const FORWARDED: usize = 512;
/// TCP connections at once.
const TCP_CONNECTIONS: usize = 128;
/// How long a TCP client may be silent.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// The largest UDP answer, whatever a client offers: what fits an unfragmented packet (dnsflagday.net/2020).
const UDP_MAX: u16 = 1232;
/// The largest UDP answer for a client that says nothing (RFC 1035).
const UDP_PLAIN: u16 = 512;

/// The running DNS server. Clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Dns {
    shared: Arc<Shared>,
    addresses: Arc<[SocketAddr]>,
    loops: Arc<Mutex<JoinSet<()>>>,
}

#[derive(Debug)]
struct Shared {
    table: RwLock<Arc<Table>>,
    upstream: Vec<SocketAddr>,
    forwarded: Arc<Semaphore>,
    queries: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

impl Dns {
    /// Listens on UDP and TCP of every address in `bind` (with port 0, on the same port of both), knowing no names yet.
    /// What is not the cluster's is asked of `upstream`, in that order.
    ///
    /// # Errors
    /// When one of the addresses cannot be listened on; then none is.
    pub fn start(bind: Vec<SocketAddr>, upstream: Vec<SocketAddr>) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        for address in bind {
            let pair = bind_both(address);
            sockets.push(pair.map_err(|source| BindError {
                name: "dns".to_owned(),
                listen: address,
                source,
            })?);
        }
        let shared = Arc::new(Shared {
            table: RwLock::default(),
            upstream,
            forwarded: Arc::new(Semaphore::new(FORWARDED)),
            queries: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let permits = Arc::new(Semaphore::new(TCP_CONNECTIONS));
        let mut loops = JoinSet::new();
        let mut addresses = Vec::new();
        for (address, udp, tcp) in sockets {
            addresses.push(address);
            loops.spawn(serve_udp(Arc::clone(&shared), Arc::new(udp)));
            let held = Arc::clone(&shared);
            let serve = move |stream, _, permit| {
                let connection = serve_tcp(Arc::clone(&held), stream);
                held.queries.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            };
            loops.spawn(accept(tcp, Arc::clone(&permits), shared.stop.clone(), serve));
        }
        Ok(Self { shared, addresses: addresses.into(), loops: Arc::new(Mutex::new(loops)) })
    }

    /// Where it listens, in the order of `bind`, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Replaces all names. They are fully qualified (`api.honeydue.svc.cluster.local`), with or without the final dot.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the table is handed over, as to the other two servers"
    )]
    pub fn set(&self, names: HashMap<String, Vec<IpAddr>>) {
        let table = Arc::new(Table::new(&names));
        *self.shared.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Stops answering; queries that wait for an upstream are dropped.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        let mut loops = self.loops.lock().await;
        while loops.join_next().await.is_some() {}
        self.shared.queries.close();
        self.shared.queries.wait().await;
    }
}

impl Shared {
    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer to `query`, or `None` if it is nothing that could be answered.
    async fn answer(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let message = match self.local(query, transport) {
            Local::Answered(bytes) => return Some(bytes),
            Local::Ignored => return None,
            Local::Foreign(message) => message,
        };
        let limit = usize::from(payload(&message));
        let answer = match transport {
            Transport::Udp => upstream::ask(&self.upstream, query, limit).await,
            Transport::Tcp => upstream::ask_tcp(&self.upstream, query).await,
        };
        answer.or_else(|| failed(query, &message, ResponseCode::ServFail))
    }

    /// What can be said without asking anybody.
    fn local(&self, query: &[u8], transport: Transport) -> Local {
        // Answering answers is how two servers keep each other busy for ever.
        if query.len() < 12 || query[2] & 0x80 != 0 {
            return Local::Ignored;
        }
        let Ok(message) = Message::from_vec(query) else {
            let id = u16::from_be_bytes([query[0], query[1]]);
            let malformed = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
            return malformed.to_vec().map_or(Local::Ignored, Local::Answered);
        };
        let response = match self.table().answer(&message) {
            Answer::Foreign => return Local::Foreign(Box::new(message)),
            Answer::Known(response) => response,
        };
        let bytes = response.to_vec().ok().and_then(|bytes| {
            if transport == Transport::Udp && bytes.len() > usize::from(payload(&message)) {
                // Over TCP the client gets all of it.
                return response.truncate().to_vec().ok();
            }
            Some(bytes)
        });
        bytes.map_or(Local::Ignored, Local::Answered)
    }
}

enum Local {
    Answered(Vec<u8>),
    Foreign(Box<Message>),
    Ignored,
}

/// The largest UDP answer that the sender of `query` can take.
fn payload(query: &Message) -> u16 {
    query.edns.as_ref().map_or(UDP_PLAIN, |edns| edns.max_payload().clamp(UDP_PLAIN, UDP_MAX))
}

fn failed(query: &[u8], message: &Message, code: ResponseCode) -> Option<Vec<u8>> {
    let id = u16::from_be_bytes([*query.first()?, *query.get(1)?]);
    let mut response = Message::new(id, MessageType::Response, message.metadata.op_code);
    response.metadata.response_code = code;
    response.metadata.recursion_desired = message.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.add_queries(message.queries.iter().cloned());
    response.to_vec().ok()
}

fn bind_both(address: SocketAddr) -> io::Result<(SocketAddr, UdpSocket, TcpListener)> {
    let tcp = listen(address)?;
    let address = tcp.local_addr()?;
    let udp = StdUdpSocket::bind(address)?;
    udp.set_nonblocking(true)?;
    Ok((address, UdpSocket::from_std(udp)?, tcp))
}

async fn serve_udp(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = shared.stop.cancelled() => return,
        };
        // An error here is about an earlier answer (its client is gone), not about this socket.
        let Ok((length, client)) = received else { continue };
        let query = &buffer[..length];
        match shared.local(query, Transport::Udp) {
            Local::Ignored => {}
            Local::Answered(answer) => reply(&socket, &answer, client).await,
            Local::Foreign(_) => {
                let Ok(permit) = Arc::clone(&shared.forwarded).try_acquire_owned() else {
                    continue;
                };
                let (held, socket, query) = (Arc::clone(&shared), Arc::clone(&socket), query.to_vec());
                shared.queries.spawn(async move {
                    tokio::select! {
                        answer = held.answer(&query, Transport::Udp) => {
                            if let Some(answer) = answer {
                                reply(&socket, &answer, client).await;
                            }
                        }
                        () = held.stop.cancelled() => {}
                    }
                    drop(permit);
                });
            }
        }
    }
}

async fn reply(socket: &UdpSocket, answer: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(answer, client).await {
        tracing::debug!(%error, %client, "cannot answer");
    }
}

async fn serve_tcp(shared: Arc<Shared>, mut stream: TcpStream) {
    let questions = async {
        loop {
            let query = tokio::time::timeout(TCP_IDLE, read_framed(&mut stream)).await??;
            let Some(answer) = shared.answer(&query, Transport::Tcp).await else {
                return io::Result::Ok(());
            };
            write_framed(&mut stream, &answer).await?;
        }
    };
    tokio::select! {
        ended = questions => {
            if let Err(error) = ended {
                tracing::trace!(%error, "TCP client left");
            }
        }
        () = shared.stop.cancelled() => {}
    }
}

/// A message with its length before it, as DNS over TCP has it (RFC 1035, 4.2.2).
async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}
