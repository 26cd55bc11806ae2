//! The system calls that need `unsafe`, each behind a safe function.

mod attribute;
mod capability;
mod descriptors;
mod fork;
mod identity;
mod names;

pub(crate) use attribute::{attribute, set_attribute};
pub(crate) use capability::{clear_bounding_set, keep_only, known_capabilities};
pub(crate) use descriptors::{close_from, close_on_exec_from, receive};
pub(crate) use fork::{Forked, clone_into, exit_now, try_clone};
pub(crate) use identity::{kernel_at_least, set_disposition, single_user};
pub use names::look_up_names_without_modules;
