//! What is made once per app and kept in its namespace: the salt of its Secrets' names, and generated secret values.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skep_cluster::ClusterError;
use skep_manifest::Salt;
use skep_model::ObjectKey;

use crate::App;

/// The data key of the salt. A generated value's key is `<set>.<KEY>`.
const SALT: &str = "salt";
/// Bytes of randomness in a salt or a generated value.
const RANDOM: usize = 24;

/// The app's keys. Values are made when they are first asked for, and written by `stage` if any was.
#[derive(Clone)]
pub(crate) struct Keys {
    key: ObjectKey,
    values: BTreeMap<String, String>,
    made: bool,
}

/// Shows no value.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("values", &self.values.keys())
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads what the cluster has; nothing yet is fine.
    pub(crate) async fn read(app: &App) -> Result<Self, ClusterError> {
        let key = ObjectKey {
            kind: "Secret".to_owned(),
            namespace: Some(app.namespace().to_owned()),
            name: format!("skep.{}.keys", app.project.app),
            api_version: "v1".to_owned(),
        };
        let found = app.cluster.get(&key).await?;
        Ok(Self { key, values: found.as_ref().map(texts).unwrap_or_default(), made: false })
    }

    /// Takes over values that are to be generated from a Secret that has them already: a database has been made with that password.
    pub(crate) async fn adopt(&mut self, app: &App) -> Result<(), ClusterError> {
        for (set, spec) in &app.project.secrets {
            let unknown = |key: &&String| !self.values.contains_key(&format!("{set}.{key}"));
            if !spec.generate.iter().any(|key| unknown(&key)) {
                continue;
            }
            let found = app.cluster.get(&ObjectKey { name: set.clone(), ..self.key.clone() }).await?;
            let values = found.as_ref().map(texts).unwrap_or_default();
            for (key, value) in values.into_iter().filter(|(key, _)| spec.generate.contains(key)) {
                self.made |= self.values.insert(format!("{set}.{key}"), value).is_none();
            }
        }
        Ok(())
    }

    pub(crate) fn salt(&mut self) -> Salt {
        Salt::new(self.value(SALT.to_owned()))
    }

    pub(crate) fn generated(&mut self, set: &str, key: &str) -> String {
        self.value(format!("{set}.{key}"))
    }

    /// Another value in the place of the one that was made.
    pub(crate) fn rotate(&mut self, set: &str, key: &str) {
        self.values.remove(&format!("{set}.{key}"));
        self.generated(set, key);
    }

    fn value(&mut self, name: String) -> String {
        let made = &mut self.made;
        let make = || {
            *made = true;
            skep_ambient::bytes::<RANDOM>().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        self.values.entry(name).or_insert_with(make).clone()
    }

    /// The Secret to write, if anything was made.
    pub(crate) fn to_write(&self, app: &str) -> Option<Value> {
        self.made.then(|| {
            json!({
                "apiVersion": self.key.api_version,
                "kind": self.key.kind,
                "metadata": {
                    "name": self.key.name,
                    "namespace": self.key.namespace,
                    "labels": {"app.kubernetes.io/managed-by": "skep", "skep.dev/app": app, "skep.dev/record": "keys"},
                },
                "stringData": self.values,
            })
        })
    }
}

/// What a Secret holds, as far as it is text.
pub(crate) fn texts(secret: &Value) -> BTreeMap<String, String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let data = secret["data"].as_object().into_iter().flatten();
    let text = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str()?).ok()?).ok();
    data.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}
