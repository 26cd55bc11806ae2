//! honeyDue's files between browser, bucket and tables. A client sends the bytes to the bucket, and reads them from it, by
//! what is signed for it; here they are only looked at, before they are kept.
//!
//! Start at [`Storage`]: it signs. [`attach`] is how what was sent becomes kept, [`reaper`] and [`erasure`] are how the rest goes, and
//! [`reconcile`] compares the bucket with the tables.

pub mod attach;
pub mod erasure;
pub mod keys;
pub mod reaper;
pub mod reconcile;
mod storage;

pub use storage::{FormSupport, Storage};
