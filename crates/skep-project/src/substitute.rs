//! `substitute:`, the placeholders of manifests and where their values are read from.

use std::collections::BTreeMap;

use skep_model::{ConfigSet, Substitute};

use crate::{
    error::{Fault, Problem},
    fields::{Field, Placed},
    resolve::World,
};

#[derive(Debug)]
pub(crate) struct SubstituteDoc {
    here: Placed<()>,
    pub(crate) from: Placed<String>,
    key: String,
    may_be_missing: bool,
}

/// `{ from: prod.env, key: OBS_INGEST_TOKEN, when-missing: skip-file }`.
pub(crate) fn substitute(name: &str, field: &Field<'_>) -> Result<SubstituteDoc, Fault> {
    let here = Placed { value: (), at: field.key_at, path: field.path.clone() };
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.len() < 6 || !name.chars().all(fine) {
        let message = format!("`{name}` can't be a placeholder");
        let hint = "use a word of six or more letters, digits and `_` that stands nowhere else, such as TOKEN_PLACEHOLDER";
        return Err(Fault::bad(here.at, &here.path, message, hint));
    }
    let fields = field.fields(&["from", "key", "when-missing"])?;
    let may_be_missing = match fields.read("when-missing", |field| field.placed_text())? {
        None => false,
        Some(how) => match how.value.as_str() {
            "error" => false,
            "skip-file" => true,
            other => {
                let message = format!("`{other}` is no way to go on");
                return Err(Fault::bad(how.at, &how.path, message, "write `skip-file` or `error`"));
            }
        },
    };
    Ok(SubstituteDoc {
        here,
        from: fields.need("from", "the env file that has the value")?.placed_text()?,
        key: fields.need("key", "the value's key in that file")?.text()?,
        may_be_missing,
    })
}

impl World<'_> {
    /// Reads what stands for each placeholder. A value that is missing is for the manifests that need it to tell: there may be none.
    pub(crate) fn substitutes(
        &mut self,
        documents: &BTreeMap<String, SubstituteDoc>,
        config: &BTreeMap<String, ConfigSet>,
    ) -> Result<BTreeMap<String, Substitute>, Fault> {
        let mut made = BTreeMap::new();
        for (name, document) in documents {
            let mut value = None;
            if self.everything() {
                if let Some((config, _)) =
                    config.iter().find(|(_, set)| set.values.contains_key(&document.key))
                {
                    let (key, secret, config) = (document.key.clone(), name.clone(), config.clone());
                    return Err(document.here.fault(Problem::SecretInConfig { key, secret, config }));
                }
                let path = self.path(&document.from, &self.request.root)?;
                match self.env_file(&path, &document.from.clone().map(|_| ())) {
                    Ok(file) => value = file.entries.get(&document.key).map(|entry| entry.value.clone()),
                    Err(fault) if matches!(*fault.problem, Problem::MissingFile { .. }) => {}
                    Err(fault) => return Err(fault),
                }
            }
            let value = value.filter(|value| !value.is_empty());
            let source = format!("{} of {}", document.key, document.from.value);
            made.insert(name.clone(), Substitute { value, source, may_be_missing: document.may_be_missing });
        }
        Ok(made)
    }
}
