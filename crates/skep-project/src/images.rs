//! `images:`, what Skep builds and how.

use std::collections::BTreeMap;

use skep_model::{Builder, ImageRef};

use crate::{
    error::Fault,
    fields::{Field, Placed},
    registry::{Source, source},
};

#[derive(Debug)]
pub(crate) struct ImageDoc {
    pub(crate) context: Option<Placed<String>>,
    pub(crate) build: BuildDoc,
    pub(crate) secrets: BTreeMap<String, Placed<Source>>,
}

#[derive(Debug)]
pub(crate) enum BuildDoc {
    Docker { dockerfile: Placed<String>, stage: Option<String>, args: BTreeMap<String, String> },
    Native(Box<NativeDoc>),
}

#[derive(Debug)]
pub(crate) struct NativeDoc {
    pub(crate) run: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) files: BTreeMap<String, LaidDoc>,
    pub(crate) libraries: Vec<Placed<String>>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) user: Option<String>,
    pub(crate) workdir: Option<String>,
}

#[derive(Debug)]
pub(crate) struct LaidDoc {
    pub(crate) from: Placed<String>,
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Option<(u32, u32)>,
}

pub(crate) fn read(field: &Field<'_>) -> Result<BTreeMap<String, ImageDoc>, Fault> {
    field.named(|name, field| {
        if name.contains([':', '@']) || name.parse::<ImageRef>().is_err() {
            return Err(Fault::bad(
                field.key_at,
                &field.path,
                format!("`{name}` can't name an image"),
                "use lower-case letters, digits, `.`, `_`, `-` and `/`, without tag",
            ));
        }
        image(&field)
    })
}

/// `docker` or `buildah`.
pub(crate) fn builder(field: &Field<'_>) -> Result<Builder, Fault> {
    match field.text()?.as_str() {
        "docker" => Ok(Builder::Docker),
        "buildah" => Ok(Builder::Buildah),
        other => {
            let hint = "write `docker` or `buildah`; without the key skep takes what this machine has";
            Err(field.bad(format!("`{other}` builds no Dockerfiles"), hint))
        }
    }
}

fn image(field: &Field<'_>) -> Result<ImageDoc, Fault> {
    let fields = field.fields(&["context", "dockerfile", "stage", "args", "native", "secrets"])?;
    for docker in ["dockerfile", "stage", "args"] {
        fields.exclusive("native", docker)?;
    }
    let context = fields.read("context", |context| context.placed_text())?;
    let build = match fields.get("native") {
        Some(build) => BuildDoc::Native(Box::new(native(&build)?)),
        None => BuildDoc::Docker {
            dockerfile: match fields.get("dockerfile") {
                Some(file) => file.placed_text()?,
                None => field.place("Dockerfile".to_owned()),
            },
            stage: fields.read("stage", |stage| stage.text())?,
            args: fields.read("args", |args| args.string_map())?.unwrap_or_default(),
        },
    };
    let secrets = fields.read("secrets", |secrets| {
        secrets.named(|name, value| {
            secret_name(name, &value)?;
            source(&value)
        })
    })?;
    Ok(ImageDoc { context, build, secrets: secrets.unwrap_or_default() })
}

/// A build reads a secret as an environment variable, or as the file of that name.
fn secret_name(name: &str, field: &Field<'_>) -> Result<(), Fault> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Ok(());
    }
    let message = format!("`{name}` can't name a secret of a build");
    Err(Fault::bad(field.key_at, &field.path, message, "use letters, digits and `_`, such as `NPM_TOKEN`"))
}

fn native(field: &Field<'_>) -> Result<NativeDoc, Fault> {
    let fields = field.fields(&[
        "run",
        "base",
        "files",
        "libraries",
        "entrypoint",
        "cmd",
        "env",
        "user",
        "workdir",
    ])?;
    let native = NativeDoc {
        run: fields.read("run", |run| run.text())?,
        base: fields.read("base", |base| {
            base.parsed::<ImageRef>()?;
            base.text()
        })?,
        files: fields.read("files", |files| files.named(|to, field| laid(to, &field)))?.unwrap_or_default(),
        libraries: fields.read("libraries", |list| list.texts())?.unwrap_or_default(),
        entrypoint: fields.read("entrypoint", |argv| words(&argv))?.unwrap_or_default(),
        cmd: fields.read("cmd", |argv| words(&argv))?.unwrap_or_default(),
        env: fields.read("env", |env| env.string_map())?.unwrap_or_default(),
        user: fields.read("user", |user| user.scalar())?,
        workdir: fields.read("workdir", |dir| image_path(&dir, dir.text()?))?,
    };
    if native.files.is_empty() && native.base.is_none() {
        return Err(fields.missing("files", "an image with neither `files` nor `base` is empty"));
    }
    Ok(native)
}

/// An argv: a list, or a single word.
fn words(field: &Field<'_>) -> Result<Vec<String>, Fault> {
    match field.text() {
        Ok(word) if word.contains(char::is_whitespace) => Err(field.bad(
            format!("`{word}` should be a list, one item a word"),
            format!("write `[{}]`", word.split_whitespace().collect::<Vec<_>>().join(", ")),
        )),
        Ok(word) => Ok(vec![word]),
        Err(_) => field.strings(),
    }
}

fn image_path(field: &Field<'_>, path: String) -> Result<String, Fault> {
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Fault::bad(
            field.key_at,
            &field.path,
            format!("`{path}` should be an absolute path in the image"),
            format!("write `/{}`", path.trim_start_matches(['.', '/'])),
        ));
    }
    Ok(path)
}

/// `target/release/api`, or `{ from: target/release/api, mode: 0755, owner: 1000:1000 }`.
fn laid(to: &str, field: &Field<'_>) -> Result<LaidDoc, Fault> {
    image_path(field, to.to_owned())?;
    if let Ok(from) = field.placed_text() {
        return Ok(LaidDoc { from, mode: None, owner: None });
    }
    if !matches!(field.node.value, crate::tree::Value::Map(_)) {
        return Err(field.wrong("a path, or a mapping with `from`"));
    }
    let fields = field.fields(&["from", "mode", "owner"])?;
    Ok(LaidDoc {
        from: fields.need("from", "what is laid there")?.placed_text()?,
        mode: fields.read("mode", |mode| octal(&mode))?,
        owner: fields.read("owner", |owner| owner_ids(&owner))?,
    })
}

/// Permission bits, always octal: `0755`, `755` and `"0o755"` are the same.
fn octal(field: &Field<'_>) -> Result<u32, Fault> {
    let text = field.scalar()?;
    match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => {
            Err(field
                .bad(format!("`{text}` is not a file mode"), "write permission bits in octal, such as 0755"))
        }
    }
}

fn owner_ids(field: &Field<'_>) -> Result<(u32, u32), Fault> {
    let text = field.scalar()?;
    let (user, group) = text.split_once(':').unwrap_or((&text, &text));
    match (user.parse(), group.parse()) {
        (Ok(user), Ok(group)) => Ok((user, group)),
        _ => Err(field.bad(
            format!("`{text}` is not an owner"),
            "write numbers, `uid` or `uid:gid`: names aren't known while the image is built",
        )),
    }
}
