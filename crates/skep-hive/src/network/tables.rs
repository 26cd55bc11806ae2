//! Routes, rules and names as values.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use skep_proxy::{PathType, Rule, ServiceRoute};

use crate::controllers::endpoints::SERVICE_NAME;
use crate::object;

/// The objects that routing depends on.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    services: Vec<Arc<Value>>,
    ingresses: Vec<Arc<Value>>,
    /// Slices by namespace and Service.
    slices: HashMap<(String, String), Vec<Arc<Value>>>,
}

/// Everything that the servers are told at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) routes: Vec<ServiceRoute>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) names: HashMap<String, Vec<IpAddr>>,
}

/// Which of a Service's endpoints are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    /// Going, but still answering: taken when nobody is ready (KEP-1669).
    Draining,
}

impl Objects {
    pub(crate) fn new(
        services: Vec<Arc<Value>>,
        slices: Vec<Arc<Value>>,
        ingresses: Vec<Arc<Value>>,
    ) -> Self {
        let mut by_service: HashMap<_, Vec<_>> = HashMap::new();
        for slice in slices {
            if let Some(service) = object::label(&slice, SERVICE_NAME) {
                let key = (object::namespace(&slice).to_owned(), service.to_owned());
                by_service.entry(key).or_default().push(slice);
            }
        }
        Self { services, ingresses, slices: by_service }
    }

    /// The tables that follow. `domain`: the cluster's, `cluster.local`.
    pub(crate) fn tables(&self, domain: &str) -> Tables {
        Tables { routes: self.routes(), rules: self.rules(), names: self.names(domain) }
    }

    fn routes(&self) -> Vec<ServiceRoute> {
        let mut routes = Vec::new();
        for service in &self.services {
            let Ok(ip) = object::text(service, "/spec/clusterIP").parse::<IpAddr>() else { continue };
            for port in object::array(service, "/spec/ports") {
                let number = object::integer(port, "/port").and_then(|port| u16::try_from(port).ok());
                let tcp = matches!(object::text(port, "/protocol"), "" | "TCP");
                if let (Some(number), true) = (number, tcp) {
                    let name = object::text(port, "/name");
                    routes.push(ServiceRoute {
                        name: format!("{}/{}:{number}", object::namespace(service), object::name(service)),
                        listen: SocketAddr::new(ip, number),
                        backends: self.backends(object::namespace(service), object::name(service), name),
                    });
                }
            }
        }
        routes
    }

    /// Where a Service's port leads now: ready pods, or, if there is none, those that still serve while they end.
    fn backends(&self, namespace: &str, service: &str, port: &str) -> Vec<SocketAddr> {
        let ready = self.addresses(namespace, service, port, Standing::Ready);
        if ready.is_empty() { self.addresses(namespace, service, port, Standing::Draining) } else { ready }
    }

