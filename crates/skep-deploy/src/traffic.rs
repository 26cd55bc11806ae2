//! Who reaches a service: Services by their selectors, URLs by the rules of Ingresses, and by which port on this machine.

use std::borrow::Cow;

use serde_json::Value;

/// What people write for the port of hive's ingress.
const WRITTEN: &str = "localhost:8080";

/// Whether a Service sends to the pods of a workload.
pub(crate) fn selects(service: &Value, workload: &Value) -> bool {
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    service["spec"]["selector"].as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| &labels[key] == value)
    })
}

/// The URLs of an Ingress, each with the Service that it goes to. `port`: where the ingress listens, when that is no standard port.
pub(crate) fn urls(ingress: &Value, port: Option<u16>) -> Vec<(String, String)> {
    let tls = ingress["spec"]["tls"].as_array().into_iter().flatten();
    let secure: Vec<&Value> = tls.filter_map(|tls| tls["hosts"].as_array()).flatten().collect();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let mut urls = Vec::new();
    for rule in ingress["spec"]["rules"].as_array().into_iter().flatten() {
        let Some(host) = rule["host"].as_str() else { continue };
        let scheme = if secure.contains(&&rule["host"]) { "https" } else { "http" };
        for path in rule["http"]["paths"].as_array().into_iter().flatten() {
            let service = path["backend"]["service"]["name"].as_str().unwrap_or("?").to_owned();
            let path = path["path"].as_str().unwrap_or("/");
            urls.push((service, format!("{scheme}://{host}{port}{path}")));
        }
    }
    urls
}

/// A text whose URLs are as they are on this machine: `http://*.localhost:8080` is hive's ingress, which listens at `port`. `None`: it is
/// not hive, and nothing is changed.
pub(crate) fn here(text: &str, port: Option<u16>) -> Cow<'_, str> {
    let Some(port) = port.filter(|_| text.contains(WRITTEN)) else { return Cow::Borrowed(text) };
    let mut here = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(WRITTEN) {
        let (before, found) = rest.split_at(at);
        let (found, after) = found.split_at(WRITTEN.len());
        here.push_str(before);
        let of_url = is_host_of_url(&here) && !after.starts_with(|next: char| next.is_ascii_digit());
        match of_url {
            true => here.push_str(&format!("localhost:{port}")),
            false => here.push_str(found),
        }
        rest = after;
    }
    here.push_str(rest);
    Cow::Owned(here)
}

/// Whether a text ends within a URL's host, where `localhost` may be its last label: after `http://web.`. The bare name is not meant: in a
/// pod it is the pod.
fn is_host_of_url(before: &str) -> bool {
    let Some((scheme, labels)) = before.rsplit_once("://") else { return false };
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
    let is_web = ["http", "https"].iter().any(|web| {
        scheme
            .strip_suffix(web)
            .is_some_and(|before| !before.ends_with(|letter: char| of_name(letter) || letter == '+'))
    });
    is_web && labels.len() > 1 && labels.ends_with('.') && labels.chars().all(of_name)
}

#[cfg(test)]
mod tests {
    use super::here;

    #[test]
    fn the_written_port_of_urls_of_this_machine_is_the_ingress_port() {
        for (written, is) in [
            ("http://web.localhost:8080", "http://web.localhost:4000"),
            ("https://a.localhost:8080/path?a=b", "https://a.localhost:4000/path?a=b"),
            (
                "http://a.b.localhost:8080,https://c.localhost:8080/",
                "http://a.b.localhost:4000,https://c.localhost:4000/",
            ),
            ("{\"origin\": \"http://web.localhost:8080\"}", "{\"origin\": \"http://web.localhost:4000\"}"),
        ] {
            assert_eq!(here(written, Some(4000)), is);
        }
        for other in [
            "http://web.localhost:80801",
            "http://web.localhost:80",
            "http://notlocalhost:8080",
            "http://example.com/localhost:8080",
            "localhost:8080",
            "http://localhost:8080",
            "http://.localhost:8080",
            "redis://cache.localhost:8080",
            "grpc+http://a.localhost:8080",
            "http://192.0.2.1:8080",
        ] {
            assert_eq!(here(other, Some(4000)), other);
        }
        assert_eq!(here("http://web.localhost:8080", None), "http://web.localhost:8080");
    }
}
