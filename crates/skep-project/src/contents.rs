//! The values of config and secrets: env files, YAML files, other files, commands and the environment, read and kept apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use skep_model::{ConfigSet, NotifyUrl, SecretSet};

use crate::{
    document::Document,
    encrypted::is_encrypted,
    env_file::{EnvFile, parse_env},
    error::{Fault, Problem},
    fields::{Field, Placed},
    load::Warning,
    registry::Source,
    resolve::World,
    sets::{self, ConfigDoc, EnvFiles, SecretDoc, YamlFile},
    tree::{self, At},
};

/// A key used as a secret may not also land in a ConfigMap, where anyone may read it.
pub(crate) fn keep_apart(
    document: &Document,
    config: &BTreeMap<String, ConfigSet>,
    secrets: &BTreeMap<String, SecretSet>,
) -> Result<(), Fault> {
    for (secret, set) in secrets {
        for key in set.values.keys().chain(&set.generate) {
            let found = config.iter().find(|(_, set)| set.values.contains_key(key));
            if let Some((config, here)) =
                found.and_then(|(name, _)| Some((name, &document.config.get(name)?.here)))
            {
                return Err(here.fault(Problem::SecretInConfig {
                    key: key.clone(),
                    secret: secret.clone(),
                    config: config.clone(),
                }));
            }
        }
    }
    Ok(())
}

