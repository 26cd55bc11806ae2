//! The Kubernetes client: apply, watch, lease and the release store.
//!
//! The only room that knows `kube`. Objects are JSON values from end to end, so a field newer than any type of ours is
//! never dropped. What pods say is redacted where it comes in ([`Redaction`]). Start at [`Cluster`].

mod apply;
mod bundles;
mod connect;
mod error;
mod kubeconfig;
mod lease;
mod logs;
mod objects;
mod plain;
mod records;
mod redaction;
mod releases;
mod routes;
mod token;
mod transport;
mod view;

pub use apply::{Applied, Force, MANAGER, OPERATOR};
pub use bundles::Bundles;
pub use connect::{Cluster, Server};
pub use error::{ClusterError, FieldConflict};
/// What requests and answers of [`Cluster::over`] are made of.
pub use kube::client::Body;
pub use kubeconfig::{Kubeconfig, KubeconfigError};
pub use lease::{Holder, Lock, LockError, OUTAGE, unlock};
pub use logs::LogQuery;
pub use objects::Selector;
pub use records::{RecordError, Records};
pub use redaction::Redaction;
pub use releases::Releases;
pub use routes::Route;
pub use view::{Snapshot, View};
