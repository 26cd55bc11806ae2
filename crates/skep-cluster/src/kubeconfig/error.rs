//! What is wrong with a kubeconfig, and what kube's own errors say of it that may be shown.

use std::{
    io,
    process::{ExitStatus, Output},
};

use kube::{
    client::AuthError,
    config::{AuthInfo, KubeconfigError as KubeError, LoadDataError},
};
use thiserror::Error;

use super::{LARGEST, program};

/// Bytes of an exec plugin's standard error that are shown.
const COMPLAINT: usize = 200;

/// What is wrong with a kubeconfig. No variant holds a value of the file, names of contexts and of programs apart.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// It is not there.
    #[error("there is no such file")]
    Missing,
    /// The operating system's reason.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It has more bytes than any kubeconfig.
    #[error("it is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// Neither UTF-8 nor UTF-16.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Not YAML, or YAML of another shape.
    #[error("line {line}: invalid YAML, or a value of the wrong type")]
    Syntax {
        /// From 1.
        line: u64,
    },
    /// Documents that don't belong together.
    #[error("its documents differ in `kind` or `apiVersion`")]
    Mismatch,
    /// Neither skep.yaml nor the file says which context.
    #[error("it has no current context")]
    NoCurrentContext,
    /// The context isn't there.
    #[error("it has no context `{0}`")]
    NoContext(String),
    /// The context's cluster isn't there.
    #[error("the cluster of context `{0}` is not defined")]
    NoCluster(String),
    /// A field that can't be used.
    #[error("`{field}` {what}")]
    Field {
        /// `certificate-authority-data`.
        field: &'static str,
        /// `is not valid base64`.
        what: &'static str,
    },
    /// A file that it names.
    #[error("the file that `{field}` names can't be read: {error}")]
    File {
        /// `tokenFile`.
        field: &'static str,
        /// The operating system's reason.
        error: io::Error,
    },
    /// The exec plugin isn't there.
    #[error("the exec plugin `{program}` is not installed")]
    PluginMissing {
        /// `aws`.
        program: String,
        /// The file's `installHint`.
        install: Option<String>,
    },
    /// The exec plugin ended with an error. Its standard output is not repeated: credentials are printed there.
    #[error("the exec plugin `{program}` failed with {status}{}", after_colon(.complaint))]
    PluginFailed {
        /// `aws`.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last line of its standard error, if that was not the terminal.
        complaint: String,
    },
    /// The exec plugin printed something else than credentials.
    #[error("the exec plugin `{program}` {what}")]
    PluginOutput {
        /// `aws`.
        program: String,
        /// `did not print an ExecCredential`.
        what: &'static str,
    },
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl KubeconfigError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::PluginMissing { install: Some(install), .. } => install.trim().to_owned(),
            Self::PluginMissing { program, install: None } => {
                format!("install `{program}`, or put its folder on PATH")
            }
            Self::PluginFailed { program, .. } | Self::PluginOutput { program, .. } => {
                format!("run `{program}` with the arguments of the kubeconfig to see what it prints")
            }
            Self::Syntax { .. } => {
                "correct that line: `kubectl config view --kubeconfig FILE` reads the same file".to_owned()
            }
            _ => "check `kubeconfig` and `context` of the target in skep.yaml".to_owned(),
        }
    }
}

pub(super) fn unusable(field: &'static str, what: &'static str) -> KubeconfigError {
    KubeconfigError::Field { field, what }
}

