//! Kubeconfigs, read as kubectl reads them; their errors have no place for what the file holds, since any value may be a credential.

mod error;

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Client, Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig as Contents},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

pub use error::KubeconfigError;
pub(crate) use error::login_fault;
use error::{of_client, of_kube, unusable};

use crate::{ClusterError, token::Token, transport};

/// Bytes that a kubeconfig may have. Those of a few hundred clusters have 2 MiB.
pub(super) const LARGEST: u64 = 16 << 20;

/// One context of a kubeconfig.
#[derive(Clone)]
pub struct Kubeconfig {
    path: PathBuf,
    config: Contents,
    context: Option<String>,
}

/// Shows no credential.
impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Kubeconfig");
        shown.field("path", &self.path).field("context", &self.context).finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// Reads `context` of the file at `path`, or its only context, or its current one. Runs and sends nothing.
    ///
    /// # Errors
    /// When the file can't be read or parsed.
    pub fn read(path: &Path, context: Option<&str>) -> Result<Self, ClusterError> {
        let config = load(path).map_err(|why| ClusterError::Kubeconfig { path: path.to_owned(), why })?;
        // The current context can change between two runs: it counts only where there is nothing to choose.
        let only = match &config.contexts[..] {
            [only] => Some(only.name.clone()),
            _ => None,
        };
        let context = context.map(str::to_owned).or(only).or_else(|| config.current_context.clone());
        Ok(Self { path: path.to_owned(), config, context: context.filter(|name| !name.is_empty()) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The program that is run to log in: an exec plugin, or the `cmd-path` of an auth provider.
    pub fn program(&self) -> Option<&str> {
        program(self.user()?)
    }

    fn user(&self) -> Option<&AuthInfo> {
        let context = self.context.as_ref()?;
        let context = self.config.contexts.iter().find(|one| one.name == *context)?.context.as_ref()?;
        let user = context.user.as_ref()?;
        self.config.auth_infos.iter().find(|one| one.name == *user)?.auth_info.as_ref()
    }

    /// A client for it, and the API's URL. May run an exec plugin.
    pub(crate) async fn client(self) -> Result<(Client, String), ClusterError> {
        let path = self.path.clone();
        self.connect().await.map_err(|why| ClusterError::Kubeconfig { path, why })
    }

    async fn connect(self) -> Result<(Client, String), KubeconfigError> {
        let Some(context) = self.context.clone() else { return Err(KubeconfigError::NoCurrentContext) };
        let user = self.user().cloned().unwrap_or_default();
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let proxy_url = self.proxy_url(&context);
        let mut config = Config::from_custom_kubeconfig(self.config, &options)
            .await
            .map_err(|error| of_kube(error, &context))?;
        if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
            return Err(unusable("certificate-authority", "holds no PEM certificate"));
        }
        config.proxy_url = proxy(proxy_url.as_deref(), &config.cluster_url)?;
        let token = token(&mut config.auth_info)?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = transport::client(config, token).map_err(|error| of_client(error, &context, &user))?;
        Ok((client, server))
    }

    fn proxy_url(&self, context: &str) -> Option<String> {
        let context = self.config.contexts.iter().find(|one| one.name == context)?.context.as_ref()?;
        let cluster =
            self.config.clusters.iter().find(|one| one.name == context.cluster)?.cluster.as_ref()?;
        cluster.proxy_url.clone().filter(|url| !url.is_empty())
    }
}

/// The bearer token, taken out: kube sends one from a file with its final newline, and panics at one that no header can hold.
fn token(user: &mut AuthInfo) -> Result<Option<Token>, KubeconfigError> {
    let (inline, file) = (user.token.take(), user.token_file.take());
    if user.auth_provider.is_some() || (user.username.is_some() && user.password.is_some()) {
        return Ok(None);
    }
    match (inline.filter(|token| !token.expose_secret().is_empty()), file) {
        (Some(token), _) => Token::inline(token.expose_secret()).map(Some),
        (None, Some(file)) => Token::file(Path::new(&file)).map(Some),
        (None, None) => Ok(None),
    }
}

fn program(user: &AuthInfo) -> Option<&str> {
    let exec = user.exec.as_ref().and_then(|exec| exec.command.as_deref());
    let provider = user.auth_provider.as_ref().and_then(|provider| provider.config.get("cmd-path"));
    exec.or(provider.map(String::as_str))
}

fn load(path: &Path) -> Result<Contents, KubeconfigError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KubeconfigError::Missing,
        _ => KubeconfigError::Unreadable(error),
    })?;
    if bytes.len() as u64 > LARGEST {
        return Err(KubeconfigError::TooLarge);
    }
    let text = text(bytes).ok_or(KubeconfigError::NotText)?;
    parse(&text, path.parent().unwrap_or(Path::new("")))
}

