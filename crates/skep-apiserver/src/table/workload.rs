//! Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs, autoscalers, budgets.

use serde_json::Value;

use super::age::human;
use super::{Column, Columns, containers, count, created, name, number, or, text, wide};
use crate::meta;
use crate::selector;

fn selector(object: &Value) -> Value {
    Value::from(selector::text_of(object.pointer("/spec/selector")))
}

pub(crate) static DEPLOYMENTS: Columns = Columns {
    head: &[
        text("Name"),
        text("Ready"),
        count("Up-to-date"),
        count("Available"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let [names, images] = containers(&object["spec"]);
        let (ready, wanted) = (number(object, "/status/readyReplicas"), number(object, "/spec/replicas"));
        vec![
            name(object),
            Value::from(format!("{ready}/{wanted}")),
            Value::from(number(object, "/status/updatedReplicas")),
            Value::from(number(object, "/status/availableReplicas")),
            created(object, now),
            names,
            images,
            selector(object),
        ]
    },
};

pub(crate) static REPLICA_SETS: Columns = Columns {
    head: &[
        text("Name"),
        count("Desired"),
        count("Current"),
        count("Ready"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let [names, images] = containers(&object["spec"]);
        vec![
            name(object),
            Value::from(number(object, "/spec/replicas")),
            Value::from(number(object, "/status/replicas")),
            Value::from(number(object, "/status/readyReplicas")),
            created(object, now),
            names,
            images,
            selector(object),
        ]
    },
};

pub(crate) static STATEFUL_SETS: Columns = Columns {
    head: &[text("Name"), text("Ready"), text("Age"), wide("Containers"), wide("Images")],
    cells: |object, now| {
        let [names, images] = containers(&object["spec"]);
        let (ready, wanted) = (number(object, "/status/readyReplicas"), number(object, "/spec/replicas"));
        vec![name(object), Value::from(format!("{ready}/{wanted}")), created(object, now), names, images]
    },
};

pub(crate) static DAEMON_SETS: Columns = Columns {
    head: &[
        text("Name"),
        count("Desired"),
        count("Current"),
        count("Ready"),
        count("Up-to-date"),
        count("Available"),
        text("Node Selector"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let [names, images] = containers(&object["spec"]);
        let status = |field: &str| Value::from(number(object, &format!("/status/{field}")));
        let wanted = object.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object);
        let pairs = wanted.into_iter().flatten();
        let pairs: Vec<String> =
            pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        vec![
            name(object),
            status("desiredNumberScheduled"),
            status("currentNumberScheduled"),
            status("numberReady"),
            status("updatedNumberScheduled"),
            status("numberAvailable"),
            Value::from(if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }),
            created(object, now),
            names,
            images,
            selector(object),
        ]
    },
};

pub(crate) static CONTROLLER_REVISIONS: Columns = Columns {
    head: &[text("Name"), text("Controller"), count("Revision"), text("Age")],
    cells: |object, now| {
        let owner = |field: &str| or(object, &format!("/metadata/ownerReferences/0/{field}"), "");
        let group = owner("apiVersion").split_once('/').map_or("", |(group, _)| group);
        let controller = match owner("kind") {
            "" => "<none>".to_owned(),
            kind => format!("{}.{group}/{}", kind.to_lowercase(), owner("name")),
        };
        vec![
            name(object),
            Value::from(controller),
            Value::from(number(object, "/revision")),
            created(object, now),
        ]
    },
};

pub(crate) static CRON_JOBS: Columns = Columns {
    head: &[
        text("Name"),
        text("Schedule"),
        text("Timezone"),
        Column("Suspend", "boolean", false),
        count("Active"),
        text("Last Schedule"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let [names, images] = containers(&object["spec"]["jobTemplate"]["spec"]);
        let last = meta::text(object, "/status/lastScheduleTime");
        vec![
            name(object),
            object["spec"]["schedule"].clone(),
            Value::from(or(object, "/spec/timeZone", "<none>")),
            Value::from(if object["spec"]["suspend"] == true { "True" } else { "False" }),
            Value::from(meta::list(object, "/status/active").len()),
            Value::from(last.map_or_else(|| "<none>".to_owned(), |last| super::since(Some(last), now))),
            created(object, now),
            names,
            images,
            Value::from("<none>"),
        ]
    },
};

pub(crate) static JOBS: Columns = Columns {
    head: &[
        text("Name"),
        text("Status"),
        text("Completions"),
        text("Duration"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let [names, images] = containers(&object["spec"]);
        let done = number(object, "/status/succeeded");
        let completions = match meta::number(object, "/spec/completions") {
            Some(wanted) => format!("{done}/{wanted}"),
            None => format!("{done}/1 of {}", number(object, "/spec/parallelism")),
        };
        let time = |pointer| meta::text(object, pointer)?.parse::<jiff::Timestamp>().ok();
        let duration = time("/status/startTime").map(|start| {
            let end = time("/status/completionTime").unwrap_or(now);
            human(end.as_second() - start.as_second())
        });
        vec![
            name(object),
            Value::from(job_status(object)),
            Value::from(completions),
            Value::from(duration.unwrap_or_default()),
            created(object, now),
            names,
            images,
            selector(object),
        ]
    },
};

fn job_status(job: &Value) -> &'static str {
    let is = |wanted: &str| {
        meta::list(job, "/status/conditions").iter().any(|c| c["type"] == wanted && c["status"] == "True")
    };
    match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if meta::is_deleting(job) => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

pub(crate) static HORIZONTAL_POD_AUTOSCALERS: Columns = Columns {
    head: &[
        text("Name"),
        text("Reference"),
        text("Targets"),
        text("MinPods"),
        text("MaxPods"),
        count("Replicas"),
        text("Age"),
    ],
    cells: |object, now| {
        let target = &object["spec"]["scaleTargetRef"];
        vec![
            name(object),
            Value::from(format!("{}/{}", or(target, "/kind", ""), or(target, "/name", ""))),
            Value::from("<unknown>"),
            Value::from(number(object, "/spec/minReplicas").to_string()),
            Value::from(number(object, "/spec/maxReplicas").to_string()),
            Value::from(number(object, "/status/currentReplicas")),
            created(object, now),
        ]
    },
};

pub(crate) static POD_DISRUPTION_BUDGETS: Columns = Columns {
    head: &[
        text("Name"),
        text("Min Available"),
        text("Max Unavailable"),
        Column("Allowed Disruptions", "integer", false),
        text("Age"),
    ],
    cells: |object, now| {
        let amount = |field: &str| match object["spec"].get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "N/A".to_owned(),
        };
        vec![
            name(object),
            Value::from(amount("minAvailable")),
            Value::from(amount("maxUnavailable")),
            Value::from(number(object, "/status/disruptionsAllowed")),
            created(object, now),
        ]
    },
};
