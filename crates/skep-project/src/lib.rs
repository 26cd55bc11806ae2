//! skep.yaml and env files, read into a [`skep_model::Project`].
//!
//! Text in, value out: every file is read, and every command run, through a function that the caller hands in; the environment, the
//! home folder and the age keys are values; and nothing here asks a cluster. Start at [`load`].
//!
//! The way of a file: [`tree`] parses it into nodes that know their place; `overlay` lays a target's overrides over
//! the rest; `document` turns nodes into typed values, each still with its place; `resolve` and `contents` read what they
//! name and fill in the defaults. What is wrong anywhere is a `Fault`, which becomes a [`ProjectError`] with file, line,
//! column and a hint.

mod bucket;
mod conceal;
mod contents;
mod document;
mod duration;
mod encrypted;
mod env_file;
mod error;
mod fields;
mod images;
mod load;
mod notify;
mod overlay;
mod registry;
mod resolve;
mod sets;
mod substitute;
mod tree;
mod verify;

pub use duration::parse as duration;
pub use encrypted::{AgeError, AgeKeys, encrypt, is_encrypted, recipients_of};
pub use env_file::{EnvEntry, EnvError, EnvFile, EnvWarning, parse_env, with_env, without_env};
pub use error::{Location, Problem, ProjectError};
pub use load::{LOCAL, LoadRequest, Loaded, Outside, Reads, RunCommand, Warning, load, targets};
