//! S3's API for a bucket's rules. They are documents whose other parts nobody here needs to understand: rules of others go back as they came.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use rusty_s3::signing::sign;
use serde::Deserialize;

use super::{HEADERS, MAX_AGE, OURS};
use crate::{
    Client, CorsRule, LifecycleRule, StoreError,
    client::{listing::SIGNED_FOR, send::Signed},
};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Rule {
    prefix: String,
    filter: Filter,
    status: String,
    expiration: Expiration,
    noncurrent_version_expiration: Noncurrent,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    prefix: String,
    and: And,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct And {
    prefix: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Expiration {
    days: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Noncurrent {
    noncurrent_days: Option<u32>,
}

impl Rule {
    fn prefix(&self) -> &str {
        let places = [&self.prefix, &self.filter.prefix, &self.filter.and.prefix];
        places.into_iter().find(|prefix| !prefix.is_empty()).map_or("", String::as_str)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cors {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "AllowedOrigin")]
    origins: Vec<String>,
    #[serde(rename = "AllowedMethod")]
    methods: Vec<String>,
}

impl Client {
    pub(super) async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let mut rules: Vec<LifecycleRule> = Vec::new();
        for text in self.rules("lifecycle", "Rule").await? {
            let rule: Rule = parsed("lifecycle", &text)?;
            if rule.status == "Disabled" {
                continue;
            }
            // One rule of ours may read back as two: some stores keep each half by itself.
            let found = rules.iter().position(|one| one.prefix == rule.prefix());
            let found = found.unwrap_or_else(|| {
                let prefix = rule.prefix().to_owned();
                rules.push(LifecycleRule { prefix, days_to_hide: None, days_to_delete: None });
                rules.len() - 1
            });
            if let Some(one) = rules.get_mut(found) {
                one.days_to_hide = one.days_to_hide.or(rule.expiration.days);
                one.days_to_delete =
                    one.days_to_delete.or(rule.noncurrent_version_expiration.noncurrent_days);
            }
        }
        Ok(rules)
    }

    pub(super) async fn set_lifecycle(&self, wanted: &[LifecycleRule]) -> Result<(), StoreError> {
        let mut rules = String::new();
        for text in self.rules("lifecycle", "Rule").await? {
            let rule: Rule = parsed("lifecycle", &text)?;
            if wanted.iter().all(|one| one.prefix != rule.prefix()) {
                rules += &text;
            }
        }
        for LifecycleRule { prefix, days_to_hide, days_to_delete } in wanted {
            let prefix = escaped(prefix);
            rules += &format!(
                "<Rule><ID>{OURS} {prefix}</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status>"
            );
            if let Some(days) = days_to_hide {
                rules += &format!("<Expiration><Days>{days}</Days></Expiration>");
            }
            if let Some(days) = days_to_delete {
                rules += &format!(
                    "<NoncurrentVersionExpiration><NoncurrentDays>{days}</NoncurrentDays></NoncurrentVersionExpiration>"
                );
            }
            rules += "</Rule>";
        }
        self.put(
            "lifecycle",
            &format!("<LifecycleConfiguration xmlns=\"{NAMESPACE}\">{rules}</LifecycleConfiguration>"),
        )
        .await
    }

    pub(super) async fn cors(&self) -> Result<Vec<CorsRule>, StoreError> {
        let rules = self.rules("cors", "CORSRule").await?;
        let each = rules.iter().map(|text| {
            let Cors { origins, methods, .. } = parsed("cors", text)?;
            Ok(CorsRule { origins, methods })
        });
        each.collect()
    }

    pub(super) async fn set_cors(&self, wanted: &[CorsRule]) -> Result<(), StoreError> {
        let mut rules = String::new();
        for text in self.rules("cors", "CORSRule").await? {
            let Cors { id, origins, methods } = parsed("cors", &text)?;
            // Not every store keeps the names of rules: one that says the same is ours, too.
            let is_ours = id == OURS || id.starts_with(&format!("{OURS}-"));
            if !is_ours && !wanted.contains(&CorsRule { origins, methods }) {
                rules += &text;
            }
        }
        for (number, CorsRule { origins, methods }) in wanted.iter().enumerate() {
            let id = if number == 0 { OURS.to_owned() } else { format!("{OURS}-{number}") };
            rules += &format!("<CORSRule><ID>{id}</ID>");
            for (name, values) in [
                ("AllowedOrigin", origins.iter().map(String::as_str).collect::<Vec<_>>()),
                ("AllowedMethod", methods.iter().map(String::as_str).collect()),
                ("AllowedHeader", HEADERS.to_vec()),
                ("ExposeHeader", vec!["ETag"]),
            ] {
                for value in values {
                    rules += &format!("<{name}>{}</{name}>", escaped(value));
                }
            }
            rules += &format!("<MaxAgeSeconds>{MAX_AGE}</MaxAgeSeconds></CORSRule>");
        }
        self.put("cors", &format!("<CORSConfiguration xmlns=\"{NAMESPACE}\">{rules}</CORSConfiguration>"))
            .await
    }

    /// The rules of a kind, each as it stands in the store's document.
    async fn rules(&self, kind: &'static str, element: &str) -> Result<Vec<String>, StoreError> {
        let signed = |now| Signed::get(self.signed_for(now, kind, rusty_s3::Method::Get));
        let response = self.send(kind, signed).await?;
        if response.status().as_u16() == 404 {
            let error = self.refusal(kind, response).await;
            let has_none = matches!(&error, StoreError::Refused { code, .. } if code.starts_with("NoSuch") && code != "NoSuchBucket");
            return if has_none { Ok(Vec::new()) } else { Err(error) };
        }
        let text = self.text(kind, response).await?;
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let whole = |rest: &str| Some(format!("{open}{}{close}", rest.split_once(&close)?.0));
        text.split(&open)
            .skip(1)
            .map(|rest| whole(rest).ok_or_else(|| garbled(kind, "a rule has no end")))
            .collect()
    }

    async fn put(&self, kind: &'static str, document: &str) -> Result<(), StoreError> {
        let signed = |now| {
            let mut headers = HeaderMap::new();
            let md5 = BASE64_STANDARD.encode(Md5::digest(document.as_bytes()));
            headers
                .extend(HeaderValue::from_str(&md5).map(|md5| (HeaderName::from_static("content-md5"), md5)));
            let url = self.signed_for(now, kind, rusty_s3::Method::Put);
            Signed { method: Method::PUT, url, headers, body: document.to_owned() }
        };
        let response = self.send(kind, signed).await?;
        self.text(kind, response).await.map(|_| ())
    }

    fn signed_for(&self, now: Timestamp, kind: &str, method: rusty_s3::Method) -> url::Url {
        sign(
            &now,
            method,
            self.bucket.url().clone(),
            self.credentials.inner.key(),
            self.credentials.inner.secret(),
            self.credentials.inner.token(),
            self.bucket.region(),
            SIGNED_FOR.as_secs(),
            std::iter::once((kind, "")),
            std::iter::empty(),
        )
    }
}

fn parsed<T: serde::de::DeserializeOwned>(kind: &'static str, text: &str) -> Result<T, StoreError> {
    quick_xml::de::from_str(text).map_err(|error| garbled(kind, &error.to_string()))
}

fn garbled(what: &'static str, why: &str) -> StoreError {
    StoreError::Garbled { what, why: why.to_owned() }
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
