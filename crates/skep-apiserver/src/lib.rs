//! A Kubernetes API server for one machine: store, semantics, HTTPS.
//!
//! [`Resources`] is the API in process; hive's controllers use it directly, and the HTTPS side answers kubectl and
//! kube-rs from it. Which kinds there are, and what each obeys, is in `kinds` (one table per API group), with `defaults`
//! and `validate` beside it. This crate runs no controller: it never acts on what an object wishes for.

mod decode;
mod defaults;
mod discovery;
mod events;
mod kind;
mod kinds;
mod managed;
mod meta;
mod names;
mod patch;
mod proto;
mod quota;
mod resources;
mod schedule;
mod schema;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod validate;
mod watch;

pub use defaults::Quantity;
pub use kind::{Key, Kind, KindInfo, Subresources};
pub use quota::{asked as pod_asks, used as quota_used};
pub use resources::{
    DeleteOptions, Patch, PatchOptions, Preconditions, Propagation, Resources, ResourcesConfig, Subresource,
};
pub use schedule::Schedule;
pub use server::{ApiConnections, ApiServer, CredentialsError, LogRequest, PodLogs, ServeConfig, ServeError};
pub use status::{Cause, Details, Status};
pub use store::StoreError;
pub use watch::{Watch, WatchEvent};
