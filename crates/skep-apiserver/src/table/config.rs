//! Configuration, storage, nodes, namespaces, events, leases.

use serde_json::Value;

use super::{Columns, count, created, name, number, or, since, text, wide};
use crate::meta;

fn length(object: &Value, fields: &[&str]) -> Value {
    Value::from(
        fields.iter().filter_map(|field| object[*field].as_object()).map(serde_json::Map::len).sum::<usize>(),
    )
}

pub(crate) static CONFIG_MAPS: Columns = Columns {
    head: &[text("Name"), count("Data"), text("Age")],
    cells: |object, now| vec![name(object), length(object, &["data", "binaryData"]), created(object, now)],
};

pub(crate) static SECRETS: Columns = Columns {
    head: &[text("Name"), text("Type"), count("Data"), text("Age")],
    cells: |object, now| {
        vec![
            name(object),
            Value::from(or(object, "/type", "")),
            length(object, &["data"]),
            created(object, now),
        ]
    },
};

pub(crate) static NAMESPACES: Columns = Columns {
    head: &[text("Name"), text("Status"), text("Age")],
    cells: |object, now| {
        vec![name(object), Value::from(or(object, "/status/phase", "Active")), created(object, now)]
    },
};

pub(crate) static NODES: Columns = Columns {
    head: &[
        text("Name"),
        text("Status"),
        text("Roles"),
        text("Age"),
        text("Version"),
        wide("Internal-IP"),
        wide("OS-Image"),
        wide("Kernel-Version"),
        wide("Container-Runtime"),
    ],
    cells: |object, now| {
        let ready = meta::list(object, "/status/conditions").iter().find(|c| c["type"] == "Ready");
        let status = match ready.map(|condition| condition["status"] == "True") {
            Some(true) => "Ready",
            Some(false) => "NotReady",
            None => "Unknown",
        };
        const ROLE: &str = "node-role.kubernetes.io/";
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let roles: Vec<&str> = labels.filter_map(|(key, _)| key.strip_prefix(ROLE)).collect();
        let addresses = meta::list(object, "/status/addresses").iter();
        let address = addresses.filter(|a| a["type"] == "InternalIP").find_map(|a| a["address"].as_str());
        vec![
            name(object),
            Value::from(status),
            Value::from(if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }),
            created(object, now),
            Value::from(or(object, "/status/nodeInfo/kubeletVersion", "")),
            Value::from(address.unwrap_or("<none>")),
            Value::from(or(object, "/status/nodeInfo/osImage", "<unknown>")),
            Value::from(or(object, "/status/nodeInfo/kernelVersion", "<unknown>")),
            Value::from(or(object, "/status/nodeInfo/containerRuntimeVersion", "<unknown>")),
        ]
    },
};

pub(crate) static PERSISTENT_VOLUME_CLAIMS: Columns = Columns {
    head: &[
        text("Name"),
        text("Status"),
        text("Volume"),
        text("Capacity"),
        text("Access Modes"),
        text("StorageClass"),
        text("Age"),
    ],
    cells: |object, now| {
        vec![
            name(object),
            Value::from(or(object, "/status/phase", "Pending")),
            Value::from(or(object, "/spec/volumeName", "")),
            Value::from(or(object, "/status/capacity/storage", "")),
            access_modes(object),
            Value::from(or(object, "/spec/storageClassName", "")),
            created(object, now),
        ]
    },
};

pub(crate) static PERSISTENT_VOLUMES: Columns = Columns {
    head: &[
        text("Name"),
        text("Capacity"),
        text("Access Modes"),
        text("Reclaim Policy"),
        text("Status"),
        text("Claim"),
        text("StorageClass"),
        text("Age"),
    ],
    cells: |object, now| {
        let claim = &object["spec"]["claimRef"];
        let claim = match meta::text(claim, "/name") {
            Some(name) => format!("{}/{name}", or(claim, "/namespace", "")),
            None => String::new(),
        };
        vec![
            name(object),
            Value::from(or(object, "/spec/capacity/storage", "")),
            access_modes(object),
            Value::from(or(object, "/spec/persistentVolumeReclaimPolicy", "")),
            Value::from(or(object, "/status/phase", "")),
            Value::from(claim),
            Value::from(or(object, "/spec/storageClassName", "")),
            created(object, now),
        ]
    },
};

fn access_modes(object: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        _ => "RWOP",
    };
    let modes: Vec<&str> = meta::list(object, "/spec/accessModes").iter().map(short).collect();
    Value::from(modes.join(","))
}

pub(crate) static EVENTS: Columns = Columns {
    head: &[
        text("Last Seen"),
        text("Type"),
        text("Reason"),
        text("Object"),
        text("Message"),
        wide("Source"),
        wide("First Seen"),
        wide("Count"),
        wide("Name"),
    ],
    cells: |object, now| {
        let first = or(
            object,
            "/firstTimestamp",
            or(object, "/eventTime", or(object, "/metadata/creationTimestamp", "")),
        );
        let last = or(object, "/series/lastObservedTime", or(object, "/lastTimestamp", first));
        let about = &object["involvedObject"];
        let about = format!("{}/{}", or(about, "/kind", "").to_lowercase(), or(about, "/name", ""));
        vec![
            Value::from(since(Some(last), now)),
            Value::from(or(object, "/type", "")),
            Value::from(or(object, "/reason", "")),
            Value::from(about),
            Value::from(or(object, "/message", "").trim()),
            Value::from(or(object, "/source/component", or(object, "/reportingComponent", ""))),
            Value::from(since(Some(first), now)),
            Value::from(number(object, "/count").max(1).to_string()),
            name(object),
        ]
    },
};

pub(crate) static LEASES: Columns = Columns {
    head: &[text("Name"), text("Holder"), text("Age")],
    cells: |object, now| {
        vec![name(object), Value::from(or(object, "/spec/holderIdentity", "")), created(object, now)]
    },
};

pub(crate) static RESOURCE_QUOTAS: Columns = Columns {
    head: &[text("Name"), text("Request"), text("Limit"), text("Age")],
    cells: |object, now| {
        let [mut requests, mut limits] = [Vec::new(), Vec::new()];
        let hard = object.pointer("/status/hard").and_then(Value::as_object);
        for (resource, hard) in hard.into_iter().flatten() {
            let used = object["status"]["used"][resource].as_str().unwrap_or("0");
            let line = format!("{resource}: {used}/{}", hard.as_str().unwrap_or_default());
            if resource.starts_with("limits.") { limits.push(line) } else { requests.push(line) }
        }
        vec![
            name(object),
            Value::from(requests.join(", ")),
            Value::from(limits.join(", ")),
            created(object, now),
        ]
    },
};
