//! Placeholders in manifests, and the secrets that stand for them.
//!
//! The text of a Secret is filled at once: no Secret is ever recorded or shown. Any other object keeps its placeholders and names, in an
//! annotation, the versioned Secret that holds what stands for them. It is [`filled`] on its way to the cluster only, so the record, a
//! plan and a diff have the placeholder, and a rollback finds the value of its time.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

use crate::{Difference, ManifestError, Object, object::escaped};

/// Names the Secret that holds what stands for an object's placeholders.
const VALUES_IN: &str = "skep.dev/values-in";

/// Fills the text of Secrets, and lets every other object that has a placeholder name the Secret `values_in`; answers those that any
/// such object has.
///
/// # Errors
/// When a placeholder is part of what an object is known by, or stands in a Secret outside its text.
pub fn substitute(
    objects: &mut [Object],
    values: &BTreeMap<String, String>,
    values_in: &str,
) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut left = BTreeMap::new();
    for object in objects {
        let is_secret = object.value["kind"] == "Secret";
        if is_secret && let Some(texts) = object.value.get_mut("stringData") {
            fill(texts, values);
        }
        let placeholders = standing_in(&object.value, values);
        for (pointer, placeholder) in &placeholders {
            if is_secret {
                let message = format!("{placeholder} stands in a Secret, and not in its text");
                let hint = "write it in the Secret's `stringData`";
                return Err(ManifestError::unusable(object.place(pointer), &object.name(), &message, hint));
            }
            if is_identity(pointer) {
                let message =
                    format!("{placeholder} stands for a secret, and this is what the object is known by");
                let hint = "write the name, the label or the namespace out";
                return Err(ManifestError::unusable(object.place(pointer), &object.name(), &message, hint));
            }
            left.insert(placeholder.clone(), values[placeholder].clone());
        }
        if !is_secret && !placeholders.is_empty() {
            object.value["metadata"]["annotations"][VALUES_IN] = values_in.into();
        }
    }
    Ok(left)
}

/// The Secret that holds what stands for an object's placeholders.
pub fn values_in(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(VALUES_IN)?.as_str()
}

/// Lets an object that has placeholders name another Secret.
pub fn rename_values_in(object: &mut Value, rename: impl Fn(&str) -> Option<String>) {
    if let Some(name) = object.pointer_mut("/metadata/annotations/skep.dev~1values-in")
        && let Some(new) = name.as_str().and_then(rename)
    {
        *name = new.into();
    }
}

/// An object with the values in the place of its placeholders, as only the cluster may see it.
pub fn filled(object: &Value, values: &BTreeMap<String, String>) -> Value {
    let mut filled = object.clone();
    fill(&mut filled, values);
    filled
}

/// Differences that may be shown: what is to be has its placeholders again, and what was in such a place is hidden.
pub fn masked(mut fields: Vec<Difference>, values: &BTreeMap<String, String>) -> Vec<Difference> {
    for field in &mut fields {
        let is_secret = field.to.as_mut().is_some_and(|to| mask(to, values));
        if let Some(from) = &mut field.from {
            mask(from, values);
            if is_secret {
                *from = "(hidden)".into();
            }
        }
    }
    fields
}

/// A sentence of others that may quote a value.
pub fn masked_text(text: &str, values: &BTreeMap<String, String>) -> String {
    mask_of(values).replaced(text).unwrap_or_else(|| text.to_owned())
}

/// Whether there was anything to put back.
fn mask(value: &mut Value, values: &BTreeMap<String, String>) -> bool {
    mask_of(values).replace_in(value)
}

fn fill(value: &mut Value, values: &BTreeMap<String, String>) {
    placeholders(values).replace_in(value);
}

fn placeholders(values: &BTreeMap<String, String>) -> Replace<'_> {
    Replace::new(values.iter().map(|(placeholder, value)| (&**placeholder, &**value)))
}

fn mask_of(values: &BTreeMap<String, String>) -> Replace<'_> {
    Replace::new(values.iter().map(|(placeholder, value)| (&**value, &**placeholder)))
}

