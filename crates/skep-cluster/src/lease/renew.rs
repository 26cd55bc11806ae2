//! The task that renews a lease, and what it knows of the last acknowledgement.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
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
    wall: SystemTime,
    stolen: Option<String>,
}

#[derive(Debug)]
pub(super) struct Renewal {
    last: Arc<Mutex<Acknowledged>>,
    good_for: Duration,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Renewal {
    pub(super) fn start(
        cluster: Cluster,
        key: ObjectKey,
        lease: Value,
        good_for: Duration,
        every: Duration,
    ) -> Self {
        let now = Acknowledged { monotonic: Instant::now(), wall: SystemTime::now(), stolen: None };
        let last = Arc::new(Mutex::new(now));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(renew(cluster, key, lease, every, Arc::clone(&last), stopped));
        Self { last, good_for, stop, task }
    }

    /// # Errors
    /// Why the lease must be taken for lost.
    pub(super) fn check(&self) -> Result<(), String> {
        let Ok(last) = self.last.lock() else {
            return Err("its renewal failed".to_owned());
        };
        if let Some(holder) = &last.stolen {
            return Err(format!("{holder} took it"));
        }
        let wall = last.wall.elapsed().unwrap_or_default();
        let since = last.monotonic.elapsed().max(wall);
        if since >= self.good_for {
            return Err(format!("no renewal was acknowledged for {} s", since.as_secs()));
        }
        Ok(())
    }

    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the lease's renewal ended badly");
        }
    }
}

async fn renew(
    cluster: Cluster,
    key: ObjectKey,
    mut lease: Value,
    every: Duration,
    last: Arc<Mutex<Acknowledged>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mine = lease["spec"]["holderIdentity"].clone();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            () = tokio::time::sleep(every) => {}
        }
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        lease["spec"]["renewTime"] = json!(super::micro(Timestamp::now()));
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
                    Some(now) if now["spec"]["holderIdentity"] == mine => lease = now,
                    now => {
                        let holder =
                            now.and_then(|now| now["spec"]["holderIdentity"].as_str().map(str::to_owned));
                        if let Ok(mut last) = last.lock() {
                            last.stolen =
                                Some(holder.unwrap_or_else(|| "somebody deleted the lease and".to_owned()));
                        }
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the lease could not be renewed, it will be tried again"),
        }
    }
}
