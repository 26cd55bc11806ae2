//! The web pages' version: change it, run `skep deploy`, and see the new one in the footer.

/// Shown in every page's footer and by `/version` on their port for metrics.
pub(crate) const VERSION: &str = "1.0.0";
