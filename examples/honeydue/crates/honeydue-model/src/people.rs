//! People and their sessions.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::valid::{Invalid, is_text, require};

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Stable for as long as the account exists.
    pub id: i64,
    /// Unique without regard to case.
    pub email: String,
    /// What the person wants to be called.
    pub name: String,
}

/// A request for a new account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Registration {
    /// See [`User::email`].
    pub email: String,
    /// See [`User::name`].
    pub name: String,
    /// In the clear; only its argon2 hash is ever kept.
    pub password: String,
}

impl Registration {
    /// Checks every field, in the order that a form shows them.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        require(is_text(&self.name, 1, 80), "name", "a name has 1 to 80 characters")?;
        require(is_email(&self.email), "email", "this does not look like an e-mail address")?;
        let length = self.password.chars().count();
        require((10..=200).contains(&length), "password", "a password has 10 to 200 characters")
    }
}

/// Proof of who someone is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// See [`User::email`].
    pub email: String,
    /// In the clear.
    pub password: String,
}

/// A request to close an account for good.
#[derive(Clone, Serialize, Deserialize)]
pub struct Farewell {
    /// In the clear: proof that it is not somebody who found a phone.
    pub password: String,
}

/// The answer to a registration or a login.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// Sent back as `Authorization: Bearer …`.
    pub token: String,
    /// Who signed in.
    pub user: User,
}

/// Passwords and tokens stay out of logs.
impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("email", &self.email)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farewell").finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A person's last week, made by the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The Monday that the week begins with.
    pub week_of: Date,
    /// Tasks done in the seven days before it.
    pub done: i32,
    /// Tasks due in the week.
    pub due: i32,
    /// Tasks that were overdue when it began.
    pub overdue: i32,
}

/// A deliberately forgiving look: one `@`, a domain with a dot, no space. Only a delivered message proves an address.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let Some((local, domain)) = text.split_once('@') else { return false };
    text.len() <= 254
        && !local.is_empty()
        && !domain.contains('@')
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration {
            email: "ada@example.com".into(),
            name: "Ada".into(),
            password: "a long password".into(),
        }
    }

    #[test]
    fn a_sound_registration_passes() {
        assert_eq!(registration().validate(), Ok(()));
    }

    #[test]
    fn each_broken_field_is_named() {
        let cases = [
            (Registration { name: "  ".into(), ..registration() }, "name"),
            (Registration { email: "ada.example.com".into(), ..registration() }, "email"),
            (Registration { email: "ada@localhost".into(), ..registration() }, "email"),
            (Registration { email: "a da@example.com".into(), ..registration() }, "email"),
            (Registration { password: "short".into(), ..registration() }, "password"),
        ];
        for (request, field) in cases {
            assert_eq!(request.validate().unwrap_err().field, field);
        }
    }
}
