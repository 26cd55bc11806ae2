//! The protocol, asked over HTTP as clients ask, and by skopeo.

mod client;
mod collecting;
mod limits;
mod protocol;
mod skopeo;
