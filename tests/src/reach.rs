//! How a test's own requests get to a service: through hive's ingress, or, on a cluster that may have none, through a port-forward to
//! a ready pod of the Service that the Ingress names.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::Outcome;

/// A port of this machine behind which a host's service is. Dropped, it ends the forward that made it.
#[derive(Debug)]
pub(crate) struct Reach {
    port: u16,
    forward: Option<Forward>,
}

/// A kubectl that forwards. It says a word of each connection, and ends when nobody can hear it.
#[derive(Debug)]
struct Forward {
    kubectl: Child,
    _said: BufReader<ChildStdout>,
}

impl Reach {
    /// Hive's ingress is on this machine.
    pub(crate) fn ingress(port: u16) -> Self {
        Self { port, forward: None }
    }

    /// Forwards a port to a ready pod behind `host`. `kubectl` is a command with its cluster and namespace set.
    ///
    /// # Errors
    /// When no Ingress names the host, or kubectl can't forward.
    pub(crate) fn forward(host: &str, kubectl: impl Fn() -> Command) -> Result<Self, String> {
        let ingresses = Outcome::of(kubectl().args(["get", "ingress", "-o", "json"]));
        let ingresses: Value = serde_json::from_str(&ingresses.stdout).map_err(|_| ingresses.stderr)?;
        let (service, port) =
            backend(&ingresses, host).ok_or_else(|| format!("no Ingress has the host {host}"))?;
        let (pod, port) = ready_pod(&service, &port, &kubectl)?;
        let mut forward = kubectl()
            .args(["port-forward", "--address=127.0.0.1", &format!("pod/{pod}"), &format!(":{port}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        // `Forwarding from 127.0.0.1:34567 -> 8000`, once it listens.
        let mut line = String::new();
        let mut said = BufReader::new(forward.stdout.take().ok_or("kubectl has no output")?);
        said.read_line(&mut line).map_err(|error| error.to_string())?;
        let here = line.split(&[':', ' '][..]).find_map(|word| word.parse().ok());
        let Some(port) = here else {
            let ended = forward.wait_with_output().map_err(|error| error.to_string())?;
            return Err(Outcome::from(ended).stderr);
        };
        Ok(Self { port, forward: Some(Forward { kubectl: forward, _said: said }) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A URL of the host, and what tells curl where that is: not every resolver knows `*.localhost`.
    pub(crate) fn address(&self, host: &str, path: &str) -> (String, String) {
        let port = self.port;
        (format!("http://{host}:{port}{path}"), format!("{host}:{port}:127.0.0.1"))
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        if let Some(forward) = &mut self.forward {
            let _ = forward.kubectl.kill();
            let _ = forward.kubectl.wait();
        }
    }
}

/// The Service and port of the host's first path.
fn backend(ingresses: &Value, host: &str) -> Option<(String, Value)> {
    let rules =
        ingresses["items"].as_array()?.iter().filter_map(|ingress| ingress["spec"]["rules"].as_array());
    let rule = rules.flatten().find(|rule| rule["host"] == host)?;
    let service = &rule["http"]["paths"][0]["backend"]["service"];
    Some((service["name"].as_str()?.to_owned(), service["port"].clone()))
}

/// A pod that the Service would send requests to now, and the port that it listens on.
fn ready_pod(service: &str, port: &Value, kubectl: &impl Fn() -> Command) -> Result<(String, u64), String> {
    let read = |arguments: &[&str]| -> Result<Value, String> {
        let found = Outcome::of(kubectl().args(arguments));
        serde_json::from_str(&found.stdout).map_err(|_| found.stderr)
    };
    let object = read(&["get", "service", service, "-o", "json"])?;
    let mut ports = object["spec"]["ports"].as_array().into_iter().flatten();
    let port = ports
        .find(|candidate| match &port["number"] {
            Value::Null => candidate["name"] == port["name"],
            number => candidate["port"] == *number,
        })
        .ok_or_else(|| format!("Service {service} has no port {port}"))?;
    let label = format!("kubernetes.io/service-name={service}");
    let slices = read(&["get", "endpointslices", "-l", &label, "-o", "json"])?;
    for slice in slices["items"].as_array().into_iter().flatten() {
        let mut endpoints = slice["endpoints"].as_array().into_iter().flatten();
        let ready = endpoints.find(|endpoint| endpoint["conditions"]["ready"] == true);
        let mut numbers = slice["ports"].as_array().into_iter().flatten();
        let number = numbers.find(|candidate| {
            candidate["name"].as_str().unwrap_or("") == port["name"].as_str().unwrap_or("")
        });
        if let (Some(pod), Some(number)) = (
            ready.and_then(|endpoint| endpoint["targetRef"]["name"].as_str()),
            number.and_then(|port| port["port"].as_u64()),
        ) {
            return Ok((pod.to_owned(), number));
        }
    }
    Err(format!("Service {service} has no ready pod"))
}
