//! Leaving in two steps: the first SIGTERM or SIGINT stops intake and lets work finish, a second one, or the deadline, ends it.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{SettingError, settings};

/// Tells every part of a process that it is about to leave. Clones watch the same state.
#[derive(Debug, Clone)]
pub struct Drain {
    draining: watch::Receiver<bool>,
    forced: watch::Receiver<bool>,
    grace: Duration,
}

impl Drain {
    /// Begins to listen for signals. `DRAIN_SECONDS` (25 if absent, below Kubernetes' usual 30 s of grace) is how long work
    /// may take to finish.
    ///
    /// # Errors
    /// When `DRAIN_SECONDS` is not a whole number.
    pub fn from_environment() -> Result<Self, SettingError> {
        let grace = settings::seconds("DRAIN_SECONDS", 25)?;
        let (draining_in, draining) = watch::channel(false);
        let (forced_in, forced) = watch::channel(false);
        // The task owns nothing but the two flags and lives exactly as long as the process, so nobody awaits it.
        tokio::spawn(async move {
            let (Ok(mut term), Ok(mut int)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                tracing::error!("signals cannot be received; only SIGKILL will end this process");
                return std::future::pending().await;
            };
            either(&mut term, &mut int).await;
            tracing::info!("draining: no new work is taken on, what is under way is finished");
            draining_in.send_replace(true);
            either(&mut term, &mut int).await;
            tracing::warn!("second signal: leaving at once");
            forced_in.send_replace(true);
            // The channels stay open until the process is gone: a closed one would read as one more signal.
            std::future::pending::<()>().await;
        });
        Ok(Self { draining, forced, grace })
    }

    /// True from the first signal on. Readiness is `false` from here.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.draining.borrow()
    }

    /// Completes at the first signal.
    pub async fn begun(&self) {
        let mut draining = self.draining.clone();
        if draining.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Completes when patience is over: at the second signal, or the grace period after the first.
    pub async fn over(&self) {
        let mut forced = self.forced.clone();
        let deadline = async {
            self.begun().await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::select! {
            () = deadline => tracing::warn!(seconds = self.grace.as_secs(), "draining took too long"),
            _ = forced.wait_for(|forced| *forced) => {}
        }
    }
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
