//! The bucket of the app's files, as skep.yaml describes it: who sets its rules, and the deploy's check of them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::FutureExt as _;
use skep_deploy::{AskingCheck, Finding};
use skep_model::{Bucket, Project};
use skep_storage::{
    Addressing, Admin, B2_API, Client, CorsRule, Credentials, Difference, LifecycleRule, StoreError,
    cors_differences, lifecycle_differences, region_of,
};
use url::Url;

/// How long a deploy waits for the store's word.
const WITHIN: Duration = Duration::from_secs(10);

/// Whether its store is Backblaze B2, which has an API of its own for rules.
pub(crate) fn is_b2(bucket: &Bucket) -> bool {
    let host = bucket.endpoint.trim_end_matches('/');
    bucket.native_api.is_some() || host.ends_with(".backblazeb2.com")
}

/// Who is asked for its rules and sets them: on Backblaze B2 not the endpoint that files go to.
pub(crate) fn asked(bucket: &Bucket) -> &str {
    match is_b2(bucket) {
        true => bucket.native_api.as_deref().unwrap_or(B2_API),
        false => &bucket.endpoint,
    }
}

/// What sets its rules.
pub(crate) fn admin(bucket: &Bucket) -> Result<Admin> {
    let Some((key_id, key)) = &bucket.credentials else { bail!("the bucket's key was not read") };
    let endpoint: Url = bucket.endpoint.parse().with_context(|| bucket.endpoint.clone())?;
    let mut http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
    if asked(bucket).starts_with("http://") {
        http = http.tls_certs_only([]);
    }
    let http = http.build().context("no HTTPS is possible: are this machine's CA certificates missing?")?;
    if is_b2(bucket) {
        let api = asked(bucket).parse().with_context(|| asked(bucket).to_owned())?;
        return Ok(Admin::b2(api, key_id, key, &bucket.name, http));
    }
    let region = bucket.region.as_deref().unwrap_or_else(|| region_of(&endpoint));
    let place = skep_storage::Bucket::new(&endpoint, Addressing::Path, &bucket.name, region)?;
    Ok(Admin::s3(Client::new(place, Credentials::new(key_id, key), http)))
}

/// The rules that are wanted of it.
pub(crate) fn lifecycle(bucket: &Bucket) -> Vec<LifecycleRule> {
    let rules = bucket.lifecycle.iter();
    rules
        .map(|rule| LifecycleRule {
            prefix: rule.prefix.clone(),
            days_to_hide: rule.days_to_hide,
            days_to_delete: rule.days_to_delete,
        })
        .collect()
}

/// The pages that are wanted to speak to it. Backblaze B2 takes no forms, so there is nothing to allow.
pub(crate) fn cors(bucket: &Bucket) -> Vec<CorsRule> {
    let takes = |method: &&String| !is_b2(bucket) || *method != "POST";
    let rules = bucket.cors.iter();
    rules
        .map(|rule| {
            CorsRule::for_files(rule.origins.clone(), rule.methods.iter().filter(takes).cloned().collect())
        })
        .filter(|rule| !rule.methods.is_empty())
        .collect()
}

/// Whose rules for pages they are: apps and targets may share a bucket.
pub(crate) fn owner(app: &str, target: &str) -> String {
    format!("{app}-{target}")
}

/// A difference in words.
pub(crate) fn said<Rule: std::fmt::Display>(difference: &Difference<Rule>) -> String {
    match difference {
        Difference::Missing(rule) => format!("+ {rule}"),
        Difference::Extra(rule) => format!("- {rule}"),
        Difference::Other { found, wanted } => format!("~ {wanted} (it is now {found})"),
    }
}

