//! The task that renews a lease, and what it knows of the last acknowledgement.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use skep_model::ObjectKey;
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use crate::Cluster;

/// When the API last acknowledged that we hold the lease, by both clocks.
#[derive(Debug, Clone)]
struct Acknowledged {
    monotonic: Instant,
    wall: Timestamp,
    stolen: Option<String>,
}

/// How sure the holder of a lease may be of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Held,
    /// No renewal was acknowledged for so long: it may be ours still, and nothing may be written until that is known.
    Unsure(Duration),
    /// Why it is somebody else's, or nobody's.
    Lost(String),
}

/// What is known of a lease that was taken. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    last: Arc<Mutex<Acknowledged>>,
    good_for: Duration,
}

#[derive(Debug)]
pub(super) struct Renewal {
    hold: Hold,
    /// What the holder is doing; written with the next renewal.
    step: Arc<Mutex<String>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Option<Value>>,
}

impl Hold {
    /// How sure we are of the lease now.
    pub(super) fn standing(&self) -> Standing {
        let Ok(last) = self.last.lock() else {
            return Standing::Lost("its renewal failed".to_owned());
        };
        if let Some(holder) = &last.stolen {
            return Standing::Lost(holder.clone());
        }
        let wall = skep_ambient::now().duration_since(last.wall).try_into().unwrap_or_default();
        let since = last.monotonic.elapsed().max(wall);
        if since >= self.good_for { Standing::Unsure(since) } else { Standing::Held }
    }
}

impl Renewal {
    pub(super) fn start(
        cluster: Cluster,
        key: ObjectKey,
        lease: Value,
        good_for: Duration,
        every: Duration,
    ) -> Self {
        let now = Acknowledged { monotonic: Instant::now(), wall: skep_ambient::now(), stolen: None };
        let last = Arc::new(Mutex::new(now));
        let step = Arc::new(Mutex::new(super::FIRST_STEP.to_owned()));
        let (stop, stopped) = oneshot::channel();
        let told = (Arc::clone(&last), Arc::clone(&step));
        let task = tokio::spawn(renew(cluster, key, lease, every, told, stopped));
        Self { hold: Hold { last, good_for }, step, stop, task }
    }

    /// What is known of the lease.
    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Notes what the holder is doing.
    pub(super) fn is_at(&self, step: &str) {
        if let Ok(mut now) = self.step.lock()
            && *now != step
        {
            step.clone_into(&mut now);
        }
    }

    /// The lease as it was when it was ours for the last time; `None` when it no longer is.
    pub(super) async fn stop(self) -> Option<Value> {
        let _ = self.stop.send(());
        match self.task.await {
            Ok(lease) => lease,
            Err(error) => {
                tracing::warn!(%error, "the lease's renewal ended badly");
                None
            }
        }
    }
}

async fn renew(
    cluster: Cluster,
    key: ObjectKey,
    mut lease: Value,
    every: Duration,
    (last, step): (Arc<Mutex<Acknowledged>>, Arc<Mutex<String>>),
    mut stopped: oneshot::Receiver<()>,
) -> Option<Value> {
    let mine = lease["spec"]["holderIdentity"].clone();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return Some(lease),
            () = tokio::time::sleep(every) => {}
        }
        let (monotonic, wall) = (Instant::now(), skep_ambient::now());
        if let Ok(step) = step.lock() {
            lease["metadata"]["annotations"][super::STEP] = json!(*step);
        }
        lease["spec"]["renewTime"] = json!(super::micro(skep_ambient::now()));
        match cluster.replace(&lease, "skep").await {
            Ok(renewed) => {
                lease = renewed;
                if let Ok(mut last) = last.lock() {
                    (last.monotonic, last.wall) = (monotonic, wall);
                }
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {
                let Ok(now) = cluster.get(&key).await else {
                    continue;
                };
                match now {
                    Some(now) if now["spec"]["holderIdentity"] == mine && unlocked(&now).is_none() => {
                        lease = now;
                    }
                    now => {
                        if let Ok(mut last) = last.lock() {
                            last.stolen = Some(how_it_was_lost(now.as_ref()));
                        }
                        // Nothing more is written from here on: whoever wants the lock may have it.
                        return now.filter(|now| now["spec"]["holderIdentity"] == mine);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the lease could not be renewed, it will be tried again"),
        }
    }
}

/// Who wants the holder to stop, and why.
fn unlocked(lease: &Value) -> Option<&str> {
    lease["metadata"]["annotations"][super::UNLOCKED].as_str()
}

/// What is in the place of a lease that was ours.
fn how_it_was_lost(now: Option<&Value>) -> String {
    let Some(now) = now else { return "somebody deleted the lease".to_owned() };
    match unlocked(now) {
        Some(why) => why.to_owned(),
        None => format!("{} took it", now["spec"]["holderIdentity"].as_str().unwrap_or("somebody")),
    }
}
