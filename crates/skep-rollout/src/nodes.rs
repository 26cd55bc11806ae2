//! Why no node takes a pod, by the nodes themselves. A scheduler says "Insufficient cpu" and "untolerated taint(s)"; how much is left, which
//! taint it is and what is wrong with a node, they tell.

use std::collections::BTreeMap;

use serde_json::Value;
use skep_model::Quantity;

use crate::workload::{condition, is_true, text};

/// How many nodes are told of one by one.
const TOLD: usize = 3;

/// What Kubernetes itself taints nodes with that can't take pods for now.
const TROUBLES: &[&str] = &[
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
];

/// Conditions that are good news when false.
const PRESSURES: &[&str] = &["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];

/// The taint of a node that is cordoned.
const CORDONED: &str = "node.kubernetes.io/unschedulable";

/// A cluster's nodes.
#[derive(Debug, Clone, Copy)]
pub struct Nodes<'a> {
    /// The Node objects.
    pub nodes: &'a [Value],
    /// The pods of all namespaces; `None` when they may not be seen.
    pub pods: Option<&'a [Value]>,
}

/// What the nodes say of a pod that none takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// All of them are in trouble; the first, and what is wrong with it.
    Trouble {
        node: String,
        message: String,
    },
    Reasons(Vec<String>),
}

/// An amount, in thousandths of what its resource is counted in.
type Thousandths = i128;

impl Nodes<'_> {
    /// Asks them.
    pub(crate) fn say(self, pod: &Value) -> Say {
        let troubles: Vec<(String, String)> =
            self.nodes.iter().filter_map(|node| Some((name(node), trouble(node, &pod["spec"])?))).collect();
        if troubles.len() == self.nodes.len()
            && let Some((node, message)) = troubles.first()
        {
            return Say::Trouble { node: node.clone(), message: message.clone() };
        }
        let well = self.nodes.iter().filter(|node| trouble(node, &pod["spec"]).is_none());
        let (shut, open): (Vec<_>, Vec<_>) =
            well.map(|node| (node, closed(node, &pod["spec"]))).partition(|(_, why)| why.is_some());
        let open: Vec<&Value> = open.into_iter().map(|(node, _)| node).collect();
        let mut reasons = self.shortages(&pod["spec"], &open);
        let closed = shut.into_iter().filter_map(|(node, why)| Some(format!("node {} {}", name(node), why?)));
        let troubled = troubles.into_iter().map(|(node, why)| format!("node {node} is in trouble: {why}"));
        let all: Vec<String> = closed.chain(troubled).collect();
        reasons.extend(all.iter().take(TOLD).cloned());
        if all.len() > TOLD {
            reasons.push(format!("{} more nodes are not open to it", all.len() - TOLD));
        }
        Say::Reasons(reasons)
    }

    /// Of each resource that no node has enough of: how much there is at the most.
    fn shortages(self, spec: &Value, open: &[&Value]) -> Vec<String> {
        let short = asks(spec).into_iter().filter_map(|(resource, asked)| {
            let left = open.iter().map(|node| (self.left(node, &resource), node));
            let (left, node) = left.max_by_key(|(left, _)| *left)?;
            if asked == 0 || asked <= left {
                return None;
            }
            let there = amount(&resource, allocatable(node, &resource));
            let what = match self.pods {
                Some(_) => format!("the most that a node has left is {} of {there}", amount(&resource, left)),
                None => format!("the most that a node has in all is {there}"),
            };
            let asks = match resource.as_str() {
                "pods" => "there is no place for one more pod".to_owned(),
                _ => format!("it asks for {} {resource}", amount(&resource, asked)),
            };
            Some(format!("{asks}, and {what} ({})", name(node)))
        });
        short.collect()
    }

    fn left(self, node: &Value, resource: &str) -> Thousandths {
        let there = |pod: &&Value| {
            pod["spec"]["nodeName"] == node["metadata"]["name"]
                && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        };
        let placed = self.pods.into_iter().flatten().filter(there);
        let taken = placed.map(|pod| asks(&pod["spec"]).get(resource).copied().unwrap_or(0));
        taken.fold(allocatable(node, resource), i128::saturating_sub).max(0)
    }
}

fn name(node: &Value) -> String {
    text(&node["metadata"], "name")
}

fn allocatable(node: &Value, resource: &str) -> Thousandths {
    thousandths(&node["status"]["allocatable"][resource])
}

fn thousandths(value: &Value) -> Thousandths {
    Quantity::of(value).map_or(0, |quantity| quantity.in_units(-3))
}

