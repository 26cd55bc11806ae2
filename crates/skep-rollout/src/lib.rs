//! Observed objects in, progress, verdict and diagnosis out.
//!
//! Pure: the caller watches the cluster and passes what it sees, with the time. Start at [`Rollout::step`], the one step
//! function of a workload's rollout: it judges while things move, and when nothing does it says why (`stuck`). [`explain`] then finds
//! the true [`Cause`] of a verdict with what had to be asked for it. [`Soak`] looks on after it. [`workload`] reads what a controller reports, [`pod`] what keeps a
//! pod from being ready.

mod around;
mod cause;
mod diagnosis;
mod events;
mod explain;
mod log_line;
mod nodes;
mod patience;
pub mod pod;
mod pods;
pub mod recording;
mod rollout;
mod soak;
mod stuck;
pub mod workload;

pub use around::Around;
pub use cause::{Cause, Trouble};
pub use diagnosis::{Diagnosis, LogWanted};
pub use events::Events;
pub use explain::{Evidence, RegistrySays, explain};
pub use nodes::Nodes;
pub use rollout::{Observed, Past, Rollout, Verdict};
pub use soak::Soak;
pub use stuck::readiness_asks;
