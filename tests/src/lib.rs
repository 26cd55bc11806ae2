//! The harness of the end-to-end tests: the real binary, a hive of its own for each test or a namespace of a cluster that is
//! there, and a small app to ship.
//!
//! Start at [`World`]: a cluster, a project folder, and ways to run Skep in it.

mod backblaze;
mod browser;
mod cluster;
#[path = "../../crates/skep-registry/tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of crates/skep-registry")]
mod docker_registry;
mod example;
mod far_node;
mod fault;
pub mod gallery;
mod ground;
mod honeydue;
mod load;
mod project;
mod reach;
mod skep;
mod wait;
mod watch;
mod world;

pub use backblaze::Backblaze;
pub use browser::Browser;
pub use cluster::not_run;
pub use example::{Answer, Example};
pub use far_node::{FarNode, SCHEDULER};
pub use fault::{Fault, FaultyApi};
pub use ground::{Footprint, Ground, Mount, after, behind_mounts, wrapped};
pub use honeydue::HoneyDue;
pub use load::{Load, Tally};
pub use project::Project;
pub use skep::{Outcome, dist, program};
pub use wait::eventually;
pub use watch::Watch;
pub use world::{PATIENCE, World};
