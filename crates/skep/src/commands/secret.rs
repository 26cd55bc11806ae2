//! `skep secret`: the encrypted env file, key by key. A value comes in by standard input and never goes out.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use skep_model::{Emit, Project};
use skep_project::{AgeKeys, Reads, is_encrypted};

use crate::{
    args, compose, report,
    settings::{AgeKey, Settings},
};

/// Bytes of randomness in a value that is made here.
const RANDOM: usize = 24;

pub(crate) async fn run(settings: &Settings, secret: args::Secret) -> Result<()> {
    match secret {
        args::Secret::List => list(settings),
        args::Secret::Keygen => keygen(settings),
        args::Secret::Set { name, file } => {
            // What can't be written is told before anybody types a secret; what others write meanwhile is read again.
            Sealed::open(settings, Some(&name), file.as_deref())?;
            let value = asked(&name)?;
            let _turn = turn(settings)?;
            let mut sealed = Sealed::open(settings, Some(&name), file.as_deref())?;
            let news = if sealed.has(&name)? { "changed" } else { "added" };
            sealed.text = edited(&sealed.path, skep_project::with_env(&sealed.text, &name, &value))?;
            sealed.save()?;
            said(settings, &name, news, &sealed.shown)
        }
        args::Secret::Unset { name, file } => {
            let _turn = turn(settings)?;
            let mut sealed = Sealed::open(settings, Some(&name), file.as_deref())?;
            let without = edited(&sealed.path, skep_project::without_env(&sealed.text, &name))?;
            sealed.text = without.ok_or_else(|| sealed.lacks(&name))?;
            sealed.save()?;
            said(settings, &name, "removed", &sealed.shown)
        }
        args::Secret::Rotate { names, file } if names.is_empty() => renew(settings, file.as_deref()),
        args::Secret::Rotate { names, file } => {
            let _turn = turn(settings)?;
            let mut names = names;
            names.sort();
            names.dedup();
            for name in &names {
                may_rotate(settings, name, file.as_deref())?;
            }
            for name in &names {
                rotate(settings, name, file.as_deref()).await?;
            }
            Ok(())
        }
    }
}

/// One change at a time: each reads a file whole and writes it whole.
fn turn(settings: &Settings) -> Result<fs::File> {
    let path = settings.cache_dir.join("secrets.lock");
    let lock = || -> io::Result<fs::File> {
        fs::create_dir_all(&settings.cache_dir)?;
        let file = fs::File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().with_context(|| format!("can't lock {}", path.display()))
}

/// What each Secret holds, and where it is from.
fn list(settings: &Settings) -> Result<()> {
    let composed = compose::load(settings, Reads::Everything)?;
    let project = composed.project();
    let rows: Vec<(&str, &str, &str)> = project
        .secrets
        .iter()
        .flat_map(|(secret, set)| {
            let read = set.origins.iter().map(|(key, from)| (secret.as_str(), key.as_str(), from.as_str()));
            let made = set
                .generate
                .iter()
                .map(|key| (secret.as_str(), key.as_str(), "made once, kept in the cluster"));
            read.chain(made)
        })
        .collect();
    if settings.json {
        for (secret, key, from) in rows {
            report::json_line(json!({"type": "secret", "secret": secret, "key": key, "from": from}));
        }
        return Ok(());
    }
    if rows.is_empty() {
        anstream::println!("{} has no secrets on {}", project.app, project.target);
    }
    let width = |column: fn(&(&str, &str, &str)) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let (first, second) = (width(|row| row.0.len()), width(|row| row.1.len()));
    for (secret, key, from) in &rows {
        anstream::println!("{secret:<first$}  {key:<second$}  {from}");
    }
    Ok(())
}

/// The key of whoever runs this, made if there is none.
fn keygen(settings: &Settings) -> Result<()> {
    let mut keys = compose::age_keys(settings)?;
    let mut made = None;
    if keys.recipients().is_empty() {
        let AgeKey::File(path) = &settings.age_key else { bail!("SKEP_AGE_KEY holds no key") };
        keys = AgeKeys::generate();
        if path.exists() {
            bail!(
                "{} is there, and holds no key\nhint: remove it, or name another file in SKEP_AGE_KEY_FILE",
                path.display()
            );
        }
        write_key(path, &keys).with_context(|| format!("can't write {}", path.display()))?;
        made = Some(path);
    }
    if settings.json {
        report::json_line(json!({"type": "age-key", "recipients": keys.recipients(), "made": made}));
        return Ok(());
    }
    if let Some(path) = made {
        anstream::eprintln!("made {}: keep a copy of it where only you can read it", path.display());
    }
    for recipient in keys.recipients() {
        anstream::println!("{recipient}");
    }
    Ok(())
}

/// Written for its owner alone, and never over another.
fn write_key(path: &Path, keys: &AgeKeys) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(keys.to_file().as_bytes())
}

