//! The one-machine cluster: controllers, and the wiring of API, node, proxy and registry.
//!
//! [`run`] is a hive from start to stop. Inside, `controllers` decide (pure functions), `reconcile` carries out, `pods` stands
//! between the API's pods and the node's processes, `network` tells the proxies where traffic goes.

mod action;
mod controllers;
mod hive;
mod kind;
mod network;
mod object;
mod pods;
mod reconcile;
mod selector;

pub use controllers::job::RetryDelay;
pub use hive::{HiveAddress, HiveConfig, HiveError, run};
pub use reconcile::Controllers;
