//! A small app to ship: one service, its Service and Ingress, a ConfigMap, laid out as a user would.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::program;

/// A project folder. Files are written whole, so a test shows what it changes.
#[derive(Debug)]
pub struct Project {
    dir: PathBuf,
}

const SKEP_YAML: &str = "\
app: shop
images:
  shop: { native: { files: { /shop: FIXTURE, /release: release }, entrypoint: [/shop] } }
manifests: k8s
config: { shop-config: { env-files: [shop.env] } }
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: shop } }
  strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      terminationGracePeriodSeconds: 10
      containers:
        - name: shop
          image: shop
          ports: [{ name: http, containerPort: 8000 }]
          envFrom: [{ configMapRef: { name: shop-config } }]
          readinessProbe: { httpGet: { path: /ready, port: http }, periodSeconds: 1 }
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: { name: shop }
spec:
  selector: { app: shop }
  ports: [{ port: 80, targetPort: http }]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  rules:
    - host: shop.localhost
      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }] }
";

impl Project {
    /// The shop, release `one`, in a folder of its own below `parent`.
    ///
    /// # Panics
    /// When the folder can't be written.
    pub fn shop(parent: &Path) -> Self {
        let project = Self { dir: parent.join("shop") };
        project.write(
            "skep.yaml",
            &SKEP_YAML.replace("FIXTURE", &program("fixture-service").display().to_string()),
        );
        project.write("k8s/shop.yaml", DEPLOYMENT);
        project.write("k8s/traffic.yaml", SERVICE);
        project.write("shop.env", "GREETING=hello\n");
        project.write("release", "one\n");
        project
    }

    /// Gives the service a Secret, `shop-secrets`, read from this env file.
    ///
    /// # Panics
    /// When the files are not as this harness wrote them.
    pub fn add_secret(&self, env: &str) {
        self.edit(
            "skep.yaml",
            "\nconfig:",
            "\nsecrets: { shop-secrets: { env-files: [secrets.env] } }\nconfig:",
        );
        self.edit("k8s/shop.yaml", "envFrom: [", "envFrom: [{ secretRef: { name: shop-secrets } }, ");
        self.write("secrets.env", env);
    }

    /// Adds a second service, `idle`, which differs from the first in its name alone.
    ///
    /// # Panics
    /// When the first has no manifest.
    pub fn add_idle(&self) {
        let first = fs::read_to_string(self.dir.join("k8s/shop.yaml")).expect("written by this harness");
        self.write("k8s/idle.yaml", &first.replace("shop }", "idle }").replace("app: shop", "app: idle"));
    }

    /// Adds services with these names: a Deployment of one replica, its Service, and a budget.
    ///
    /// # Panics
    /// When the first has no manifest.
    pub fn add_services(&self, names: &[&str]) {
        let read = |file: &str| fs::read_to_string(self.dir.join(file)).expect("written by this harness");
        let (shop, traffic) = (read("k8s/shop.yaml"), read("k8s/traffic.yaml"));
        let service = traffic.split("---").next().expect("a Service");
        for name in names {
            let rename = |text: &str| {
                text.replace("name: shop }", &format!("name: {name} }}"))
                    .replace("app: shop", &format!("app: {name}"))
            };
            let one = rename(&shop).replace("replicas: 2", "replicas: 1");
            let budget = format!(
                "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{ name: {name} }}\nspec: {{ maxUnavailable: 1, selector: {{ matchLabels: {{ app: {name} }} }} }}\n"
            );
            self.write(&format!("k8s/{name}.yaml"), &format!("{one}---\n{}---\n{budget}", rename(service)));
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file, whole.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Replaces text in a file.
    ///
    /// # Panics
    /// When the file doesn't hold it: the test would test nothing.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(from), "{name} holds no `{from}`");
        self.write(name, &text.replace(from, to));
    }

    /// Adds text to a file.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn append(&self, name: &str, text: &str) {
        let before =
            fs::read_to_string(self.dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.write(name, &format!("{before}{text}"));
    }

    /// Removes a file.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
