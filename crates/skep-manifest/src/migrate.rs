//! The migration's Job, as the gate runs it.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    config::hex,
    error::{ManifestError, Problem},
    object::Object,
};

/// The longest name of a Job whose pods' names and labels still fit.
const LONGEST_NAME: usize = 63;

/// The Job that the gate applies: named by its template, tried once, ended by `timeout`.
///
/// Call it when images are pinned and config is versioned: they are in the template, so the same name means the same
/// migration. `ttlSecondsAfterFinished` is taken out, since the last Job stays for its log and to say that it is done.
///
/// # Errors
/// When the object is no `batch/v1` Job, or has no pod template.
pub fn migration_job(job: &Object, timeout: Duration) -> Result<Value, ManifestError> {
    let unusable = |pointer: &str, message: String| {
        let hint = "`migrate: { manifest: … }` names a file with one Job of batch/v1".to_owned();
        ManifestError::at(job, pointer, Problem::Unusable { message, hint })
    };
    if (job.text("/apiVersion"), job.text("/kind")) != (Some("batch/v1"), Some("Job")) {
        let found = job.text("/kind").unwrap_or("nothing").to_owned();
        return Err(unusable("/kind", format!("a migration must be a Job, and this is a {found}")));
    }
    let mut value = job.value.clone();
    let Some(pod) = value.pointer_mut("/spec/template/spec").filter(|spec| spec.is_object()) else {
        return Err(unusable("/spec", "the Job has no pod template".to_owned()));
    };
    pod["restartPolicy"] = json!("Never");
    let mut canonical = String::new();
    write_canonical(&value["spec"]["template"], &mut canonical);
    let hash = hex(&Sha256::digest(canonical.as_bytes())[..4]);
    let base = job.text("/metadata/name").unwrap_or("migrate");
    let base: String = base.chars().take(LONGEST_NAME - 1 - hash.len()).collect();
    value["metadata"]["name"] = json!(format!("{}-{hash}", base.trim_end_matches(['-', '.'])));
    let seconds = timeout.as_secs().max(1);
    value["spec"]["backoffLimit"] = json!(0);
    value["spec"]["activeDeadlineSeconds"] = json!(seconds);
    if let Some(spec) = value["spec"].as_object_mut() {
        spec.remove("ttlSecondsAfterFinished");
    }
    Ok(value)
}

/// JSON with sorted keys, whatever order the map type keeps.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (key, value) in entries {
                // Writing to a String can't fail.
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}
