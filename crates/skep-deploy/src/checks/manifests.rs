//! Manifests that can't roll without downtime, or that fight with Skep or with each other.

use serde_json::Value;
use skep_manifest::{Object, autoscaled, is_workload};

use super::{Finding, Severity};
use crate::{App, DeployRequest, steps::load::Manifests};

/// What Kubernetes gives a pod to end when it says nothing.
const GRACE: i64 = 30;

pub(crate) fn workload_names(manifests: &Manifests) -> Vec<String> {
    let workloads = manifests.objects.iter().filter(|object| is_workload(&object.value));
    let mut names: Vec<String> = workloads.filter_map(|object| Some(object.key()?.name)).collect();
    names.sort();
    names
}

pub(super) fn findings(app: &App, manifests: &Manifests, request: &DeployRequest) -> Vec<Finding> {
    let known = workload_names(manifests);
    let mut found = Vec::new();
    for service in request.services.iter().filter(|service| !known.contains(service)) {
        let what = format!("{} has no service `{service}`", app.project.app);
        found.push(Finding::new(Severity::Error, "", what, format!("it has {}", known.join(", "))));
    }
    for object in manifests.objects.iter().filter(|object| is_workload(&object.value)) {
        let kind = object.value["kind"].as_str().unwrap_or_default();
        let services: Vec<&Object> =
            manifests.objects.iter().filter(|service| selects(&service.value, &object.value)).collect();
        let workload = Workload { app, manifests, object, is_served: !services.is_empty() };
        found.extend(workload.pods());
        if kind == "Deployment" {
            found.extend(workload.rollout());
        }
        found.extend(workload.budget());
    }
    found
}

/// A workload and what is around it.
struct Workload<'a> {
    app: &'a App,
    manifests: &'a Manifests,
    object: &'a Object,
    /// A Service sends it traffic.
    is_served: bool,
}

