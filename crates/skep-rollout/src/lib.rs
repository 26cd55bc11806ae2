//! Observed objects in, progress and verdict out.
//!
//! Pure: the caller watches the cluster and passes what it sees, with the time. Start at [`Rollout::step`], the one step
//! function of a workload's rollout; [`workload`] reads what a controller reports, [`pod`] what keeps a pod from being ready.

pub mod diagnosis;
pub mod pod;
mod rollout;
pub mod workload;

pub use diagnosis::{Cause, Diagnosis, LogWanted};
pub use rollout::{Observed, Past, Rollout, Verdict};
