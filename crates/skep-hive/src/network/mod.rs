//! What the proxies and the name server are told, worked out from Services, EndpointSlices and Ingresses.
//!
//! The tables are pure functions of the objects ([`tables`]); [`wiring`] keeps the servers up to date with them.

pub(crate) mod tables;
pub(crate) mod wiring;
