//! What was found → a skep.yaml, and what a person still has to know. Text in no file of theirs is changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::look::Found;

/// A project file, and notes on it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) yaml: String,
    pub(super) notes: Vec<String>,
}

/// Writes the file for the folder `name`.
pub(super) fn draft(found: &Found, name: &str) -> Draft {
    let app = app_name(&found.namespace().unwrap_or_else(|| name.to_owned()));
    let registry = registry(found);
    let mut notes = Vec::new();
    let mut yaml = format!("app: {app}\n");
    if let Some(registry) = &registry {
        yaml.push_str(&registry.text);
    }
    yaml.push_str(&images(found, &app, registry.as_ref().map(|registry| registry.url.as_str()), &mut notes));
    yaml.push_str(&manifests(found, &mut notes));
    yaml.push_str(&sets(found, &mut notes));
    if let Some(job) = &found.migration {
        let files = found
            .migrations
            .as_ref()
            .map(|files| format!(", files: {}", files.display()))
            .unwrap_or_default();
        let _ = writeln!(yaml, "migrate: {{ manifest: {}{files} }}", job.display());
    }
    let hosts: Vec<String> = found
        .hosts()
        .into_iter()
        .map(|(host, secure)| match (secure, host.ends_with(".localhost")) {
            (true, _) => format!("https://{host}/"),
            // What skep takes for the port of hive's ingress.
            (false, true) => format!("http://{host}:8080/"),
            (false, false) => format!("http://{host}/"),
        })
        .collect();
    if !hosts.is_empty() {
        let _ = writeln!(yaml, "verify: [{}]", hosts.join(", "));
    }
    yaml.push_str(&target(found, registry.is_some(), &mut notes));
    if let Some((path, services)) = &found.compose {
        notes.push(format!(
            "{}: {} are services of a compose file; skep ships Kubernetes manifests",
            path.display(),
            services.join(", ")
        ));
    }
    notes.extend(
        found.unused.iter().map(|path| format!("{}: unused by skep; it stays as it is", path.display())),
    );
    notes.extend(found.broken.iter().cloned());
    Draft { yaml, notes }
}

/// What Kubernetes takes as a name.
fn app_name(text: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(fine).collect();
    let name = name.trim_matches('-').chars().take(40).collect::<String>();
    if name.is_empty() { "app".to_owned() } else { name }
}

struct Registry {
    url: String,
    text: String,
}

/// From a page of settings, or from an env file of the registry's.
fn registry(found: &Found) -> Option<Registry> {
    let of_env = found.env_files.iter().find(|(path, _)| path.to_string_lossy().ends_with("registry.env"));
    let url =
        found.settings.get("registry.url").or_else(|| found.settings.get("registry.server")).cloned()?;
    let username = found.settings.get("registry.username").cloned();
    let token = of_env.and_then(|(path, keys)| {
        let key = keys.iter().find(|key| key.contains("TOKEN") || key.contains("PASSWORD"))?;
        Some(format!("{{ env-file: {}, key: {key} }}", path.display()))
    });
    let text = match username {
        Some(username) => {
            let password = token.unwrap_or_else(|| "{ env: REGISTRY_TOKEN }".to_owned());
            format!("registry: {{ url: {url}, username: {username}, password: {password} }}\n")
        }
        None => format!("registry: {url}\n"),
    };
    Some(Registry { url, text })
}

/// Images that the manifests name and a Dockerfile may build.
fn images(found: &Found, app: &str, registry: Option<&str>, notes: &mut Vec<String>) -> String {
    let mut lines = String::new();
    let mut left: Vec<String> = Vec::new();
    for text in found.images() {
        let plain = text.split('@').next().unwrap_or(&text);
        let ours = registry.is_some_and(|registry| plain.starts_with(registry));
        if plain.contains('/') && !ours {
            continue;
        }
        let last = plain.rsplit('/').next().unwrap_or(plain).split(':').next().unwrap_or(plain);
        let image = last.strip_prefix(&format!("{app}-")).unwrap_or(last);
        let stage = found.dockerfiles.iter().find(|file| file.stages.iter().any(|stage| stage == image));
        let own = found.dockerfiles.iter().find(|file| {
            let folder =
                file.path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            folder.is_some_and(|folder| folder == image || folder.ends_with(&format!("-{image}")))
                || file.path.to_string_lossy().ends_with(&format!("Dockerfile.{image}"))
        });
        let only = (found.dockerfiles.len() == 1).then(|| &found.dockerfiles[0]);
        if let Some(file) = stage {
            let _ = writeln!(lines, "  {image}: {{ {}stage: {image} }}", dockerfile(&file.path, ", "));
        } else if let Some(file) = own.or(only) {
            let text = dockerfile(&file.path, "");
            let text = if text.is_empty() { "dockerfile: Dockerfile".to_owned() } else { text };
            let _ = writeln!(lines, "  {image}: {{ {text} }}");
        } else {
            left.push(last.to_owned());
        }
    }
    for image in left {
        notes.push(format!("image `{image}`: no Dockerfile was found for it; add it to `images`, or give the manifest its full name"));
    }
    if lines.is_empty() { String::new() } else { format!("images:\n{lines}") }
}

/// `dockerfile: x, `; one in another folder is built there.
fn dockerfile(path: &Path, end: &str) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    match (folder, file == "Dockerfile") {
        (None, true) => String::new(),
        (None, false) => format!("dockerfile: {file}{end}"),
        (Some(folder), true) => format!("context: {}{end}", folder.display()),
        (Some(folder), false) => format!("context: {}, dockerfile: {file}{end}", folder.display()),
    }
}