/// UTF-8 with or without a mark, or UTF-16 with one, as PowerShell writes it.
fn text(bytes: Vec<u8>) -> Option<String> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes[..] {
        [0xFF, 0xFE, ..] => utf16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => utf16(u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, ref rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

/// As kubectl: of a key that is written twice the last value counts.
fn parse(text: &str, folder: &Path) -> Result<Contents, KubeconfigError> {
    let options =
        || serde_saphyr::options! { with_snippet: false, duplicate_keys: DuplicateKeyPolicy::LastWins };
    let documents: Vec<Contents> = match serde_saphyr::from_multiple_with_options(text, options()) {
        Ok(documents) => documents,
        // kube's own types refuse a repeated key by themselves.
        Err(error) => serde_saphyr::from_multiple_with_options::<Value>(text, options())
            .ok()
            .and_then(|values| values.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().ok())
            .ok_or(KubeconfigError::Syntax { line: error.location().map_or(1, |at| at.line()) })?,
    };
    let mut whole: Option<Contents> = None;
    for mut document in documents {
        absolute(&mut document, folder);
        document.auth_infos.iter_mut().filter_map(|one| one.auth_info.as_mut()).for_each(without_age_keys);
        whole = Some(match whole {
            Some(before) => before.merge(document).map_err(|_| KubeconfigError::Mismatch)?,
            None => document,
        });
    }
    Ok(whole.unwrap_or_default())
}

/// Makes the paths in it absolute, those relative to `folder`. A program's name without a `/` is looked for on PATH.
fn absolute(config: &mut Contents, folder: &Path) {
    let join = |path: &mut Option<String>| {
        if let Some(file) = path.as_ref().filter(|file| !file.is_empty() && Path::new(file).is_relative()) {
            *path = folder.join(file).to_str().map(str::to_owned);
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|one| one.cluster.as_mut()) {
        join(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|one| one.auth_info.as_mut()) {
        join(&mut user.client_certificate);
        join(&mut user.client_key);
        join(&mut user.token_file);
        if let Some(exec) = &mut user.exec
            && exec.command.as_ref().is_some_and(|command| command.contains(std::path::MAIN_SEPARATOR))
        {
            join(&mut exec.command);
        }
    }
}

/// The proxy to `server`: the file's own, or else the environment's, which is not for this machine.
fn proxy(own: Option<&str>, server: &Uri) -> Result<Option<Uri>, KubeconfigError> {
    let parse = |url: &str| match url.contains("://") {
        true => url.parse::<Uri>(),
        false => format!("http://{url}").parse(),
    };
    if let Some(own) = own {
        let what = "is not a valid URL";
        return parse(own).map(Some).map_err(|_| KubeconfigError::Field { field: "proxy-url", what });
    }
    let host = server.host().unwrap_or_default();
    if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
        return Ok(None);
    }
    let named = ["HTTPS_PROXY", "https_proxy"].into_iter().filter_map(|name| std::env::var(name).ok());
    let Some(url) = named.into_iter().find(|url| !url.is_empty()) else { return Ok(None) };
    if Matcher::from_env().intercept(server).is_none() {
        return Ok(None);
    }
    let what = "(an environment variable) is not a valid URL";
    parse(&url).map(Some).map_err(|_| KubeconfigError::Field { field: "HTTPS_PROXY", what })
}

/// What asks for a login on the user's behalf is started by `kube`, which takes out of its environment what it is told to.
fn without_age_keys(account: &mut AuthInfo) {
    if let Some(plugin) = &mut account.exec {
        plugin.drop_env = Some(skep_process::AGE_KEYS.map(str::to_owned).to_vec());
    }
    if let Some(provider) = &mut account.auth_provider {
        let dropped = provider.config.entry("cmd-drop-env".to_owned()).or_default();
        *dropped = format!("{dropped} {}", skep_process::AGE_KEYS.join(" "));
    }
}
