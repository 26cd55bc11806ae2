//! From what a pod's containers are to the status that Kubernetes shows. Pure.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::plan::{Outcome, Role};
use super::record::Ending;

/// What the status is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) outcome: Outcome,
    pub(crate) initialized: bool,
    /// The pod's namespaces are there.
    pub(crate) sandbox: bool,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) host: Ipv4Addr,
    pub(crate) started_at: Timestamp,
    pub(crate) containers: &'a [ContainerView<'a>],
}

/// One container.
#[derive(Debug, Clone)]
pub(crate) struct ContainerView<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) image: &'a str,
    pub(crate) image_id: &'a str,
    pub(crate) container_id: &'a str,
    pub(crate) restarts: i32,
    pub(crate) state: StateView<'a>,
    pub(crate) last: Option<&'a Ending>,
    pub(crate) started: bool,
    pub(crate) ready: bool,
}

/// A container's state.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StateView<'a> {
    Waiting { reason: &'a str, message: Option<&'a str> },
    Running { since: Timestamp },
    Terminated(&'a Ending),
}

/// The whole status. `before`: the last one, whose transition times stay where nothing changed.
pub(crate) fn build(view: &View<'_>, before: Option<&PodStatus>, now: Timestamp) -> PodStatus {
    let of = |wanted: fn(Role) -> bool| -> Option<Vec<ContainerStatus>> {
        let found: Vec<_> = view.containers.iter().filter(|c| wanted(c.role)).map(container).collect();
        (!found.is_empty()).then_some(found)
    };
    PodStatus {
        phase: Some(view.outcome.phase().to_owned()),
        conditions: Some(conditions(view, before, now)),
        init_container_statuses: of(|role| role != Role::App),
        container_statuses: of(|role| role == Role::App),
        host_ip: Some(view.host.to_string()),
        host_ips: Some(vec![HostIP { ip: view.host.to_string() }]),
        pod_ip: view.address.map(|address| address.to_string()),
        pod_ips: view.address.map(|address| vec![PodIP { ip: address.to_string() }]),
        start_time: Some(Time(seconds(view.started_at))),
        qos_class: Some(qos(view.pod).to_owned()),
        observed_generation: view.pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Kubernetes' times have whole seconds.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn container(view: &ContainerView<'_>) -> ContainerStatus {
    let mut state = ContainerState::default();
    match view.state {
        StateView::Waiting { reason, message } => {
            state.waiting = Some(ContainerStateWaiting {
                reason: Some(reason.to_owned()),
                message: message.map(str::to_owned),
            });
        }
        StateView::Running { since } => {
            state.running = Some(ContainerStateRunning { started_at: Some(Time(seconds(since))) });
        }
        StateView::Terminated(ending) => state.terminated = Some(terminated(ending)),
    }
    let last = view
        .last
        .map(|ending| ContainerState { terminated: Some(terminated(ending)), ..ContainerState::default() });
    let finished_well = matches!(view.state, StateView::Terminated(ending) if ending.code == 0);
    ContainerStatus {
        name: view.name.to_owned(),
        image: view.image.to_owned(),
        image_id: view.image_id.to_owned(),
        container_id: (!view.container_id.is_empty()).then(|| view.container_id.to_owned()),
        restart_count: view.restarts,
        ready: if view.role == Role::Init { finished_well } else { view.ready },
        started: Some(view.started),
        state: Some(state),
        last_state: Some(last.unwrap_or_default()),
        ..ContainerStatus::default()
    }
}

fn terminated(ending: &Ending) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: ending.code,
        // Runtimes report 128 and the number as the code, and no signal.
        signal: None,
        reason: Some(ending.reason.clone()),
        message: ending.message.clone(),
        started_at: Some(Time(seconds(ending.started_at))),
        finished_at: Some(Time(seconds(ending.finished_at))),
        container_id: (!ending.container_id.is_empty()).then(|| ending.container_id.clone()),
    }
}

fn conditions(view: &View<'_>, before: Option<&PodStatus>, now: Timestamp) -> Vec<PodCondition> {
    let done = view.outcome == Outcome::Succeeded;
    let unready: Vec<&str> =
        view.containers.iter().filter(|c| c.role != Role::Init && !c.ready).map(|c| c.name).collect();
    let waiting_init: Vec<&str> = view
        .containers
        .iter()
        .filter(|c| match (c.role, c.state) {
            (Role::Init, StateView::Terminated(ending)) => ending.code != 0,
            (Role::Init, _) => true,
            (Role::Sidecar, _) => !c.started,
            (Role::App, _) => false,
        })
        .map(|c| c.name)
        .collect();
    let containers_ready = if done {
        Err(("PodCompleted", None))
    } else if view.outcome == Outcome::Failed {
        Err(("PodFailed", None))
    } else if unready.is_empty() {
        Ok(())
    } else {
        Err(("ContainersNotReady", Some(format!("containers with unready status: [{}]", unready.join(" ")))))
    };
    let initialized = if view.initialized || done {
        if done { Err(("PodCompleted", None)) } else { Ok(()) }
    } else {
        let message = format!("containers with incomplete status: [{}]", waiting_init.join(" "));
        Err(("ContainersNotInitialized", Some(message)))
    };
    let ready = containers_ready.clone().and_then(|()| gates(view.pod));
    // A pod that completed counts as initialized all the same.
    let initialized_status = view.initialized || done;
    [
        ("PodReadyToStartContainers", view.sandbox, Ok(())),
        ("Initialized", initialized_status, initialized),
        ("Ready", ready.is_ok(), ready),
        ("ContainersReady", containers_ready.is_ok(), containers_ready),
        ("PodScheduled", true, Ok(())),
    ]
    .into_iter()
    .map(|(kind, status, why)| {
        let status = if status { "True" } else { "False" };
        let old = before.and_then(|before| before.conditions.as_ref()).and_then(|conditions| {
            conditions.iter().find(|condition| condition.type_ == kind && condition.status == status)
        });
        let since = old.and_then(|old| old.last_transition_time.clone()).unwrap_or(Time(seconds(now)));
        let (reason, message) =
            why.err().map_or((None, None), |(reason, message)| (Some(reason.to_owned()), message));
        PodCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason,
            message,
            last_transition_time: Some(since),
            observed_generation: view.pod.metadata.generation,
            ..PodCondition::default()
        }
    })
    .collect()
}

/// Every readiness gate must have its condition, which others write into the pod.
fn gates(pod: &Pod) -> Result<(), (&'static str, Option<String>)> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    for gate in pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten()) {
        let kind = &gate.condition_type;
        let found = conditions.into_iter().flatten().find(|condition| condition.type_ == *kind);
        if found.is_none_or(|condition| condition.status != "True") {
            let what = if found.is_none() { "does not exist" } else { "is not True" };
            return Err((
                "ReadinessGatesNotReady",
                Some(format!("corresponding condition of pod readiness gate {kind:?} {what}")),
            ));
        }
    }
    Ok(())
}

/// `Guaranteed` if every container has limits for CPU and memory that equal its requests, `BestEffort` if none has any.
pub(crate) fn qos(pod: &Pod) -> &'static str {
    let mut any = false;
    let mut all = true;
    for container in
        pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
    {
        let resources = container.resources.clone().unwrap_or_default();
        let (limits, requests) =
            (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        for name in ["cpu", "memory"] {
            let (limit, request) = (limits.get(name), requests.get(name));
            any |= limit.is_some() || request.is_some();
            all &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
