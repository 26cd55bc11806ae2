//! skep.yaml as its users write it, and as they get it wrong.

mod errors;
mod folder;
mod fuzz;
mod good;
mod reference;
