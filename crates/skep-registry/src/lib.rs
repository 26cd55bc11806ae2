//! OCI registry client: resolve, pull and push images over the distribution protocol.
//!
//! Start at [`Client`]. It is handed values only: logins come in [`ClientConfig`], or from the files that a
//! [`DockerConfig`] was told of; nothing here reads the environment.
//! The process must have installed a rustls provider before the first `https` call (the binary installs ring).
//!
//! What is here: the protocol, its login, retries, verification of every byte against its digest. What is not: how an
//! image comes to be (`skep-image`), and what a registry keeps (`skep-registryd`).

mod auth;
mod client;
mod config;
mod copy;
mod docker_config;
mod error;
mod http;
mod media;
mod pull;
mod push;
mod resolve;
mod retry;
mod upload;

pub use client::Client;
pub use config::{ClientConfig, Login, Retry};
pub use docker_config::{DockerConfig, DockerConfigError};
pub use error::{At, RegistryError};
pub use media::{
    ContainerConfig, Descriptor, History, ImageConfig, Index, Manifest, MediaType, RootFs, host_name,
};
pub use pull::{PulledImage, PulledLayer};
pub use push::{Blob, OnBytes, Package, Pushed};
pub use resolve::{Fetched, Resolved};