/// What a pod asks for: its containers together, or the largest of those that come before them, and a place.
fn asks(spec: &Value) -> BTreeMap<String, Thousandths> {
    let list = |key: &str| spec[key].as_array().into_iter().flatten();
    let stays = |container: &&Value| container["restartPolicy"] == "Always";
    let mut asked = BTreeMap::from([("pods".to_owned(), 1000)]);
    let beside = list("initContainers").filter(stays);
    for container in list("containers").chain(beside) {
        for (resource, value) in requests(&container["resources"]) {
            *asked.entry(resource).or_default() += value;
        }
    }
    for container in list("initContainers").filter(|container| !stays(container)) {
        for (resource, value) in requests(&container["resources"]) {
            let most = asked.entry(resource).or_default();
            *most = value.max(*most);
        }
    }
    asked
}

fn requests(resources: &Value) -> impl Iterator<Item = (String, Thousandths)> + '_ {
    let requests = resources["requests"].as_object().into_iter().flatten();
    requests.map(|(resource, value)| (resource.clone(), thousandths(value)))
}

/// What keeps a node that is sound from taking a pod: a lock, or a taint.
fn closed(node: &Value, spec: &Value) -> Option<String> {
    if node["spec"]["unschedulable"] == true {
        return Some("is cordoned".to_owned());
    }
    let taint = unbearable(node, spec).next()?;
    let value = taint["value"].as_str().filter(|value| !value.is_empty());
    let value = value.map(|value| format!("={value}")).unwrap_or_default();
    let of = |key: &str| text(taint, key);
    Some(format!("has the taint {}{value}:{}, which it does not tolerate", of("key"), of("effect")))
}

/// What is wrong with a node that this pod can't live with.
fn trouble(node: &Value, spec: &Value) -> Option<String> {
    let keys: Vec<&str> = unbearable(node, spec).filter_map(|taint| taint["key"].as_str()).collect();
    let taint = keys.into_iter().find(|key| TROUBLES.contains(key));
    let message = |condition: &Value| {
        let message = text(condition, "message");
        if message.is_empty() { text(condition, "reason") } else { message }
    };
    let pressed = PRESSURES.iter().filter_map(|kind| condition(node, kind).filter(|found| is_true(found)));
    let unready = condition(node, "Ready").filter(|ready| !is_true(ready));
    match (unready.into_iter().chain(pressed).next(), taint) {
        (Some(condition), _) => Some(message(condition)),
        (None, Some(taint)) => Some(format!("it has the taint {taint}")),
        (None, None) => None,
    }
}

/// The taints that keep the pod away.
fn unbearable<'a>(node: &'a Value, spec: &'a Value) -> impl Iterator<Item = &'a Value> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let keeps_away = |taint: &&Value| taint["effect"] == "NoSchedule" || taint["effect"] == "NoExecute";
    taints.filter(keeps_away).filter(|taint| taint["key"] != CORDONED).filter(|taint| {
        let mut tolerations = spec["tolerations"].as_array().into_iter().flatten();
        !tolerations.any(|toleration| tolerates(toleration, taint))
    })
}

/// Kubernetes' own rule: what a toleration leaves out fits all.
fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let of = |value: &Value, key: &str| text(value, key);
    let is_open_or_same = |key: &str| of(toleration, key).is_empty() || of(toleration, key) == of(taint, key);
    let exists = of(toleration, "operator") == "Exists";
    is_open_or_same("effect")
        && is_open_or_same("key")
        && (exists || (of(toleration, "value") == of(taint, "value") && !of(toleration, "key").is_empty()))
}

/// In the unit that people write it in.
fn amount(resource: &str, thousandths: Thousandths) -> String {
    let is_bytes = ["memory", "ephemeral-storage"].contains(&resource) || resource.starts_with("hugepages-");
    if !is_bytes {
        return decimal(thousandths, 1000);
    }
    let bytes = thousandths / 1000;
    for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
        if bytes >= 1 << shift {
            return format!("{}{unit}", decimal(bytes, 1 << shift));
        }
    }
    bytes.to_string()
}

