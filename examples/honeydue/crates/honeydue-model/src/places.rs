//! Residences: the places that want looking after.

use serde::{Deserialize, Serialize};

use crate::valid::{Invalid, is_text, require};

/// A place and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residence {
    /// Stable for as long as the residence exists.
    pub id: i64,
    /// "Lake house".
    pub name: String,
    /// As people write it; may be empty.
    pub address: String,
    /// Tasks not done yet.
    pub open_tasks: i64,
    /// Those of them whose due date has passed.
    pub overdue_tasks: i64,
}

/// A request for a new residence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewResidence {
    /// See [`Residence::name`].
    pub name: String,
    /// See [`Residence::address`].
    #[serde(default)]
    pub address: String,
}

impl NewResidence {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        require(is_text(&self.name, 1, 80), "name", "a residence's name has 1 to 80 characters")?;
        require(is_text(&self.address, 0, 200), "address", "an address has at most 200 characters")
    }
}
