//! Judges for the registry client: Debian's docker-registry as a server, skopeo as another client.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Once,
};

/// The account that [`DockerRegistry::guarded`] knows, and bcrypt's hash of its password.
pub(crate) const ACCOUNT: (&str, &str) = ("ali", "open sesame");
const HTPASSWD: &str = "ali:$2b$04$GZHm4Hg7lNu2Jw5Pum5j9esQ20vrJqWA4YjKL4722e8hpi469d4iS\n";

/// A running `docker-registry`; it ends with the value.
pub(crate) struct DockerRegistry {
    child: Child,
    storage: tempfile::TempDir,
    pub(crate) address: String,
}

impl DockerRegistry {
    /// One that lets everybody in.
    pub(crate) fn open() -> Self {
        Self::start(false)
    }

    /// One that lets only [`ACCOUNT`] in.
    pub(crate) fn guarded() -> Self {
        Self::start(true)
    }

    fn start(guarded: bool) -> Self {
        install_crypto();
        let storage = tempfile::tempdir().expect("a folder");
        let config = storage.path().join("config.yml");
        let mut text = format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: {}/data }}, delete: {{ enabled: true }} }}\nhttp: {{ addr: '127.0.0.1:0' }}\n",
            storage.path().display()
        );
        if guarded {
            let htpasswd = storage.path().join("htpasswd");
            std::fs::write(&htpasswd, HTPASSWD).expect("htpasswd");
            text += &format!("auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n", htpasswd.display());
        }
        std::fs::write(&config, text).expect("config");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry: {error} (Debian package `docker-registry`)"));
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line).expect("its log") == 0 {
                panic!("docker-registry ended before it listened:\n{seen}");
            }
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
                break rest[..end.unwrap_or(rest.len())].to_owned();
            }
            seen += &line;
        };
        // Its log must be read on, or it blocks.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, storage, address }
    }

    /// Where it keeps a blob.
    pub(crate) fn blob_file(&self, hex: &str) -> std::path::PathBuf {
        let blobs = self.storage.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As the binary does first thing.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Runs skopeo, which must succeed.
pub(crate) fn skopeo(arguments: &[&str]) -> Output {
    let output = Command::new("skopeo")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("skopeo: {error} (Debian package `skopeo`)"));
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Has skopeo copy `image` from `address` to `folder`, which checks every digest.
pub(crate) fn skopeo_pulls(address: &str, image: &str, folder: &Path) {
    let from = format!("docker://{address}/{image}");
    let to = format!("dir:{}", folder.display());
    skopeo(&["copy", "--insecure-policy", "--src-tls-verify=false", &from, &to]);
}
