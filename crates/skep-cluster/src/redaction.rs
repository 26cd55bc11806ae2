//! What a cluster says can hold the values of Secrets: text of pods is redacted where it enters, by all Secrets that their namespace has or
//! has had. Where these can't be read, the text is withheld.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use skep_model::Redactor;
use tokio::time::Instant;

use crate::{Cluster, ClusterError, Route, Selector};

/// Records of Skep's own, which hold packed releases and no value that an app is given.
pub(crate) const NO_RECORDS: &str = "!skep.dev/record";
/// Packed releases of others.
const PACKED: &[&str] = &["helm.sh/release.v1", "skep.dev/release.v1"];

/// How old what is known of Secrets may be when a log is opened: a container has started with what was there then.
const AT_OPENING: Duration = Duration::from_secs(1);
/// The same for each later line: a Secret that is mounted changes under a container that runs.
pub(crate) const WHILE_READING: Duration = Duration::from_secs(30);

/// Values that no text may show, shared by all clones of a [`Cluster`].
#[derive(Clone, Default)]
pub struct Redaction(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    values: BTreeSet<Vec<u8>>,
    /// Of the values, once it has been needed.
    redactor: Option<Redactor>,
    access: Access,
}

/// Whether the namespace's Secrets are among the values.
#[derive(Default)]
enum Access {
    #[default]
    NotRead,
    Read {
        namespace: String,
        at: Instant,
    },
    Refused {
        namespace: String,
        why: String,
    },
}

/// Shows no value.
impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").finish_non_exhaustive()
    }
}

impl Redaction {
    /// Hides these values too, whatever the cluster has: those of a release that is not there yet.
    pub fn hide<V: Into<Vec<u8>>>(&self, values: impl IntoIterator<Item = V>) {
        self.state().hide(values.into_iter().map(Into::into));
    }

