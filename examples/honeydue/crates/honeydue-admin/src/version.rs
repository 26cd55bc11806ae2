//! The admin page' version: change it, run `skep deploy`, and see the new one in the footer.

/// Shown in the page's footer and by `/version` on its port for metrics.
pub(crate) const VERSION: &str = "1.0.0";