    fn addresses(&self, namespace: &str, service: &str, port: &str, standing: Standing) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for slice in self.slices_of(namespace, service) {
            let number = object::array(slice, "/ports")
                .iter()
                .find(|one| object::text(one, "/name") == port)
                .and_then(|one| object::integer(one, "/port"))
                .and_then(|number| u16::try_from(number).ok());
            let Some(number) = number else { continue };
            addresses.extend(ips(slice, standing).map(|ip| SocketAddr::new(ip, number)));
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    fn slices_of(&self, namespace: &str, service: &str) -> &[Arc<Value>] {
        let key = (namespace.to_owned(), service.to_owned());
        self.slices.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    fn rules(&self) -> Vec<Rule> {
        // Of two Ingresses that claim the same host and path the older one has it, as in ingress-nginx.
        let mut ingresses: Vec<_> = self.ingresses.iter().collect();
        ingresses.sort_by(|a, b| {
            object::by_age(a, b).then_with(|| object::namespace(a).cmp(object::namespace(b)))
        });
        let mut rules: Vec<Rule> = Vec::new();
        for ingress in ingresses {
            for rule in self.rules_of(ingress) {
                let taken = rules.iter().any(|other| {
                    (&other.host, &other.path, other.path_type) == (&rule.host, &rule.path, rule.path_type)
                });
                if !taken {
                    rules.push(rule);
                }
            }
        }
        rules
    }

    fn rules_of(&self, ingress: &Value) -> Vec<Rule> {
        let mut rules = Vec::new();
        let mut rule = |host: &str, path: &str, path_type, backend: &Value| {
            rules.push(Rule {
                name: format!("{}/{}", object::namespace(ingress), object::name(ingress)),
                host: Some(host.to_ascii_lowercase()).filter(|host| !host.is_empty()),
                path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
                path_type,
                backends: self.behind(object::namespace(ingress), backend),
            });
        };
        for one in object::array(ingress, "/spec/rules") {
            for path in object::array(one, "/http/paths") {
                let kind = match object::text(path, "/pathType") {
                    "Exact" => PathType::Exact,
                    _ => PathType::Prefix,
                };
                rule(object::text(one, "/host"), object::text(path, "/path"), kind, &path["backend"]);
            }
        }
        if let Some(backend) = ingress.pointer("/spec/defaultBackend").filter(|backend| backend.is_object()) {
            rule("", "/", PathType::Prefix, backend);
        }
        rules
    }

    /// The pods behind an Ingress backend: `service.port` is the Service's number or name.
    fn behind(&self, namespace: &str, backend: &Value) -> Vec<SocketAddr> {
        let name = object::text(backend, "/service/name");
        let service =
            self.services.iter().find(|one| object::namespace(one) == namespace && object::name(one) == name);
        let Some(service) = service else { return Vec::new() };
        let wanted_name = object::text(backend, "/service/port/name");
        let wanted_number = object::integer(backend, "/service/port/number");
        let port = object::array(service, "/spec/ports").iter().find(|port| {
            if wanted_name.is_empty() {
                object::integer(port, "/port") == wanted_number
            } else {
                object::text(port, "/name") == wanted_name
            }
        });
        port.map(|port| self.backends(namespace, name, object::text(port, "/name"))).unwrap_or_default()
    }

    fn names(&self, domain: &str) -> HashMap<String, Vec<IpAddr>> {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for service in &self.services {
            let (namespace, name) = (object::namespace(service), object::name(service));
            let full = format!("{name}.{namespace}.svc.{domain}");
            if let Ok(ip) = object::text(service, "/spec/clusterIP").parse() {
                names.insert(full, vec![ip]);
                continue;
            }
            if object::text(service, "/spec/clusterIP") != "None" {
                continue;
            }
            let mut all = Vec::new();
            for slice in self.slices_of(namespace, name) {
                all.extend(ips(slice, Standing::Ready));
                for (host, ip) in hosts(slice) {
                    names.entry(format!("{host}.{full}")).or_default().push(ip);
                }
            }
            all.sort_unstable();
            all.dedup();
            names.insert(full, all);
        }
        names
    }

    /// `/etc/hosts` lines for pods of `namespace` where they share the host's network and no name server can listen.
    pub(crate) fn hosts(&self, namespace: &str, domain: &str) -> Vec<(IpAddr, Vec<String>)> {
        let mut lines: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for (full, ips) in self.names(domain) {
            let suffix = format!(".svc.{domain}");
            let Some(short) = full.strip_suffix(&suffix) else { continue };
            let mut spellings = vec![full.clone(), format!("{short}.svc"), short.to_owned()];
            spellings.extend(short.strip_suffix(&format!(".{namespace}")).map(str::to_owned));
            if let Some(ip) = ips.first() {
                lines.entry(*ip).or_default().extend(spellings);
            }
        }
        for names in lines.values_mut() {
            names.sort_unstable();
        }
        lines.into_iter().collect()
    }
}

fn ips(slice: &Value, standing: Standing) -> impl Iterator<Item = IpAddr> {
    object::array(slice, "/endpoints")
        .iter()
        .filter(move |endpoint| match standing {
            // An absent condition means ready (discovery/v1).
            Standing::Ready => endpoint["conditions"]["ready"] != false,
            Standing::Draining => {
                endpoint["conditions"]["serving"] == true && endpoint["conditions"]["terminating"] == true
            }
        })
        .flat_map(|endpoint| object::array(endpoint, "/addresses"))
        .filter_map(|address| address.as_str()?.parse().ok())
}

fn hosts(slice: &Value) -> impl Iterator<Item = (&str, IpAddr)> {
    object::array(slice, "/endpoints").iter().filter_map(|endpoint| {
        let host = object::text(endpoint, "/hostname");
        let ip = object::text(endpoint, "/addresses/0").parse().ok()?;
        (!host.is_empty()).then_some((host, ip))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(ip: &str, ready: bool, terminating: bool) -> Value {
        json!({"addresses": [ip], "conditions": {"ready": ready, "serving": ready || terminating, "terminating": terminating}})
    }

    fn objects(cluster_ip: &str, endpoints: &[Value]) -> Objects {
        let service = json!({"metadata": {"name": "api", "namespace": "a"}, "spec": {"clusterIP": cluster_ip,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]}});
        let slice = json!({"metadata": {"namespace": "a", "labels": {SERVICE_NAME: "api"}},
            "ports": [{"name": "http", "port": 8000}], "endpoints": endpoints});
        let ingress = json!({"metadata": {"name": "in", "namespace": "a"}, "spec": {
            "defaultBackend": {"service": {"name": "gone", "port": {"number": 80}}},
            "rules": [{"host": "API.localhost", "http": {"paths": [
                {"path": "/v1", "pathType": "Prefix", "backend": {"service": {"name": "api", "port": {"number": 80}}}},
                {"path": "/x", "pathType": "Exact", "backend": {"service": {"name": "api", "port": {"name": "http"}}}}]}}]}});
        Objects::new(vec![Arc::new(service)], vec![Arc::new(slice)], vec![Arc::new(ingress)])
    }

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ready_pods_are_routed_to_and_draining_ones_only_in_need() {
        let both = [endpoint("10.1.0.2", true, false), endpoint("10.1.0.3", false, true)];
        let tables = objects("10.0.0.9", &both).tables("cluster.local");
        assert_eq!(tables.routes.len(), 1, "UDP is not spliced");
        assert_eq!(tables.routes[0].listen, socket("10.0.0.9:80"));
        assert_eq!(tables.routes[0].backends, [socket("10.1.0.2:8000")]);
        let tables = objects("10.0.0.9", &both[1..]).tables("cluster.local");
        assert_eq!(tables.routes[0].backends, [socket("10.1.0.3:8000")]);
        let unready = [endpoint("10.1.0.4", false, false)];
        assert!(objects("10.0.0.9", &unready).tables("cluster.local").routes[0].backends.is_empty());
    }

    #[test]
    fn ingress_rules_by_port_number_and_name() {
        let rules = objects("10.0.0.9", &[endpoint("10.1.0.2", true, false)]).tables("cluster.local").rules;
        let told: Vec<_> = rules
            .iter()
            .map(|rule| (rule.host.as_deref(), rule.path.as_str(), rule.backends.len()))
            .collect();
        assert_eq!(
            told,
            [(Some("api.localhost"), "/v1", 1), (Some("api.localhost"), "/x", 1), (None, "/", 0)]
        );
        assert_eq!(rules[1].path_type, PathType::Exact);
    }

    #[test]
    fn names_of_services_and_of_pods_behind_headless_ones() {
        let names = objects("10.0.0.9", &[endpoint("10.1.0.2", true, false)]).tables("cluster.local").names;
        assert_eq!(names["api.a.svc.cluster.local"], ["10.0.0.9".parse::<IpAddr>().unwrap()]);
        let mut named = endpoint("10.1.0.2", true, false);
        named["hostname"] = json!("db-0");
        let headless = objects("None", &[named, endpoint("10.1.0.3", true, false)]).tables("cluster.local");
        assert_eq!(headless.names["api.a.svc.cluster.local"].len(), 2);
        assert_eq!(headless.names["db-0.api.a.svc.cluster.local"].len(), 1);
        assert!(headless.routes.is_empty());
    }

    #[test]
    fn hosts_lines_shorten_names_of_the_own_namespace() {
        let objects = objects("127.5.0.9", &[]);
        let own = objects.hosts("a", "cluster.local");
        assert_eq!(own[0].1, ["api", "api.a", "api.a.svc", "api.a.svc.cluster.local"]);
        let other = objects.hosts("b", "cluster.local");
        assert_eq!(other[0].1, ["api.a", "api.a.svc", "api.a.svc.cluster.local"]);
    }
}
