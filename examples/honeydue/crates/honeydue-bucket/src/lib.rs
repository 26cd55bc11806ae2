//! A bucket on this one machine: `s3s` speaks S3, `s3s-fs` keeps objects in a folder, and what a browser needs of a store stands around
//! them. For one machine and for tests; production has a store that keeps more than one copy.

mod lifecycle;
mod service;
mod start;

pub use lifecycle::{Rule, sweep};
pub use service::{BucketError, Settings, router};
pub use start::start;
