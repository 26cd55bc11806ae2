use std::io::Write as _;

use skep_cluster::{Cluster, Kubeconfig};

use crate::{MARKER, release::block_on};

/// The keys whose value is a secret.
const SECRET_KEYS: &[&str] = &["token: ", "password: ", "client-key-data: "];

/// A kubeconfig is used, or refused with an error that holds none of its secrets.
pub fn kubeconfig(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A plugin would be run, and what a file is named for would be read.
    let runs = [
        "exec",
        "auth-provider",
        "file",
        "client-certificate",
        "client-key:",
        "certificate-authority:",
        "\\",
        "proxy",
    ];
    if runs.iter().any(|word| text.to_ascii_lowercase().contains(word)) {
        return;
    }
    // Only where the marker is the value of such a key is it a secret: an error may name a context or a server.
    let is_secret = |line: &str| {
        let line = line.trim_start();
        SECRET_KEYS.iter().any(|key| line.strip_prefix(key).is_some_and(|value| value.trim_end() == MARKER))
    };
    let marked = || text.lines().filter(|line| line.contains(MARKER));
    let sure = marked().all(is_secret) && !text.contains(['|', '>', '"', '\'', '?', '&', '*']);
    let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
    file.write_all(data).expect("a file can be written");
    // What builds the TLS client takes the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    for context in [None, Some("a")] {
        let connected = Kubeconfig::read(file.path(), context)
            .and_then(|kubeconfig| block_on(Cluster::connect(kubeconfig)));
        if let Err(error) = connected {
            let shown = format!("{error} {error:?}");
            assert!(!sure || !shown.contains(MARKER), "an error holds a secret: {shown}");
        }
    }
}
