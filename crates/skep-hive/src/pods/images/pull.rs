//! Pulls from registries that aren't hive's own, with the credentials of the pod's `imagePullSecrets`.

use std::collections::BTreeMap;
use std::error::Error as _;

use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize as _;
use serde_json::Value;
use skep_apiserver::Resources;
use skep_model::ImageRef;
use skep_node::{LayerBlob, LocalImage};
use skep_registry::{Client, ClientConfig, Login, RegistryError, Retry};

use super::ImageSource;
use crate::kind::Kind;
use crate::object;

/// Accounts by registry, and the Secrets they came from: a retry reads those again.
#[derive(Clone, Debug, Default)]
pub(super) struct Logins {
    namespace: String,
    secrets: Vec<String>,
    accounts: BTreeMap<String, Login>,
}

/// The accounts that a pod's `imagePullSecrets` hold.
pub(super) fn logins(resources: &Resources, pod: &Value) -> Logins {
    let names =
        object::array(pod, "/spec/imagePullSecrets").iter().map(|one| object::text(one, "/name").to_owned());
    let mut logins = Logins {
        namespace: object::namespace(pod).to_owned(),
        secrets: names.collect(),
        accounts: BTreeMap::new(),
    };
    logins.accounts = accounts(resources, &logins);
    logins
}

/// The accounts as the Secrets hold them now, if that changed.
pub(super) fn refreshed(resources: &Resources, old: &Logins) -> Option<Logins> {
    let accounts = accounts(resources, old);
    (accounts != old.accounts).then(|| Logins { accounts, ..old.clone() })
}

fn accounts(resources: &Resources, logins: &Logins) -> BTreeMap<String, Login> {
    let secrets =
        logins.secrets.iter().filter_map(|name| resources.get(Kind::SECRET, Some(&logins.namespace), name));
    secrets.flat_map(|secret| of_secret(&secret)).collect()
}

/// A `kubernetes.io/dockerconfigjson` Secret's accounts.
fn of_secret(secret: &Value) -> Vec<(String, Login)> {
    let Some(config) = Secret::deserialize(secret)
        .ok()
        .and_then(|secret| secret.data?.remove(".dockerconfigjson"))
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes.0).ok())
    else {
        return Vec::new();
    };
    let auths = object::map(&config, "/auths").cloned().unwrap_or_default();
    auths.iter().filter_map(|(registry, auth)| Some((registry_name(registry), account(auth)?))).collect()
}

/// Docker writes its own hub as a URL; others may have a scheme and a path too.
fn registry_name(text: &str) -> String {
    let host = text.trim_start_matches("https://").trim_start_matches("http://");
    match host.split('/').next().unwrap_or(host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

fn account(auth: &Value) -> Option<Login> {
    let (username, password) = (object::text(auth, "/username"), object::text(auth, "/password"));
    if !username.is_empty() {
        return Some(Login { username: username.to_owned(), password: password.to_owned() });
    }
    // base64 as Kubernetes' own types read it.
    let decoded = k8s_openapi::ByteString::deserialize(auth.get("auth")?).ok()?;
    let text = String::from_utf8(decoded.0).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Login { username: username.to_owned(), password: password.to_owned() })
}

impl ImageSource {
    /// Brings the image here.
    ///
    /// # Errors
    /// Text for the container's waiting message.
    pub(super) async fn pull(&self, image: &ImageRef, logins: &Logins) -> Result<LocalImage, String> {
        if self.is_own(image) {
            return self.own(image);
        }
        let config = ClientConfig {
            logins: logins.accounts.clone(),
            // The kubelet's own back-off decides about further tries, where a user can see them.
            retry: Retry { attempts: 2, ..Retry::default() },
            ..ClientConfig::default()
        };
        let client = Client::new(config).map_err(|error| told(&error))?;
        let pulled =
            client.pull_image(image, &self.platform, &self.dirs.blobs).await.map_err(|error| told(&error))?;
        let layers = pulled.layers.into_iter().map(|layer| LayerBlob {
            digest: layer.digest.to_string(),
            media_type: layer.media_type,
            path: layer.path,
        });
        let found =
            LocalImage { digest: pulled.digest.to_string(), config: pulled.config, layers: layers.collect() };
        self.remember(image, &found);
        Ok(found)
    }
}

/// The error with its causes in one line: nobody can ask an API object for its source.
fn told(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    match error.hint() {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pull_secrets_in_both_spellings() {
        let config = json!({"auths": {
            "https://index.docker.io/v1/": {"auth": "dXNlcjpwYTpzcw=="},
            "registry.example.com": {"username": "admin", "password": "secret"},
            "broken.example.com": {"auth": "!"},
        }});
        let data = k8s_openapi::ByteString(config.to_string().into_bytes());
        let secret = json!({"metadata": {"name": "s"}, "data": {".dockerconfigjson": data}});
        let found: BTreeMap<_, _> = of_secret(&secret).into_iter().collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found["docker.io"].username, "user");
        assert_eq!(found["docker.io"].password, "pa:ss");
        assert_eq!(found["registry.example.com"].password, "secret");
    }
}
