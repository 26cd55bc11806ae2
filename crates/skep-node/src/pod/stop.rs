//! Ending a container as the kubelet does: preStop and the signal share the grace, then the kill.

use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;
use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::prober::Target;

/// What a hook that used up the grace leaves for the signal, once (kubernetes/kubernetes#67592).
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// Runs the hook, sends the signal, waits until `deadline` (which may move nearer), and kills. Returns the hook's complaint as
/// soon as there is one through `complain`. Whoever learns that the container has ended drops this.
pub(super) async fn stop(
    target: Target,
    hook: Option<LifecycleHandler>,
    signal: Signal,
    mut deadline: watch::Receiver<Instant>,
    complain: impl FnOnce(String) + Send,
) {
    let mut floor = None;
    if let Some(hook) = hook {
        let left = until(&deadline);
        let complaint = tokio::select! {
            done = target.hook(&hook, left) => done.err(),
            () = passed(&mut deadline) => Some("preStop hook not completed in grace period".to_owned()),
        };
        if let Some(complaint) = complaint {
            complain(complaint);
        }
        if until(&deadline) < LAST_CHANCE {
            floor = Some(Instant::now() + LAST_CHANCE);
        }
    }
    if floor.is_some() || !until(&deadline).is_zero() {
        target.nursery.signal(target.pid, signal);
        match floor {
            Some(floor) => sleep_until(floor).await,
            None => passed(&mut deadline).await,
        }
    }
    target.nursery.signal(target.pid, Signal::SIGKILL);
    // The exit ends this task; where the kernel takes its time, asking again does no harm.
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        target.nursery.signal(target.pid, Signal::SIGKILL);
    }
}

fn until(deadline: &watch::Receiver<Instant>) -> Duration {
    deadline.borrow().saturating_duration_since(Instant::now())
}

async fn passed(deadline: &mut watch::Receiver<Instant>) {
    loop {
        let at = *deadline.borrow_and_update();
        tokio::select! {
            () = sleep_until(at) => return,
            changed = deadline.changed() => if changed.is_err() {
                sleep_until(at).await;
                return;
            },
        }
    }
}