impl Workload<'_> {
    fn tell(&self, pointer: &str, what: &str, hint: &str) -> Finding {
        let place = self.object.place(pointer).to_string();
        Finding::new(Severity::Warning, place, format!("{} {what}", self.object.name()), hint)
    }

    fn spec(&self) -> &Value {
        &self.object.value["spec"]
    }

    fn replicas(&self) -> i64 {
        let name = self.object.key().map(|key| key.name).unwrap_or_default();
        let set = self.app.project.replicas.get(&name).map(|replicas| i64::from(*replicas));
        set.or_else(|| self.spec()["replicas"].as_i64()).unwrap_or(1)
    }

    fn pods(&self) -> Vec<Finding> {
        let pod = &self.spec()["template"]["spec"];
        let mut found = Vec::new();
        let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap_or(GRACE);
        let containers = pod["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            // Ports are said for people only; a pod's one container is the one that is served.
            let takes_traffic = self.is_served && (container["ports"].is_array() || containers.len() == 1);
            let pointer = format!("/spec/template/spec/containers/{index}");
            let name = container["name"].as_str().unwrap_or_default();
            if takes_traffic && container["readinessProbe"].is_null() {
                found.push(self.tell(
                    &pointer,
                    &format!("gets traffic before `{name}` can take it: it has no readinessProbe"),
                    "add one that answers when the program can: pods are replaced by it",
                ));
            }
            let pre_stop = &container["lifecycle"]["preStop"];
            if takes_traffic && pre_stop.is_null() {
                found.push(self.tell(
                    &pointer,
                    &format!("loses requests at each roll: `{name}` has no preStop, and is told to end while traffic still comes"),
                    "`lifecycle: { preStop: { sleep: { seconds: 5 } } }` lets the cluster's proxies forget the pod first",
                ));
            }
            let sleep =
                pre_stop["sleep"]["seconds"].as_i64().or_else(|| sleep_of(&pre_stop["exec"]["command"]));
            if sleep.is_some_and(|seconds| seconds >= grace) {
                found.push(self.tell(
                    &pointer,
                    &format!(
                        "is killed while it stops: its preStop takes {} s of {grace} s of grace",
                        sleep.unwrap_or_default()
                    ),
                    "give it a longer terminationGracePeriodSeconds",
                ));
            }
            if container["resources"]["requests"].is_null() {
                found.push(self.tell(
                    &pointer,
                    &format!("is the first to go when a node runs short: `{name}` has no resources.requests"),
                    "`resources: { requests: { cpu: 50m, memory: 64Mi }, limits: { memory: 256Mi } }`, with numbers of your own",
                ));
            }
            let takes_port = |port: &Value| port["hostPort"].is_number();
            if container["ports"].as_array().is_some_and(|ports| ports.iter().any(takes_port))
                && self.surges()
            {
                found.push(self.tell(
                    &pointer,
                    &format!("can't roll on one node: `{name}` has a hostPort, which the old pod keeps until it is gone"),
                    "use a Service, or `strategy: { type: Recreate }` and its downtime",
                ));
            }
        }
        found
    }

    fn surges(&self) -> bool {
        self.object.value["kind"] == "Deployment" && self.spec()["strategy"]["type"] != "Recreate"
    }

    fn rollout(&self) -> Vec<Finding> {
        let strategy = &self.spec()["strategy"];
        let unavailable = &strategy["rollingUpdate"]["maxUnavailable"];
        // A percentage is rounded down, so that the default takes no single pod away.
        let takes = match unavailable.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok()) {
            Some(percent) => percent * self.replicas() / 100,
            None => unavailable.as_i64().unwrap_or(0),
        };
        if self.is_served && strategy["type"] == "Recreate" {
            return vec![self.tell(
                "/spec/strategy",
                "is down at each roll: its strategy is Recreate",
                "`RollingUpdate`, unless two of it can't run side by side",
            )];
        }
        if self.is_served && self.replicas() > 0 && takes >= self.replicas() {
            return vec![self.tell(
                "/spec/strategy",
                &format!(
                    "may be down at each roll: maxUnavailable takes {takes} of {} pods",
                    self.replicas()
                ),
                "`maxUnavailable: 0` has the new pod ready before the old one goes",
            )];
        }
        Vec::new()
    }

    /// A budget that lets no pod go blocks every drain of a node.
    fn budget(&self) -> Vec<Finding> {
        let Some(key) = self.object.key() else { return Vec::new() };
        let scaled = autoscaled(self.manifests.objects.iter().map(|object| &object.value));
        let scaled = scaled.iter().find(|scaled| scaled.workload.same_object(&key));
        let pods = scaled.map_or(self.replicas(), |scaled| scaled.min);
        let labels = &self.spec()["template"]["metadata"]["labels"];
        let budgets = self.manifests.objects.iter().filter(|object| {
            object.value["kind"] == "PodDisruptionBudget"
                && matches(&object.value["spec"]["selector"]["matchLabels"], labels)
        });
        let blocks = budgets.filter(|budget| {
            let spec = &budget.value["spec"];
            let is_all = |value: &Value| value.as_i64().is_some_and(|count| count >= pods) || value == "100%";
            let is_none = |value: &Value| value.as_i64() == Some(0) || value == "0%";
            is_all(&spec["minAvailable"]) || is_none(&spec["maxUnavailable"])
        });
        let tell = |budget: &Object| {
            Finding::new(
                Severity::Warning,
                budget.place("/spec").to_string(),
                format!("{} lets none of the {pods} pods of {key} go: no node can be drained", budget.name()),
                "more replicas, or `maxUnavailable: 1`",
            )
        };
        blocks.map(tell).collect()
    }
}

/// `sleep 5`, `sh -c "sleep 5"`.
fn sleep_of(command: &Value) -> Option<i64> {
    let words = command.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let mut words = words.split_whitespace().skip_while(|word| !word.ends_with("sleep"));
    words.nth(1)?.trim_end_matches(['s', ';']).parse().ok()
}

/// Whether a Service sends traffic to a workload's pods.
fn selects(service: &Value, workload: &Value) -> bool {
    let selector = &service["spec"]["selector"];
    service["kind"] == "Service"
        && selector.as_object().is_some_and(|selector| !selector.is_empty())
        && matches(selector, &workload["spec"]["template"]["metadata"]["labels"])
}

fn matches(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}
