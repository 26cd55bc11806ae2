//! Manifests as people write them, on their way to a cluster.

mod compare;
mod config;
mod errors;
mod files;
mod fuzz;
mod images;
mod order;
mod reading;
