//! What web and admin share: the api's client, the look, cookies, and the check that a form came from our own page.
//!
//! Pages are plain HTML and work without scripts; [`look`] sends a policy that would forbid any.

pub mod api;
pub mod forms;
pub mod look;

pub use self::api::{ApiClient, ClientError};
