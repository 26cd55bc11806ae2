//! Reading an object as the type that its kind has: fields that don't belong, values of the wrong type.
//!
//! Objects stay JSON; the typed value is thrown away. So the types of `k8s-openapi` serve as the schema, and none is
//! carried in the binary.

use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

use crate::defaults;
use crate::kind::Kind;
use crate::status::Status;

/// One step into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

/// The fields that don't belong, or the sentence about the first value of a wrong type.
pub(crate) type Decoded = Result<Vec<Vec<Step>>, String>;

/// What becomes of fields that don't belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and the client is told.
    Warn,
    /// The request fails.
    #[default]
    Strict,
}

/// Reads an object as a `T`.
pub(crate) fn decode<T: DeserializeOwned>(object: &Value) -> Decoded {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(object, &mut track);
    let result: Result<T, _> = serde_ignored::deserialize(tracked, |path| {
        let mut steps = Vec::new();
        walk(&path, &mut steps);
        unknown.push(steps);
    });
    match result {
        Ok(_) => Ok(unknown),
        Err(error) => Err(format!("{}: {error}", track.path())),
    }
}

/// Lets every object pass: for objects whose type is known only at run time.
pub(crate) fn decode_any(_: &Value) -> Decoded {
    Ok(Vec::new())
}

fn walk(path: &Path<'_>, steps: &mut Vec<Step>) {
    match path {
        Path::Root => {}
        Path::Seq { parent, index } => {
            walk(parent, steps);
            steps.push(Step::Index(*index));
        }
        Path::Map { parent, key } => {
            walk(parent, steps);
            steps.push(Step::Field(key.clone()));
        }
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            walk(parent, steps);
        }
    }
}

/// Checks an object against its kind and takes out what does not belong, respells what is left. Returns warnings for the client.
///
/// # Errors
/// 400 when a value has the wrong type, or under [`FieldValidation::Strict`] when a field does not belong.
pub(crate) fn check(
    kind: Kind,
    object: &mut Value,
    validation: FieldValidation,
) -> Result<Vec<String>, Status> {
    let unknown = (kind.0.rules.decode)(object).map_err(|why| {
        let (name, version) = (kind.name(), kind.0.version);
        Status::bad_request(format!(
            "{name} in version \"{version}\" cannot be handled as a {name}: json: cannot unmarshal: {why}"
        ))
    })?;
    if unknown.is_empty() {
        defaults::canonical(kind, object);
        return Ok(Vec::new());
    }
    let sentences: Vec<String> =
        unknown.iter().map(|steps| format!("unknown field \"{}\"", dotted(steps))).collect();
    if validation == FieldValidation::Strict {
        return Err(Status::bad_request(format!("strict decoding error: {}", sentences.join(", "))));
    }
    unknown.iter().for_each(|steps| remove(object, steps));
    defaults::canonical(kind, object);
    Ok(if validation == FieldValidation::Warn { sentences } else { Vec::new() })
}

/// `spec.containers[0].foo`, as Kubernetes writes paths.
fn dotted(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn remove(object: &mut Value, steps: &[Step]) {
    let Some((last, parents)) = steps.split_last() else {
        return;
    };
    let mut at = object;
    for step in parents {
        let next = match step {
            Step::Field(name) => at.get_mut(name),
            Step::Index(index) => at.get_mut(index),
        };
        let Some(next) = next else { return };
        at = next;
    }
    if let (Step::Field(name), Some(map)) = (last, at.as_object_mut()) {
        map.remove(name);
    }
}
