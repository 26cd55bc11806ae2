//! What honeyDue's tests run among: a real Postgres, a real Redis, a real pgbouncer, a real bucket and honeyDue's own programs, each test
//! its own, on Unix sockets and ports of the system's choice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::missing_panics_doc,
    reason = "all of it panics when the surroundings are not as they should be"
)]

mod bucket;
mod program;
mod servers;
mod there;

pub use bucket::{Mood, Operation, TestBucket};
pub use program::Running;
pub use servers::{Pooler, Surroundings, store_at, until};
