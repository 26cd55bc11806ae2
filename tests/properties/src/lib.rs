//! What holds for every input that a user or another program hands to Skep, one function a format. Each panics when it doesn't hold.
//!
//! A fuzz target in `fuzz/fuzz_targets` calls its function with inputs that it makes up; `tests/corpus.rs` calls it with those that are
//! kept in `fuzz/corpus`, as an ordinary test.

mod dockerignore;
mod env_file;
mod kubeconfig;
mod manifests;
mod migration;
mod project;
mod release;

pub use dockerignore::dockerignore;
pub use env_file::env_file;
pub use kubeconfig::kubeconfig;
pub use manifests::{manifests, read};
pub use migration::migration;
pub use project::project;
pub use release::release;

/// Stands for a secret: no error may hold it.
pub const MARKER: &str = "S3CRET-MARKER";

/// The number of lines that a place in a text can name. To YAML a carriage return alone ends one too.
fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\n', '\r']).count()
}
