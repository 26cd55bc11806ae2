//! Protobuf bodies: what kubectl sends for `create deployment`, `create secret` and its like since 1.32. It does not try
//! again in JSON, so they are read here; every answer is JSON, which it takes.
//!
//! `table.txt` says which field of which message has which number; it is read when the first such body comes, and
//! written by `table.py` from Kubernetes' own `generated.proto` files.

mod wire;

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::meta;
use crate::status::Status;
use wire::{Content, fields};

const TABLE: &str = include_str!("table.txt");
/// What Kubernetes puts before its protobuf: `k8s\0`.
const MAGIC: &[u8] = b"k8s\0";
/// Nobody nests deeper; a body that does is made to exhaust the stack.
const DEEPEST: usize = 64;
/// Numbers that Go always writes: 0 means that nothing was said.
const ZERO_IS_UNSET: &[&str] = &[
    "minReadySeconds",
    "observedGeneration",
    "generation",
    "hostPort",
    "nodePort",
    "containerPort",
    "port",
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
    "weight",
    "count",
];

/// One field of a message.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    repeated: bool,
    map: bool,
    kind: &'static str,
}

/// Messages by name, fields by number.
struct Messages(HashMap<&'static str, HashMap<u64, Field>>);

/// Reads an object from Kubernetes' protobuf envelope.
///
/// # Errors
/// 415 for a kind that isn't in the table, 400 for bytes that are no such envelope.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, Status> {
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| unreadable("it does not begin with k8s"))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &body[..0]);
    for field in fields(body) {
        match field.map_err(unreadable)? {
            (1, Content::Bytes(type_meta)) => {
                for part in fields(type_meta) {
                    match part.map_err(unreadable)? {
                        (1, Content::Bytes(text)) => api_version = String::from_utf8_lossy(text).into_owned(),
                        (2, Content::Bytes(text)) => kind = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Content::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let messages = Messages::read();
    let Some(name) = messages.find(&api_version, &kind) else {
        return Err(Status::unsupported_media_type(format!(
            "a {api_version} {kind} can't be read as protobuf here, only as application/json: use \
             `kubectl create … --dry-run=client -o yaml | kubectl apply -f -`"
        )));
    };
    let mut object = messages.message(name, raw, 0)?;
    object.insert("apiVersion".to_owned(), Value::from(api_version));
    object.insert("kind".to_owned(), Value::from(kind));
    Ok(Value::Object(object))
}

fn unreadable(why: impl std::fmt::Display) -> Status {
    Status::bad_request(format!("the request's body is no Kubernetes protobuf: {why}"))
}

impl Messages {
    fn read() -> Self {
        let mut messages: HashMap<&'static str, HashMap<u64, Field>> = HashMap::new();
        let mut current = "";
        for line in TABLE.lines() {
            if let Some(name) = line.strip_prefix('@') {
                current = name;
                continue;
            }
            let mut words = line.split(' ');
            if let (Some(number), Some(name), Some(kind)) = (words.next(), words.next(), words.next())
                && let Ok(number) = number.parse()
            {
                let (repeated, map) = (kind.starts_with('*'), kind.starts_with('%'));
                let field = Field { name, repeated, map, kind: kind.trim_start_matches(['*', '%']) };
                messages.entry(current).or_default().insert(number, field);
            }
        }
        Self(messages)
    }

    /// `apps/v1` and `Deployment` are `apps.v1.Deployment`; every group has the options of meta/v1.
    fn find(&self, api_version: &str, kind: &str) -> Option<&'static str> {
        let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
        let group = group.split('.').next().unwrap_or_default();
        let names = [format!("{group}.{version}.{kind}"), format!("meta.v1.{kind}")];
        names.iter().find_map(|name| self.0.get_key_value(name.as_str()).map(|(name, _)| *name))
    }

    fn message(&self, name: &str, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, Status> {
        if depth > DEEPEST {
            return Err(unreadable("it is nested too deeply"));
        }
        let nothing = HashMap::new();
        let known = self.0.get(name).unwrap_or(&nothing);
        let mut object = Map::new();
        for field in fields(bytes) {
            let (number, content) = field.map_err(unreadable)?;
            let Some(field) = known.get(&number) else { continue };
            if field.map {
                let Content::Bytes(entry) = content else {
                    return Err(unreadable("a map's entry has no bytes"));
                };
                let (key, value) = self.entry(field, entry, depth)?;
                meta::fields(object.entry(field.name).or_insert_with(|| Value::Object(Map::new())))
                    .insert(key, value);
                continue;
            }
            let Some(value) = self.value(field, content, depth)? else { continue };
            if field.name == "-" {
                object.extend(value.as_object().cloned().unwrap_or_default());
            } else if field.repeated {
                let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                if let Some(list) = list.as_array_mut() {
                    list.push(value);
                }
            } else if !is_unset(field, &value) {
                object.insert(field.name.to_owned(), value);
            }
        }
        Ok(object)
    }

    fn entry(&self, field: &Field, bytes: &[u8], depth: usize) -> Result<(String, Value), Status> {
        let (mut key, mut value) = (String::new(), None);
        for part in fields(bytes) {
            match part.map_err(unreadable)? {
                (1, Content::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
                (2, content) => value = self.value(field, content, depth)?,
                _ => {}
            }
        }
        let empty = || if matches!(field.kind, "s" | "y") { Value::from("") } else { Value::Null };
        Ok((key, value.unwrap_or_else(empty)))
    }

    fn value(&self, field: &Field, content: Content<'_>, depth: usize) -> Result<Option<Value>, Status> {
        Ok(match (field.kind, content) {
            ("s", Content::Bytes(text)) => Some(Value::from(String::from_utf8_lossy(text))),
            ("y", Content::Bytes(bytes)) => Some(Value::from(STANDARD.encode(bytes))),
            ("b", Content::Number(number)) => Some(Value::from(number != 0)),
            ("i", Content::Number(number)) => Some(Value::from(number.cast_signed())),
            ("d", Content::Number(bits)) => Some(Value::from(f64::from_bits(bits))),
            ("T" | "U", Content::Bytes(bytes)) => time(bytes, field.kind == "U")?,
            ("Q", Content::Bytes(bytes)) => inner_text(bytes)?.map(Value::from),
            ("O", Content::Bytes(bytes)) => Some(int_or_string(bytes)?),
            ("R" | "F", Content::Bytes(bytes)) => {
                inner_text(bytes)?.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()?
            }
            (kind, Content::Bytes(bytes)) => match kind.strip_prefix('M') {
                Some(name) => Some(Value::Object(self.message(name, bytes, depth + 1)?)),
                None => return Err(unreadable(format!("{} has bytes", field.name))),
            },
            (_, Content::Number(_)) => return Err(unreadable(format!("{} has a number", field.name))),
        })
    }
}

/// Go writes empty texts and some zeros for what nobody set.
fn is_unset(field: &Field, value: &Value) -> bool {
    *value == "" || (*value == 0 && ZERO_IS_UNSET.contains(&field.name))
}

/// Seconds and nanoseconds since 1970; none if it has neither.
fn time(bytes: &[u8], micro: bool) -> Result<Option<Value>, Status> {
    let (mut seconds, mut nanos, mut any) = (0_i64, 0_i64, false);
    for part in fields(bytes) {
        match part.map_err(unreadable)? {
            (1, Content::Number(number)) => (seconds, any) = (number.cast_signed(), true),
            (2, Content::Number(number)) => nanos = number.cast_signed(),
            _ => {}
        }
    }
    if !any {
        return Ok(None);
    }
    let nanos = i32::try_from(nanos).map_err(unreadable)?;
    let time = Timestamp::new(seconds, nanos).map_err(unreadable)?;
    let text = if micro { time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string() } else { meta::seconds(time) };
    Ok(Some(Value::from(text)))
}

/// The text in field 1 of a message that wraps one.
fn inner_text(bytes: &[u8]) -> Result<Option<String>, Status> {
    for part in fields(bytes) {
        if let (1, Content::Bytes(text)) = part.map_err(unreadable)? {
            return Ok(Some(String::from_utf8_lossy(text).into_owned()));
        }
    }
    Ok(None)
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Status> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for part in fields(bytes) {
        match part.map_err(unreadable)? {
            (1, Content::Number(kind)) => is_text = kind == 1,
            (2, Content::Number(value)) => number = value.cast_signed(),
            (3, Content::Bytes(value)) => text = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
    Ok(if is_text { Value::from(text) } else { Value::from(number) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), field(1, &type_meta), field(2, raw)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [field(1, b"settings"), field(2, b""), field(8, b"")].concat();
        let entry = [field(1, b"a"), field(2, b"1")].concat();
        let bytes = envelope("v1", "ConfigMap", &[field(1, &metadata), field(2, &entry)].concat());
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}});
        assert_eq!(decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_names_the_way_round() {
        let status = decode(&envelope("v1", "Binding", b"")).unwrap_err();
        assert_eq!(status.code, 415);
        assert!(status.message.contains("--dry-run=client -o yaml"), "{status}");
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            &b"{}"[..],
            b"k8s\0\x0a\xff",
            b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"k8s\0\x0b",
        ] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
