//! `config:` and `secrets:`, the ConfigMaps and Secrets that Skep makes.

use std::collections::BTreeMap;

use crate::{
    conceal::name_in,
    document::object_name,
    encrypted,
    error::Fault,
    fields::{Field, Fields, Placed},
    registry::{Source, source},
};

/// Which env files are read, and which of their keys are taken.
#[derive(Debug)]
pub(crate) struct EnvFiles {
    pub(crate) files: Vec<Placed<String>>,
    pub(crate) except: Vec<Placed<String>>,
    pub(crate) only: Option<Vec<Placed<String>>>,
}

/// A YAML file whose keys become config: all of its top level, or of the mapping at `at`.
#[derive(Debug)]
pub(crate) struct YamlFile {
    pub(crate) file: Placed<String>,
    /// `app/env` is the mapping `env` of the mapping `app`.
    pub(crate) at: Option<Placed<String>>,
}

#[derive(Debug)]
pub(crate) struct ConfigDoc {
    /// Where the set is named.
    pub(crate) here: Placed<()>,
    pub(crate) env: EnvFiles,
    pub(crate) yaml: Vec<YamlFile>,
    pub(crate) values: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct SecretDoc {
    pub(crate) here: Placed<()>,
    pub(crate) env: EnvFiles,
    pub(crate) values: BTreeMap<String, Placed<Source>>,
    pub(crate) generate: Vec<Placed<String>>,
}

pub(crate) fn config(name: &str, field: &Field<'_>) -> Result<ConfigDoc, Fault> {
    let here = named(name, field)?;
    let fields = field.fields(&["env-files", "yaml-files", "except", "only", "values"])?;
    Ok(ConfigDoc {
        here,
        env: env_files(&fields)?,
        yaml: fields.read("yaml-files", |files| files.items(|file| yaml_file(&file)))?.unwrap_or_default(),
        values: fields
            .read("values", |values| {
                values.named(|name, value| {
                    key(name, &value.place(()))?;
                    value.scalar()
                })
            })?
            .unwrap_or_default(),
    })
}

pub(crate) fn secret(name: &str, field: &Field<'_>) -> Result<SecretDoc, Fault> {
    let here = named(name, field)?;
    let fields = field.fields(&["env-files", "except", "only", "values", "generate"])?;
    let generate = fields.read("generate", |keys| keys.texts())?.unwrap_or_default();
    for name in &generate {
        key(&name.value, &name.clone().map(|_| ()))?;
    }
    Ok(SecretDoc {
        here,
        env: env_files(&fields)?,
        values: fields
            .read("values", |values| {
                values.named(|name, value| {
                    key(name, &value.place(()))?;
                    source(&value)
                })
            })?
            .unwrap_or_default(),
        generate,
    })
}

/// `config.yaml`, or `{ file: config.yaml, at: app/env }`.
fn yaml_file(field: &Field<'_>) -> Result<YamlFile, Fault> {
    if field.text().is_ok() {
        return Ok(YamlFile { file: field.placed_text()?, at: None });
    }
    let fields = field.fields(&["file", "at"])?;
    Ok(YamlFile {
        file: fields.need("file", "the YAML file")?.placed_text()?,
        at: fields.read("at", |at| at.placed_text())?,
    })
}

fn env_files(fields: &Fields<'_>) -> Result<EnvFiles, Fault> {
    fields.exclusive("except", "only")?;
    Ok(EnvFiles {
        files: fields.read("env-files", |files| files.texts())?.unwrap_or_default(),
        except: fields.read("except", |keys| keys.texts())?.unwrap_or_default(),
        only: fields.read("only", |keys| keys.texts())?,
    })
}

/// `age1…`, whoever may read the encrypted env files.
pub(crate) fn recipients(field: &Field<'_>) -> Result<Vec<String>, Fault> {
    let texts = field.texts()?.into_iter().map(|text| match encrypted::recipient(&text.value) {
        Ok(_) => Ok(text.value),
        Err(error) => Err(Fault::bad(text.at, &text.path, error.to_string(), error.hint())),
    });
    texts.collect()
}

/// The set's place. Its name leaves room for `-` and the eight characters of a version.
fn named(name: &str, field: &Field<'_>) -> Result<Placed<()>, Fault> {
    let here = Placed { value: (), at: field.key_at, path: field.path.clone() };
    object_name(name, 240).map_err(|why| {
        Fault::bad(here.at, &here.path, format!("`{}` can't name a set: {why}", name_in(name)), "")
    })?;
    Ok(here)
}

/// What Kubernetes allows as a key of a ConfigMap or Secret.
pub(crate) fn key(name: &str, here: &Placed<()>) -> Result<(), Fault> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 253 || !name.chars().all(fine) || name == "." || name.starts_with("..")
    {
        let message = format!("`{}` can't be a key", name_in(name));
        return Err(Fault::bad(here.at, &here.path, message, "use letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}
