//! Label and field selectors.

use serde_json::Value;

use crate::kind::Kind;
use crate::meta;
use crate::status::Status;

/// What a list or watch is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

/// One condition on labels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

/// One condition on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    pointer: &'static str,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 for one that can't be read, or a field that can't be selected by.
    pub(crate) fn parse(kind: Kind, labels: &str, fields: &str) -> Result<Self, Status> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(kind, fields)? })
    }

    /// Whether nothing is left out.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels?.get(key)?.as_str();
        self.labels.iter().all(|wanted| {
            let value = label(&wanted.key);
            match &wanted.test {
                Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::NotIn(values) => !value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
            }
        }) && self.fields.iter().all(|field| {
            let found = match object.pointer(field.pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            (found == field.value) == field.equal
        })
    }
}

/// A LabelSelector as the text that clients send: `app=web,tier in (a,b)`.
pub(crate) fn text_of(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return String::new() };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let mut parts: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in meta::list(selector, "/matchExpressions") {
        let key = meta::text(expression, "/key").unwrap_or_default();
        let values: Vec<&str> = meta::list(expression, "/values").iter().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match meta::text(expression, "/operator") {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

fn parse_labels(text: &str) -> Result<Vec<Label>, Status> {
    split(text).into_iter().map(parse_label).collect()
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn parse_label(text: &str) -> Result<Label, Status> {
    let wrong =
        || Status::bad_request(format!("unable to parse requirement: \"{text}\" is no label selector"));
    let label = |key: &str, test| {
        let key = key.trim();
        if crate::names::is_qualified(key) { Ok(Label { key: key.to_owned(), test }) } else { Err(wrong()) }
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = text.strip_prefix('!').filter(|_| !text.contains('=')) {
        return label(key, Test::Missing);
    }
    if let Some((head, values)) = text.split_once('(') {
        let values = values.trim().strip_suffix(')').ok_or_else(wrong)?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, word) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        return match word {
            "in" => label(key, Test::In(values)),
            "notin" => label(key, Test::NotIn(values)),
            _ => Err(wrong()),
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return label(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return label(key, Test::In(one(value)));
    }
    label(text, Test::Exists)
}

fn parse_fields(kind: Kind, text: &str) -> Result<Vec<Field>, Status> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| parse_field(kind, part)).collect()
}

fn parse_field(kind: Kind, text: &str) -> Result<Field, Status> {
    let (key, value, equal) = if let Some((key, value)) = text.split_once("!=") {
        (key, value, false)
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, value, true)
    } else {
        return Err(Status::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'")));
    };
    let pointer = pointer(kind, key).ok_or_else(|| {
        Status::bad_request(format!("field label \"{key}\" not supported for {}", kind.name()))
    })?;
    Ok(Field { pointer, value: value.to_owned(), equal })
}

/// Where a selectable field is. The lists are Kubernetes' own.
fn pointer(kind: Kind, key: &str) -> Option<&'static str> {
    match key {
        "metadata.name" => return Some("/metadata/name"),
        "metadata.namespace" if kind.namespaced() => return Some("/metadata/namespace"),
        _ => {}
    }
    let of_pod = |key| {
        Some(match key {
            "spec.nodeName" => "/spec/nodeName",
            "spec.restartPolicy" => "/spec/restartPolicy",
            "spec.schedulerName" => "/spec/schedulerName",
            "spec.serviceAccountName" => "/spec/serviceAccountName",
            "spec.hostNetwork" => "/spec/hostNetwork",
            "status.phase" => "/status/phase",
            "status.podIP" => "/status/podIP",
            "status.nominatedNodeName" => "/status/nominatedNodeName",
            _ => return None,
        })
    };
    let of_event = |key| {
        Some(match key {
            "involvedObject.kind" | "regarding.kind" => "/involvedObject/kind",
            "involvedObject.namespace" | "regarding.namespace" => "/involvedObject/namespace",
            "involvedObject.name" | "regarding.name" => "/involvedObject/name",
            "involvedObject.uid" | "regarding.uid" => "/involvedObject/uid",
            "involvedObject.apiVersion" | "regarding.apiVersion" => "/involvedObject/apiVersion",
            "involvedObject.resourceVersion" => "/involvedObject/resourceVersion",
            "involvedObject.fieldPath" => "/involvedObject/fieldPath",
            "reason" => "/reason",
            "reportingComponent" | "reportingController" => "/reportingComponent",
            "source" => "/source/component",
            "type" => "/type",
            _ => return None,
        })
    };
    if kind == Kind::POD {
        return of_pod(key);
    }
    if kind == Kind::EVENT || kind == Kind::EVENT_V1 {
        return of_event(key);
    }
    const OTHERS: &[(Kind, &str, &str)] = &[
        (Kind::SECRET, "type", "/type"),
        (Kind::NAMESPACE, "status.phase", "/status/phase"),
        (Kind::NODE, "spec.unschedulable", "/spec/unschedulable"),
        (Kind::REPLICA_SET, "status.replicas", "/status/replicas"),
        (Kind::JOB, "status.successful", "/status/succeeded"),
        (Kind::SERVICE, "spec.clusterIP", "/spec/clusterIP"),
        (Kind::SERVICE, "spec.type", "/spec/type"),
    ];
    OTHERS.iter().find(|(of, name, _)| *of == kind && *name == key).map(|(_, _, pointer)| *pointer)
}

/// Whether a `LabelSelector` matches these labels.
pub(crate) fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels?.get(key)?.as_str();
    let exact = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut exact = exact.map(|(key, value)| label(key) == value.as_str());
    exact.all(|matches| matches)
        && meta::list(selector, "/matchExpressions").iter().all(|expression| {
            let value = label(meta::text(expression, "/key").unwrap_or_default());
            let listed = meta::list(expression, "/values").iter().any(|other| other.as_str() == value);
            match meta::text(expression, "/operator") {
                Some("In") => value.is_some() && listed,
                Some("NotIn") => value.is_none() || !listed,
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(labels: &str, fields: &str) -> bool {
        let pod = json!({"metadata": {"name": "web-1", "namespace": "default", "labels": {"app": "web", "tier": "a"}},
                         "spec": {"nodeName": "hive"}, "status": {"phase": "Running"}});
        Selector::parse(Kind::POD, labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn labels_are_compared() {
        for (selector, expected) in [
            ("app=web", true),
            ("app==web", true),
            ("app=db", false),
            ("app!=db", true),
            ("none!=x", true),
            ("app in (db, web),tier", true),
            ("app notin (web)", false),
            ("!app", false),
            ("!none", true),
            ("app,tier=a", true),
            ("none", false),
            ("", true),
            ("none notin (x)", true),
        ] {
            assert_eq!(matches(selector, ""), expected, "{selector}");
        }
    }

    #[test]
    fn fields_are_compared() {
        for (selector, expected) in [
            ("metadata.name=web-1", true),
            ("status.phase!=Running", false),
            ("spec.nodeName=hive,status.phase=Running", true),
            ("spec.nodeName=", false),
        ] {
            assert_eq!(matches("", selector), expected, "{selector}");
        }
    }

    #[test]
    fn what_cannot_be_selected_by_is_refused() {
        let status = Selector::parse(Kind::POD, "", "spec.containers=x").unwrap_err();
        assert_eq!(status.message, "field label \"spec.containers\" not supported for Pod");
        assert_eq!(Selector::parse(Kind::POD, "a b", "").unwrap_err().code, 400);
        assert_eq!(Selector::parse(Kind::DEPLOYMENT, "", "status.phase=x").unwrap_err().code, 400);
    }

    #[test]
    fn a_selector_is_written_as_clients_send_it() {
        let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "Exists"}]});
        assert_eq!(text_of(Some(&selector)), "app=web,tier in (a,b),x");
    }
}
