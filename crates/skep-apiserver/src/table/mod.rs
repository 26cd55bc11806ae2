//! How `kubectl get` shows objects: `meta.k8s.io/v1` Tables with the columns that kubectl's users know.

mod age;
mod config;
mod network;
mod pod;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use age::since;
pub(crate) use config::{
    CONFIG_MAPS, EVENTS, LEASES, NAMESPACES, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES,
    RESOURCE_QUOTAS, SECRETS,
};
pub(crate) use network::{ENDPOINT_SLICES, ENDPOINTS, INGRESSES, SERVICES};
pub(crate) use pod::PODS;
pub(crate) use workload::{
    CONTROLLER_REVISIONS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, JOBS,
    POD_DISRUPTION_BUDGETS, REPLICA_SETS, STATEFUL_SETS,
};

use crate::meta;

/// The columns of a kind and the cells of an object.
#[derive(Debug)]
pub(crate) struct Columns {
    head: &'static [Column],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
}

/// One column: its name, its type, and whether only `-o wide` shows it.
#[derive(Debug)]
struct Column(&'static str, &'static str, bool);

/// A column of text.
const fn text(name: &'static str) -> Column {
    Column(name, "string", false)
}

/// A column of text that only `-o wide` shows.
const fn wide(name: &'static str) -> Column {
    Column(name, "string", true)
}

/// A column of numbers.
const fn count(name: &'static str) -> Column {
    Column(name, "integer", false)
}

/// For kinds without columns of their own.
pub(crate) static DEFAULT_COLUMNS: Columns = Columns {
    head: &[text("Name"), text("Created At")],
    cells: |object, _| vec![name(object), object["metadata"]["creationTimestamp"].clone()],
};

/// What of each object goes into its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowObject {
    /// Its metadata: what kubectl needs for `--show-labels` and sorting.
    Metadata,
    /// All of it.
    Whole,
    /// Nothing.
    Nothing,
}

/// A Table of objects. Without `head` it has no column definitions: a watch sends them only once.
pub(crate) fn table(
    columns: &Columns,
    objects: &[impl AsRef<Value>],
    metadata: &Value,
    head: bool,
    rows: RowObject,
) -> Value {
    let now = skep_ambient::now();
    let row = |object: &Value| {
        let cells = (columns.cells)(object, now);
        match rows {
            RowObject::Nothing => json!({"cells": cells}),
            RowObject::Whole => json!({"cells": cells, "object": object}),
            RowObject::Metadata => json!({"cells": cells, "object": partial(object)}),
        }
    };
    let definitions: Value = columns.head.iter().filter(|_| head).map(definition).collect();
    let rows: Value = objects.iter().map(|object| row(object.as_ref())).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

/// An object's metadata alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn definition(Column(name, kind, wide): &Column) -> Value {
    let format = if *name == "Name" { "name" } else { "" };
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": i32::from(*wide)})
}

fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

fn created(object: &Value, now: Timestamp) -> Value {
    Value::from(since(meta::text(object, "/metadata/creationTimestamp"), now))
}

fn number(object: &Value, pointer: &str) -> i64 {
    meta::number(object, pointer).unwrap_or(0)
}

/// The text at a pointer, or a placeholder.
fn or<'a>(object: &'a Value, pointer: &str, placeholder: &'a str) -> &'a str {
    meta::text(object, pointer).filter(|text| !text.is_empty()).unwrap_or(placeholder)
}

/// Names and images of a template's containers, joined.
fn containers(spec: &Value) -> [Value; 2] {
    let all = meta::list(spec, "/template/spec/containers");
    let joined = |field: &str| {
        let each: Vec<&str> = all.iter().filter_map(|container| container[field].as_str()).collect();
        Value::from(each.join(","))
    };
    [joined("name"), joined("image")]
}
