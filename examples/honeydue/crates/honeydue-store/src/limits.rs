//! How often a person may ask for something, counted in Redis by a window that slides: never more than so many within any hour.
//!
//! Whoever asks is known by a session, which lies in Redis too: both are found in one round trip.

use std::{sync::LazyLock, time::Duration};

use honeydue_model::{
    User,
    uploads::{HOURLY_ATTACHES, HOURLY_UPLOADS},
};
use honeydue_service::Sealer;
use redis::{RedisResult, Script, ScriptInvocation};
use uuid::Uuid;

use crate::{Cache, Store, StoreError, cache::session_key};

const HOUR: Duration = Duration::from_secs(3600);

/// By Redis' own clock: forget what is older than the window, and take a place if there is one. Answers 0, or for how many microseconds
/// there will be none.
const WINDOW: &str = "
    local function take(key, name, window, most)
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
        if redis.call('ZCARD', key) < most then
            redis.call('ZADD', key, now, name)
            redis.call('PEXPIRE', key, math.ceil(window / 1000))
            return 0
        end
        local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        return oldest[2] + window - now
    end
    ";

static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!("{WINDOW} return take(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))"))
});

/// A place of whoever's session it is. The key of their places is made from what the session says: this is for one Redis, not for a
/// cluster of them.
static TAKE_OF_SESSION: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{WINDOW}
         local session = redis.call('GET', KEYS[1])
         if not session then return false end
         local key = string.format('%s:{{%.0f}}', ARGV[4], cjson.decode(session).id)
         return {{session, take(key, ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))}}"
    ))
});

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Uploads that are signed.
    Presigns,
    /// Tries to attach some, each of which makes the bucket read and copy them.
    Attaches,
}

impl Limit {
    fn most(self) -> u32 {
        match self {
            Self::Presigns => HOURLY_UPLOADS,
            Self::Attaches => HOURLY_ATTACHES,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Presigns => "presigns",
            Self::Attaches => "attaches",
        }
    }

    fn key(self, user: i64) -> String {
        format!("{}:{{{user}}}", self.name())
    }
}

/// How asking for a place ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// It is taken, by this name.
    Taken(String),
    /// There is none for so long.
    None(Duration),
}

impl Counted {
    /// What a script answered that was to take a place by this name.
    fn from_wait(name: String, microseconds: u64) -> Self {
        match microseconds {
            0 => Self::Taken(name),
            wait => Self::None(Duration::from_micros(wait)),
        }
    }
}

impl Cache {
    /// Takes one of a person's places within an hour.
    ///
    /// # Errors
    /// Redis' failure. It is not to be read as "yes".
    pub async fn take(&self, limit: Limit, user: i64) -> RedisResult<Counted> {
        let name = Uuid::new_v4().to_string();
        let wait = asked(&TAKE, limit.key(user), &name, limit).invoke_async(&mut self.connection()).await?;
        Ok(Counted::from_wait(name, wait))
    }

    /// The user of a recent session, and one of their places. Any failure reads as "not here".
    async fn take_of_session(&self, token_hash: &str, limit: Limit) -> Option<(User, Counted)> {
        let name = Uuid::new_v4().to_string();
        let mut asked = asked(&TAKE_OF_SESSION, session_key(token_hash), &name, limit);
        let found: RedisResult<Option<(String, u64)>> =
            asked.arg(limit.name()).invoke_async(&mut self.connection()).await;
        match found {
            Ok(found) => {
                let (json, wait) = found?;
                Some((serde_json::from_str(&json).ok()?, Counted::from_wait(name, wait)))
            }
            Err(error) => {
                tracing::warn!(%error, "the cache does not answer; sessions come from the database");
                None
            }
        }
    }

    /// Gives a place back that nothing came of, through our own fault. If Redis is away it frees itself within the hour.
    pub async fn give_back(&self, limit: Limit, user: i64, name: &str) {
        let given: RedisResult<()> =
            redis::cmd("ZREM").arg(limit.key(user)).arg(name).query_async(&mut self.connection()).await;
        if let Err(error) = given {
            tracing::warn!(%error, "a place was not given back");
        }
    }
}

fn asked<'s>(script: &'s Script, key: String, name: &str, limit: Limit) -> ScriptInvocation<'s> {
    let mut asked = script.key(key);
    asked.arg(name).arg(u64::try_from(HOUR.as_micros()).unwrap_or(u64::MAX)).arg(limit.most());
    asked
}

impl Store {
    /// The user whose session `token` proves, as [`Store::session_user`] finds them, and one of their places within an hour, as
    /// [`Cache::take`] takes it: at once, when the cache knows the session.
    ///
    /// # Errors
    /// The database's failure. Redis' is in the answer, and not to be read as "yes".
    pub async fn session_place(
        &self,
        cache: &Cache,
        sealer: &Sealer,
        token: &str,
        limit: Limit,
    ) -> Result<Option<(User, RedisResult<Counted>)>, StoreError> {
        if let Some((user, counted)) = cache.take_of_session(&sealer.seal(token), limit).await {
            return Ok(Some((user, Ok(counted))));
        }
        let Some(user) = self.session_user(cache, sealer, token).await? else { return Ok(None) };
        let counted = cache.take(limit, user.id).await;
        Ok(Some((user, counted)))
    }
}
