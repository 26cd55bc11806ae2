//! Backblaze's native API: authorize, read the bucket with its revision, change it if it is still that one.

mod files;

use std::{fmt, sync::Arc};

use futures::lock::Mutex;
use reqwest::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

pub(crate) use files::{File, Start};

use super::MAX_AGE;
use crate::{
    CorsRule, FoundCors, LifecycleRule, StoreError,
    client::{ANSWER_WITHIN, send::why},
    names::{is_of, name},
};

/// How often a change is tried that somebody else's change has met.
const TRIES: u32 = 5;
const VERSION: &str = "b2api/v4";

#[derive(Clone)]
pub(crate) struct Account {
    api: Url,
    key_id: String,
    key: String,
    bucket: String,
    http: reqwest::Client,
    /// What authorizing and looking for the bucket have answered.
    opened: Arc<Mutex<Option<Arc<Opened>>>>,
}

/// An authorization, and the bucket's id.
struct Opened {
    authorized: Authorized,
    bucket_id: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// What authorizing answers, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorized {
    account_id: String,
    authorization_token: String,
    api_info: ApiInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiInfo {
    storage_api: StorageApi,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorageApi {
    api_url: Url,
}

/// A bucket as it is. Rules stay as they were read: what is not ours goes back to the letter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    bucket_id: String,
    revision: u64,
    #[serde(default)]
    lifecycle_rules: Vec<Value>,
    #[serde(default)]
    cors_rules: Vec<Value>,
}

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Account {
    pub(super) fn new(api: Url, key_id: &str, key: &str, bucket: &str, http: reqwest::Client) -> Self {
        let [key_id, key, bucket] = [key_id, key, bucket].map(str::to_owned);
        Self { api, key_id, key, bucket, http, opened: Arc::default() }
    }

    pub(super) async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let (_, bucket) = self.bucket().await?;
        Ok(bucket.lifecycle_rules.iter().map(lifecycle_rule).collect())
    }

    pub(super) async fn cors(&self) -> Result<Vec<FoundCors>, StoreError> {
        let (_, bucket) = self.bucket().await?;
        let name = |rule: &Value| rule["corsRuleName"].as_str().unwrap_or_default().to_owned();
        let rules = bucket.cors_rules.iter();
        Ok(rules.map(|rule| FoundCors { name: name(rule), rule: cors_rule(rule) }).collect())
    }

    pub(super) async fn set_lifecycle(&self, wanted: &[LifecycleRule]) -> Result<(), StoreError> {
        self.change("lifecycleRules", |bucket| merged(bucket, wanted)).await
    }

    /// The whole list with these rules in it, each as the native API and the `b2` program take it.
    pub(super) async fn by_hand(&self, wanted: &[LifecycleRule]) -> Result<Vec<String>, StoreError> {
        let (_, bucket) = self.bucket().await?;
        Ok(merged(&bucket, wanted).iter().map(Value::to_string).collect())
    }

    pub(super) async fn set_cors(&self, owner: &str, wanted: &[CorsRule]) -> Result<(), StoreError> {
        self.change("corsRules", |bucket| {
            let is_ours = |rule: &Value| is_of(owner, rule["corsRuleName"].as_str().unwrap_or_default());
            let others = bucket.cors_rules.iter().filter(|rule| !is_ours(rule)).cloned();
            others
                .chain(wanted.iter().enumerate().map(|(number, rule)| cors_json(&name(owner, number), rule)))
                .collect()
        })
        .await
    }

    /// Reads the bucket, makes its new rules of it, and sets them if nobody was there meanwhile; and again, if somebody was.
    async fn change(&self, list: &str, rules: impl Fn(&Bucket) -> Vec<Value>) -> Result<(), StoreError> {
        const UPDATE: &str = "b2_update_bucket";
        let mut tries = 1;
        loop {
            let (authorized, bucket) = self.bucket().await?;
            let body = json!({
                "accountId": authorized.account_id,
                "bucketId": bucket.bucket_id,
                "ifRevisionIs": bucket.revision,
                list: rules(&bucket),
            });
            match self.call::<Value>(&authorized, UPDATE, &body).await {
                Err(StoreError::Refused { status: 409, .. }) if tries < TRIES => tries += 1,
                done => return done.map(|_| ()),
            }
        }
    }