/// Encrypts files anew, for those who are recipients now.
fn renew(settings: &Settings, file: Option<&Path>) -> Result<()> {
    let _turn = turn(settings)?;
    let composed = compose::load(settings, Reads::Address)?;
    let project = composed.project();
    let files = match file {
        Some(file) => vec![settings.dir.join(file)],
        None => encrypted_files(project).into_iter().filter(|path| path.exists()).collect(),
    };
    if files.is_empty() {
        bail!(none(project));
    }
    for path in files {
        let sealed = Sealed::read(settings, project, path, Readers::MayChange)?;
        sealed.save()?;
        if settings.json {
            report::json_line(
                json!({"type": "encrypted", "file": sealed.shown, "recipients": sealed.recipients}),
            );
        } else {
            let count = sealed.recipients.len();
            anstream::println!("{} is encrypted anew, for {count} recipients", sealed.shown);
        }
    }
    Ok(())
}

fn is_generated(project: &Project, name: &str) -> bool {
    project.secrets.values().any(|set| set.generate.iter().any(|key| key == name))
}

/// That a key is somewhere, before any is renewed.
fn may_rotate(settings: &Settings, name: &str, file: Option<&Path>) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    if file.is_none() && is_generated(composed.project(), name) {
        return Ok(());
    }
    let sealed = Sealed::open(settings, Some(name), file)?;
    if sealed.has(name)? { Ok(()) } else { Err(sealed.lacks(name)) }
}

/// A new value for one key, wherever it is kept.
async fn rotate(settings: &Settings, name: &str, file: Option<&Path>) -> Result<()> {
    let composed = compose::load(settings, Reads::Address)?;
    if is_generated(composed.project(), name) && file.is_none() {
        let app = compose::app(settings, composed, Emit::nowhere()).await?;
        let sets = skep_deploy::rotate(&app, name).await?;
        return said(settings, name, "renewed", &sets.join(", "));
    }
    let mut sealed = Sealed::open(settings, Some(name), file)?;
    let value: String = rand::random::<[u8; RANDOM]>().iter().map(|byte| format!("{byte:02x}")).collect();
    sealed.text = edited(&sealed.path, skep_project::with_env(&sealed.text, name, &value))?;
    sealed.save()?;
    said(settings, name, "renewed", &sealed.shown)
}

fn said(settings: &Settings, name: &str, news: &str, place: &str) -> Result<()> {
    if settings.json {
        report::json_line(json!({"type": "secret-changed", "key": name, "change": news, "in": place}));
    } else {
        anstream::println!("{name} is {news} in {place}; `skep config diff` shows who would restart");
    }
    Ok(())
}

/// The value: asked for where there is somebody to ask, else all of standard input but its last line end.
fn asked(name: &str) -> Result<String> {
    let value = if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("{name}: "))
            .context("the value can't be read from the terminal")?
    } else {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("the value can't be read from standard input")?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    };
    if value.is_empty() {
        bail!("the value of {name} is empty\nhint: `skep secret unset {name}` removes it");
    }
    if value.contains('\0') {
        bail!("the value of {name} has a NUL byte, which no environment variable can hold");
    }
    Ok(value)
}

/// Whether fewer keys may read a file afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    Stay,
    MayChange,
}

/// An encrypted env file, open.
struct Sealed {
    path: PathBuf,
    /// As skep.yaml has it.
    shown: String,
    text: String,
    recipients: Vec<String>,
}

impl Sealed {
    /// The file that is named; else the one that has `key`; else the only one. One that isn't there yet is empty.
    fn open(settings: &Settings, key: Option<&str>, file: Option<&Path>) -> Result<Self> {
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

    fn read(settings: &Settings, project: &Project, path: PathBuf, readers: Readers) -> Result<Self> {
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

    fn has(&self, key: &str) -> Result<bool> {
        Ok(edited(&self.path, skep_project::parse_env(&self.text))?.entries.contains_key(key))
    }

    fn lacks(&self, key: &str) -> anyhow::Error {
        anyhow!("{} has no {key}\nhint: `skep secret list` shows what there is", self.shown)
    }

    /// Written whole, or not at all.
    fn save(&self) -> Result<()> {
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

fn edited<T>(path: &Path, result: Result<T, skep_project::EnvError>) -> Result<T> {
    result.map_err(|error| {
        let (line, column, hint) = (error.line, error.column, error.hint());
        anyhow!("{}:{line}:{column}: {error}\nhint: {hint}", path.display())
    })
}

/// All that skep.yaml names: those of config, of single values and of the registry too.
fn encrypted_files(project: &Project) -> Vec<PathBuf> {
    project.env_files.iter().filter(|file| is_encrypted(file)).cloned().collect()
}

fn known(project: &Project, files: &[PathBuf]) -> String {
    let shown =
        files.iter().map(|file| file.strip_prefix(&project.root).unwrap_or(file).display().to_string());
    let shown: Vec<String> = shown.collect();
    format!("its encrypted env files: {}", shown.join(", "))
}

fn none(project: &Project) -> anyhow::Error {
    let set = project.secrets.keys().next().map_or("NAME", String::as_str);
    anyhow!(
        "{} has no encrypted env file on {}\nhint: name one in skep.yaml, `secrets: {{ {set}: {{ env-files: [secrets.env.age] }} }}`; the file itself is made by `skep secret set`",
        project.app,
        project.target
    )
}
