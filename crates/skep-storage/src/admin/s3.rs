//! S3's API for a bucket's rules. They are documents whose other parts nobody here needs to understand: rules of others go back as they came.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use md5::{Digest as _, Md5};
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;

use super::MAX_AGE;
use crate::{
    Client, CorsRule, FoundCors, LifecycleRule, StoreError,
    client::send::Signed,
    names::{is_of, name},
};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Rule {
    #[serde(rename = "ID")]
    id: String,
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
    date: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Noncurrent {
    noncurrent_days: Option<u32>,
}

/// What makes a rule more than days for a prefix.
const MORE: [&str; 8] = [
    "<Tag>",
    "<ObjectSize",
    "<Transition>",
    "<NoncurrentVersionTransition>",
    "<AbortIncompleteMultipartUpload>",
    "<NewerNoncurrentVersions>",
    "<Date>",
    "<ExpiredObjectDeleteMarker>",
];

impl Rule {
    /// Whether it may be put in the place of: it was set from here, or it says what such a rule says and nothing else.
    fn is_replaceable(&self, text: &str) -> bool {
        self.id == lifecycle_id(self.prefix())
            || (self.status != "Disabled" && !MORE.iter().any(|more| text.contains(more)))
    }

    /// Whether it is for some objects under its prefix alone.
    fn is_narrowed(text: &str) -> bool {
        text.contains("<Tag>") || text.contains("<ObjectSize")
    }

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
    #[serde(rename = "AllowedHeader")]
    headers: Vec<String>,
}

impl Cors {
    fn rule(&self) -> CorsRule {
        let Self { origins, methods, headers, .. } = self;
        CorsRule { origins: origins.clone(), methods: methods.clone(), headers: headers.clone() }
    }
}

impl Client {
    pub(super) async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let mut rules: Vec<LifecycleRule> = Vec::new();
        for text in self.rules("lifecycle", "Rule").await? {
            let rule: Rule = parsed("lifecycle", &text)?;
            // What is for some of the objects under a prefix alone does not do what is wanted for all of them.
            if rule.status == "Disabled" || Rule::is_narrowed(&text) {
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
                // A date is past sooner or later, and then it is every day.
                let dated = rule.expiration.date.map(|_| 1);
                one.days_to_hide = one.days_to_hide.or(rule.expiration.days).or(dated);
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
            if wanted.iter().all(|one| one.prefix != rule.prefix()) || !rule.is_replaceable(&text) {
                rules += &text;
            }
        }
        for LifecycleRule { prefix, days_to_hide, days_to_delete } in wanted {
            let prefix = escaped(prefix);
            let id = lifecycle_id(&prefix);
            rules += &format!(
                "<Rule><ID>{id}</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status>"
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

    pub(super) async fn cors(&self) -> Result<Vec<FoundCors>, StoreError> {
        let rules = self.rules("cors", "CORSRule").await?;
        let each = rules.iter().map(|text| {
            let found: Cors = parsed("cors", text)?;
            Ok(FoundCors { rule: found.rule(), name: found.id })
        });
        each.collect()
    }

    pub(super) async fn set_cors(&self, owner: &str, wanted: &[CorsRule]) -> Result<(), StoreError> {
        let mut rules = String::new();
        for text in self.rules("cors", "CORSRule").await? {
            let found: Cors = parsed("cors", &text)?;
            // Not every store keeps the names of rules: one without, that says the same, is ours.
            let is_same = found.id.is_empty() && wanted.contains(&found.rule());
            if !is_of(owner, &found.id) && !is_same {
                rules += &text;
            }
        }
        for (number, CorsRule { origins, methods, headers }) in wanted.iter().enumerate() {
            let id = name(owner, number);
            rules += &format!("<CORSRule><ID>{id}</ID>");
            for (name, values) in [
                ("AllowedOrigin", origins.iter().map(String::as_str).collect::<Vec<_>>()),
                ("AllowedMethod", methods.iter().map(String::as_str).collect()),
                ("AllowedHeader", headers.iter().map(String::as_str).collect()),
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
        let signed = |now| Signed::get(self.signed_for(now, rusty_s3::Method::Get, &[(kind, "")]));
        let response = self.send(kind, signed).await?;
        if response.status().as_u16() == 404 {
            let error = self.refusal(kind, response).await;
            let has_none = matches!(&error, StoreError::Refused { code, .. } if code.starts_with("NoSuch") && code != "NoSuchBucket");
            return if has_none { Ok(Vec::new()) } else { Err(error) };
        }
        let text = self.text(kind, response).await?;
        // Any page would be a document without rules, and setting ours would take all others away.
        if !root(&text).ends_with("Configuration") {
            return Err(garbled(kind, "it is no document of rules"));
        }
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
            let url = self.signed_for(now, rusty_s3::Method::Put, &[(kind, "")]);
            Signed { method: Method::PUT, url, headers, body: document.to_owned() }
        };
        let response = self.send(kind, signed).await?;
        self.text(kind, response).await.map(|_| ())
    }
}

/// The name of the rule for a prefix that is set from here.
fn lifecycle_id(prefix: &str) -> String {
    format!("skep {prefix}")
}

fn parsed<T: serde::de::DeserializeOwned>(kind: &'static str, text: &str) -> Result<T, StoreError> {
    quick_xml::de::from_str(text).map_err(|error| garbled(kind, &error.to_string()))
}

/// The name of a document's outermost element; empty when there is none.
fn root(text: &str) -> &str {
    let mut elements = text.split('<').skip(1).filter(|rest| !rest.starts_with(['?', '!']));
    let first = elements.next().unwrap_or_default();
    first.split(|c: char| c == '>' || c == '/' || c.is_whitespace()).next().unwrap_or_default()
}

fn garbled(what: &'static str, why: &str) -> StoreError {
    StoreError::Garbled { what, why: why.to_owned() }
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_no_document_of_rules_is_known_by_its_first_element() {
        let named = [
            ("<LifecycleConfiguration><Rule/></LifecycleConfiguration>", "LifecycleConfiguration"),
            ("<?xml version=\"1.0\"?>\n<CORSConfiguration xmlns=\"x\"/>", "CORSConfiguration"),
            ("<LifecycleConfiguration/>", "LifecycleConfiguration"),
            ("<!doctype html><html><p>Configuration</p></html>", "html"),
            ("Configuration", ""),
            ("", ""),
        ];
        for (text, name) in named {
            assert_eq!(root(text), name, "{text}");
        }
    }
}