/// What to do about a store that refuses.
pub(crate) fn hint(bucket: &Bucket, error: &StoreError) -> String {
    match error {
        StoreError::Refused { status: 401, what: "b2_authorize_account", .. } => {
            "Backblaze does not know this key: look at `bucket.key-id` and `bucket.key`".to_owned()
        }
        StoreError::Refused { code, .. } if matches!(code.as_str(), "SignatureDoesNotMatch" | "InvalidAccessKeyId") => {
            "the store does not know this key: look at `bucket.key-id` and `bucket.key`".to_owned()
        }
        StoreError::Refused { status: 401 | 403, .. } if is_b2(bucket) => {
            "the key needs listBuckets to see the rules, listFiles to count what they affect, writeBuckets to set them, and readFiles and writeFiles to copy; make one in Backblaze's console, or with `b2 key create`".to_owned()
        }
        StoreError::Refused { status: 401 | 403, .. } => {
            "the key may not read or set the bucket's rules: s3:GetLifecycleConfiguration, s3:PutLifecycleConfiguration and the same for CORS".to_owned()
        }
        StoreError::Refused { status: 404, .. } => "look at `bucket.name` and at whose key it is".to_owned(),
        StoreError::Refused { status: 409, .. } => "somebody else changes this bucket all the time: try again".to_owned(),
        StoreError::TooMany { .. } => {
            "set the rule by hand (`skep bucket lifecycle show`), once you know that what is there may go".to_owned()
        }
        _ if is_b2(bucket) => "Backblaze's own API is asked: is this machine online?".to_owned(),
        _ => "look at `bucket.endpoint`, and try again".to_owned(),
    }
}

/// Rules that reach what is to be kept.
pub(crate) fn reaching(bucket: &Bucket, found: &[LifecycleRule]) -> Vec<String> {
    let reaches = |rule: &LifecycleRule| {
        let kept = bucket.keep.iter().find(|prefix| rule.reaches(prefix))?;
        Some(format!("the rule `{rule}` reaches `{kept}`, which is to be kept"))
    };
    found.iter().filter_map(reaches).collect()
}

/// The deploy's check, where skep.yaml has a bucket with rules.
pub(crate) fn check(project: &Project) -> Option<AskingCheck> {
    let bucket = project.bucket.clone().filter(|bucket| {
        bucket.credentials.is_some()
            && !(bucket.lifecycle.is_empty() && bucket.cors.is_empty() && bucket.keep.is_empty())
    })?;
    let (app, target) = (project.app.to_string(), project.target.clone());
    Some(AskingCheck::new(move || {
        let (bucket, app, target) = (bucket.clone(), app.clone(), target.clone());
        async move {
            let found = tokio::time::timeout(WITHIN, findings(&bucket, &app, &target)).await;
            let late = format!("no word of its rules within {} s", WITHIN.as_secs());
            found.unwrap_or_else(|_| vec![warning(&bucket, late, "look at `bucket.endpoint`".to_owned())])
        }
        .boxed()
    }))
}

/// Advice, all of it: an app can be shipped while its bucket is being put right.
async fn findings(bucket: &Bucket, app: &str, target: &str) -> Vec<Finding> {
    let admin = match admin(bucket) {
        Ok(admin) => admin,
        Err(error) => return vec![warning(bucket, format!("{error:#}"), "look at `bucket`".to_owned())],
    };
    let mut all = Vec::new();
    match admin.lifecycle().await {
        Ok(found) => {
            for difference in lifecycle_differences(&lifecycle(bucket), &found) {
                let what = format!("its lifecycle rules differ from skep.yaml: {}", said(&difference));
                all.push(warning(bucket, what, format!("`skep bucket lifecycle apply -t {target}`")));
            }
            for what in reaching(bucket, &found) {
                all.push(warning(bucket, what, "remove that rule, or move what is kept".to_owned()));
            }
        }
        Err(error) => all.push(warning(bucket, error.to_string(), hint(bucket, &error))),
    }
    match admin.cors().await {
        Ok(found) => {
            for difference in cors_differences(&owner(app, target), &cors(bucket), &found) {
                let what = format!("pages may not speak to it as skep.yaml says: {}", said(&difference));
                all.push(warning(bucket, what, format!("`skep bucket cors apply -t {target}`")));
            }
        }
        // Said once already, or nothing that this app asked for.
        Err(_) if !all.is_empty() || bucket.cors.is_empty() => {}
        Err(error) => all.push(warning(bucket, error.to_string(), hint(bucket, &error))),
    }
    all
}

fn warning(bucket: &Bucket, what: String, hint: String) -> Finding {
    Finding::warning(format!("bucket {}", bucket.name), what, hint)
}
