//! What happened in a pod, and what it means for its containers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::container;
use super::probing::Kind;
use super::record::Ending;
use super::state::{Hold, Member, State};
use super::worker::{Happened, Pod};
use crate::init::wire::Exit;
use crate::log::last_lines;

/// When a layer that could not be unpacked (a full disk) is tried again.
const UNPACK_AGAIN: Duration = Duration::from_secs(10);

impl Pod {
    /// Takes in one report.
    pub(super) fn learn(&mut self, report: Happened) {
        match report {
            Happened::Exited { index, attempt, exit } if self.members[index].restarts == attempt => {
                self.exited(index, exit);
            }
            Happened::Answered { index, attempt, kind, result }
                if self.members[index].restarts == attempt =>
            {
                self.answered(index, kind, result);
            }
            Happened::Hooked { index, attempt, result } if self.members[index].restarts == attempt => {
                self.hooked(index, result);
            }
            Happened::Exited { .. } | Happened::Answered { .. } | Happened::Hooked { .. } => {}
            Happened::Unpacked { index, result } => {
                let state = match result {
                    Ok(()) => State::waiting("ContainerCreating", None, Hold::Turn),
                    Err(message) => {
                        self.note(index, "Failed", format!("Error: {message}"), true);
                        let happened = self.happened.clone();
                        self.tasks.spawn(async move {
                            tokio::time::sleep(UNPACK_AGAIN).await;
                            let _ = happened.send(Happened::Again { index });
                        });
                        State::waiting("ErrImagePull", Some(message), Hold::Input)
                    }
                };
                if matches!(self.members[index].state, State::Waiting { .. }) {
                    self.members[index].state = state;
                }
            }
            Happened::Again { index } => {
                if let State::Waiting { hold, .. } = &mut self.members[index].state
                    && *hold == Hold::Input
                {
                    *hold = Hold::Turn;
                }
            }
            Happened::StopHookFailed { index, message } => {
                self.note(index, "FailedPreStopHook", format!("PreStopHook failed: {message}"), true);
            }
            Happened::SandboxGone { pid } => {
                if self.sandbox == Some(pid) {
                    self.sandbox = None;
                    if self.leaving.is_none() {
                        self.tell(
                            "SandboxChanged",
                            "Pod sandbox changed, it will be killed and re-created.".to_owned(),
                            false,
                            None,
                        );
                    }
                    for run in self.members.iter().filter_map(Member::run) {
                        self.site.nursery.signal(run.pid, nix::sys::signal::Signal::SIGKILL);
                    }
                }
            }
        }
    }

    fn answered(&mut self, index: usize, kind: Kind, result: Result<(), String>) {
        let leaving = self.leaving.is_some();
        let Some(run) = self.members[index].run_mut() else { return };
        let stopping = run.stopping.is_some();
        let Some((probe, probing)) = run.probes.get_mut(&kind) else { return };
        let verdict = probing.answer(result.is_ok());
        let grace = probe.termination_grace_period_seconds;
        if let Err(message) = result {
            if stopping || leaving {
                return;
            }
            self.note(index, "Unhealthy", format!("{} probe failed: {message}", kind.title()), true);
            if verdict == Some(false) && kind != Kind::Readiness {
                let name = &self.members[index].container.name;
                let message = format!(
                    "Container {name} failed {} probe, will be restarted",
                    kind.title().to_lowercase()
                );
                self.note(index, "Killing", message, false);
                self.restart(index, grace);
            }
        }
    }

    fn hooked(&mut self, index: usize, result: Result<(), String>) {
        if let Some(run) = self.members[index].run_mut() {
            run.hooked = false;
        }
        if let Err(message) = result {
            self.note(index, "FailedPostStartHook", format!("PostStartHook failed: {message}"), true);
            self.restart(index, None);
        }
    }

    /// Ends a container so that its policy brings it back. `grace` in seconds; the pod's own if absent.
    fn restart(&mut self, index: usize, grace: Option<i64>) {
        let grace =
            grace.and_then(|grace| u64::try_from(grace).ok()).map_or(self.grace(), Duration::from_secs);
        let deadline = tokio::time::Instant::now() + grace;
        self.stop(index, watch::channel(deadline).1, false);
    }

    fn exited(&mut self, index: usize, exit: Option<Exit>) {
        let member = &mut self.members[index];
        let placeholder = State::waiting("ContainerCreating", None, Hold::Turn);
        let State::Running(run) = std::mem::replace(&mut member.state, placeholder) else { return };
        if let Some((stopping, _)) = &run.stopping {
            stopping.abort();
        }
        let exit = exit.unwrap_or(Exit::Signal(9));
        let oom = exit == Exit::Signal(9) && run.group.oom_kills() > 0;
        let code = exit.code();
        let reason = if oom {
            "OOMKilled"
        } else if code == 0 {
            "Completed"
        } else {
            "Error"
        };
        let container = Arc::clone(&member.container);
        let container_id = member.container_id.clone();
        let mut message = container::termination_message(&self.folder, &container.name);
        if message.is_none()
            && code != 0
            && container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
        {
            let folder = self.site.logs.folder(&self.namespace, &self.name, &self.uid, &container.name);
            message = Some(last_lines(&folder, 80, 2048)).filter(|text| !text.is_empty());
        }
        let ending = Ending {
            code,
            signal: if let Exit::Signal(signal) = exit { Some(signal) } else { None },
            reason: reason.to_owned(),
            message,
            started_at: run.since,
            finished_at: Timestamp::now(),
            container_id,
        };
        let ran = run.at.elapsed();
        drop(run);
        self.ended(index, ending, ran);
    }

    /// Decides what a run's end means. `ran`: how long it was.
    pub(super) fn ended(&mut self, index: usize, ending: Ending, ran: Duration) {
        let again = self.leaving.is_none() && self.policy().again(self.members[index].role, ending.code);
        let backoff = self.site.config.backoff;
        let member = &mut self.members[index];
        if !again {
            member.state = State::Ended(ending);
            return;
        }
        let delay = member.ladder.step(&backoff, ran);
        member.state = State::Backing { ending, until: Instant::now() + delay, delay };
        if !delay.is_zero() {
            let name = Arc::clone(&self.members[index].container);
            let message =
                format!("Back-off restarting failed container {} in pod {}", name.name, self.full_name());
            self.note(index, "BackOff", message, true);
        }
    }
}
