//! Reading, creating and deleting single objects.

use serde_json::{Value, json};
use skep_model::ObjectKey;

use crate::{Cluster, ClusterError, Route, connect::request};

/// Which objects of a kind are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// Label selector in Kubernetes' syntax, `skep.dev/app=honeydue`.
    pub labels: Option<String>,
    /// Field selector, `metadata.name=api`.
    pub fields: Option<String>,
}

impl Selector {
    /// Objects with these labels.
    pub fn labels(selector: impl Into<String>) -> Self {
        Self { labels: Some(selector.into()), fields: None }
    }

    fn query(&self) -> String {
        let pairs = [("labelSelector", &self.labels), ("fieldSelector", &self.fields)];
        let query: Vec<String> = pairs
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={}", escape(value))))
            .collect();
        if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
    }
}

impl Cluster {
    /// Reads an object; `None` if it is not there.
    ///
    /// # Errors
    /// When the API can't be reached or refuses.
    pub async fn get(&self, key: &ObjectKey) -> Result<Option<Value>, ClusterError> {
        let route = match self.route(&key.api_version, &key.kind).await {
            Err(ClusterError::UnknownKind { .. }) => return Ok(None),
            route => route?,
        };
        let path = route.object(key);
        match self.call("read", &key.to_string(), request("GET", &path, Vec::new(), None)?).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists a kind. Each object carries its `apiVersion` and `kind`, which lists leave out.
    ///
    /// # Errors
    /// When the API can't be reached or refuses.
    pub async fn list(
        &self,
        route: &Route,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> Result<Vec<Value>, ClusterError> {
        let path = format!("{}{}", route.collection(namespace), selector.query());
        let mut list = self.call("list", &route.plural, request("GET", &path, Vec::new(), None)?).await?;
        let Some(Value::Array(mut items)) = list.get_mut("items").map(Value::take) else {
            return Ok(Vec::new());
        };
        // An item that is no object is left to whoever reads it.
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.insert("apiVersion".to_owned(), json!(route.api_version));
            item.insert("kind".to_owned(), json!(route.kind));
        }
        Ok(items)
    }

    /// Creates an object, and fails if it is there.
    ///
    /// # Errors
    /// A conflict (see [`ClusterError::is_conflict`]) when it is there; else when the API can't be reached or refuses.
    pub async fn create(&self, object: &Value, manager: &str) -> Result<Value, ClusterError> {
        let (key, route) = self.locate(object).await?;
        let path = format!("{}?fieldManager={manager}", route.collection(key.namespace.as_deref()));
        self.call(
            "create",
            &key.to_string(),
            request("POST", &path, bytes(object)?, Some("application/json"))?,
        )
        .await
    }

    /// Replaces an object; its `resourceVersion`, if it has one, must still be the live one.
    ///
    /// # Errors
    /// A conflict when it has changed; else when the API can't be reached or refuses.
    pub async fn replace(&self, object: &Value, manager: &str) -> Result<Value, ClusterError> {
        let (key, route) = self.locate(object).await?;
        let path = format!("{}?fieldManager={manager}", route.object(&key));
        self.call(
            "update",
            &key.to_string(),
            request("PUT", &path, bytes(object)?, Some("application/json"))?,
        )
        .await
    }

    /// Deletes an object and, in the background, what it owns. True if it was there.
    ///
    /// # Errors
    /// When the API can't be reached or refuses.
    pub async fn delete(&self, key: &ObjectKey) -> Result<bool, ClusterError> {
        let route = self.route(&key.api_version, &key.kind).await?;
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        let request = request("DELETE", &route.object(key), bytes(&options)?, Some("application/json"))?;
        match self.call("delete", &key.to_string(), request).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object if it is still as it was read.
    ///
    /// # Errors
    /// A conflict (see [`ClusterError::is_conflict`]) when it has changed; else when the API can't be reached or refuses.
    pub async fn delete_unchanged(&self, key: &ObjectKey, read: &Value) -> Result<(), ClusterError> {
        let route = self.route(&key.api_version, &key.kind).await?;
        let version = &read["metadata"]["resourceVersion"];
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": version}});
        let request = request("DELETE", &route.object(key), bytes(&options)?, Some("application/json"))?;
        match self.call("delete", &key.to_string(), request).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) async fn locate(&self, object: &Value) -> Result<(ObjectKey, Route), ClusterError> {
        let key = ObjectKey::of(object).ok_or_else(|| ClusterError::Answer {
            what: "an object to write".to_owned(),
            why: "it lacks apiVersion, kind or metadata.name".to_owned(),
        })?;
        let route = self.route(&key.api_version, &key.kind).await?;
        Ok((key, route))
    }
}

pub(crate) fn bytes(value: &Value) -> Result<Vec<u8>, ClusterError> {
    serde_json::to_vec(value)
        .map_err(|error| ClusterError::Answer { what: "a value to send".to_owned(), why: error.to_string() })
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (byte as char).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