pub(super) fn of_kube(error: KubeError, context: &str) -> KubeconfigError {
    let load = |name: &'static str, error: LoadDataError| match error {
        LoadDataError::ReadFile(error, _) => KubeconfigError::File { field: name, error },
        LoadDataError::DecodeBase64(_) => unusable(name, "has data that is not valid base64"),
        LoadDataError::NoBase64DataOrFile => unusable(name, "is missing"),
    };
    match error {
        KubeError::LoadContext(name) => KubeconfigError::NoContext(name),
        KubeError::LoadClusterOfContext(_) => KubeconfigError::NoCluster(context.to_owned()),
        KubeError::CurrentContextNotSet => KubeconfigError::NoCurrentContext,
        KubeError::KindMismatch | KubeError::ApiVersionMismatch => KubeconfigError::Mismatch,
        KubeError::MissingClusterUrl => unusable("server", "is missing"),
        KubeError::ParseClusterUrl(_) => unusable("server", "is not a valid URL"),
        KubeError::ParseProxyUrl(_) => unusable("proxy-url", "or HTTPS_PROXY is not a valid URL"),
        KubeError::LoadCertificateAuthority(error) => load("certificate-authority", error),
        KubeError::LoadClientCertificate(error) => load("client-certificate", error),
        KubeError::LoadClientKey(error) => load("client-key", error),
        KubeError::ParseCertificates(_) => unusable("certificate-authority", "is not a PEM certificate"),
        KubeError::ParseNoProxy(_) => unusable("NO_PROXY", "(an environment variable) is not valid"),
        KubeError::FindPath | KubeError::ReadConfig(..) => KubeconfigError::Missing,
        KubeError::Parse(error) => {
            KubeconfigError::Syntax { line: error.location().map_or(1, |at| at.line()) }
        }
    }
}

pub(super) fn of_client(error: kube::Error, context: &str, user: &AuthInfo) -> KubeconfigError {
    use kube::client::RustlsTlsError as Tls;
    match error {
        kube::Error::Auth(error) => of_login(error, user),
        kube::Error::InferKubeconfig(error) => of_kube(error, context),
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            unusable("proxy-url", "has a scheme other than http, https and socks5")
        }
        kube::Error::RustlsTls(Tls::AddRootCertificate(_)) => {
            unusable("certificate-authority", "is not a valid certificate")
        }
        kube::Error::RustlsTls(Tls::InvalidServerName(_)) => {
            unusable("tls-server-name", "is not a valid name of a server")
        }
        kube::Error::RustlsTls(_) => unusable("client-certificate", "and `client-key` are not a usable pair"),
        _ => unusable("user", "can't be used by this client"),
    }
}

fn of_login(error: AuthError, user: &AuthInfo) -> KubeconfigError {
    let program = program(user).unwrap_or_default().to_owned();
    match error {
        AuthError::AuthExecStart(error) if error.kind() == io::ErrorKind::NotFound => {
            let install = user.exec.as_ref().and_then(|exec| exec.install_hint.clone());
            KubeconfigError::PluginMissing {
                program,
                install: install.filter(|hint| !hint.trim().is_empty()),
            }
        }
        AuthError::AuthExecRun { out, .. } => {
            KubeconfigError::PluginFailed { program, status: out.status, complaint: last_line(&out) }
        }
        AuthError::ReadTokenFile(error, _) => KubeconfigError::File { field: "tokenFile", error },
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => KubeconfigError::Field {
            field: "user",
            what: "has a token or password that no HTTP header can hold",
        },
        other => KubeconfigError::PluginOutput { program, what: login_fault(&other) },
    }
}

/// What went wrong when an exec plugin was asked for credentials, without a word of what it printed.
pub(crate) fn login_fault(error: &AuthError) -> &'static str {
    match error {
        AuthError::AuthExecStart(_) => "could not be started",
        AuthError::AuthExecRun { .. } => "failed",
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => "did not print an ExecCredential",
        AuthError::ExecPluginFailed => "printed an ExecCredential without a status",
        AuthError::MalformedTokenExpirationDate(_) => "printed an invalid expiration date",
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
            "printed a token that no HTTP header can hold"
        }
        AuthError::UnrefreshableTokenResponse => "printed no token when asked again",
        AuthError::MissingCommand => "has no `command`",
        AuthError::ReadTokenFile(..) => "needs a file that can't be read",
        _ => "can't be used: this way to log in is not supported",
    }
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(COMPLAINT).collect()
}
