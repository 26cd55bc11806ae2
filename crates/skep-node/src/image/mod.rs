//! Images on disk: layers unpacked once each, and the few facts of an image's configuration that a container needs.

mod config;
mod copy;
mod layers;
mod unpack;
mod users;

pub(crate) use config::ImageConfig;
pub(crate) use layers::Layers;
pub(crate) use users::{Identity, Lookup};
