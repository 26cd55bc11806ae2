//! Redis: recent sessions and what is counted. Losing it costs speed, never a session.
//!
//! Redis is not trusted: a session in it is sealed with `SECRET_KEY`, so write access to Redis grants no session.

use std::time::Duration;

use honeydue_model::User;
use honeydue_service::{Purpose, Sealer};
use jiff::Timestamp;
use redis::{
    Client, IntoConnectionInfo as _, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use serde::{Deserialize, Serialize};

/// How long a session is believed without asking the database again.
const SESSION_SECONDS: u32 = 300;
/// The length of the seal that precedes a cached session.
pub(crate) const SEAL: usize = 64;

/// The cache. Clones share its connection.
#[derive(Clone)]
pub struct Cache {
    connection: ConnectionManager,
}

/// Leaves the connection out: its URL may hold a password.
impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// Returns a cache at `url` (`redis://honeydue@redis:6379/0`), whose user has this password. It connects at its first use and
    /// reconnects as needed.
    ///
    /// # Errors
    /// When `url` is no Redis URL.
    pub fn new(url: &str, password: &str) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
        let login = info.redis_settings().clone();
        let info = info.set_redis_settings(login.set_password(password));
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(1)))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(info)?, config)?;
        Ok(Self { connection })
    }

    /// Another hold of the same connection.
    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// Asks whether it is there.
    ///
    /// # Errors
    /// When no answer comes within a second or two.
    pub async fn ping(&self) -> RedisResult<()> {
        redis::cmd("PING").query_async(&mut self.connection()).await
    }

    /// The user of a recent session. Any failure reads as "not here": the database knows.
    pub(crate) async fn session(&self, sealer: &Sealer, token_hash: &str) -> Option<User> {
        let found: RedisResult<Option<String>> =
            redis::cmd("GET").arg(session_key(token_hash)).query_async(&mut self.connection()).await;
        match found {
            Ok(kept) => unsealed(sealer, token_hash, &kept?),
            Err(error) => {
                tracing::warn!(%error, "the cache does not answer; sessions come from the database");
                None
            }
        }
    }

    /// Caches a session for [`SESSION_SECONDS`], unless it has ended since it was read from the database: then
    /// [`Cache::end_sessions`] has left a marker, which isn't overwritten.
    pub(crate) async fn keep_session(&self, sealer: &Sealer, token_hash: &str, user: &User) {
        let until = Timestamp::now().as_second() + i64::from(SESSION_SECONDS);
        let Some(text) = sealed(sealer, token_hash, &Kept { user: user.clone(), until }) else { return };
        let kept: RedisResult<()> = redis::cmd("SET")
            .arg(session_key(token_hash))
            .arg(text)
            .arg("EX")
            .arg(SESSION_SECONDS)
            .arg("NX")
            .query_async(&mut self.connection())
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a session was not cached");
        }
    }

    /// Replaces sessions by a marker that they have ended, so that a request that read one from the database just before can't
    /// cache it again.
    pub(crate) async fn end_sessions(&self, token_hashes: &[String]) -> RedisResult<()> {
        if token_hashes.is_empty() {
            return Ok(());
        }
        let mut all = redis::pipe();
        for token_hash in token_hashes {
            all.cmd("SET").arg(session_key(token_hash)).arg(ENDED).arg("EX").arg(SESSION_SECONDS).ignore();
        }
        all.query_async(&mut self.connection()).await
    }
}

/// The marker in place of a session that has ended.
const ENDED: &str = "";

/// A session as it is cached.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    user: User,
    /// When it expires, in seconds since 1970: Redis alone could be made to keep it.
    until: i64,
}

/// Returns the cached form: a seal that covers this token, and JSON.
fn sealed(sealer: &Sealer, token_hash: &str, kept: &Kept) -> Option<String> {
    let json = serde_json::to_string(kept).ok()?;
    Some(format!("{}{json}", sealer.seal(Purpose::CachedSession, &format!("{token_hash}{json}"))))
}

/// Returns the user of a cached session; `None` if its seal is invalid, or of another token, or it has expired.
pub(crate) fn unsealed(sealer: &Sealer, token_hash: &str, text: &str) -> Option<User> {
    let (seal, json) = text.split_at_checked(SEAL)?;
    if !sealer.verify(Purpose::CachedSession, &format!("{token_hash}{json}"), seal) {
        tracing::warn!("a cached session has an invalid seal");
        return None;
    }
    let Kept { user, until } = serde_json::from_str(json).ok()?;
    (Timestamp::now().as_second() < until).then_some(user)
}

/// The key of a session.
pub(crate) fn session_key(token_hash: &str) -> String {
    format!("session:{token_hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_session_is_believed_for_its_token_and_time_only() {
        let sealer = Sealer::new("key");
        let now = Timestamp::now().as_second();
        let ada = User { id: 1, email: "ada@example.com".into(), name: "Ada".into() };
        let [mine, other] = ["a".repeat(64), "b".repeat(64)];
        let kept = sealed(&sealer, &mine, &Kept { user: ada.clone(), until: now + 60 }).unwrap();
        assert_eq!(unsealed(&sealer, &mine, &kept), Some(ada.clone()));
        assert_eq!(unsealed(&sealer, &other, &kept), None);
        assert_eq!(unsealed(&Sealer::new("other"), &mine, &kept), None);
        assert_eq!(unsealed(&sealer, &mine, &kept.replace("\"id\":1", "\"id\":2")), None);
        let json = kept.split_at(SEAL).1;
        for forged in ["", json, &serde_json::to_string(&ada).unwrap()] {
            assert_eq!(unsealed(&sealer, &mine, forged), None, "{forged:?}");
        }
        let over = sealed(&sealer, &mine, &Kept { user: ada, until: now - 1 }).unwrap();
        assert_eq!(unsealed(&sealer, &mine, &over), None);
    }
}
