//! `bucket`: where an app's files are, and what the bucket does by itself.

use skep_model::{BucketCors, BucketLifecycle};

use crate::{
    conceal::without_login,
    error::Fault,
    fields::{Field, Placed},
    registry::{Source, source},
};

/// The keys of `bucket`.
pub(crate) const KEYS: &[&str] =
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
    let keep = fields.read("keep", |prefixes| prefixes.items(|one| prefix(&one)))?.unwrap_or_default();
    let mut seen: Vec<String> = Vec::new();
    let lifecycle = fields.read("lifecycle", |rules| {
        rules.items(|field| {
            let rule = lifecycle(&field, &keep)?;
            if seen.contains(&rule.prefix) {
                let message = format!("`{}` has a rule already", rule.prefix);
                return Err(field.bad(message, "a bucket has one rule for a prefix: keep one of the two"));
            }
            seen.push(rule.prefix.clone());
            Ok(rule)
        })
    })?;
    Ok(BucketDoc {
        endpoint: address(
            &fields.need("endpoint", "the store: `https://s3.eu-central-003.backblazeb2.com`")?,
        )?,
        name: name(&fields.need("name", "the bucket's name")?)?,
        region: fields.read("region", |region| region.text())?,
        native_api: fields.read("native-api", |api| address(&api))?,
        key_id: source(&fields.need("key-id", where_from)?)?,
        key: source(&fields.need("key", where_from)?)?,
        lifecycle: lifecycle.unwrap_or_default(),
        cors: fields.read("cors", |rules| rules.items(|rule| cors(&rule)))?.unwrap_or_default(),
        keep,
    })
}

fn address(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '@', ' ']) => Ok(text),
        _ => Err(field.bad(
            format!("`{}` is not where a store is", without_login(&text)),
            "write scheme and host, without a path: `https://s3.eu-central-003.backblazeb2.com`",
        )),
    }
}

fn name(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match (3..=63).contains(&text.len()) && text.chars().all(is_plain) && !text.starts_with(['-', '.', '_']) {
        true => Ok(text),
        false => Err(field.bad(
            format!("`{text}` is no bucket's name"),
            "it has 3 to 63 letters, digits, hyphens and dots: write it as the store has it, with its capitals",
        )),
    }
}

/// The beginning of objects' names.
fn prefix(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    match text.strip_prefix('/') {
        Some(rest) => Err(field.bad(
            format!("`{text}` begins with a slash, and names of objects don't"),
            format!("write `{rest}`"),
        )),
        None => Ok(text),
    }
}

fn lifecycle(field: &Field<'_>, keep: &[String]) -> Result<BucketLifecycle, Fault> {
    let fields = field.fields(&["prefix", "days-to-hide", "days-to-delete"])?;
    let days = |key| {
        fields.read(key, |days| {
            let text = days.scalar()?;
            match text.parse::<u32>() {
                Ok(count @ 1..) => Ok(count),
                _ => {
                    Err(days
                        .bad(format!("`{text}` is no number of days"), "rules count whole days, from 1: `7`"))
                }
            }
        })
    };
    let rule = BucketLifecycle {
        prefix: prefix(
            &fields.need("prefix", "the folder that it is for, such as `uploads/`; all others stay")?,
        )?,
        days_to_hide: days("days-to-hide")?,
        days_to_delete: days("days-to-delete")?,
    };
    if rule.days_to_hide.is_none() && rule.days_to_delete.is_none() {
        return Err(fields.missing("days-to-hide", "a rule hides, deletes what is hidden, or both"));
    }
    let reached = keep.iter().find(|kept| kept.starts_with(&rule.prefix) || rule.prefix.starts_with(*kept));
    if let (Some(kept), Some(days)) = (reached, rule.days_to_hide) {
        let message =
            format!("it would hide what is below `{kept}` after {days} days, and `keep` says that it stays");
        let hint =
            "a rule that only has `days-to-delete` deletes what somebody has hidden, and hides nothing";
        return Err(field.bad(message, hint));
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
            false => {
                let upper = text.to_uppercase();
                let hint = match METHODS.contains(&upper.as_str()) {
                    true => format!("did you mean `{upper}`?"),
                    false => "GET, HEAD, PUT, POST or DELETE".to_owned(),
                };
                Err(method.bad(format!("`{text}` is no method"), hint))
            }
        }
    };
    let rule = BucketCors {
        origins: origins.items(|one| origin(&one))?,
        methods: methods.items(|one| checked(&one))?,
    };
    for (field, is_empty) in [(origins, rule.origins.is_empty()), (methods, rule.methods.is_empty())] {
        if is_empty {
            return Err(
                field.bad("should not be empty", "without it nobody is let in: take the rule out instead")
            );
        }
    }
    Ok(rule)
}

/// A page's origin, as browsers write it.
fn origin(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    if text == "*" {
        let hint = "name each page that sends files: `https://example.com`";
        return Err(field.bad("`*` would let every page in", hint));
    }
    let rest = text.strip_prefix("https://").map(|host| (host, ":443"));
    let rest = rest.or_else(|| Some((text.strip_prefix("http://")?, ":80")));
    let is_origin = rest.is_some_and(|(host, usual)| {
        let is_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]*".contains(c);
        !host.is_empty() && host.chars().all(is_host) && !host.ends_with(usual)
    });
    match is_origin {
        true => Ok(text),
        false => Err(field.bad(
            format!("`{text}` is no page's origin"),
            "write it as browsers do: scheme and host in small letters, a port if it is not the usual one, and no slash at its end: `https://example.com`",
        )),
    }
}
