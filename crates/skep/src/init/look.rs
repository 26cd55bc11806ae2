//! What a repository has that a deploy needs: manifests, Dockerfiles, env files, an older way of shipping.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use skep_manifest::{Object, SourceFile, pod_spec};

/// Folders in which nobody keeps what is shipped.
const SKIPPED: &[&str] = &["target", "node_modules", "vendor", "dist", "build", "testdata"];
/// How deep is looked.
const DEPTH: usize = 6;

/// What was found. Paths are relative to the folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) dockerfiles: Vec<Dockerfile>,
    /// Folders and files that hold manifests, the topmost of each; without the migration's Job.
    pub(super) manifests: Vec<PathBuf>,
    pub(super) objects: Vec<Object>,
    /// The Job of the migration.
    pub(super) migration: Option<PathBuf>,
    /// The folder with goose's files.
    pub(super) migrations: Option<PathBuf>,
    /// Env files, by their keys.
    pub(super) env_files: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Words in manifests that stand for something.
    pub(super) placeholders: BTreeSet<String>,
    /// What a page of settings says: `registry.url`, `cluster.context`.
    pub(super) settings: BTreeMap<String, String>,
    /// Services of a compose file.
    pub(super) compose: Option<(PathBuf, Vec<String>)>,
    /// Files of an older system.
    pub(super) unused: Vec<PathBuf>,
    /// YAML files that should be manifests and can't be read, and why.
    pub(super) broken: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Dockerfile {
    pub(super) path: PathBuf,
    pub(super) stages: Vec<String>,
}

impl Found {
    /// Looks at everything below a folder.
    pub(super) fn below(root: &Path) -> Self {
        let mut files = Vec::new();
        walk(root, Path::new(""), 0, &mut files);
        files.sort();
        let mut found = Self::default();
        let mut holding = BTreeSet::new();
        for path in &files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(text) = fs::read_to_string(root.join(path)) else { continue };
            if name == "Dockerfile" || name.starts_with("Dockerfile.") && !name.ends_with(".dockerignore") {
                found.dockerfiles.push(Dockerfile { path: path.clone(), stages: stages(&text) });
            } else if name.ends_with(".env") || name.starts_with(".env") || name.ends_with(".env.age") {
                let keys = skep_project::parse_env(&text).map(|file| file.entries.into_keys().collect());
                found.env_files.insert(path.clone(), keys.unwrap_or_default());
            } else if name.ends_with(".sql") && name.starts_with(|c: char| c.is_ascii_digit()) {
                found.migrations.get_or_insert_with(|| path.parent().unwrap_or(Path::new("")).to_owned());
            } else if text.contains("docker stack deploy") || name.contains("stack.y") {
                found.unused.push(path.clone());
            } else if name.ends_with(".yaml") || name.ends_with(".yml") {
                found.yaml(path, &name, text, &mut holding);
            }
        }
        found.manifests = topmost(&holding, &files, found.migration.as_deref());
        found
    }

    fn yaml(&mut self, path: &Path, name: &str, text: String, holding: &mut BTreeSet<PathBuf>) {
        if name.starts_with("compose.") || name.starts_with("docker-compose") {
            self.compose = Some((path.to_owned(), names_below(&text, "services:")));
            return;
        }
        let is_manifest = |line: &str| line.starts_with("apiVersion:") || line.starts_with("\"apiVersion\"");
        if !text.lines().any(is_manifest) {
            if matches!(name, "config.yaml" | "config.yml") {
                self.settings = settings(&text);
            }
            return;
        }
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if word.ends_with("_PLACEHOLDER") {
                self.placeholders.insert(word.to_owned());
            }
        }
        match skep_manifest::read([SourceFile { path: path.to_owned(), text }]) {
            Ok(read) => {
                let is_migration = read.objects.iter().all(|object| object.value["kind"] == "Job")
                    && path.to_string_lossy().contains("migrat")
                    && !read.objects.is_empty();
                if is_migration {
                    self.migration = Some(path.to_owned());
                } else if !read.objects.is_empty() {
                    holding.insert(path.to_owned());
                }
                self.objects.extend(read.objects);
            }
            Err(error) => self.broken.push(error.to_string()),
        }
    }

    fn specs(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter_map(|object| pod_spec(&object.value))
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        self.specs().flat_map(|spec| {
            let of = |key: &str| spec[key].as_array().map(Vec::as_slice).unwrap_or_default();
            of("containers").iter().chain(of("initContainers"))
        })
    }

    /// Every image that a container names.
    pub(super) fn images(&self) -> BTreeSet<String> {
        self.containers().filter_map(|container| container["image"].as_str().map(str::to_owned)).collect()
    }

    /// Names that pods read and no manifest makes, with the keys that are asked for singly: ConfigMaps, or Secrets.
    pub(super) fn sets(&self, kind: &str) -> BTreeMap<String, BTreeSet<String>> {
        let (env_from, key_ref) = match kind {
            "Secret" => ("secretRef", "secretKeyRef"),
            _ => ("configMapRef", "configMapKeyRef"),
        };
        let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for container in self.containers() {
            for source in container["envFrom"].as_array().into_iter().flatten() {
                if let Some(name) = source[env_from]["name"].as_str() {
                    sets.entry(name.to_owned()).or_default();
                }
            }
            for variable in container["env"].as_array().into_iter().flatten() {
                let source = &variable["valueFrom"][key_ref];
                if let (Some(name), Some(key)) = (source["name"].as_str(), source["key"].as_str()) {
                    let keys = sets.entry(name.to_owned()).or_default();
                    if source["optional"] != true {
                        keys.insert(key.to_owned());
                    }
                }
            }
        }
        let made = |name: &String| {
            self.objects.iter().any(|object| {
                object.value["kind"] == kind && object.value["metadata"]["name"] == name.as_str()
            })
        };
        sets.retain(|name, _| !made(name));
        sets
    }

    /// Hosts of Ingresses, and whether they are spoken to over TLS.
    pub(super) fn hosts(&self) -> Vec<(String, bool)> {
        let ingresses = self.objects.iter().filter(|object| object.value["kind"] == "Ingress");
        let rules = ingresses.flat_map(|ingress| {
            let secure = ingress.value["spec"]["tls"].is_array();
            let rules = ingress.value["spec"]["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
            rules.iter().filter_map(move |rule| Some((rule["host"].as_str()?.to_owned(), secure)))
        });
        rules.filter(|(host, _)| !host.contains('*')).collect()
    }

    /// The namespace that the manifests name.
    pub(super) fn namespace(&self) -> Option<String> {
        let namespace = self.objects.iter().find(|object| object.value["kind"] == "Namespace")?;
        namespace.value["metadata"]["name"].as_str().map(str::to_owned)
    }
}

