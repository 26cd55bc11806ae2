use serde_json::Value;
use skep_manifest::{ManifestError, Manifests, SourceFile};

use crate::lines;

/// Reads one file.
///
/// # Errors
///
/// As [`skep_manifest::read`]'s.
pub fn read(name: &str, text: &str) -> Result<Manifests, ManifestError> {
    skep_manifest::read([SourceFile { path: name.into(), text: text.to_owned() }])
}

/// A stream of YAML is read, or refused with a place in it; a file with content is never read as nothing; and objects are the same when
/// they are read from their own JSON.
pub fn manifests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let manifests = match read("a.yaml", text) {
        Ok(manifests) => manifests,
        Err(error) => {
            let place = error.place();
            assert!((1..=lines(text) + 1).contains(&place.line) && place.column >= 1, "{error}");
            return;
        }
    };
    let nothing = manifests.objects.is_empty() && manifests.ignored.is_empty();
    assert!(
        !nothing || !text.split('\n').any(is_content) || text.contains("items"),
        "content was read as nothing"
    );
    for object in &manifests.objects {
        let json = object.value.to_string();
        // JSON may hold these as they are, and a key of any length; YAML may not: such a file is refused with a place.
        let refused = |char: char| char.is_control() || ['\u{fffe}', '\u{ffff}', '\u{feff}'].contains(&char);
        if json.contains(refused) || longest_key(&object.value) > 1000 {
            continue;
        }
        let again = read("a.json", &json).unwrap_or_else(|error| panic!("{error}\n{json}"));
        let values: Vec<&Value> = again.objects.iter().map(|object| &object.value).collect();
        assert_eq!(values, [&object.value]);
    }
}

/// Returns whether a line is a key with a value, as `kind: Pod`, in whatever document it stands.
fn is_content(line: &str) -> bool {
    let Some((key, value)) = line.split_once(": ") else { return false };
    !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphabetic())
        && value.starts_with(|char: char| char.is_ascii_alphanumeric())
}

/// The longest key in a value, at most, in the bytes that JSON writes.
fn longest_key(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(longest_key).max().unwrap_or_default(),
        Value::Object(map) => {
            let keys = map.iter().map(|(key, value)| longest_key(value).max(6 * key.len()));
            keys.max().unwrap_or_default()
        }
        _ => 0,
    }
}