/// Texts and what takes their place, all in one pass: of two that begin at the same character the longer is meant, and what has taken a
/// place isn't looked at again.
struct Replace<'t> {
    search: AhoCorasick,
    with: Vec<&'t str>,
}

impl<'t> Replace<'t> {
    fn new(pairs: impl Iterator<Item = (&'t str, &'t str)>) -> Self {
        let (texts, with): (Vec<_>, Vec<_>) = pairs.filter(|(text, _)| !text.is_empty()).unzip();
        let mut search = AhoCorasick::builder();
        let search = search.match_kind(MatchKind::LeftmostLongest).build(texts);
        Self { search: search.expect("gigabytes of texts, where a Secret holds one megabyte"), with }
    }

    fn replaced(&self, text: &str) -> Option<String> {
        self.search.is_match(text).then(|| self.search.replace_all(text, &self.with))
    }

    /// Whether anything was.
    fn replace_in(&self, value: &mut Value) -> bool {
        let mut found = false;
        each_text(value, &mut |text| {
            if let Some(new) = self.replaced(text) {
                (*text, found) = (new, true);
            }
        });
        found
    }
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Each text with a placeholder: its JSON pointer, and the placeholder. A Secret's filled text, which is a value's own business, aside.
fn standing_in(object: &Value, values: &BTreeMap<String, String>) -> Vec<(String, String)> {
    fn walk(value: &Value, placeholders: &Replace<'_>, pointer: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::String(text) => {
                let here = placeholders.search.find_iter(text).map(|one| &text[one.range()]);
                found.extend(here.map(|placeholder| (pointer.to_owned(), placeholder.to_owned())));
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, placeholders, &format!("{pointer}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    walk(field, placeholders, &format!("{pointer}/{}", escaped(key)), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    let is_secret = object["kind"] == "Secret";
    let placeholders = placeholders(values);
    for (key, field) in object.as_object().into_iter().flatten() {
        if !(is_secret && key == "stringData") {
            walk(field, &placeholders, &format!("/{}", escaped(key)), &mut found);
        }
    }
    found
}

/// Whether a field is part of what an object is known by, to the cluster or to Skep.
fn is_identity(pointer: &str) -> bool {
    let known = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace", "/metadata/generateName"];
    known.contains(&pointer) || pointer.starts_with("/metadata/labels/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_placeholder_counts_and_no_value_is_searched_for_others() {
        let values = ["TOKEN", "TOKEN_OF_API", "EMPTY"].into_iter().zip(["see TOKEN_OF_API", "abc", ""]);
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let object = json!({"spec": {"a": "TOKEN_OF_API/TOKEN/EMPTY."}});
        let full = filled(&object, &values);
        assert_eq!(full, json!({"spec": {"a": "abc/see TOKEN_OF_API/."}}));
        assert_eq!(masked_text("abc/see TOKEN_OF_API/.", &values), "TOKEN_OF_API/TOKEN/.");
        assert_eq!(
            standing_in(&json!({"a": "TOKEN_OF_API"}), &values),
            [("/a".to_owned(), "TOKEN_OF_API".to_owned())]
        );
    }

    #[test]
    fn what_was_and_what_is_to_be_show_no_value() {
        let values = BTreeMap::from([("TOKEN_PLACEHOLDER".to_owned(), "open-sesame".to_owned())]);
        let field =
            |from: Option<Value>, to: Option<Value>| Difference { path: "data.conf".to_owned(), from, to };
        let shown = masked(
            vec![
                field(Some(json!("token=older")), Some(json!("token=open-sesame"))),
                field(Some(json!("a: open-sesame")), None),
                field(Some(json!(3)), Some(json!(4))),
                field(None, Some(json!({"deep": ["open-sesame", "plain"]}))),
            ],
            &values,
        );
        assert_eq!(
            shown,
            [
                field(Some(json!("(hidden)")), Some(json!("token=TOKEN_PLACEHOLDER"))),
                field(Some(json!("a: TOKEN_PLACEHOLDER")), None),
                field(Some(json!(3)), Some(json!(4))),
                field(None, Some(json!({"deep": ["TOKEN_PLACEHOLDER", "plain"]}))),
            ]
        );
    }
}
