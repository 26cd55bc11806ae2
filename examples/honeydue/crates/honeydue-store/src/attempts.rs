//! Limits of login and registration attempts, counted in Redis in sliding windows.
//!
//! The narrowest limit is per client and account, so that a stranger who guesses locks out only himself. A limit per client slows one that
//! tries many accounts. The limit per account is ten times as high: it stops guesses from many clients, and only those can
//! lock out the account's owner.

use std::time::Duration;

use honeydue_service::{Purpose, Sealer, client::ClientAddress};
use redis::RedisResult;

use crate::{Cache, limits::Counted};

/// The window of login attempts.
const LOGIN_WINDOW: Duration = Duration::from_secs(5 * 60);
/// Login attempts of one client at one account.
const OF_CLIENT_AT_ACCOUNT: u32 = 10;
/// Login attempts of one client at all accounts; an office may be one client.
const OF_CLIENT: u32 = 50;
/// Login attempts of all clients at one account.
const AT_ACCOUNT: u32 = 100;
/// The window of registrations.
const REGISTRATION_WINDOW: Duration = Duration::from_secs(3600);
/// Registrations of one client.
const REGISTRATIONS: u32 = 30;

/// A counted attempt.
#[derive(Debug)]
pub struct Attempt {
    /// The counters, the narrowest first.
    keys: Vec<String>,
    /// Its member in each counter; `None` if Redis did not answer, and nothing was counted.
    name: Option<String>,
}

impl Cache {
    /// Counts an attempt to prove the password of `email`.
    ///
    /// Without Redis every attempt is allowed: the api is unready then, and the hashing queue is bounded.
    ///
    /// # Errors
    /// The time to wait when a limit is reached.
    pub async fn attempt_login(
        &self,
        sealer: &Sealer,
        email: &str,
        client: ClientAddress,
    ) -> Result<Attempt, Duration> {
        let (account, client) = (email.trim().to_lowercase(), client.network());
        // Sealed, because Redis needs no addresses, and a key of constant length bounds its memory.
        let key = |kind: &str, text: &str| format!("{kind}:{}", sealer.seal(Purpose::Attempts, text));
        let counters = [
            (key("login", &format!("{client} {account}")), OF_CLIENT_AT_ACCOUNT),
            (key("login-client", &client), OF_CLIENT),
            (key("login-account", &account), AT_ACCOUNT),
        ];
        self.attempt(&counters, LOGIN_WINDOW).await
    }

    /// Counts an attempt to open an account.
    ///
    /// # Errors
    /// The time to wait when the limit is reached.
    pub async fn attempt_registration(
        &self,
        sealer: &Sealer,
        client: ClientAddress,
    ) -> Result<Attempt, Duration> {
        let key = format!("register:{}", sealer.seal(Purpose::Attempts, &client.network()));
        self.attempt(&[(key, REGISTRATIONS)], REGISTRATION_WINDOW).await
    }

    async fn attempt(&self, counters: &[(String, u32)], window: Duration) -> Result<Attempt, Duration> {
        let name = match self.take_of_all(counters, window).await {
            Ok(Counted::Taken(name)) => Some(name),
            Ok(Counted::None(wait)) => return Err(wait),
            Err(error) => {
                tracing::warn!(%error, "attempts are not counted");
                None
            }
        };
        Ok(Attempt { keys: counters.iter().map(|(key, _)| key.clone()).collect(), name })
    }

    /// Removes a successful attempt, and the failed ones of this client at this account. Its attempts at other accounts stay
    /// counted, so that an attacker can't reset them with an account of its own.
    pub async fn forgive(&self, attempt: Attempt) {
        let Attempt { keys, name: Some(name) } = attempt else { return };
        let Some((narrowest, wider)) = keys.split_first() else { return };
        let mut all = redis::pipe();
        all.cmd("DEL").arg(narrowest).ignore();
        for key in wider {
            all.cmd("ZREM").arg(key).arg(&name).ignore();
        }
        let forgiven: RedisResult<()> = all.query_async(&mut self.connection()).await;
        if let Err(error) = forgiven {
            tracing::warn!(%error, "attempts were not reset");
        }
    }
}
