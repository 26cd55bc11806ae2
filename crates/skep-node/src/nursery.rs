//! The node's end of the process that holds the pods: it is started here, asked for processes, and replaced if it dies.

use std::collections::HashMap;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child as OsChild, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, setsockopt, socketpair, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::pipe2;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::init::INIT_MARKER;
use crate::init::wire::{ContainerSpec, Exit, HolderSpec, Order, Reply, Request, SandboxSpec, StartFailure};
use crate::{NodeError, sys};

/// A process that the holder started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    /// Answers once; an error means that the holder died, and everything in it.
    pub(crate) exit: oneshot::Receiver<Exit>,
}

/// A running program and what it writes.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

/// Makes processes in pods.
#[derive(Debug)]
pub(crate) struct Nursery {
    program: PathBuf,
    spec: HolderSpec,
    connection: Mutex<Arc<Connection>>,
}

impl Nursery {
    /// Starts the holder and waits for its word. Blocks.
    pub(crate) fn start(program: &Path, spec: HolderSpec) -> Result<Self, NodeError> {
        let connection = Mutex::new(Connection::open(program, &spec)?);
        Ok(Self { program: program.to_owned(), spec, connection })
    }

    /// The live connection. A holder that died (somebody killed it) is replaced; its pods have ended with it.
    fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut held = lock(&self.connection);
        if held.dead.load(Ordering::Acquire) {
            *held = Connection::open(&self.program, &self.spec).map_err(|error| error.to_string())?;
        }
        Ok(Arc::clone(&held))
    }

    /// Makes a pod's namespaces.
    pub(crate) async fn sandbox(&self, spec: SandboxSpec) -> Result<Child, String> {
        self.connection()?.ask(Order::Sandbox(spec), &[]).await
    }

    /// Starts a container in the pod whose namespaces process `sandbox` holds.
    pub(crate) async fn run(&self, sandbox: i32, spec: &ContainerSpec) -> Result<Running, String> {
        self.begin(Order::Run { sandbox }, spec).await
    }

    /// Starts a program in the container whose first process is `target`.
    pub(crate) async fn exec(&self, target: i32, spec: &ContainerSpec) -> Result<Running, String> {
        self.begin(Order::Exec { target }, spec).await
    }

    async fn begin(&self, order: Order, spec: &ContainerSpec) -> Result<Running, String> {
        let words = |error: io::Error| format!("prepare a process: {error}");
        let file = in_memory(spec).map_err(words)?;
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|error| words(error.into()));
        let ((out, out_end), (err, err_end), (status, status_end)) = (pipe()?, pipe()?, pipe()?);
        let descriptors = [file, out_end, err_end, status_end];
        let child = self.connection()?.ask(order, &descriptors).await?;
        drop(descriptors);
        let mut said = Vec::new();
        pipe::Receiver::from_owned_fd(status).map_err(words)?.read_to_end(&mut said).await.map_err(words)?;
        if !said.is_empty() {
            let failure = serde_json::from_slice(&said);
            return Err(failure.map_or_else(|error| error.to_string(), |StartFailure { message }| message));
        }
        let stdout = pipe::Receiver::from_owned_fd(out).map_err(words)?;
        let stderr = pipe::Receiver::from_owned_fd(err).map_err(words)?;
        Ok(Running { child, stdout, stderr })
    }

    /// Sends a signal to a process that was started here; one that has ended is not minded.
    pub(crate) fn signal(&self, pid: i32, signal: Signal) {
        let connection = Arc::clone(&lock(&self.connection));
        // A holder that is gone has taken the process with it.
        let _ = connection.send(&Request { id: 0, order: Order::Signal { pid, signal: signal as i32 } }, &[]);
    }

    /// Ends the holder and with it every pod, and waits until it is gone. Blocks.
    pub(crate) fn stop(&self) {
        let connection = Arc::clone(&lock(&self.connection));
        let _ = nix::sys::socket::shutdown(connection.socket.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        let reader = lock(&connection.reader).take();
        if let Some(reader) = reader {
            let _ = reader.join();
        }
    }

    /// The holder's process id.
    pub(crate) fn pid(&self) -> u32 {
        lock(&self.connection).pid
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|held| held.into_inner())
}

