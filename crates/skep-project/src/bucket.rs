//! `bucket`: where an app's files are, and what the bucket does by itself.

use skep_model::{BucketCors, BucketLifecycle};

use crate::{
    error::Fault,
    fields::{Field, Placed},
    registry::{Source, source},
};

const KEYS: &[&str] =
    &["endpoint", "name", "region", "native-api", "key-id", "key", "lifecycle", "cors", "keep"];
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

#[derive(Debug)]
pub(crate) struct BucketDoc {
    pub(crate) endpoint: String,
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) native_api: Option<String>,
    pub(crate) key_id: Placed<Source>,
    pub(crate) key: Placed<Source>,
    pub(crate) lifecycle: Vec<BucketLifecycle>,
    pub(crate) cors: Vec<BucketCors>,
    pub(crate) keep: Vec<String>,
}

pub(crate) fn read(field: &Field<'_>) -> Result<BucketDoc, Fault> {
    let fields = field.fields(KEYS)?;
    let where_from = "a secret: `{ env-file: deploy/secrets.env, key: B2_KEY_ID }`";
    Ok(BucketDoc {
        endpoint: address(
            &fields.need("endpoint", "the store: `https://s3.eu-central-003.backblazeb2.com`")?,
        )?,
        name: fields.need("name", "the bucket's name")?.text()?,
        region: fields.read("region", |region| region.text())?,
        native_api: fields.read("native-api", |api| address(&api))?,
        key_id: source(&fields.need("key-id", where_from)?)?,
        key: source(&fields.need("key", where_from)?)?,
        lifecycle: fields
            .read("lifecycle", |rules| rules.items(|rule| lifecycle(&rule)))?
            .unwrap_or_default(),
        cors: fields.read("cors", |rules| rules.items(|rule| cors(&rule)))?.unwrap_or_default(),
        keep: fields.read("keep", |prefixes| prefixes.strings())?.unwrap_or_default(),
    })
}

fn address(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '@', ' ']) => Ok(text),
        _ => Err(field.bad(
            format!("`{text}` is not where a store is"),
            "write scheme and host, without a path: `https://s3.eu-central-003.backblazeb2.com`",
        )),
    }
}

fn lifecycle(field: &Field<'_>) -> Result<BucketLifecycle, Fault> {
    let fields = field.fields(&["prefix", "days-to-hide", "days-to-delete"])?;
    let days = |key| {
        fields.read(key, |days| match days.scalar()?.parse::<u32>() {
            Ok(count @ 1..) => Ok(count),
            _ => Err(days.bad("it is no number of days", "rules count whole days, from 1: `7`")),
        })
    };
    let rule = BucketLifecycle {
        prefix: fields
            .need("prefix", "the folder that it is for, such as `uploads/`; all others stay")?
            .text()?,
        days_to_hide: days("days-to-hide")?,
        days_to_delete: days("days-to-delete")?,
    };
    if rule.days_to_hide.is_none() && rule.days_to_delete.is_none() {
        return Err(fields.missing("days-to-hide", "a rule hides, deletes what is hidden, or both"));
    }
    Ok(rule)
}

fn cors(field: &Field<'_>) -> Result<BucketCors, Fault> {
    let fields = field.fields(&["origins", "methods"])?;
    let origins = fields.need("origins", "the pages: `[https://example.com]`")?;
    let methods = fields.need("methods", "what they may do: `[PUT, GET]`")?;
    let checked = |method: &Field<'_>| {
        let text = method.text()?;
        match METHODS.contains(&text.as_str()) {
            true => Ok(text),
            false => Err(method.bad(format!("`{text}` is no method"), "GET, HEAD, PUT, POST or DELETE")),
        }
    };
    let origin = |origin: &Field<'_>| {
        let text = address(origin)?;
        match text.ends_with('/') {
            true => {
                Err(origin.bad(format!("`{text}` ends in a slash"), "browsers name an origin without one"))
            }
            false => Ok(text),
        }
    };
    Ok(BucketCors {
        origins: origins.items(|one| origin(&one))?,
        methods: methods.items(|one| checked(&one))?,
    })
}