fn walk(root: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root.join(below)).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = below.join(&name);
        let Ok(kind) = entry.file_type() else { continue };
        let goes_down = kind.is_dir() && depth < DEPTH && !name.starts_with('.');
        if goes_down && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, depth + 1, files);
        }
        if kind.is_file() && (!name.starts_with('.') || name.starts_with(".env")) {
            files.push(path);
        }
    }
}

/// The named stages of a Dockerfile.
fn stages(text: &str) -> Vec<String> {
    let stage = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let from = words.first()?.eq_ignore_ascii_case("from");
        let at = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
        from.then(|| words.get(at + 1).map(|name| (*name).to_owned())).flatten()
    };
    text.lines().filter_map(stage).collect()
}

/// Folders whose every YAML file is a manifest, the topmost of each; single files where others lie beside them.
fn topmost(holding: &BTreeSet<PathBuf>, files: &[PathBuf], migration: Option<&Path>) -> Vec<PathBuf> {
    let is_yaml =
        |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let whole = |folder: &Path| {
        let mut inside = files.iter().filter(is_yaml).filter(|path| path.starts_with(folder));
        inside.all(|path| holding.contains(path) || Some(path.as_path()) == migration)
    };
    let mut chosen: BTreeSet<PathBuf> = BTreeSet::new();
    for path in holding {
        let folder = path
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_os_str().is_empty())
            .filter(|folder| whole(folder))
            .last();
        chosen.insert(folder.map_or_else(|| path.clone(), Path::to_owned));
    }
    chosen.into_iter().collect()
}

/// `registry.url: …` of a page of settings that is two levels deep.
fn settings(text: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        let indented = key.starts_with(char::is_whitespace);
        let key = key.trim();
        if value.is_empty() && !indented {
            key.clone_into(&mut section);
        } else if !value.is_empty() {
            let path = if indented { format!("{section}.{key}") } else { key.to_owned() };
            settings.insert(path, value.to_owned());
        }
    }
    settings
}

/// The keys right below a top-level key.
fn names_below(text: &str, top: &str) -> Vec<String> {
    let below = text.lines().skip_while(|line| !line.starts_with(top)).skip(1);
    let below = below.take_while(|line| line.is_empty() || line.starts_with(char::is_whitespace));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> =
        below.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).collect();
    let first = lines.first().map_or(0, |line| indent(line));
    lines
        .iter()
        .filter(|line| indent(line) == first)
        .filter_map(|line| line.trim().strip_suffix(':').map(str::to_owned))
        .collect()
}
