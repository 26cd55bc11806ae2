//! Passwords: argon2id with its default cost. Hashing takes tens of milliseconds and megabytes on purpose, so it runs on
//! blocking threads, two at a time.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

/// Each hash holds 19 MiB: more of them at once would be an easy way to use up a pod's memory.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Hashing failed: the machine has no memory or no randomness for it.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed: {reason}")]
pub struct HashingError {
    reason: String,
}

/// A password's hash in PHC form (`$argon2id$v=19$…`).
///
/// # Errors
/// When the machine has no memory or no randomness for it.
pub async fn hash(password: String) -> Result<String, HashingError> {
    in_turn(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| HashingError { reason: error.to_string() })
    })
    .await?
}

/// True when `password` is the one that `hash` was made of. Without a hash (no such account) it works as long and says no, so
/// that the time taken does not tell which addresses have accounts.
///
/// # Errors
/// When the machine has no thread for it.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool, HashingError> {
    let known = hash.is_some();
    let hash = match hash {
        Some(hash) => hash,
        None => nobodys_hash().await?,
    };
    in_turn(move || {
        PasswordHash::new(&hash)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
            && known
    })
    .await
}

/// A hash of a password that nobody has, made once per process.
async fn nobodys_hash() -> Result<String, HashingError> {
    static HASH: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    HASH.get_or_try_init(|| hash(String::new())).await.cloned()
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashingError> {
    let _turn = AT_ONCE.acquire().await.map_err(|error| HashingError { reason: error.to_string() })?;
    tokio::task::spawn_blocking(work).await.map_err(|error| HashingError { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_another_is_not() {
        let kept = hash("correct horse".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$"));
        assert!(verify("correct horse".into(), Some(kept.clone())).await.unwrap());
        assert!(!verify("incorrect horse".into(), Some(kept)).await.unwrap());
        assert!(!verify(String::new(), None).await.unwrap());
    }
}
