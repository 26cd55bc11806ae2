//! The values of config and secrets: env files, files and the environment, read and kept apart.

use std::{collections::BTreeMap, path::Path};

use skep_model::{ConfigSet, SecretSet, Source};

use crate::{
    document::Document,
    env_file::{EnvFile, parse_env},
    error::{Fault, Problem},
    fields::Placed,
    load::Warning,
    resolve::World,
    sets::{ConfigDoc, EnvFiles, SecretDoc},
    tree::At,
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
            if self.request.contents {
                values = self.env_values(&set.env, &set.here)?;
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
            let mut values = BTreeMap::new();
            if self.request.contents {
                values = self.env_values(&set.env, &set.here)?;
                for (key, source) in &set.values {
                    values.insert(key.clone(), self.secret(source)?);
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
            made.insert(name.clone(), SecretSet { values, generate });
        }
        Ok(made)
    }

    fn secret(&mut self, source: &Placed<Source>) -> Result<String, Fault> {
        let here = source.clone().map(|_| ());
        match self.source(source)? {
            Source::Env(name) => match self.request.environment.get(&name) {
                Some(value) => Ok(value.clone()),
                None => Err(here.fault(Problem::MissingVariable { name })),
            },
            Source::File(path) => {
                let text = self.text(&path, "the secret's file", &here)?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
            Source::EnvFile { path, key } => {
                let file = self.env_file(&path, &here)?;
                let entry = file.entries.get(&key).ok_or_else(|| {
                    let message = format!("`{}` has no key `{key}`", path.display());
                    Fault::bad(here.at, &here.path, message, "add it there, or name another key")
                })?;
                Ok(entry.value.clone())
            }
        }
    }

    /// The values of several env files, a later file's over an earlier one's.
    fn env_values(&mut self, env: &EnvFiles, here: &Placed<()>) -> Result<BTreeMap<String, String>, Fault> {
        let mut values = BTreeMap::new();
        for file in &env.files {
            let path = self.path(file, &self.request.root)?;
            let read = self.env_file(&path, &file.clone().map(|_| ()))?;
            values.extend(read.entries.into_iter().map(|(key, entry)| (key, entry.value)));
        }
        values.retain(|key, _| !env.except.iter().any(|except| except.value == *key));
        if let Some(only) = &env.only {
            if let Some(key) = only.iter().find(|key| !values.contains_key(&key.value)) {
                let message = format!("no env file of `{}` has the key `{}`", here.path, key.value);
                return Err(Fault::bad(key.at, &key.path, message, ""));
            }
            values.retain(|key, _| only.iter().any(|only| only.value == *key));
        }
        Ok(values)
    }

    pub(crate) fn env_file(&mut self, path: &Path, here: &Placed<()>) -> Result<EnvFile, Fault> {
        if path.extension().is_some_and(|extension| extension == "age") {
            let message =
                format!("`{}` is encrypted, and this version of skep can't read age files", path.display());
            return Err(Fault::bad(here.at, &here.path, message, "name a plain env file, kept out of git"));
        }
        let text = self.text(path, "the env file", here)?;
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
}