fn manifests(found: &Found, notes: &mut Vec<String>) -> String {
    let paths: Vec<String> = found.manifests.iter().map(|path| path.display().to_string()).collect();
    match &paths[..] {
        [] if !found.broken.is_empty() => "manifests: k8s\n".to_owned(),
        [] => {
            notes.push(
                "no Kubernetes manifests were found: put them into k8s/, one Deployment a service".to_owned(),
            );
            "manifests: k8s\n".to_owned()
        }
        [one] => format!("manifests: {one}\n"),
        several => format!("manifests: [{}]\n", several.join(", ")),
    }
}

/// `config`, `secrets` and `substitute`: what pods read and nobody makes, from the env files that are there.
fn sets(found: &Found, notes: &mut Vec<String>) -> String {
    let is =
        |path: &Path, word: &str| path.file_name().is_some_and(|name| name.to_string_lossy().contains(word));
    let plain: Vec<(&PathBuf, &BTreeSet<String>)> = found
        .env_files
        .iter()
        .filter(|(path, _)| {
            !is(path, "registry") && !is(path, "secret") && !is(path, "example") && !is(path, "local")
        })
        .collect();
    let sealed = found.env_files.keys().find(|path| is(path, "secret") && !is(path, "example"));
    let main = plain.iter().find(|(path, _)| is(path, "prod")).or(plain.first());
    let main = main.filter(|(_, keys)| !keys.is_empty());
    let mut kept_apart: BTreeSet<String> = BTreeSet::new();
    let mut secrets = String::new();
    for (name, keys) in found.sets("Secret") {
        match (sealed, main) {
            (Some(file), _) => {
                let _ = writeln!(secrets, "  {name}: {{ env-files: [{}] }}", file.display());
            }
            (None, Some((file, known))) if !keys.is_empty() && keys.is_subset(known) => {
                let only = keys.iter().cloned().collect::<Vec<_>>().join(", ");
                let _ = writeln!(secrets, "  {name}: {{ env-files: [{}], only: [{only}] }}", file.display());
                kept_apart.extend(keys);
            }
            (None, _) => {
                let _ = writeln!(secrets, "  {name}: {{ env-files: [secrets.env.age] }}");
                let keys =
                    keys.iter().map(|key| format!("`skep secret set {key}`")).collect::<Vec<_>>().join(", ");
                let keys = if keys.is_empty() {
                    "`skep secret set KEY` for each of its keys".to_owned()
                } else {
                    keys
                };
                notes.push(format!(
                    "Secret {name}: its values go into an encrypted file: `skep secret keygen`, then {keys}"
                ));
            }
        }
    }
    let mut substitute = String::new();
    for placeholder in &found.placeholders {
        let stem = placeholder.trim_end_matches("_PLACEHOLDER");
        let keys: Vec<(&PathBuf, &String)> = found
            .env_files
            .iter()
            .filter(|(path, _)| !is(path, "registry") && !is(path, "example"))
            .flat_map(|(path, keys)| keys.iter().map(move |key| (path, key)))
            .filter(|(_, key)| *key == stem || key.ends_with(&format!("_{stem}")))
            .collect();
        if let [(file, key)] = keys[..] {
            let _ = writeln!(
                substitute,
                "  {placeholder}: {{ from: {}, key: {key}, when-missing: skip-file }}",
                file.display()
            );
            kept_apart.insert(key.clone());
        } else {
            let from = main.map_or("prod.env".to_owned(), |(file, _)| file.display().to_string());
            let _ = writeln!(
                substitute,
                "  {placeholder}: {{ from: {from}, key: {stem}, when-missing: skip-file }}"
            );
            notes.push(format!("{placeholder}: no env file has a key that is clearly its value; {stem} was taken, and without it the manifest is left out"));
        }
    }
    let mut config = String::new();
    for (name, _) in found.sets("ConfigMap") {
        let Some((file, known)) = main else {
            let _ = writeln!(config, "  {name}: {{ values: {{}} }}");
            notes
                .push(format!("ConfigMap {name}: no env file was found for it; add `env-files` or `values`"));
            continue;
        };
        let secret =
            |key: &&String| ["SECRET", "PASSWORD", "TOKEN", "PRIVATE"].iter().any(|word| key.contains(word));
        let readable = known.iter().filter(|key| !kept_apart.contains(*key)).filter(secret);
        let readable: Vec<&str> = readable.map(String::as_str).collect();
        if !readable.is_empty() {
            notes.push(format!("ConfigMap {name}: {} look like secrets, and anyone may read a ConfigMap: move them to `secrets`", readable.join(", ")));
        }
        let except: Vec<&str> =
            kept_apart.iter().filter(|key| known.contains(*key)).map(String::as_str).collect();
        let except =
            if except.is_empty() { String::new() } else { format!(", except: [{}]", except.join(", ")) };
        let _ = writeln!(config, "  {name}: {{ env-files: [{}]{except} }}", file.display());
    }
    let sections: BTreeMap<&str, String> =
        [("config", config), ("secrets", secrets), ("substitute", substitute)].into();
    sections
        .iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(key, lines)| format!("{key}:\n{lines}"))
        .collect()
}

fn target(found: &Found, has_registry: bool, notes: &mut Vec<String>) -> String {
    let setting =
        |name: &str| found.settings.get(&format!("cluster.{name}")).or_else(|| found.settings.get(name));
    match setting("kubeconfig") {
        Some(kubeconfig) => {
            let context =
                setting("context").map(|context| format!(", context: {context}")).unwrap_or_default();
            format!("targets:\n  production: {{ kubeconfig: {kubeconfig}{context} }}\n")
        }
        None => {
            let registry = if has_registry { "" } else { ", and `registry`" };
            notes.push(format!("for a cluster elsewhere add `targets: {{ production: {{ kubeconfig: ~/.kube/config, context: NAME }} }}`{registry}; without it `skep up` ships to this machine"));
            String::new()
        }
    }
}
