//! `skep secret`: the encrypted env file, key by key. A value comes in by standard input and never goes out.

mod sealed;

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use skep_model::Emit;
use skep_project::{AgeKeys, Reads};

use self::sealed::{Readers, Sealed, edited, encrypted_files, is_generated, none};
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
        outln!("{} has no secrets on {}", project.app, project.target);
    }
    let width = |column: fn(&(&str, &str, &str)) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let (first, second) = (width(|row| row.0.len()), width(|row| row.1.len()));
    for (secret, key, from) in &rows {
        outln!("{secret:<first$}  {key:<second$}  {from}");
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
        errln!("made {}: keep a copy of it where only you can read it", path.display());
    }
    for recipient in keys.recipients() {
        outln!("{recipient}");
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
            outln!("{} is encrypted anew, for {count} recipients", sealed.shown);
        }
    }
    Ok(())
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
        outln!("{name} is {news} in {place}; `skep config diff` shows who would restart");
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
