//! `registry:`, and where secret values are read from.

use skep_model::ImageRef;

use crate::{
    conceal::without_login,
    error::{Fault, Problem},
    fields::Field,
    fields::Placed,
    tree::Value,
};

/// The keys of `registry`.
pub(crate) const KEYS: &[&str] = &["url", "username", "password", "plain-http", "latest", "cache"];

/// Where a secret value is read from. Paths are as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An environment variable of Skep's own process.
    Env(String),
    /// A file, without its trailing newline.
    File(String),
    /// A key of an env file.
    EnvFile { path: String, key: String },
    /// What a shell command prints, without its trailing newline.
    Command(String),
}

/// For people: `$APNS_KEY`, `deploy/apns.p8`.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${name}"),
            Self::File(path) => f.write_str(path),
            Self::EnvFile { path, key } => write!(f, "{key} of {path}"),
            Self::Command(command) => write!(f, "`{command}`"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct RegistryDoc {
    pub(crate) url: String,
    pub(crate) plain_http: bool,
    pub(crate) latest: bool,
    pub(crate) cache: bool,
    pub(crate) credentials: Option<(String, Placed<Source>)>,
}

/// `registry.example.com/admin`, or that with `username` and `password`.
pub(crate) fn read(field: &Field<'_>) -> Result<RegistryDoc, Fault> {
    if let Value::Scalar { .. } = field.node.value {
        let url = url(field)?;
        return Ok(RegistryDoc { url, plain_http: false, latest: false, cache: false, credentials: None });
    }
    let fields = field.fields(KEYS)?;
    let switch = |name| fields.read(name, |on| on.boolean()).map(Option::unwrap_or_default);
    let username = fields.read("username", |name| name.scalar())?;
    let credentials = match (username, fields.get("password")) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username, source(&password)?)),
        (Some(_), None) => return Err(fields.missing("password", "`username` alone can't log in")),
        (None, Some(_)) => return Err(fields.missing("username", "`password` alone can't log in")),
    };
    Ok(RegistryDoc {
        url: url(&fields.need("url", "the host, and the path that images go under")?)?,
        plain_http: switch("plain-http")?,
        latest: switch("latest")?,
        cache: switch("cache")?,
        credentials,
    })
}

fn url(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.text()?;
    let hint = "write host and path, without scheme or tag: `registry.example.com/team`";
    let host = text.split('/').next().unwrap_or_default();
    let named = host.contains(['.', ':']) || host == "localhost";
    if text.contains("://")
        || !named
        || text.contains('@')
        || format!("{text}/x").parse::<ImageRef>().is_err()
    {
        return Err(field.bad(format!("`{}` is not a registry", without_login(&text)), hint));
    }
    Ok(text)
}

/// `{ env: NAME }`, `{ file: PATH }`, `{ env-file: PATH, key: KEY }` or `{ command: TEXT }`; a literal is refused.
pub(crate) fn source(field: &Field<'_>) -> Result<Placed<Source>, Fault> {
    if !matches!(field.node.value, Value::Map(_)) {
        return Err(Fault::new(field.at(), &field.path, Problem::SecretLiteral));
    }
    let fields = field.fields(&["env", "file", "env-file", "key", "command"])?;
    for (first, second) in [
        ("env", "file"),
        ("env", "env-file"),
        ("env", "command"),
        ("file", "env-file"),
        ("file", "command"),
        ("env-file", "command"),
        ("env", "key"),
        ("file", "key"),
        ("command", "key"),
    ] {
        fields.exclusive(first, second)?;
    }
    let source = if let Some(name) = fields.get("env") {
        Source::Env(name.text()?)
    } else if let Some(path) = fields.get("file") {
        Source::File(path.text()?)
    } else if let Some(path) = fields.get("env-file") {
        Source::EnvFile { path: path.text()?, key: fields.need("key", "which key of the env file")?.text()? }
    } else if let Some(command) = fields.get("command") {
        Source::Command(command.text()?)
    } else {
        return Err(fields.missing("env", "a secret is read from `env`, `file`, `env-file` or `command`"));
    };
    Ok(field.place(source))
}