/// `amount / unit`, to two places, without zeros that say nothing.
fn decimal(amount: i128, unit: i128) -> String {
    let (whole, rest) = (amount / unit, (amount % unit) * 100 / unit);
    let text = format!("{whole}.{rest:02}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, cpu: &str, memory: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {},
            "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]}})
    }

    fn pod(on: &str, cpu: &str, memory: &str) -> Value {
        json!({"spec": {"nodeName": on, "containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}]},
            "status": {"phase": "Running"}})
    }

    fn reasons(nodes: &[Value], pods: Option<&[Value]>, pod: &Value) -> Vec<String> {
        match (Nodes { nodes, pods }).say(pod) {
            Say::Reasons(reasons) => reasons,
            Say::Trouble { node, message } => panic!("{node} {message}"),
        }
    }

    #[test]
    fn the_node_with_the_most_left_is_named() {
        let nodes = [node("small", "2", "4Gi"), node("large", "8", "16Gi")];
        let mut ended = pod("large", "8", "1Gi");
        ended["status"]["phase"] = json!("Succeeded");
        let pods = [pod("large", "6600m", "1Gi"), pod("small", "500m", "3Gi"), ended];
        assert_eq!(
            reasons(&nodes, Some(&pods), &pod("", "1.6", "1Gi")),
            ["it asks for 1.6 cpu, and the most that a node has left is 1.5 of 2 (small)"]
        );
        assert_eq!(
            reasons(&nodes, Some(&pods), &pod("", "1", "15.5Gi")),
            ["it asks for 15.5Gi memory, and the most that a node has left is 15Gi of 16Gi (large)"]
        );
        // Each is there, and not on one node: nothing that two numbers would say.
        assert_eq!(reasons(&nodes, Some(&pods), &pod("", "1.5", "2Gi")), [""; 0]);
        assert_eq!(
            reasons(&nodes, None, &pod("", "9", "1Gi")),
            ["it asks for 9 cpu, and the most that a node has in all is 8 (large)"]
        );
    }

    #[test]
    fn places_and_containers_that_come_before_count() {
        let mut full = node("full", "8", "16Gi");
        full["status"]["allocatable"]["pods"] = json!("1");
        let there = [pod("full", "1", "1Gi")];
        assert_eq!(
            reasons(&[full], Some(&there), &pod("", "1", "1Gi")),
            ["there is no place for one more pod, and the most that a node has left is 0 of 1 (full)"]
        );
        let mut with_init = pod("", "1", "1Gi");
        with_init["spec"]["initContainers"] = json!([{"resources": {"requests": {"cpu": "9"}}}, {"restartPolicy": "Always", "resources": {"requests": {"memory": "16Gi"}}}]);
        assert_eq!(
            reasons(&[node("n", "8", "16Gi")], Some(&[]), &with_init),
            [
                "it asks for 9 cpu, and the most that a node has left is 8 of 8 (n)",
                "it asks for 17Gi memory, and the most that a node has left is 16Gi of 16Gi (n)"
            ]
        );
    }

    #[test]
    fn taints_are_named_unless_they_are_tolerated() {
        let mut nodes = [node("a", "8", "16Gi"), node("b", "8", "16Gi")];
        nodes[0]["spec"]["taints"] = json!([{"key": "for", "value": "db", "effect": "NoSchedule"}, {"key": "slow", "effect": "PreferNoSchedule"}]);
        nodes[1]["spec"] =
            json!({"unschedulable": true, "taints": [{"key": CORDONED, "effect": "NoSchedule"}]});
        let mut wanted = pod("", "1", "1Gi");
        let told =
            ["node a has the taint for=db:NoSchedule, which it does not tolerate", "node b is cordoned"];
        assert_eq!(reasons(&nodes, None, &wanted), told);
        for (toleration, tolerated) in [
            (json!({"key": "for", "value": "db"}), true),
            (json!({"key": "for", "operator": "Exists", "effect": "NoSchedule"}), true),
            (json!({"operator": "Exists"}), true),
            (json!({"key": "for", "operator": "Equal", "value": "web"}), false),
            (json!({"key": "for", "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"value": "db"}), false),
        ] {
            wanted["spec"]["tolerations"] = json!([toleration]);
            assert_eq!(reasons(&nodes, None, &wanted) == [told[1]], tolerated, "{toleration}");
        }
    }

    #[test]
    fn only_when_every_node_is_in_trouble_that_is_the_cause() {
        let mut nodes = [node("a", "8", "16Gi"), node("b", "1", "16Gi")];
        nodes[0]["status"]["conditions"][1] =
            json!({"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"});
        assert_eq!(
            reasons(&nodes, Some(&[]), &pod("", "2", "1Gi")),
            [
                "it asks for 2 cpu, and the most that a node has left is 1 of 1 (b)",
                "node a is in trouble: kubelet has disk pressure"
            ]
        );
        nodes[1]["spec"]["taints"] =
            json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]);
        assert_eq!(
            (Nodes { nodes: &nodes, pods: None }).say(&pod("", "2", "1Gi")),
            Say::Trouble { node: "a".to_owned(), message: "kubelet has disk pressure".to_owned() }
        );
        assert_eq!((Nodes { nodes: &[], pods: None }).say(&pod("", "2", "1Gi")), Say::Reasons(Vec::new()));
    }
}
