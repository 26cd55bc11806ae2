//! The CA, the server's certificate, the token, and the kubeconfig that carries them to clients.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

/// Why the credentials can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file can't be read or written.
    #[error("{} can't be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate can't be made.
    #[error("the API's certificate can't be made")]
    Certificate(#[from] rcgen::Error),
    /// What the files hold is no certificate, or does not fit together.
    #[error("the API's certificate under {} can't be used: {why}; delete that folder and it is made again", path.display())]
    Tls {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// What is under `ca/`.
#[derive(Debug)]
pub(super) struct Credentials {
    folder: PathBuf,
    ca_certificate: String,
    certificate: String,
    key: String,
    pub(super) token: String,
}

impl Credentials {
    /// Reads the credentials, or makes them. The certificate is made anew when it is for other names than before; the CA
    /// and the token stay, so that a kubeconfig that was handed out goes on working.
    pub(super) fn load(state_dir: &Path, names: &[String]) -> Result<Self, CredentialsError> {
        let folder = state_dir.join("ca");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at(&folder))?;
        let ca = match (read(&folder.join("ca.crt"))?, read(&folder.join("ca.key"))?) {
            (Some(certificate), Some(key)) => (certificate, key),
            _ => make_ca(&folder)?,
        };
        let token = match read(&folder.join("token"))? {
            Some(token) => token,
            None => {
                let token = format!("{}{}", skep_ambient::uuid().simple(), skep_ambient::uuid().simple());
                write(&folder.join("token"), &token)?;
                token
            }
        };
        let mut names: Vec<String> = names.to_vec();
        names.extend(["localhost", "127.0.0.1", "kubernetes", "kubernetes.default.svc"].map(str::to_owned));
        names.sort();
        names.dedup();
        let wanted = names.join("\n");
        let kept = (
            read(&folder.join("names"))?,
            read(&folder.join("server.crt"))?,
            read(&folder.join("server.key"))?,
        );
        let (certificate, key) = match kept {
            (Some(kept), Some(certificate), Some(key)) if kept == wanted => (certificate, key),
            _ => make_certificate(&folder, &ca, names)?,
        };
        Ok(Self { folder, ca_certificate: ca.0, certificate, key, token })
    }

    /// TLS with h2 and HTTP/1.1.
    pub(super) fn tls(&self) -> Result<Arc<ServerConfig>, CredentialsError> {
        let wrong = |why: String| CredentialsError::Tls { path: self.folder.clone(), why };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let chain = chain.map_err(|error| wrong(error.to_string()))?;
        let key =
            PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| wrong(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Writes the kubeconfig, with the context `hive`. JSON is YAML, so no YAML writer is needed.
    pub(super) fn write_kubeconfig(&self, path: &Path, address: SocketAddr) -> Result<(), CredentialsError> {
        let host =
            if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "hive", "preferences": {},
            "clusters": [{"name": "hive", "cluster": {
                "server": format!("https://{host}:{}", address.port()),
                "certificate-authority-data": STANDARD.encode(&self.ca_certificate),
            }}],
            "users": [{"name": "hive", "user": {"token": self.token}}],
            "contexts": [{"name": "hive", "context": {"cluster": "hive", "user": "hive", "namespace": "default"}}],
        });
        let text = format!("{config:#}\n");
        if read(path)?.is_some_and(|kept| kept == text) {
            return Ok(());
        }
        write(path, &text)
    }
}

/// The CA's own description: always the same, so that it need not be read back from its certificate.
fn ca_params() -> Result<CertificateParams, CredentialsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "skep hive CA");
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn make_ca(folder: &Path) -> Result<(String, String), CredentialsError> {
    let key = KeyPair::generate()?;
    let certificate = ca_params()?.self_signed(&key)?.pem();
    write(&folder.join("ca.key"), &key.serialize_pem())?;
    write(&folder.join("ca.crt"), &certificate)?;
    Ok((certificate, key.serialize_pem()))
}

fn make_certificate(
    folder: &Path,
    (_, ca_key): &(String, String),
    names: Vec<String>,
) -> Result<(String, String), CredentialsError> {
    let issuer = Issuer::new(ca_params()?, KeyPair::from_pem(ca_key)?);
    let kept = names.join("\n");
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "skep hive");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    write(&folder.join("server.key"), &key.serialize_pem())?;
    write(&folder.join("server.crt"), &certificate)?;
    write(&folder.join("names"), &kept)?;
    Ok((certificate, key.serialize_pem()))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CredentialsError {
    let path = path.to_owned();
    move |source| CredentialsError::File { path, source }
}

/// The file's text; none if there is no file, or nothing in it.
fn read(path: &Path) -> Result<Option<String>, CredentialsError> {
    match fs::read_to_string(path) {
        // An empty one is what a power cut leaves of a file that was just made.
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Writes a file that only its owner may read, whole or not at all. It is not synced: what a power cut takes is made again.
fn write(path: &Path, text: &str) -> Result<(), CredentialsError> {
    let draft = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(at(&draft))?;
    file.write_all(text.as_bytes()).map_err(at(&draft))?;
    fs::rename(&draft, path).map_err(at(path))
}
