//! The deploy lock: a `coordination.k8s.io` Lease that frees itself when its holder dies.
//!
//! A lease is dead when it has not changed for its duration by the observer's own clock: clocks of two machines are never
//! compared. The holder writes nothing when [`STOP_BEFORE`] of the duration is left since its last acknowledged renewal, by
//! the larger of monotonic and wall time, because a laptop that slept has missed its renewals without noticing.

mod fence;
mod holder;
mod renew;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_model::{AppName, ObjectKey};
use thiserror::Error;
use tokio::time::Instant;

pub(crate) use self::fence::Fence;
pub use self::holder::Holder;
use self::{
    fence::Fenced,
    renew::{Renewal, Standing},
};
use crate::{Cluster, ClusterError};

/// How long a lease lives without renewal.
const DURATION: Duration = Duration::from_secs(15);
/// How long before its end the holder stops writing.
const STOP_BEFORE: Duration = Duration::from_secs(5);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often a lease that goes away under our hands is taken anew.
const TRIES: u32 = 5;
/// How long an API may be away before a deploy gives up: restarts of a control plane take a minute.
pub const OUTAGE: Duration = Duration::from_secs(120);
/// How often a lease that may be dead is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The annotation with the step that the holder is at.
const STEP: &str = "skep.dev/step";
/// The annotation with who freed a lock that was not their own, and why.
const UNLOCKED: &str = "skep.dev/unlocked";
/// What a holder does first.
const FIRST_STEP: &str = "lock";

/// Why the lock was not had, or was lost.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody else deploys this app now.
    #[error("{app} is being deployed by {holder} since {since}{}", doing(.step.as_deref()))]
    Held {
        /// The app.
        app: AppName,
        /// Who.
        holder: Box<Holder>,
        /// When they took it, as they wrote it.
        since: String,
        /// The step that they are at.
        step: Option<String>,
    },
    /// The lease was not renewed in time, or was taken by somebody else: nothing more may be written.
    #[error("the deploy lock of {app} was lost: {why}")]
    Lost {
        /// The app.
        app: AppName,
        /// How.
        why: String,
    },
    /// The API failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The lock, held. Writing is allowed once [`Lock::hold`] has answered; [`Lock::release`] gives it back.
#[derive(Debug)]
pub struct Lock {
    app: AppName,
    cluster: Cluster,
    key: ObjectKey,
    renewal: Renewal,
    /// Of the cluster that it was taken by.
    _fenced: Fenced,
}

