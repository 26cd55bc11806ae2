//! The variables by which a container finds Services without DNS (`enableServiceLinks`).
//!
//! They matter for rehearsing: a Service called `redis` gives every pod of its namespace a `REDIS_PORT` that is a URL, and
//! an app that reads a number there breaks here as it would in production.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::object;

/// The variables that a new pod gets. `services`: all of its namespace.
pub(super) fn variables(pod: &Value, services: &[Arc<Value>]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if pod.pointer("/spec/enableServiceLinks") == Some(&Value::Bool(false)) {
        return found;
    }
    for service in services {
        let ip = object::text(service, "/spec/clusterIP");
        if !["", "None"].contains(&ip) {
            describe(service, ip, &mut found);
        }
    }
    found
}

fn describe(service: &Value, ip: &str, found: &mut BTreeMap<String, String>) {
    let name = spelled(object::name(service));
    for (index, port) in object::array(service, "/spec/ports").iter().enumerate() {
        let Some(number) = object::integer(port, "/port") else { continue };
        let protocol = match object::text(port, "/protocol") {
            "" => "TCP",
            protocol => protocol,
        };
        let url = format!("{}://{ip}:{number}", protocol.to_ascii_lowercase());
        if index == 0 {
            found.insert(format!("{name}_SERVICE_HOST"), ip.to_owned());
            found.insert(format!("{name}_SERVICE_PORT"), number.to_string());
            found.insert(format!("{name}_PORT"), url.clone());
        }
        let named = object::text(port, "/name");
        if !named.is_empty() {
            found.insert(format!("{name}_SERVICE_PORT_{}", spelled(named)), number.to_string());
        }
        let prefix = format!("{name}_PORT_{number}_{protocol}");
        found.insert(format!("{prefix}_PROTO"), protocol.to_ascii_lowercase());
        found.insert(format!("{prefix}_PORT"), number.to_string());
        found.insert(format!("{prefix}_ADDR"), ip.to_owned());
        found.insert(prefix, url);
    }
}

fn spelled(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_are_described_as_the_kubelet_does() {
        let service = json!({"metadata": {"name": "my-redis"}, "spec": {"clusterIP": "10.0.0.9",
            "ports": [{"name": "main-port", "port": 6379, "protocol": "TCP"}]}});
        let headless =
            json!({"metadata": {"name": "x"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}});
        let services = [Arc::new(service), Arc::new(headless)];
        let found = variables(&json!({"spec": {}}), &services);
        let pairs: Vec<_> = found.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            pairs,
            [
                "MY_REDIS_PORT=tcp://10.0.0.9:6379",
                "MY_REDIS_PORT_6379_TCP=tcp://10.0.0.9:6379",
                "MY_REDIS_PORT_6379_TCP_ADDR=10.0.0.9",
                "MY_REDIS_PORT_6379_TCP_PORT=6379",
                "MY_REDIS_PORT_6379_TCP_PROTO=tcp",
                "MY_REDIS_SERVICE_HOST=10.0.0.9",
                "MY_REDIS_SERVICE_PORT=6379",
                "MY_REDIS_SERVICE_PORT_MAIN_PORT=6379",
            ]
        );
        assert!(variables(&json!({"spec": {"enableServiceLinks": false}}), &services).is_empty());
    }
}
