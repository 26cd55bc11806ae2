//! Redis: recent sessions and login throttling. Losing it costs speed, never a session.

use std::time::Duration;

use honeydue_model::User;
use redis::{
    Client, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// How long a session is believed without asking the database again.
const SESSION_SECONDS: u64 = 300;
/// Failed logins that an address has within [`THROTTLE_SECONDS`].
const ATTEMPTS: u64 = 10;
/// The window that attempts are counted in.
const THROTTLE_SECONDS: u64 = 300;

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
    /// Makes a cache for `url` (`redis://redis:6379/0`). It connects when it is first asked, and again whenever it must.
    ///
    /// # Errors
    /// When `url` is no Redis URL.
    pub fn new(url: &str) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(1)))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
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
    pub(crate) async fn session(&self, token_hash: &str) -> Option<User> {
        let found: RedisResult<Option<String>> =
            redis::cmd("GET").arg(session_key(token_hash)).query_async(&mut self.connection()).await;
        match found {
            Ok(json) => serde_json::from_str(&json?).ok(),
            Err(error) => {
                tracing::warn!(%error, "the cache does not answer; sessions come from the database");
                None
            }
        }
    }

    /// Remembers a session for [`SESSION_SECONDS`].
    pub(crate) async fn keep_session(&self, token_hash: &str, user: &User) {
        let Ok(json) = serde_json::to_string(user) else { return };
        let kept: RedisResult<()> = redis::cmd("SET")
            .arg(session_key(token_hash))
            .arg(json)
            .arg("EX")
            .arg(SESSION_SECONDS)
            .query_async(&mut self.connection())
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a session was not cached");
        }
    }

    /// Forgets a session. If Redis is away the entry would run out by itself within [`SESSION_SECONDS`].
    pub(crate) async fn forget_session(&self, token_hash: &str) {
        let forgotten: RedisResult<()> =
            redis::cmd("DEL").arg(session_key(token_hash)).query_async(&mut self.connection()).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "a session was not taken out of the cache");
        }
    }

    /// Counts one attempt to log in as `email`; false when there were too many lately. Without Redis everyone may try: argon2
    /// keeps guessing slow.
    pub async fn may_attempt_login(&self, email: &str) -> bool {
        let key = format!("login:{}", email.trim().to_lowercase());
        let counted: RedisResult<(u64,)> = redis::pipe()
            .atomic()
            .cmd("SET")
            .arg(&key)
            .arg(0)
            .arg("EX")
            .arg(THROTTLE_SECONDS)
            .arg("NX")
            .ignore()
            .cmd("INCR")
            .arg(&key)
            .query_async(&mut self.connection())
            .await;
        match counted {
            Ok((attempts,)) => attempts <= ATTEMPTS,
            Err(error) => {
                tracing::warn!(%error, "login attempts are not counted");
                true
            }
        }
    }

    /// Forgets the attempts of someone who proved who they are.
    pub async fn forgive_attempts(&self, email: &str) {
        let key = format!("login:{}", email.trim().to_lowercase());
        let forgotten: RedisResult<()> = redis::cmd("DEL").arg(key).query_async(&mut self.connection()).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "login attempts were not reset");
        }
    }
}

/// Under which a session's user lies, as JSON.
pub(crate) fn session_key(token_hash: &str) -> String {
    format!("session:{token_hash}")
}
