//! An encrypted env file, open: which one is meant, who may read it, and its way back to the disk.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use skep_model::Project;
use skep_project::{Reads, is_encrypted};

use crate::{compose, settings::Settings};

/// Whether fewer keys may read a file afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Stay,
    MayChange,
}

/// An encrypted env file, open.
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    /// As skep.yaml has it.
    pub(super) shown: String,
    pub(super) text: String,
    pub(super) recipients: Vec<String>,
}

impl Sealed {
    /// The file that is named; else the one that has `key`; else the only one. One that isn't there yet is empty.
    pub(super) fn open(settings: &Settings, key: Option<&str>, file: Option<&Path>) -> Result<Self> {
        if let Some(key) = key {
            named(key)?;
        }
        let composed = compose::load(settings, Reads::Address)?;
        let project = composed.project();
        if let Some(key) = key.filter(|key| file.is_none() && is_generated(project, key)) {
            bail!(
                "{key} is generated, and kept in the cluster\nhint: `skep secret rotate {key}` makes another value; take it out of `generate` to set your own"
            );
        }
        let mut files = encrypted_files(project);
        if let Some(file) = file {
            let path = std::path::absolute(settings.dir.join(file))?;
            if !files.contains(&path) {
                bail!(
                    "skep.yaml names no encrypted env file {} for {}\nhint: {}",
                    file.display(),
                    project.target,
                    known(project, &files)
                );
            }
            files = vec![path];
        }
        let mut opened = Vec::new();
        for path in files {
            opened.push(Self::read(settings, project, path, Readers::Stay)?);
        }
        if opened.len() > 1
            && let Some(key) = key
        {
            let mut having = Vec::new();
            for (index, sealed) in opened.iter().enumerate() {
                if sealed.has(key)? {
                    having.push(index);
                }
            }
            if let [index] = having[..] {
                return Ok(opened.swap_remove(index));
            }
        }
        match opened.len() {
            0 => Err(none(project)),
            1 => Ok(opened.swap_remove(0)),
            _ => {
                let names: Vec<&str> = opened.iter().map(|sealed| sealed.shown.as_str()).collect();
                bail!(
                    "several encrypted env files could be meant: {}\nhint: say which with `--file`",
                    names.join(", ")
                )
            }
        }
    }

    pub(super) fn read(
        settings: &Settings,
        project: &Project,
        path: PathBuf,
        readers: Readers,
    ) -> Result<Self> {
        let keys = compose::age_keys(settings)?;
        let shown = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
        // A link stays one.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let recipients = match project.recipients.is_empty() {
            true => keys.recipients(),
            false => project.recipients.clone(),
        };
        if recipients.is_empty() {
            bail!(
                "{shown} can't be encrypted: there is no age key here\nhint: `skep secret keygen` makes one"
            );
        }
        if !keys.recipients().iter().any(|ours| recipients.contains(ours)) {
            let hint = match keys.recipients().first() {
                Some(ours) => format!("add yours to `recipients` in skep.yaml: {ours}"),
                None => "`skep secret keygen` makes one; add its public half to `recipients`".to_owned(),
            };
            bail!(
                "{shown} would be encrypted for others alone: your age key is not among `recipients`\nhint: {hint}"
            );
        }
        let text = match fs::read_to_string(&path) {
            Ok(encrypted) => {
                let text = keys
                    .decrypt(&encrypted)
                    .map_err(|error| anyhow!("{shown}: {error}\nhint: {}", error.hint()))?;
                let (were, are) = (skep_project::recipients_of(&encrypted), recipients.len());
                if were > are && readers == Readers::Stay {
                    bail!(
                        "{shown} can be read with {were} keys, and could be with {are} afterwards\nhint: name all of them in `recipients` of skep.yaml; or `skep secret rotate` first, if that is what you want"
                    );
                }
                text
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                bail!(
                    "{shown} is not UTF-8 text\nhint: it should be an armored age file, as `skep secret set` or `age --armor` writes it"
                )
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("can't read {shown}")),
        };
        Ok(Self { path, shown, text, recipients })
    }

    pub(super) fn has(&self, key: &str) -> Result<bool> {
        Ok(edited(&self.path, skep_project::parse_env(&self.text))?.entries.contains_key(key))
    }

    pub(super) fn lacks(&self, key: &str) -> anyhow::Error {
        anyhow!("{} has no {key}\nhint: `skep secret list` shows what there is", self.shown)
    }

    /// Written whole, or not at all.
    pub(super) fn save(&self) -> Result<()> {
        let encrypted = skep_project::encrypt(&self.text, &self.recipients)
            .map_err(|error| anyhow!("{}: {error}\nhint: {}", self.shown, error.hint()))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let save = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(encrypted.as_bytes())?;
            if let Ok(before) = fs::metadata(&self.path) {
                file.as_file().set_permissions(before.permissions())?;
            }
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        save().with_context(|| format!("can't write {}", self.shown))
    }
}

/// That an env file can hold a key of this name.
fn named(key: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if key.is_empty() || !key.chars().all(fine) || key.starts_with(|c: char| c.is_ascii_digit()) {
        bail!(
            "`{key}` can't name a secret\nhint: use letters, digits, `_`, `-` and `.`, and no digit first; the value is read from standard input"
        );
    }
    Ok(())
}

pub(super) fn edited<T>(path: &Path, result: Result<T, skep_project::EnvError>) -> Result<T> {
    result.map_err(|error| {
        let (line, column, hint) = (error.line, error.column, error.hint());
        anyhow!("{}:{line}:{column}: {error}\nhint: {hint}", path.display())
    })
}

/// All that skep.yaml names: those of config, of single values and of the registry too.
pub(super) fn encrypted_files(project: &Project) -> Vec<PathBuf> {
    project.env_files.iter().filter(|file| is_encrypted(file)).cloned().collect()
}

fn known(project: &Project, files: &[PathBuf]) -> String {
    let shown =
        files.iter().map(|file| file.strip_prefix(&project.root).unwrap_or(file).display().to_string());
    let shown: Vec<String> = shown.collect();
    format!("its encrypted env files: {}", shown.join(", "))
}

pub(super) fn none(project: &Project) -> anyhow::Error {
    let set = project.secrets.keys().next().map_or("NAME", String::as_str);
    anyhow!(
        "{} has no encrypted env file on {}\nhint: name one in skep.yaml, `secrets: {{ {set}: {{ env-files: [secrets.env.age] }} }}`; the file itself is made by `skep secret set`",
        project.app,
        project.target
    )
}

pub(super) fn is_generated(project: &Project, name: &str) -> bool {
    project.secrets.values().any(|set| set.generate.iter().any(|key| key == name))
}
