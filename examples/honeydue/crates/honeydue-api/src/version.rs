//! The api's version: change it, run `skep deploy`, and see the new one arrive at `/api/version` and in the pages' footers.

/// Shown by `/api/version`.
pub(crate) const VERSION: &str = "1.0.0";