fn in_memory(spec: &ContainerSpec) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create(c"skep-spec", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    Ok(file.into())
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    pid: u32,
    dead: AtomicBool,
    next: AtomicU64,
    calls: Mutex<Calls>,
    reader: Mutex<Option<std::thread::JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: HashMap<u64, oneshot::Sender<Result<Child, String>>>,
    exits: HashMap<i32, oneshot::Sender<Exit>>,
}

impl Connection {
    fn open(program: &Path, spec: &HolderSpec) -> Result<Arc<Self>, NodeError> {
        let failed = |message: &str, source: Option<io::Error>| NodeError::Init {
            program: program.to_owned(),
            message: message.to_owned(),
            source,
        };
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|error| failed("make a socket", Some(error.into())))?;
        let argument =
            serde_json::to_string(spec).map_err(|error| failed("say what to do", Some(error.into())))?;
        let mut process = skep_process::command(program)
            .args([INIT_MARKER, argument.as_str()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed("run it", Some(error)))?;
        if let Err(message) = await_ready(&ours) {
            let _ = process.kill();
            let _ = process.wait();
            return Err(failed(&message, None));
        }
        let connection = Arc::new(Self {
            socket: ours,
            pid: process.id(),
            dead: AtomicBool::new(false),
            next: AtomicU64::new(1),
            calls: Mutex::default(),
            reader: Mutex::new(None),
        });
        let reading = Arc::clone(&connection);
        let thread = std::thread::Builder::new()
            .name("skep-nursery".to_owned())
            .spawn(move || reading.read(process))
            .map_err(|error| failed("start a thread", Some(error)))?;
        *lock(&connection.reader) = Some(thread);
        Ok(connection)
    }

    async fn ask(&self, order: Order, descriptors: &[OwnedFd]) -> Result<Child, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.calls).waiting.insert(id, answer);
        if let Err(error) = self.send(&Request { id, order }, descriptors) {
            lock(&self.calls).waiting.remove(&id);
            return Err(format!("ask the process that holds pods: {error}"));
        }
        answered.await.unwrap_or_else(|_| Err("the process that holds pods died".to_owned()))
    }

    fn send(&self, request: &Request, descriptors: &[OwnedFd]) -> io::Result<()> {
        let text = serde_json::to_vec(request)?;
        let numbers: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
        sendmsg::<()>(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&text)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        Ok(())
    }

    /// Replies, until the holder is gone.
    fn read(&self, mut process: OsChild) {
        while let Ok(Some((packet, _))) = sys::receive(self.socket.as_fd()) {
            let Ok(reply) = serde_json::from_slice(&packet) else { continue };
            let mut calls = lock(&self.calls);
            match reply {
                Reply::Started { id, pid } => {
                    // Registered before the answer is read: the exit may be the next packet.
                    let (exited, exit) = oneshot::channel();
                    calls.exits.insert(pid, exited);
                    if let Some(answer) = calls.waiting.remove(&id) {
                        let _ = answer.send(Ok(Child { pid, exit }));
                    }
                }
                Reply::Failed { id, message } => {
                    if let Some(answer) = calls.waiting.remove(&id) {
                        let _ = answer.send(Err(message));
                    }
                }
                Reply::Exited { pid, exit } => {
                    if let Some(exited) = calls.exits.remove(&pid) {
                        let _ = exited.send(exit);
                    }
                }
                Reply::Ready | Reply::Unable { .. } => {}
            }
        }
        self.dead.store(true, Ordering::Release);
        let _ = process.wait();
        *lock(&self.calls) = Calls::default();
    }
}

/// The first packet. A program that does not call `init_main` says nothing.
fn await_ready(socket: &OwnedFd) -> Result<(), String> {
    let timeout = |seconds| setsockopt(socket, sockopt::ReceiveTimeout, &TimeVal::new(seconds, 0));
    timeout(20).map_err(|error| error.to_string())?;
    match sys::receive(socket.as_fd()) {
        Ok(Some((packet, _))) => match serde_json::from_slice(&packet) {
            Ok(Reply::Ready) => timeout(0).map_err(|error| error.to_string()),
            Ok(Reply::Unable { message }) => Err(message),
            Ok(_) | Err(_) => Err("it answered something else".to_owned()),
        },
        Ok(None) => Err("it ended at once; does its main call skep_node::init_main first?".to_owned()),
        Err(error) => Err(format!(
            "it did not answer within 20 s ({error}); does its main call skep_node::init_main first?"
        )),
    }
}
