//! Label selectors: `matchLabels`, `matchExpressions`, and the plain maps of Services and nodeSelectors.

use serde_json::{Map, Value};

use crate::object;

/// Whether a `LabelSelector` matches the object's labels. An empty or absent selector matches nothing here: no controller
/// of hive may claim everything.
pub(crate) fn matches(selector: Option<&Value>, object: &Value) -> bool {
    let labels = object::map(object, "/metadata/labels");
    let Some(selector) = selector.and_then(Value::as_object) else { return false };
    let plain = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    if plain.is_none_or(Map::is_empty) && expressions.is_none_or(Vec::is_empty) {
        return false;
    }
    plain.is_none_or(|wanted| contains(labels, wanted))
        && expressions.is_none_or(|all| all.iter().all(|one| expression(one, labels)))
}

/// Whether `labels` has every pair of `wanted`.
pub(crate) fn contains(labels: Option<&Map<String, Value>>, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(key, value)| labels.and_then(|all| all.get(key)) == Some(value))
}

fn expression(expression: &Value, labels: Option<&Map<String, Value>>) -> bool {
    let found = labels.and_then(|all| all.get(object::text(expression, "/key")));
    let listed = || found.is_some_and(|value| object::array(expression, "/values").contains(value));
    match object::text(expression, "/operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors() {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        let table = [
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "api"}}), false),
            (json!({}), false),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]}),
                true,
            ),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}), false),
            (json!({"matchExpressions": [{"key": "gone", "operator": "NotIn", "values": ["front"]}]}), true),
            (
                json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}),
                false,
            ),
            (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), true),
        ];
        for (selector, expected) in table {
            assert_eq!(matches(Some(&selector), &pod), expected, "{selector}");
        }
    }
}