    /// The same for the values of Secret objects.
    pub fn hide_secrets<'s>(&self, secrets: impl IntoIterator<Item = &'s Value>) {
        self.state().hide(secrets.into_iter().flat_map(values));
    }

    /// Text of pods without what is hidden; a sentence that says why it is withheld, while Secrets can't be read.
    pub fn redact(&self, text: &str) -> String {
        let mut state = self.state();
        match &state.access {
            Access::Read { .. } => state.redactor().redact(text).into_owned(),
            Access::NotRead => "withheld: no Secret has been read".to_owned(),
            Access::Refused { namespace, why } => withheld(namespace, why),
        }
    }

    /// Text that is not of pods without the values that are known so far.
    pub fn redact_known(&self, text: &str) -> String {
        self.state().redactor().redact(text).into_owned()
    }

    /// Whether text of pods can be shown.
    ///
    /// # Errors
    /// The sentence that says why not.
    pub fn is_ready(&self) -> Result<(), String> {
        match &self.state().access {
            Access::Read { .. } => Ok(()),
            Access::NotRead => Err("no Secret has been read".to_owned()),
            Access::Refused { namespace, why } => Err(unreadable(namespace, why)),
        }
    }

    /// All Secrets of the namespace were read.
    pub(crate) fn has_read<'s>(
        &self,
        namespace: &str,
        secrets: impl IntoIterator<Item = &'s Value>,
        at: Instant,
    ) {
        let mut state = self.state();
        state.hide(secrets.into_iter().flat_map(values));
        state.access = Access::Read { namespace: namespace.to_owned(), at };
    }

    /// The Secrets of the namespace can't be read.
    pub(crate) fn was_refused(&self, namespace: &str, why: String) {
        self.state().access = Access::Refused { namespace: namespace.to_owned(), why };
    }

    /// What pods and the cluster say in an object: each `message` of its status, and an Event's own.
    pub(crate) fn redact_messages(&self, object: &mut Value) {
        if object["kind"] == "Event" {
            self.redact_field(object, "message");
            self.redact_field(object, "note");
        } else if let Some(status) = object.get_mut("status") {
            self.redact_below(status);
        }
    }

    fn redact_below(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_below(item)),
            Value::Object(fields) => {
                for (key, field) in fields {
                    match field {
                        Value::String(text) if key == "message" && !text.is_empty() => {
                            *text = self.redact(text);
                        }
                        field => self.redact_below(field),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn redact_field(&self, object: &mut Value, key: &str) {
        if let Some(Value::String(text)) = object.get_mut(key) {
            *text = self.redact(text);
        }
    }

    /// Whether the Secrets of a namespace were read no longer ago than this.
    fn is_fresh(&self, namespace: &str, most: Duration) -> bool {
        matches!(&self.state().access, Access::Read { namespace: of, at } if of == namespace && at.elapsed() <= most)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hide(&mut self, values: impl Iterator<Item = Vec<u8>>) {
        let before = self.values.len();
        self.values.extend(values);
        if self.values.len() != before {
            self.redactor = None;
        }
    }

    fn redactor(&mut self) -> &Redactor {
        self.redactor.get_or_insert_with(|| Redactor::new(&self.values))
    }
}

impl Cluster {
    /// Values that text of this cluster must not show.
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Reads the namespace's Secrets for [`Cluster::redaction`] unless that was done just now. `what` is what is to be shown, such as
    /// `log of api-7d9`.
    ///
    /// # Errors
    /// [`ClusterError::Withheld`] when they can't be read: no text of its pods may be shown.
    pub async fn read_secrets(&self, namespace: &str, what: &str) -> Result<(), ClusterError> {
        self.refresh_secrets(namespace, AT_OPENING).await.map_err(|why| ClusterError::Withheld {
            what: what.to_owned(),
            namespace: namespace.to_owned(),
            why: Box::new(why),
        })
    }

    pub(crate) async fn refresh_secrets(&self, namespace: &str, most: Duration) -> Result<(), ClusterError> {
        if self.redaction.is_fresh(namespace, most) {
            return Ok(());
        }
        let Some(route) = Route::built_in("v1", "Secret") else { return Ok(()) };
        let began = Instant::now();
        match self.list(&route, Some(namespace), &Selector::labels(NO_RECORDS)).await {
            Ok(secrets) => {
                self.redaction.has_read(namespace, &secrets, began);
                Ok(())
            }
            Err(error) => {
                // An outage takes nothing back of what was read before it.
                let refused = matches!(error, ClusterError::Refused { code: 401 | 403, .. });
                if refused || self.redaction.is_ready().is_err() {
                    self.redaction.was_refused(namespace, error.to_string());
                }
                Err(error)
            }
        }
    }
}

fn unreadable(namespace: &str, why: &str) -> String {
    format!("Secrets of namespace {namespace} can't be read: {why}")
}

/// What stands in the place of text that can't be redacted.
pub(crate) fn withheld(namespace: &str, why: &str) -> String {
    format!("withheld: {}", unreadable(namespace, why))
}

/// The values of a Secret that are secrets.
fn values(secret: &Value) -> Vec<Vec<u8>> {
    let kind = secret["type"].as_str().unwrap_or_default();
    if PACKED.contains(&kind) {
        return Vec::new();
    }
    let data = secret["data"].as_object().into_iter().flatten();
    let decoded = data.filter_map(|(key, value)| Some((key, STANDARD.decode(value.as_str()?).ok()?)));
    let plain = secret["stringData"].as_object().into_iter().flatten();
    let plain = plain.filter_map(|(key, value)| Some((key, value.as_str()?.as_bytes().to_vec())));
    let mut found = Vec::new();
    for (key, value) in decoded.chain(plain) {
        // Of a ServiceAccount's token Secret the other keys are the namespace's name and the API's public certificate.
        if kind == "kubernetes.io/service-account-token" && key != "token" {
            continue;
        }
        if key == ".dockerconfigjson" {
            found.extend(passwords_in(&value));
        }
        found.push(value);
    }
    found
}

/// The passwords of a pull secret, which a program may print without the JSON around them.
fn passwords_in(docker_config: &[u8]) -> Vec<Vec<u8>> {
    let config: Value = serde_json::from_slice(docker_config).unwrap_or_default();
    let accounts = config["auths"].as_object().into_iter().flat_map(|accounts| accounts.values());
    let secrets = |account: &Value| {
        ["password", "auth", "identitytoken"].map(|key| account[key].as_str().map(str::to_owned))
    };
    accounts.flat_map(secrets).flatten().map(String::into_bytes).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(kind: &str, data: &[(&str, &str)]) -> Value {
        let data: serde_json::Map<String, Value> =
            data.iter().map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into())).collect();
        json!({"kind": "Secret", "type": kind, "data": data})
    }

    #[tokio::test]
    async fn text_is_withheld_until_secrets_are_read() {
        let redaction = Redaction::default();
        redaction.hide(["brought-along"]);
        assert_eq!(redaction.redact("said brought-along"), "withheld: no Secret has been read");
        assert_eq!(redaction.redact_known("said brought-along"), "said ***");
        redaction.has_read("shop", &[secret("Opaque", &[("A", "hunter2")])], Instant::now());
        assert_eq!(redaction.redact("hunter2 and brought-along"), "*** and ***");
        redaction.was_refused("shop", "forbidden".to_owned());
        let withheld = "withheld: Secrets of namespace shop can't be read: forbidden";
        assert_eq!(redaction.redact("hunter2"), withheld);
        assert_eq!(
            redaction.is_ready(),
            Err("Secrets of namespace shop can't be read: forbidden".to_owned())
        );
    }

    #[tokio::test]
    async fn values_are_known_after_their_secret_is_gone() {
        let redaction = Redaction::default();
        redaction.has_read("shop", &[secret("Opaque", &[("A", "hunter2")])], Instant::now());
        redaction.has_read("shop", &[], Instant::now());
        assert_eq!(redaction.redact("hunter2"), "***");
    }

    #[tokio::test]
    async fn secrets_of_known_types_hide_what_is_secret_in_them() {
        let redaction = Redaction::default();
        let config = r#"{"auths": {"r.example.com": {"username": "deployer", "password": "pull-token"}}}"#;
        let secrets = [
            secret("kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", config)]),
            secret(
                "kubernetes.io/service-account-token",
                &[("token", "ey.JWT.x"), ("namespace", "honeydue")],
            ),
            secret("helm.sh/release.v1", &[("release", "H4sIAAAA")]),
        ];
        redaction.has_read("honeydue", &secrets, Instant::now());
        let text = "deployer of honeydue: pull-token ey.JWT.x H4sIAAAA";
        assert_eq!(redaction.redact(text), "deployer of honeydue: *** *** H4sIAAAA");
    }

    #[tokio::test]
    async fn messages_of_a_status_and_of_events_are_redacted() {
        let redaction = Redaction::default();
        redaction.has_read("shop", &[secret("Opaque", &[("A", "hunter2")])], Instant::now());
        let ended = json!({"terminated": {"message": "login with hunter2"}});
        let mut pod = json!({"kind": "Pod", "metadata": {"name": "hunter2"}, "status": {"containerStatuses": [{"name": "hunter2", "lastState": ended}]}});
        redaction.redact_messages(&mut pod);
        let status = &pod["status"]["containerStatuses"][0];
        assert_eq!(status["lastState"]["terminated"]["message"], "login with ***");
        assert_eq!((&pod["metadata"]["name"], &status["name"]), (&json!("hunter2"), &json!("hunter2")));
        let mut event = json!({"kind": "Event", "message": "probe said hunter2"});
        redaction.redact_messages(&mut event);
        assert_eq!(event["message"], "probe said ***");
    }
}
