//! Putting a probe's question, and running hooks: HTTP, TCP, a program inside the container.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use nix::sys::signal::Signal;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

use crate::init::wire::ContainerSpec;
use crate::nursery::{Nursery, Running};

/// The most of a program's output that a message quotes.
const QUOTED: usize = 10 * 1024;

/// How long the pipes of a program that has ended are read to their end. One that it left behind may hold them open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A running container, to ask things of.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) nursery: Arc<Nursery>,
    pub(crate) pid: i32,
    pub(crate) address: Ipv4Addr,
    pub(crate) container: Arc<Container>,
    /// The container's specification without a root: what a program inside it gets.
    pub(crate) inside: Arc<ContainerSpec>,
    pub(crate) http: reqwest::Client,
}

impl Target {
    /// Asks once, within the probe's timeout. The error is in the kubelet's words.
    pub(crate) async fn probe(&self, probe: &Probe) -> Result<(), String> {
        let timeout = Duration::from_secs(
            probe.timeout_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(1).max(1),
        );
        if let Some(exec) = &probe.exec {
            self.exec(exec, timeout).await
        } else if let Some(get) = &probe.http_get {
            self.http(get, timeout, true).await
        } else if let Some(tcp) = &probe.tcp_socket {
            self.tcp(tcp, timeout).await
        } else if probe.grpc.is_some() {
            Err("gRPC probes are not supported on this node; use httpGet, tcpSocket or exec".to_owned())
        } else {
            Err("missing probe handler".to_owned())
        }
    }

    /// Runs a hook, within `timeout`.
    pub(crate) async fn hook(&self, handler: &LifecycleHandler, timeout: Duration) -> Result<(), String> {
        if let Some(exec) = &handler.exec {
            self.exec(exec, timeout).await
        } else if let Some(get) = &handler.http_get {
            self.http(get, timeout, false).await
        } else if let Some(sleep) = &handler.sleep {
            let wanted = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
            tokio::time::sleep(wanted.min(timeout)).await;
            Ok(())
        } else if let Some(tcp) = &handler.tcp_socket {
            self.tcp(tcp, timeout).await
        } else {
            Ok(())
        }
    }

    async fn http(&self, get: &HTTPGetAction, timeout: Duration, judge: bool) -> Result<(), String> {
        let port = self.port(&get.port)?;
        let host =
            get.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| self.address.to_string());
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let path = get.path.as_deref().unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("{scheme}://{host}:{port}{slash}{path}");
        let mut request = self.http.get(&url).timeout(timeout);
        for header in get.http_headers.iter().flatten() {
            request = request.header(&header.name, &header.value);
        }
        let quoted = |error: &dyn std::error::Error| {
            let mut cause = error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            let words = cause.to_string();
            format!("Get {url:?}: {}", words.split(" (os error").next().unwrap_or(&words).to_lowercase())
        };
        match request.send().await {
            Err(error) if error.is_timeout() => Err(format!(
                "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            )),
            Err(error) => Err(quoted(&error)),
            Ok(answer) if judge && !(200..400).contains(&answer.status().as_u16()) => {
                Err(format!("HTTP probe failed with statuscode: {}", answer.status().as_u16()))
            }
            Ok(_) => Ok(()),
        }
    }

    async fn tcp(&self, tcp: &TCPSocketAction, timeout: Duration) -> Result<(), String> {
        let port = self.port(&tcp.port)?;
        let host = tcp
            .host
            .clone()
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| IpAddr::V4(self.address).to_string());
        let connect = tokio::net::TcpStream::connect((host.as_str(), port));
        match tokio::time::timeout(timeout, connect).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let words = error.to_string().to_lowercase();
                Err(format!(
                    "dial tcp {host}:{port}: connect: {}",
                    words.split(" (os error").next().unwrap_or(&words)
                ))
            }
            Err(_) => Err(format!("dial tcp {host}:{port}: i/o timeout")),
        }
    }

    async fn exec(&self, exec: &ExecAction, timeout: Duration) -> Result<(), String> {
        let argv = exec.command.clone().unwrap_or_default();
        let spec = ContainerSpec { argv: argv.clone(), ..(*self.inside).clone() };
        let running = self.nursery.exec(self.pid, &spec).await?;
        let pid = running.child.pid;
        let Ok((code, said)) = tokio::time::timeout(timeout, outcome(running)).await else {
            self.nursery.signal(pid, Signal::SIGKILL);
            return Err(format!(
                "command timed out: {:?} timed out after {}s",
                argv.join(" "),
                timeout.as_secs()
            ));
        };
        if code == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(if said.trim().is_empty() {
            format!("command {:?} exited with {code}", argv.join(" "))
        } else {
            said.trim_end().to_owned()
        })
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let found = match port {
            IntOrString::Int(port) => Some(*port),
            IntOrString::String(name) => name.parse().ok().or_else(|| {
                let named =
                    |port: &&k8s_openapi::api::core::v1::ContainerPort| port.name.as_deref() == Some(name);
                self.container.ports.iter().flatten().find(named).map(|port| port.container_port)
            }),
        };
        found.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| format!("couldn't find port: {port:?}"))
    }
}

/// A program's exit code and the beginning of what it said.
async fn outcome(running: Running) -> (i32, Vec<u8>) {
    let Running { child, mut stdout, mut stderr } = running;
    let mut said = Vec::new();
    let (mut out_open, mut err_open) = (true, true);
    let (mut out, mut err) = (vec![0; 4096], vec![0; 4096]);
    let mut exit = child.exit;
    let code = loop {
        let length = tokio::select! {
            biased;
            read = stdout.read(&mut out), if out_open => { let n = read.unwrap_or(0); out_open = n > 0; said.extend_from_slice(&out[..n]); n }
            read = stderr.read(&mut err), if err_open => { let n = read.unwrap_or(0); err_open = n > 0; said.extend_from_slice(&err[..n]); n }
            // A program left behind may hold the pipes open: the exit decides.
            exit = &mut exit => break exit.map_or(137, crate::init::wire::Exit::code),
        };
        if length > 0 && said.len() > QUOTED {
            said.truncate(QUOTED);
        }
    };
    // Its last words may still be in the pipes.
    let (mut last_out, mut last_err) = (Vec::new(), Vec::new());
    let rest = async {
        let most = QUOTED as u64;
        let out = async {
            if out_open {
                drop(stdout.take(most).read_to_end(&mut last_out).await);
            }
        };
        let err = async {
            if err_open {
                drop(stderr.take(most).read_to_end(&mut last_err).await);
            }
        };
        tokio::join!(out, err);
    };
    drop(tokio::time::timeout(LAST_WORDS, rest).await);
    said.extend(last_out);
    said.extend(last_err);
    said.truncate(QUOTED);
    (code, said)
}
