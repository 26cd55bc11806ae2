//! The worker's version.

/// Shown by its health endpoint and its metrics.
pub(crate) const VERSION: &str = "1.0.0";
