//! Pull secrets: what nodes log in to the registry with. They hold the login that Skep pushes with, keep their names, and are no part of
//! a release: an old one would be of no use.
//!
//! Which they are, the manifests say: every name in `imagePullSecrets` that is no object of theirs.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::try_join_all;
use serde_json::{Value, json};
use skep_cluster::Force;
use skep_model::{ObjectKey, Step};
use skep_registry::{DockerConfig, Login};

use crate::{App, Failure, desired::Desired, error::InStep};

const DATA: &str = ".dockerconfigjson";

/// Pull secrets as they have to be written.
#[derive(Clone, Default)]
pub(crate) struct PullSecrets(Vec<Value>);

/// Shows names only.
impl std::fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl PullSecrets {
    /// Those that are not there, or hold another login than the one at hand.
    pub(crate) async fn outdated(app: &App, desired: &Desired) -> Result<Self, Failure> {
        let names = named(desired);
        let registry = app.registry.split('/').next().unwrap_or_default();
        if names.is_empty() {
            return Ok(Self::default());
        }
        let Some(login) = app.images.login(registry).await.in_step(Step::Plan)? else {
            return Ok(Self::default());
        };
        let secrets = names.into_iter().map(|name| async {
            let key = ObjectKey {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                namespace: Some(app.namespace().to_owned()),
                name,
            };
            let live = app.cluster.get(&key).await.in_step(Step::Plan)?;
            Ok::<_, Failure>(renewed(key, live.as_ref(), registry, &login).await)
        });
        Ok(Self(try_join_all(secrets).await?.into_iter().flatten().collect()))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|secret| secret["metadata"]["name"].as_str())
    }

    /// Writes them; whoever wrote them before, the login of today is the one that works.
    pub(crate) async fn write(&self, app: &App, step: Step) -> Result<usize, Failure> {
        app.cluster.apply_all(&self.0, Force::Yes).await.in_step(step).map(|written| written.len())
    }
}

/// The names in `imagePullSecrets` of pods and service accounts, without those that the app's own Secrets have.
fn named(desired: &Desired) -> BTreeSet<String> {
    let of = |list: &Value| -> Vec<String> {
        let names = list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
        names.map(str::to_owned).collect()
    };
    let pods = desired.workloads().chain(&desired.migration);
    let pods = pods.flat_map(|workload| of(&workload["spec"]["template"]["spec"]["imagePullSecrets"]));
    let accounts = desired.objects.iter().filter(|object| object["kind"] == "ServiceAccount");
    let accounts = accounts.flat_map(|account| of(&account["imagePullSecrets"]));
    let own = desired.secret_versions();
    pods.chain(accounts).filter(|name| !own.contains_key(name)).collect()
}

/// The Secret with this login in it, unless it is there already. The logins of other registries stay.
async fn renewed(key: ObjectKey, live: Option<&Value>, registry: &str, login: &Login) -> Option<Value> {
    let data = live.and_then(|secret| STANDARD.decode(secret["data"][DATA].as_str()?).ok());
    let config = data.and_then(|data| DockerConfig::parse(&data).ok()).unwrap_or_default();
    if config.login(registry).await.ok().flatten().as_ref() == Some(login) {
        return None;
    }
    let logins = BTreeMap::from([(registry.to_owned(), login.clone())]);
    Some(json!({
        "apiVersion": key.api_version,
        "kind": key.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {"app.kubernetes.io/managed-by": "skep", "skep.dev/record": "pull-secret"},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {DATA: STANDARD.encode(config.with(&logins).to_string())},
    }))
}
