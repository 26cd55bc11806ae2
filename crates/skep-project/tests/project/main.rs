//! skep.yaml as its users write it, and as they get it wrong.

mod errors;
mod folder;
mod good;
mod reference;
