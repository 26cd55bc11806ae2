//! What `docker login` (and podman's) left behind: the config file and its credential helpers. Only ever read.

use std::{collections::BTreeMap, io, path::PathBuf, process::Stdio, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::Login;

/// How long a credential helper may take: it may have to ask somebody, or some cloud.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name by which Docker's own registry goes in these files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Logins that other tools keep.
#[derive(Clone, Default)]
pub struct DockerConfig {
    /// In the order in which they are asked.
    files: Vec<Parsed>,
}

#[derive(Clone)]
struct Parsed {
    whole: Map<String, Value>,
    known: Known,
}

/// The keys of the file that say something of logins.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Known {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// Shows no secret.
impl std::fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerConfig").field("files", &self.files.len()).finish()
    }
}

/// Why another tool's login can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DockerConfigError {
    /// The file is there, and no JSON of this shape.
    #[error("{} can't be read: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The helper that the file names failed.
    #[error("the credential helper `{helper}` gave no login for {registry}: {why}")]
    Helper {
        /// The program.
        helper: String,
        /// Whose login was asked for.
        registry: String,
        /// What it said.
        why: String,
    },
}

impl DockerConfig {
    /// Reads these files; those that are not there are passed over. The first that knows a registry wins.
    ///
    /// # Errors
    /// When a file can't be read or isn't what it should be.
    pub fn read(paths: &[PathBuf]) -> Result<Self, DockerConfigError> {
        let mut files = Vec::new();
        for path in paths {
            let failed = |why: String| DockerConfigError::File { path: path.clone(), why };
            match std::fs::read(path) {
                Ok(bytes) if bytes.trim_ascii().is_empty() => {}
                Ok(bytes) => files.push(parse(&bytes).map_err(|error| failed(shape(&error)))?),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        Ok(Self { files })
    }

    /// The contents of such a file.
    ///
    /// # Errors
    /// When they are no JSON of this shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self { files: vec![parse(bytes)?] })
    }

    /// The login for a registry, as an [`skep_model::ImageRef`] names it. May run a credential helper.
    ///
    /// # Errors
    /// When a helper that is responsible can't be run, or fails for another reason than having no login.
    pub async fn login(&self, registry: &str) -> Result<Option<Login>, DockerConfigError> {
        for file in &self.files {
            if let Some(login) = file.login(registry).await? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    /// A config file for another tool: what the user's own says, and these logins over it.
    pub fn with(&self, logins: &BTreeMap<String, Login>) -> Value {
        let mut whole = Map::new();
        for file in self.files.iter().rev() {
            for (key, value) in &file.whole {
                match (whole.get_mut(key), value) {
                    (Some(Value::Object(there)), Value::Object(more)) => there.extend(more.clone()),
                    _ => {
                        whole.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        let stored = whole.contains_key("credsStore");
        let mut section = |name: &str, change: &mut dyn FnMut(&mut Map<String, Value>)| {
            let entry = whole.entry(name.to_owned()).or_insert_with(|| json!({}));
            if let Value::Object(entry) = entry {
                change(entry);
            }
        };
        for (registry, login) in logins {
            let pair = BASE64_STANDARD.encode(format!("{}:{}", login.username, login.password));
            let server = server(registry);
            section("auths", &mut |auths| {
                auths.retain(|key, _| host(key) != registry.as_str());
                auths.insert(server.to_owned(), json!({ "auth": pair }));
            });
            section("credHelpers", &mut |helpers| {
                helpers.retain(|key, _| host(key) != registry.as_str());
                if stored {
                    // Docker asks its store before `auths`, unless a registry has a helper of its own; none means `auths`.
                    helpers.insert(registry.clone(), json!(""));
                }
            });
        }
        whole
            .retain(|key, value| key != "credHelpers" || value.as_object().is_none_or(|map| !map.is_empty()));
        Value::Object(whole)
    }
}

fn parse(bytes: &[u8]) -> Result<Parsed, serde_json::Error> {
    let whole: Map<String, Value> = serde_json::from_slice(bytes)?;
    let known = serde_json::from_value(Value::Object(whole.clone()))?;
    Ok(Parsed { whole, known })
}

/// What is wrong with a file, without a word of it: serde quotes the value, which may be a password.
fn shape(error: &serde_json::Error) -> String {
    match error.line() {
        0 => "`auths`, `credHelpers` or `credsStore` does not have the shape that Docker writes".to_owned(),
        line => format!("line {line}, column {}: invalid JSON", error.column()),
    }
}

impl Parsed {
    async fn login(&self, registry: &str) -> Result<Option<Login>, DockerConfigError> {
        let helper = self.known.cred_helpers.iter().find(|(key, _)| host(key) == registry);
        let helper = helper.map(|(_, helper)| helper).or(self.known.creds_store.as_ref());
        if let Some(helper) = helper.filter(|helper| !helper.is_empty())
            && let Some(login) = ask(helper, registry).await?
        {
            return Ok(Some(login));
        }
        let found = self.known.auths.iter().find(|(key, _)| host(key) == registry);
        Ok(found.and_then(|(_, auth)| auth.login()))
    }
}

impl Auth {
    fn login(&self) -> Option<Login> {
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            return Some(Login { username: username.clone(), password: password.clone() });
        }
        let pair = BASE64_STANDARD.decode(self.auth.as_deref()?.trim()).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (username, password) = pair.trim_end_matches('\0').split_once(':')?;
        Some(Login { username: username.to_owned(), password: password.to_owned() })
    }
}

/// The registry that a key of these files means: `https://index.docker.io/v1/`, `registry.example.com`, `https://registry.example.com/v2/`.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" | "registry-1.docker.io" | "docker.io" => "docker.io",
        host => host,
    }
}

/// The key under which a registry's login is kept.
fn server(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_HUB } else { registry }
}

/// `docker-credential-NAME get`: the server on its standard input, a login in JSON on its output.
async fn ask(helper: &str, registry: &str) -> Result<Option<Login>, DockerConfigError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| DockerConfigError::Helper {
        helper: program.clone(),
        registry: registry.to_owned(),
        why,
    };
    let asked = async {
        let mut child = Command::from(skep_process::helper(&program))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that has ended already says why in its output.
            let _ = stdin.write_all(server(registry).as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(failed("it is not installed".to_owned()));
        }
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("it did not end within {} s", PATIENCE.as_secs()))),
    };
    if !output.status.success() {
        // Its complaint is on either; a login, which begins with `{`, on the first alone.
        let stdout = Some(&output.stdout[..]).filter(|text| !text.trim_ascii_start().starts_with(b"{"));
        let said = [stdout.unwrap_or_default(), &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        return if said.contains("credentials not found") { Ok(None) } else { Err(failed(said)) };
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("its answer is no JSON with Username and Secret".to_owned()))?;
    if answer.username == "<token>" {
        return Err(failed("it has an identity token, which this version of skep can't use".to_owned()));
    }
    Ok(Some(Login { username: answer.username, password: answer.secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(username: &str, password: &str) -> Login {
        Login { username: username.to_owned(), password: password.to_owned() }
    }

    #[tokio::test]
    async fn logins_are_found_as_docker_and_podman_write_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let (docker, podman) = (folder.path().join("config.json"), folder.path().join("auth.json"));
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YW5uOmh1Yg=="}, "r.example.com": {"username": "a", "password": "b"}, "empty.example.com": {}}, "HttpHeaders": {"X": "1"}}"#;
        std::fs::write(&docker, text).expect("written");
        std::fs::write(&podman, r#"{"auths": {"https://p.example.com/v2/": {"auth": "cDpxOnI="}}}"#)
            .expect("written");
        let config = DockerConfig::read(&[docker, podman, folder.path().join("none")]).expect("read");
        assert_eq!(config.login("docker.io").await, Ok(Some(login("ann", "hub"))));
        assert_eq!(config.login("r.example.com").await, Ok(Some(login("a", "b"))));
        assert_eq!(config.login("p.example.com").await, Ok(Some(login("p", "q:r"))));
        assert_eq!(config.login("empty.example.com").await, Ok(None));
        assert_eq!(config.login("other.example.com").await, Ok(None));

        let ours = BTreeMap::from([("r.example.com".to_owned(), login("ci", "s"))]);
        let with = config.with(&ours);
        assert_eq!(with["auths"]["r.example.com"], json!({"auth": "Y2k6cw=="}));
        assert_eq!(with["auths"]["https://index.docker.io/v1/"]["auth"], "YW5uOmh1Yg==");
        assert_eq!(with["HttpHeaders"]["X"], "1");
        assert!(with.get("credHelpers").is_none());
    }

    #[test]
    fn our_login_goes_before_the_user_s_store_and_helpers() {
        let text = r#"{"credsStore": "desktop", "credHelpers": {"r.example.com": "ecr-login", "o.example.com": "gcr"}}"#;
        let config = DockerConfig { files: vec![parse(text.as_bytes()).expect("JSON")] };
        let with = config.with(&BTreeMap::from([("r.example.com".to_owned(), login("ci", "s"))]));
        assert_eq!(with["credHelpers"], json!({"r.example.com": "", "o.example.com": "gcr"}));
        assert_eq!(with["credsStore"], "desktop");
    }

    #[test]
    fn malformed_config_never_shows_its_passwords() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        for text in [
            r#"{"auths": {"r.example.com": {"auth": "hunter2"}"#,
            r#"{"auths": {"r.example.com": "hunter2"}}"#,
            r#"{"auths": {"r.example.com": {"password": ["hunter2"]}}}"#,
            r#"{"auths": "hunter2"}"#,
            r#"{"auths": {"r.example.com": {"auth": hunter2}}}"#,
            r#"{"credsStore": {"x": "hunter2"}}"#,
            "hunter2",
            r#""hunter2""#,
            r#"["hunter2"]"#,
        ] {
            std::fs::write(&path, text).expect("written");
            let error = DockerConfig::read(std::slice::from_ref(&path)).map(drop).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let text = r#"{"credHelpers": {"r.example.com": "no-such-helper"}}"#;
        let config = DockerConfig { files: vec![parse(text.as_bytes()).expect("JSON")] };
        let failed = config.login("r.example.com").await.expect_err("not installed").to_string();
        assert_eq!(
            failed,
            "the credential helper `docker-credential-no-such-helper` gave no login for r.example.com: it is not installed"
        );
    }
}