impl Lock {
    /// Takes the lock of `app` in `namespace`, which must exist. A lock whose holder is a dead process of this host is taken at
    /// once, another silent one after its duration.
    ///
    /// # Errors
    /// [`LockError::Held`] when its holder is alive.
    pub async fn take(
        cluster: &Cluster,
        namespace: &str,
        app: &AppName,
        me: &Holder,
    ) -> Result<Self, LockError> {
        let key = key_of(namespace, app);
        let mut tries = 0;
        let lease = loop {
            tries += 1;
            let taken = match cluster.get(&key).await? {
                None => cluster.create(&lease(&key, me, None), "skep").await,
                Some(found) => {
                    wait_until_dead(cluster, &key, app, &found).await?;
                    // The very lease that was seen dead: somebody else may have taken it since, and is alive.
                    let version = found["metadata"]["resourceVersion"].as_str();
                    cluster.replace(&lease(&key, me, version), "skep").await
                }
            };
            match taken {
                Ok(lease) => break lease,
                Err(error) if error.is_conflict() => return Err(held(cluster, &key, app).await?),
                // Its holder gave it back between our reading and our writing.
                Err(error) if error.is_not_found() && tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        };
        let renewal =
            Renewal::start(cluster.clone(), key.clone(), lease, DURATION - STOP_BEFORE, RENEW_EVERY);
        let fenced = cluster.fence.raise(app, renewal.hold());
        Ok(Self { app: app.clone(), cluster: cluster.clone(), key, renewal, _fenced: fenced })
    }

    /// Notes the step that is being done, for those who wait.
    pub fn is_at(&self, step: &str) {
        self.renewal.is_at(step);
    }

    /// Asked before each write. While the API does not answer nobody knows whose the lock is, and this waits, with `unsure` told once:
    /// an API that comes back and knows no other holder has not been missed. Answers for how long it had been away.
    ///
    /// # Errors
    /// [`LockError::Lost`] when somebody else holds it, or nobody has answered for [`OUTAGE`].
    pub async fn hold(&self, unsure: impl Fn(Duration)) -> Result<Duration, LockError> {
        let lost = |why| LockError::Lost { app: self.app.clone(), why };
        let mut away = Duration::ZERO;
        loop {
            match self.renewal.hold().standing() {
                Standing::Held => return Ok(away),
                Standing::Lost(why) => return Err(lost(why)),
                Standing::Unsure(since) if since >= OUTAGE => {
                    return Err(lost(format!("no renewal was acknowledged for {} s", since.as_secs())));
                }
                Standing::Unsure(since) => {
                    if away.is_zero() {
                        unsure(since);
                    }
                    away = since;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Gives the lock back, if it is still ours.
    ///
    /// # Errors
    /// When the API failed; the lease then dies by itself.
    pub async fn release(self) -> Result<(), LockError> {
        let Some(lease) = self.renewal.stop().await else { return Ok(()) };
        match self.cluster.delete_unchanged(&self.key, &lease).await {
            Err(error) if !error.is_conflict() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Frees the lock of `app`, whoever holds it. A living holder finds `why` at its next renewal, stops writing and gives the lock up,
/// and only then is it free: two never write at once. One that does not answer is dead after its lease's duration. Answers who
/// held it; `None` when nobody does.
///
/// # Errors
/// When the API failed.
pub async fn unlock(
    cluster: &Cluster,
    namespace: &str,
    app: &AppName,
    why: &str,
) -> Result<Option<Holder>, LockError> {
    let key = key_of(namespace, app);
    let Some(holder) = ask_to_stop(cluster, &key, why).await? else { return Ok(None) };
    let asked = Instant::now();
    loop {
        let now = cluster.get(&key).await?;
        let same = |lease: &Value| lease["spec"]["holderIdentity"] == holder.identity();
        let Some(lease) = now.filter(same) else { return Ok(Some(holder)) };
        if holder.is_dead_process_of_this_host() || asked.elapsed() >= DURATION {
            match cluster.delete_unchanged(&key, &lease).await {
                Err(error) if !error.is_conflict() => return Err(error.into()),
                _ => continue,
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Writes on the lease that its holder is to stop; `None` when nobody holds it.
async fn ask_to_stop(cluster: &Cluster, key: &ObjectKey, why: &str) -> Result<Option<Holder>, LockError> {
    loop {
        let Some(mut lease) = cluster.get(key).await? else { return Ok(None) };
        let identity = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let Some(holder) = Holder::parse(identity) else { return Ok(None) };
        lease["metadata"]["annotations"][UNLOCKED] = json!(why);
        match cluster.replace(&lease, "skep").await {
            Ok(_) => return Ok(Some(holder)),
            // It was renewed between our reading and our writing.
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn key_of(namespace: &str, app: &AppName) -> ObjectKey {
    ObjectKey {
        kind: "Lease".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: format!("skep.{app}"),
        api_version: "coordination.k8s.io/v1".to_owned(),
    }
}

fn doing(step: Option<&str>) -> String {
    step.map(|step| format!(", and is at {step}")).unwrap_or_default()
}

fn lease(key: &ObjectKey, me: &Holder, resource_version: Option<&str>) -> Value {
    let now = skep_ambient::now();
    let mut lease = json!({
        "apiVersion": key.api_version,
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace, "annotations": {STEP: FIRST_STEP}},
        "spec": {
            "holderIdentity": me.identity(),
            "leaseDurationSeconds": DURATION.as_secs(),
            "acquireTime": micro(now),
            "renewTime": micro(now),
        },
    });
    if let Some(version) = resource_version {
        lease["metadata"]["resourceVersion"] = json!(version);
    }
    lease
}

/// MicroTime: RFC 3339 with six digits.
fn micro(at: Timestamp) -> String {
    format!("{at:.6}")
}

async fn wait_until_dead(
    cluster: &Cluster,
    key: &ObjectKey,
    app: &AppName,
    found: &Value,
) -> Result<(), LockError> {
    let holder = Holder::parse(found["spec"]["holderIdentity"].as_str().unwrap_or_default());
    let Some(holder) = holder else { return Ok(()) };
    if holder.is_dead_process_of_this_host() {
        return Ok(());
    }
    let version = found["metadata"]["resourceVersion"].clone();
    let since = Instant::now();
    while since.elapsed() < DURATION {
        tokio::time::sleep(LOOK_EVERY).await;
        match cluster.get(key).await? {
            None => return Ok(()),
            Some(now) if now["metadata"]["resourceVersion"] != version => {
                return Err(LockError::Held {
                    app: app.clone(),
                    holder: Box::new(holder),
                    since: acquired(&now),
                    step: step_of(&now),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn held(cluster: &Cluster, key: &ObjectKey, app: &AppName) -> Result<LockError, LockError> {
    let now = cluster.get(key).await?.unwrap_or_default();
    let holder =
        Holder::parse(now["spec"]["holderIdentity"].as_str().unwrap_or_default()).unwrap_or_default();
    Ok(LockError::Held {
        app: app.clone(),
        holder: Box::new(holder),
        since: acquired(&now),
        step: step_of(&now),
    })
}

fn step_of(lease: &Value) -> Option<String> {
    lease["metadata"]["annotations"][STEP].as_str().map(str::to_owned)
}

fn acquired(lease: &Value) -> String {
    lease["spec"]["acquireTime"].as_str().unwrap_or("an unknown time").to_owned()
}
