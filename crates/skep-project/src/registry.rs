//! `registry:`, and where secret values are read from.

use std::path::PathBuf;

use skep_model::{ImageRef, Source};

use crate::{
    error::{Fault, Problem},
    fields::Field,
    fields::Placed,
    tree::Value,
};

#[derive(Debug)]
pub(crate) struct RegistryDoc {
    pub(crate) url: String,
    pub(crate) credentials: Option<(String, Placed<Source>)>,
}

/// `registry.example.com/admin`, or that with `username` and `password`.
pub(crate) fn read(field: &Field<'_>) -> Result<RegistryDoc, Fault> {
    if let Value::Scalar { .. } = field.node.value {
        return Ok(RegistryDoc { url: url(field)?, credentials: None });
    }
    let fields = field.fields(&["url", "username", "password"])?;
    let username = fields.read("username", |name| name.scalar())?;
    let credentials = match (username, fields.get("password")) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username, source(&password)?)),
        (Some(_), None) => return Err(fields.missing("password", "`username` alone can't log in")),
        (None, Some(_)) => return Err(fields.missing("username", "`password` alone can't log in")),
    };
    Ok(RegistryDoc {
        url: url(&fields.need("url", "the host, and the path that images go under")?)?,
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
        return Err(field.bad(format!("`{text}` is not a registry"), hint));
    }
    Ok(text)
}

/// `{ env: NAME }`, `{ file: PATH }` or `{ env-file: PATH, key: KEY }`; a literal is refused. Paths stay as written.
pub(crate) fn source(field: &Field<'_>) -> Result<Placed<Source>, Fault> {
    if !matches!(field.node.value, Value::Map(_)) {
        return Err(Fault::new(field.at(), &field.path, Problem::SecretLiteral));
    }
    let fields = field.fields(&["env", "file", "env-file", "key"])?;
    for (first, second) in
        [("env", "file"), ("env", "env-file"), ("file", "env-file"), ("env", "key"), ("file", "key")]
    {
        fields.exclusive(first, second)?;
    }
    let source = if let Some(name) = fields.get("env") {
        Source::Env(name.text()?)
    } else if let Some(path) = fields.get("file") {
        Source::File(PathBuf::from(path.text()?))
    } else if let Some(path) = fields.get("env-file") {
        Source::EnvFile {
            path: PathBuf::from(path.text()?),
            key: fields.need("key", "which key of the env file")?.text()?,
        }
    } else {
        return Err(fields.missing("env", "a secret is read from `env`, `file` or `env-file`"));
    };
    Ok(field.place(source))
}
