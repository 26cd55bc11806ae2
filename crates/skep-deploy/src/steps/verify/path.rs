//! The way of a URL to the pods: which Ingress takes it, to which Service, to which port of which workload, and what the readiness probe asks
//! there, which has passed. A check that fails all the same is explained by where that way ends.

use reqwest::Url;
use serde_json::Value;
use skep_model::ObjectKey;
use skep_rollout::readiness_asks;

use super::url::Answer;
use crate::{Plan, traffic::selects};

/// A place on the way.
struct Backend<'p> {
    ingress: &'p Value,
    rule: String,
    service: String,
    port: &'p Value,
}

/// What stands between a URL and the pods, in sentences, and what to do.
pub(super) fn between(plan: &Plan, url: &Url, answer: &Answer) -> (Vec<String>, String) {
    let objects = &plan.desired.objects;
    let (host, path) = (url.host_str().unwrap_or_default(), url.path());
    let ingresses: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Ingress").collect();
    if ingresses.is_empty() {
        return (Vec::new(), unreached(answer, host));
    }
    let Some(backend) =
        ingresses.iter().filter_map(|ingress| backend(ingress, host, path)).max_by_key(longest)
    else {
        let hosts = ingresses.iter().flat_map(|ingress| hosts(ingress)).collect::<Vec<_>>().join(", ");
        let line = format!("no Ingress of this app has a rule for {host}{path}; there are rules for {hosts}");
        return (vec![line], "add a rule to the Ingress, or correct the URL in `verify`".to_owned());
    };
    let name = |object: &Value| ObjectKey::of(object).map_or_else(String::new, |key| key.to_string());
    let mut lines = Vec::new();
    let way = format!("{} takes {} to Service/{}", name(backend.ingress), backend.rule, backend.service);
    let service = objects
        .iter()
        .find(|object| object["kind"] == "Service" && object["metadata"]["name"] == backend.service.as_str());
    let Some(service) = service else {
        lines.push(format!("{way}, which is not among the manifests"));
        return (lines, format!("name a Service that there is in {}", name(backend.ingress)));
    };
    let Some(port) = port_of(service, backend.port) else {
        lines.push(format!("{way}, which has no port {}", text(backend.port)));
        return (lines, format!("name one of its ports in {}", name(backend.ingress)));
    };
    let Some(workload) = plan.desired.workloads().find(|workload| selects(service, workload)) else {
        lines.push(format!("{way}, whose selector matches no workload of this app"));
        return (lines, format!("correct `spec.selector` of Service/{}", backend.service));
    };
    let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
    lines.push(format!(
        "{way} port {}, which is port {} of {}",
        text(&port["port"]),
        text(target),
        name(workload)
    ));
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    let asks = containers.filter_map(readiness_asks).next();
    let Some(asks) = asks else {
        lines.push("it has no readiness probe: its pods count as ready whatever they answer".to_owned());
        return (lines, format!("give {} a readiness probe that asks what matters", name(workload)));
    };
    lines.push(format!("its readiness probe asks {asks}, and passes"));
    let hint = match answer.status {
        Some(404) => {
            lines.push(format!(
                "the missing path is {path}: {} answers, and knows no such path",
                name(workload)
            ));
            format!("serve {path}, or correct the path in `verify` or in {}", name(backend.ingress))
        }
        Some(502..=504) => format!(
            "what stands before the pods can't reach port {}: compare Service/{}'s `targetPort` with where the program listens",
            text(target),
            backend.service
        ),
        Some(_) => format!(
            "the readiness probe should ask what {path} needs, so that no such pod gets requests; `skep logs {}` may say why",
            workload["metadata"]["name"].as_str().unwrap_or_default()
        ),
        None => unreached(answer, host),
    };
    (lines, hint)
}

fn unreached(answer: &Answer, host: &str) -> String {
    match answer.status {
        None => {
            format!("is {host} the ingress's address, and is the ingress up? it is asked from this machine")
        }
        Some(_) => {
            "the pods are ready, and this is not what they should answer: `skep logs SERVICE` may say why"
                .to_owned()
        }
    }
}

fn longest(backend: &Backend<'_>) -> usize {
    backend.rule.len()
}

/// Where an Ingress sends a request: the rule of the host itself before a wildcard's, the longest path first.
fn backend<'p>(ingress: &'p Value, host: &str, path: &str) -> Option<Backend<'p>> {
    let rules = ingress["spec"]["rules"].as_array().into_iter().flatten();
    let of_host = rules.filter(|rule| takes_host(rule["host"].as_str(), host));
    let paths = of_host.flat_map(|rule| {
        let host = rule["host"].as_str().unwrap_or("any host");
        rule["http"]["paths"].as_array().into_iter().flatten().map(move |path| (host, path))
    });
    let takes = |one: &&(&str, &Value)| takes_path(one.1, path);
    let paths: Vec<(&str, &Value)> = paths.collect();
    let best = paths.iter().filter(takes).max_by_key(|(_, one)| one["path"].as_str().map_or(0, str::len));
    let (rule, service) = match best {
        Some((host, one)) => {
            (format!("{} of {host}", one["path"].as_str().unwrap_or("/")), &one["backend"]["service"])
        }
        None => ("all else".to_owned(), &ingress["spec"]["defaultBackend"]["service"]),
    };
    let named = &service["port"];
    let port = if named["name"].is_null() { &named["number"] } else { &named["name"] };
    Some(Backend { ingress, rule, service: service["name"].as_str()?.to_owned(), port })
}

fn takes_host(rule: Option<&str>, host: &str) -> bool {
    match rule {
        None | Some("") => true,
        Some(rule) => match rule.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(_, below)| below == rest),
            None => rule == host,
        },
    }
}

fn takes_path(rule: &Value, path: &str) -> bool {
    let prefix = rule["path"].as_str().unwrap_or("/");
    match rule["pathType"].as_str() {
        Some("Exact") => path == prefix,
        _ => {
            let prefix = prefix.trim_end_matches('/');
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

fn hosts(ingress: &Value) -> Vec<String> {
    let rules = ingress["spec"]["rules"].as_array().into_iter().flatten();
    rules.map(|rule| rule["host"].as_str().unwrap_or("any host").to_owned()).collect()
}

fn port_of<'p>(service: &'p Value, wanted: &Value) -> Option<&'p Value> {
    service["spec"]["ports"]
        .as_array()?
        .iter()
        .find(|port| &port["port"] == wanted || (!wanted.is_null() && &port["name"] == wanted))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