    async fn bucket(&self) -> Result<(Authorized, Bucket), StoreError> {
        const LIST: &str = "b2_list_buckets";
        let authorized = self.authorize().await?;
        let asked = json!({ "accountId": authorized.account_id, "bucketName": self.bucket });
        let found: Buckets = self.call(&authorized, LIST, &asked).await?;
        let bucket = found.buckets.into_iter().next().ok_or_else(|| StoreError::Refused {
            what: LIST,
            status: 404,
            code: "no_such_bucket".to_owned(),
            message: format!("this key sees no bucket named `{}`", self.bucket),
        })?;
        Ok((authorized, bucket))
    }

    async fn authorize(&self) -> Result<Authorized, StoreError> {
        const AUTHORIZE: &str = "b2_authorize_account";
        let url = format!("{}/{VERSION}/{AUTHORIZE}", self.api.as_str().trim_end_matches('/'));
        let request = self.http.get(url).basic_auth(&self.key_id, Some(&self.key)).timeout(ANSWER_WITHIN);
        let response = request.send().await.map_err(|error| unreachable(AUTHORIZE, error))?;
        read(AUTHORIZE, response).await
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        authorized: &Authorized,
        what: &'static str,
        body: &Value,
    ) -> Result<T, StoreError> {
        let api = authorized.api_info.storage_api.api_url.as_str().trim_end_matches('/');
        let request = self.http.post(format!("{api}/{VERSION}/{what}"));
        let request = request.header("authorization", &authorized.authorization_token).json(body);
        let request = request.timeout(ANSWER_WITHIN);
        let response = request.send().await.map_err(|error| unreachable(what, error))?;
        read(what, response).await
    }
}

async fn read<T: serde::de::DeserializeOwned>(
    what: &'static str,
    response: Response,
) -> Result<T, StoreError> {
    let status = response.status();
    let text = response.text().await.map_err(|error| unreachable(what, error))?;
    if status.is_success() {
        return serde_json::from_str(&text)
            .map_err(|error| StoreError::Garbled { what, why: error.to_string() });
    }
    let Failure { code, message } = serde_json::from_str(&text).unwrap_or_default();
    let status = status.as_u16();
    Err(match status {
        429 | 500..=599 => StoreError::Busy { what, status, retry_after: None },
        _ => StoreError::Refused { what, status, code, message },
    })
}

fn unreachable(what: &'static str, error: reqwest::Error) -> StoreError {
    StoreError::Unreachable { what, why: why(error) }
}

/// A bucket's lifecycle rules with those that are wanted.
fn merged(bucket: &Bucket, wanted: &[LifecycleRule]) -> Vec<Value> {
    let mut rules = bucket.lifecycle_rules.clone();
    for one in wanted {
        match rules.iter_mut().find(|rule| rule["fileNamePrefix"] == *one.prefix) {
            // It may say more, of unfinished files, which is not ours to take away.
            Some(rule) => {
                rule["daysFromUploadingToHiding"] = json!(one.days_to_hide);
                rule["daysFromHidingToDeleting"] = json!(one.days_to_delete);
            }
            None => rules.push(lifecycle_json(one)),
        }
    }
    rules
}

fn lifecycle_rule(rule: &Value) -> LifecycleRule {
    let days = |key: &str| rule[key].as_u64().and_then(|days| days.try_into().ok());
    LifecycleRule {
        prefix: rule["fileNamePrefix"].as_str().unwrap_or_default().to_owned(),
        days_to_hide: days("daysFromUploadingToHiding"),
        days_to_delete: days("daysFromHidingToDeleting"),
    }
}

/// As the native API, the `b2` program and the console have it.
fn lifecycle_json(rule: &LifecycleRule) -> Value {
    json!({
        "fileNamePrefix": rule.prefix,
        "daysFromUploadingToHiding": rule.days_to_hide,
        "daysFromHidingToDeleting": rule.days_to_delete,
    })
}

/// What S3 calls a method is an operation here. A form is none that it has.
fn cors_rule(rule: &Value) -> CorsRule {
    let texts = |key: &str| -> Vec<String> {
        let list = rule[key].as_array().into_iter().flatten();
        list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let methods = texts("allowedOperations").into_iter();
    let methods = methods.filter_map(|operation| operation.strip_prefix("s3_").map(str::to_uppercase));
    CorsRule {
        origins: texts("allowedOrigins"),
        methods: methods.collect(),
        headers: texts("allowedHeaders"),
    }
}

fn cors_json(name: &str, rule: &CorsRule) -> Value {
    let operations: Vec<String> =
        rule.methods.iter().map(|method| format!("s3_{}", method.to_lowercase())).collect();
    json!({
        "corsRuleName": name,
        "allowedOrigins": rule.origins,
        "allowedOperations": operations,
        "allowedHeaders": rule.headers,
        "exposeHeaders": ["etag"],
        "maxAgeSeconds": MAX_AGE,
    })
}
