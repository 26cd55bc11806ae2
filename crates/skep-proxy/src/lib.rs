//! Service and Ingress traffic for one machine: layer 4, layer 7, DNS.
//!
//! Three servers that know nothing of Kubernetes but its routing rules. Each is a handle that clones cheaply, is told its
//! whole table by `set`, owns every task it starts, and ends them in `shutdown`. All must be started inside a tokio runtime.
//!
//! - [`ServiceProxy`] splices TCP connections from a Service's address to its backends.
//! - [`Ingress`] forwards HTTP requests by host and path.
//! - [`Dns`] answers the cluster's names and forwards the rest.
//!
//! # Letting go of a pod
//! A pod that is about to be stopped is first given to `release(ip)` of both proxies. When that returns, nothing new goes to
//! the address, idle connections to it are closed and what was on its way has been taken up by the pod (or half a
//! second has passed); requests in flight finish. The address stays barred, whatever older tables say, until a table without it was
//! set or `admit(ip)` is called because a new pod was given the address. Once the pod is gone, `sever(ip)` cuts what is left.

mod accept;
mod dns;
mod error;
mod ingress;
mod roster;
mod service;

pub use dns::Dns;
pub use error::BindError;
pub use ingress::{Ingress, IngressConfig, PathType, Rule};
pub use service::{ServiceProxy, ServiceRoute};
