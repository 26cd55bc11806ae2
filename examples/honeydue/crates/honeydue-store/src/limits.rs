//! How often a person may ask for something, counted in Redis by a window that slides: never more than so many within any hour.
//!
//! Whoever asks is known by a session, which lies in Redis too: both are found in one round trip.

use std::{sync::LazyLock, time::Duration};

use honeydue_model::{
    User,
    uploads::{HOURLY_ATTACHES, HOURLY_UPLOADS},
};
use honeydue_service::Sealer;
use redis::{RedisResult, Script};
use uuid::Uuid;

use crate::{
    Cache, Store, StoreError, Token,
    cache::{SEAL, session_key, unsealed},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Takes a place of each counter if all have one, by Redis' own clock. Returns 0, or the microseconds until the first full one has a
/// place.
const WINDOW: &str = "
    local function take(keys, name, window, most)
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        for i, key in ipairs(keys) do
            redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
            if redis.call('ZCARD', key) >= tonumber(most[i]) then
                local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
                return oldest[2] + window - now
            end
        end
        for _, key in ipairs(keys) do
            redis.call('ZADD', key, now, name)
            redis.call('PEXPIRE', key, math.ceil(window / 1000))
        end
        return 0
    end
    ";

static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!("{WINDOW} return take(KEYS, ARGV[1], tonumber(ARGV[2]), {{unpack(ARGV, 3)}})"))
});

/// A place of whoever's session it is. The key of their places is made from what the session says: this is for one Redis, not for a
/// cluster of them.
static TAKE_OF_SESSION: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{WINDOW}
         local session = redis.call('GET', KEYS[1])
         if not session or #session <= {SEAL} then return false end
         local id = cjson.decode(string.sub(session, {SEAL} + 1)).user.id
         local key = string.format('%s:{{%.0f}}', ARGV[4], id)
         return {{session, take({{key}}, ARGV[1], tonumber(ARGV[2]), {{ARGV[3]}})}}"
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
        self.take_of_all(&[(limit.key(user), limit.most())], HOUR).await
    }

    /// Takes a place of every counter, or of none. Each counter is a key and its limit.
    pub(crate) async fn take_of_all(
        &self,
        counters: &[(String, u32)],
        window: Duration,
    ) -> RedisResult<Counted> {
        let name = Uuid::new_v4().to_string();
        let mut asked = TAKE.prepare_invoke();
        asked.arg(&name).arg(microseconds(window));
        for (key, most) in counters {
            asked.key(key).arg(most);
        }
        let wait = asked.invoke_async(&mut self.connection()).await?;
        Ok(Counted::from_wait(name, wait))
    }

    /// The user of a recent session, and one of their places. Any failure reads as "not here".
    async fn take_of_session(
        &self,
        sealer: &Sealer,
        token_hash: &str,
        limit: Limit,
    ) -> Option<(User, Counted)> {
        let name = Uuid::new_v4().to_string();
        let mut asked = TAKE_OF_SESSION.key(session_key(token_hash));
        asked.arg(&name).arg(microseconds(HOUR)).arg(limit.most()).arg(limit.name());
        let found: RedisResult<Option<(String, u64)>> = asked.invoke_async(&mut self.connection()).await;
        match found {
            Ok(found) => {
                let (kept, wait) = found?;
                Some((unsealed(sealer, token_hash, &kept)?, Counted::from_wait(name, wait)))
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

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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
        token: &Token,
        limit: Limit,
    ) -> Result<Option<(User, RedisResult<Counted>)>, StoreError> {
        let sealed = token.sealed(sealer);
        if let Some((user, counted)) = cache.take_of_session(sealer, &sealed, limit).await {
            return Ok(Some((user, Ok(counted))));
        }
        let Some(user) = self.session_user(cache, sealer, token).await? else { return Ok(None) };
        let counted = cache.take(limit, user.id).await;
        Ok(Some((user, counted)))
    }
}
