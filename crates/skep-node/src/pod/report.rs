//! What a pod says of itself: its status, its events, and the record that outlives the node.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;

use super::plan::Role;
use super::record::Record;
use super::state::State;
use super::status::{self, View};
use super::worker::Pod;
use crate::PodUpdate;

impl Pod {
    /// Says what changed, and remembers it.
    pub(super) fn publish(&mut self) {
        if !self.suspending {
            self.remember();
        }
        let status = self.render();
        if self.status.as_ref() != Some(&status) {
            let _ = self.site.updates.send(PodUpdate::Status {
                uid: self.uid.clone(),
                namespace: self.namespace.clone(),
                name: self.name.clone(),
                status: Box::new(status.clone()),
            });
            self.status = Some(status);
        }
    }

    fn remember(&mut self) {
        let containers =
            self.members.iter().map(|member| (member.container.name.clone(), member.record())).collect();
        let record = Record { address: self.address, started_at: Some(self.started_at), containers };
        if record == self.record || self.sandbox.is_none() && !self.steps.outcome.is_final() {
            return;
        }
        if let Err(error) = record.save(&self.folder) {
            tracing::warn!(pod = self.name, %error, "remember a pod");
        }
        self.record = record;
    }

    /// The status as it is now.
    pub(super) fn render(&self) -> PodStatus {
        let messages: Vec<Option<String>> = self
            .members
            .iter()
            .map(|member| match &member.state {
                State::Backing { delay, .. } if !delay.is_zero() => Some(format!(
                    "back-off {} restarting failed container={} pod={}",
                    spoken(*delay),
                    member.container.name,
                    self.full_name()
                )),
                _ => None,
            })
            .collect();
        let has_init = self.members.iter().any(|member| member.role != Role::App);
        let containers: Vec<_> = self
            .members
            .iter()
            .zip(&messages)
            .map(|(member, message)| {
                let turn = member.role != Role::App || self.steps.initialized || !has_init;
                member.view(turn, message.as_deref())
            })
            .collect();
        let view = View {
            pod: &self.input.pod,
            outcome: self.steps.outcome,
            initialized: self.steps.initialized,
            sandbox: self.sandbox.is_some(),
            address: self.status_address(),
            host: self.host(),
            started_at: self.started_at,
            containers: &containers,
        };
        status::build(&view, self.status.as_ref(), Timestamp::now())
    }

    /// An event about one container.
    pub(super) fn note(&self, index: usize, reason: &str, message: String, warning: bool) {
        let member = &self.members[index];
        let list = if member.role == Role::App { "containers" } else { "initContainers" };
        self.tell(reason, message, warning, Some(format!("spec.{list}{{{}}}", member.container.name)));
    }

    /// An event about the pod, or about what `field_path` names.
    pub(super) fn tell(&self, reason: &str, message: String, warning: bool, field_path: Option<String>) {
        let _ = self.site.updates.send(PodUpdate::Event {
            uid: self.uid.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            reason: reason.to_owned(),
            message,
            warning,
            field_path,
        });
    }

    /// As the kubelet names pods in messages.
    pub(super) fn full_name(&self) -> String {
        format!("{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// `10s`, `1m20s`, `5m0s`, as Go prints them.
fn spoken(delay: Duration) -> String {
    let seconds = delay.as_secs();
    if seconds == 0 {
        format!("{}ms", delay.as_millis())
    } else if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}