impl World<'_> {
    pub(crate) fn config(
        &mut self,
        sets: &BTreeMap<String, ConfigDoc>,
    ) -> Result<BTreeMap<String, ConfigSet>, Fault> {
        let mut made = BTreeMap::new();
        for (name, set) in sets {
            let mut values = BTreeMap::new();
            if self.everything() {
                for file in &set.env.files {
                    values.extend(self.env_values(file)?);
                }
                for file in &set.yaml {
                    values.extend(self.yaml_values(file)?);
                }
                chosen(&mut values, &set.env, &set.here)?;
                values.extend(set.values.clone());
            }
            made.insert(name.clone(), ConfigSet { values });
        }
        Ok(made)
    }

    pub(crate) fn secrets(
        &mut self,
        sets: &BTreeMap<String, SecretDoc>,
    ) -> Result<BTreeMap<String, SecretSet>, Fault> {
        let mut made = BTreeMap::new();
        for (name, set) in sets {
            let (mut values, mut origins) = (BTreeMap::new(), BTreeMap::new());
            if self.everything() {
                for file in &set.env.files {
                    let read = self.env_values(file)?;
                    origins.extend(read.keys().map(|key| (key.clone(), file.value.clone())));
                    values.extend(read);
                }
                chosen(&mut values, &set.env, &set.here)?;
                for (key, source) in &set.values {
                    origins.insert(key.clone(), source.value.to_string());
                    values.insert(key.clone(), self.secret(source)?);
                }
                origins.retain(|key, _| values.contains_key(key));
                if let Some((key, _)) = values.iter().find(|(_, value)| value.contains('\0')) {
                    let message = format!(
                        "the value of `{key}` has a NUL byte, which no environment variable can hold"
                    );
                    return Err(Fault::bad(
                        set.here.at,
                        &set.here.path,
                        message,
                        "encode it, in base64 for one",
                    ));
                }
            }
            if let Some(key) = set.generate.iter().find(|key| values.contains_key(&key.value)) {
                let message = format!("`{}` is both read and generated", key.value);
                return Err(Fault::bad(
                    key.at,
                    &key.path,
                    message,
                    "take it out of `generate`, or out of what is read with `except`",
                ));
            }
            let generate = set.generate.iter().map(|key| key.value.clone()).collect();
            made.insert(name.clone(), SecretSet { values, generate, origins });
        }
        Ok(made)
    }

    pub(crate) fn secret(&mut self, source: &Placed<Source>) -> Result<String, Fault> {
        let here = source.clone().map(|_| ());
        match &source.value {
            Source::Env(name) => match self.request.environment.get(name) {
                Some(value) => Ok(value.clone()),
                None => Err(here.fault(Problem::MissingVariable { name: name.clone() })),
            },
            Source::File(path) => {
                let path = self.absolute(path, &self.request.root, &here)?;
                Ok(one_line_less(&self.plain(&path, "the secret's file", &here)?))
            }
            Source::EnvFile { path, key } => {
                let path = self.absolute(path, &self.request.root, &here)?;
                let file = self.env_file(&path, &here)?;
                let entry = file.entries.get(key).ok_or_else(|| {
                    let message = format!("`{}` has no key `{key}`", path.display());
                    Fault::bad(here.at, &here.path, message, "add it there, or name another key")
                })?;
                Ok(entry.value.clone())
            }
            Source::Command(command) => {
                let printed = (self.outside.run)(command, &self.request.root, &self.secret_variables)
                    .map_err(|why| {
                        let message = format!("`{command}` gave no secret: {why}");
                        let hint =
                            "run it in the folder of skep.yaml: it should print the value, and nothing else";
                        Fault::bad(here.at, &here.path, message, hint)
                    })?;
                Ok(one_line_less(&printed))
            }
        }
    }

    fn env_values(&mut self, file: &Placed<String>) -> Result<BTreeMap<String, String>, Fault> {
        let path = self.path(file, &self.request.root)?;
        let read = self.env_file(&path, &file.clone().map(|_| ()))?;
        Ok(read.entries.into_iter().map(|(key, entry)| (key, entry.value)).collect())
    }

    pub(crate) fn env_file(&mut self, path: &Path, here: &Placed<()>) -> Result<EnvFile, Fault> {
        let text = self.plain(path, "the env file", here)?;
        let file = parse_env(&text).map_err(|error| Fault {
            at: Some(At { line: error.line, column: error.column, ..At::default() }),
            path: String::new(),
            problem: Box::new(Problem::EnvFile(error)),
            file: Some(path.to_owned()),
        })?;
        let warnings = file.warnings.iter().cloned();
        for warning in warnings.map(|warning| Warning { file: path.to_owned(), warning }) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Ok(file)
    }

    /// A file's text, decrypted where it is one of age's.
    fn plain(&self, path: &Path, what: &'static str, here: &Placed<()>) -> Result<String, Fault> {
        let text = self.text(path, what, here)?;
        if !is_encrypted(path) {
            return Ok(text);
        }
        self.request.keys.decrypt(&text).map_err(|error| {
            let message = format!("`{}` can't be read: {error}", path.display());
            Fault::bad(here.at, &here.path, message, error.hint())
        })
    }

    /// Every env file that these documents name.
    pub(crate) fn env_files<'d>(
        &self,
        documents: impl Iterator<Item = &'d Document>,
    ) -> Result<Vec<PathBuf>, Fault> {
        let files = documents.flat_map(named_env_files).map(|file| self.path(&file, &self.request.root));
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The scalars of a YAML file's mapping, as they are written: `1.10` stays `1.10`.
    fn yaml_values(&self, yaml: &YamlFile) -> Result<BTreeMap<String, String>, Fault> {
        let path = self.path(&yaml.file, &self.request.root)?;
        let text = self.text(&path, "the YAML file", &yaml.file.clone().map(|_| ()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let elsewhere = |fault: Fault| Fault { file: Some(path.clone()), ..fault };
        let mut node = tree::parse(text).map_err(elsewhere)?;
        for name in yaml.at.iter().flat_map(|at| at.value.split('/')) {
            let inner = node.get(name).map(|entry| entry.node.clone());
            node = inner.ok_or_else(|| {
                let at = yaml.at.as_ref().map_or_else(|| yaml.file.clone(), Clone::clone);
                let message = format!("`{}` has no `{name}` there", path.display());
                Fault::bad(at.at, &at.path, message, "write the keys on the way, such as `app/env`")
            })?;
        }
        Field::root(&node)
            .named(|name, value| {
                sets::key(name, &value.place(()))?;
                value.scalar().map_err(|_| {
                    let message = format!("`{name}` is {}, and config is text", value.node.describe());
                    let hint = "name the mapping whose keys are config: `{ file: config.yaml, at: app/env }`";
                    Fault::bad(value.at(), &value.path, message, hint)
                })
            })
            .map_err(elsewhere)
    }
}

/// The environment variables that documents read secrets from.
pub(crate) fn secret_variables<'d>(documents: impl Iterator<Item = &'d Document>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for document in documents {
        names.extend(sources(document).filter_map(|source| match &source.value {
            Source::Env(name) => Some(name.clone()),
            _ => None,
        }));
        let notify = document.notify.iter();
        names.extend(notify.clone().filter_map(|notify| notify.secret_env.clone()));
        names.extend(notify.filter_map(|notify| match &notify.url {
            NotifyUrl::Env(name) => Some(name.clone()),
            NotifyUrl::Plain(_) => None,
        }));
    }
    names.into_iter().collect()
}

/// Every single value that a document names the place of.
fn sources(document: &Document) -> impl Iterator<Item = &Placed<Source>> {
    let sources = document.secrets.values().flat_map(|set| set.values.values());
    let credentials = document.registry.iter().filter_map(|registry| registry.credentials.as_ref());
    let sources = sources.chain(credentials.map(|(_, password)| password));
    let sources = sources.chain(document.images.values().flat_map(|image| image.secrets.values()));
    sources.chain(document.bucket.iter().flat_map(|bucket| [&bucket.key_id, &bucket.key]))
}

/// The env files that a document names, as it writes them.
fn named_env_files(document: &Document) -> Vec<Placed<String>> {
    let sets = document.config.values().map(|set| &set.env);
    let sets = sets.chain(document.secrets.values().map(|set| &set.env));
    let single = sources(document).filter_map(|source| match &source.value {
        Source::EnvFile { path, .. } => Some(source.clone().map(|_| path.clone())),
        _ => None,
    });
    let substitutes = document.substitute.values().map(|one| one.from.clone());
    sets.flat_map(|env| env.files.clone()).chain(single).chain(substitutes).collect()
}

/// Takes away what `except` names, or all that `only` doesn't.
fn chosen(values: &mut BTreeMap<String, String>, env: &EnvFiles, here: &Placed<()>) -> Result<(), Fault> {
    values.retain(|key, _| !env.except.iter().any(|except| except.value == *key));
    if let Some(only) = &env.only {
        if let Some(key) = only.iter().find(|key| !values.contains_key(&key.value)) {
            let message = format!("no file of `{}` has the key `{}`", here.path, key.value);
            return Err(Fault::bad(key.at, &key.path, message, ""));
        }
        values.retain(|key, _| only.iter().any(|only| only.value == *key));
    }
    Ok(())
}

/// Without the line end that editors and commands put after a value.
fn one_line_less(text: &str) -> String {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line).to_owned()
}
