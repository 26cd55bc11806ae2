//! How often a person may ask for something, counted in Redis by a window that slides: never more than so many within any hour.

use std::{sync::LazyLock, time::Duration};

use honeydue_model::uploads::{HOURLY_ATTACHES, HOURLY_UPLOADS};
use redis::{RedisResult, Script};
use uuid::Uuid;

use crate::Cache;

const HOUR: Duration = Duration::from_secs(3600);

/// One step for Redis, by its own clock: forget what is older than the window, and take a place if there is one. Answers 0, or for how
/// many microseconds there will be none.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local window = tonumber(ARGV[2])
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
         if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
             redis.call('ZADD', KEYS[1], now, ARGV[1])
             redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
             return 0
         end
         local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
         return oldest[2] + window - now",
    )
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

    /// In braces, so that all keys of one person lie on one node of a cluster.
    fn key(self, user: i64) -> String {
        let kind = match self {
            Self::Presigns => "presigns",
            Self::Attaches => "attaches",
        };
        format!("{kind}:{{{user}}}")
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

impl Cache {
    /// Takes one of a person's places within an hour.
    ///
    /// # Errors
    /// Redis' failure. It is not to be read as "yes".
    pub async fn take(&self, limit: Limit, user: i64) -> RedisResult<Counted> {
        let name = Uuid::new_v4().to_string();
        let wait: u64 = TAKE
            .key(limit.key(user))
            .arg(&name)
            .arg(u64::try_from(HOUR.as_micros()).unwrap_or(u64::MAX))
            .arg(limit.most())
            .invoke_async(&mut self.connection())
            .await?;
        Ok(if wait == 0 { Counted::Taken(name) } else { Counted::None(Duration::from_micros(wait)) })
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
