//! Kubeconfigs as people have them: what is wrong with one is reported by its line or field, and never with what it holds.

use std::{fmt::Write as _, fs, path::Path};

use skep_cluster::{Cluster, Kubeconfig};

/// Stands wherever a credential may.
const MARKER: &str = "hunter2";

/// Every field that may hold a credential holds one.
const WHOLE: &str = "apiVersion: v1
kind: Config
current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters:
- name: a
  cluster:
    server: https://127.0.0.1:1
    proxy-url: http://ann:hunter2@127.0.0.1:2
    certificate-authority-data: hunter2
users:
- name: a
  user:
    token: hunter2
    username: ann
    password: hunter2
    client-certificate-data: hunter2
    client-key-data: hunter2
    tokenFile: hunter2
    auth-provider: { name: gcp, config: { access-token: hunter2 } }
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: no-such-plugin
      args: [--token, hunter2]
      env: [{ name: TOKEN, value: hunter2 }]
";

/// The error of reading and connecting, with its hint, its causes and its debug text.
async fn report(text: &str, folder: &Path) -> Option<String> {
    let path = folder.join("kubeconfig");
    fs::write(&path, text).expect("written");
    let connected = match Kubeconfig::read(&path, None) {
        Ok(kubeconfig) => Cluster::connect(kubeconfig).await.map(drop),
        Err(error) => Err(error),
    };
    let error = connected.err()?;
    let mut report = format!("{error}\n{}\n{error:?}\n", error.hint().unwrap_or_default());
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(next) = cause {
        writeln!(report, "{next}").expect("a string");
        cause = next.source();
    }
    Some(report)
}

#[tokio::test]
async fn damaged_kubeconfig_never_shows_its_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut reported = 0;
    let pieces =
        ["", "{", "}", "[", ":", "\"", "'", "\n", "\n  ", "\t", "& ", "*", "| ", "#", "!", "- ", "? ", "7"];
    for (at, _) in WHOLE.char_indices().filter(|(at, _)| at % 3 == 0) {
        for piece in pieces {
            let text = format!("{}{piece}{}", &WHOLE[..at], &WHOLE[at + usize::from(piece.is_empty())..]);
            if text.matches(MARKER).count() < WHOLE.matches(MARKER).count() {
                continue;
            }
            if let Some(report) = report(&text, folder.path()).await {
                reported += 1;
                assert!(!report.contains(MARKER), "{text}\n{report}");
            }
        }
    }
    assert!(reported > 1000, "{reported}");
}

/// A kubeconfig with this cluster and this user.
fn with(cluster: &str, user: &str) -> String {
    format!(
        "contexts: [{{ name: a, context: {{ cluster: a, user: a }} }}]\nclusters:\n- name: a\n  cluster: {{ server: \"https://127.0.0.1:1\"{cluster} }}\nusers:\n- name: a\n  user: {user}\n"
    )
}

#[tokio::test]
async fn unusable_field_is_named_without_its_value() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("two-lines"), "hunter2\nhunter2\n").expect("written");
    let plugin = |name: &str, script: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(&path, mode).expect("its mode");
    };
    plugin("garbage", "echo '{\"token\": \"hunter2'");
    plugin("status", "echo '{\"kind\": \"ExecCredential\", \"status\": {\"token\": [\"hunter2\"]}}'");
    plugin("fails", "echo hunter2; echo 'the session has expired' >&2; exit 3");
    let exec = |command: &str| {
        format!(
            "{{ exec: {{ apiVersion: client.authentication.k8s.io/v1, command: {command}, interactiveMode: Never, installHint: get it at example.com, env: [{{ name: T, value: hunter2 }}] }} }}"
        )
    };
    let json = format!(r#"{{"users": [{{"name": "a", "user": {{"token": "{MARKER}", "tokenFile": 7}}}}"#);
    for (text, says) in [
        (
            with(", certificate-authority-data: hunter2=hunter2", "{}"),
            "`certificate-authority` has data that is not valid base64",
        ),
        (
            with(", certificate-authority-data: aHVudGVyMg==", "{}"),
            "`certificate-authority` holds no PEM certificate",
        ),
        (
            with(", certificate-authority: hunter2", "{}"),
            "the file that `certificate-authority` names can't be read",
        ),
        (with(", proxy-url: \"ftp://ann:hunter2@127.0.0.1\"", "{}"), "`proxy-url` has a scheme other than"),
        (
            with(", proxy-url: \"http://ann:hunter2 @x\"", "{}"),
            "`proxy-url` or HTTPS_PROXY is not a valid URL",
        ),
        (
            with("", "{ client-certificate-data: aHVudGVyMg==, client-key-data: aHVudGVyMg== }"),
            "`client-certificate`",
        ),
        (
            with("", "{ client-certificate-data: hunter2!, client-key-data: aHVudGVyMg== }"),
            "`client-certificate` has data",
        ),
        (with("", "{ tokenFile: hunter2 }"), "the file that `tokenFile` names can't be read"),
        (with("", "{ tokenFile: two-lines }"), "`tokenFile` names a file that does not hold a token"),
        (with("", "{ token: \"hunter2\\nx\" }"), "`token` is not a token that an HTTP header can hold"),
        (with("", "{ token: [hunter2] }"), "line 7: invalid YAML, or a value of the wrong type"),
        (with("", "{ token: hunter2"), "invalid YAML"),
        (json, "line 1: invalid YAML"),
        (
            with("", &exec("no-such-plugin")),
            "the exec plugin `no-such-plugin` is not installed\nget it at example.com",
        ),
        (with("", &exec("./garbage")), "did not print an ExecCredential"),
        (with("", &exec("./status")), "did not print an ExecCredential"),
        (with("", &exec("./fails")), "failed with exit status: 3: the session has expired"),
    ] {
        let report = report(&text, folder.path()).await.unwrap_or_else(|| panic!("it is taken: {text}"));
        assert!(report.contains(says), "{says}\n{report}");
        assert!(!report.contains(MARKER), "{report}");
    }
}

#[tokio::test]
async fn repeated_key_is_taken_as_kubectl_takes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    let twice = "kind: Config\ncurrent-context: first\ncontexts: [{ name: a, context: { cluster: a } }, { name: b, context: { cluster: a } }]\nclusters: [{ name: a, cluster: { server: 'https://127.0.0.1:1', server: 'https://127.0.0.1:2' } }]\ncurrent-context: b\nkind: Config\n";
    fs::write(&path, twice).expect("written");
    let cluster = Cluster::connect(Kubeconfig::read(&path, None).expect("read")).await.expect("usable");
    assert_eq!(cluster.url(), "https://127.0.0.1:2");
}

/// An API that says which token it was asked with.
#[tokio::test(flavor = "multi_thread")]
async fn token_file_is_sent_without_its_newline() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "abc123\n").expect("written");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = listener.local_addr().expect("its address");
    let text = format!(
        "contexts: [{{ name: a, context: {{ cluster: a, user: a }} }}]\nclusters: [{{ name: a, cluster: {{ server: 'http://{server}' }} }}]\nusers: [{{ name: a, user: {{ tokenFile: token }} }}]\n"
    );
    let asked = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut piece).expect("a request");
            request.extend_from_slice(&piece[..count]);
        }
        let body = r#"{"gitVersion": "v1.36.0"}"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
        String::from_utf8_lossy(&request).to_lowercase()
    });
    fs::write(folder.path().join("kubeconfig"), text).expect("written");
    let kubeconfig = Kubeconfig::read(&folder.path().join("kubeconfig"), None).expect("read");
    let cluster = Cluster::connect(kubeconfig).await.expect("usable");
    assert_eq!(cluster.server().await.expect("an answer").version, "v1.36.0");
    let asked = asked.join().expect("asked");
    assert!(asked.contains("authorization: bearer abc123\r\n"), "{asked}");
}

/// A proxy that takes the CONNECT and nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn proxy_url_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = listener.local_addr().expect("its address");
    let text = with(&format!(", proxy-url: 'http://ann:hunter2@{proxy}'"), "{ token: abc }")
        .replace("https://127.0.0.1:1", "https://cluster.example.com:6443");
    fs::write(folder.path().join("kubeconfig"), text).expect("written");
    let seen = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).expect("a request");
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").expect("sent");
        String::from_utf8_lossy(&piece[..count]).into_owned()
    });
    let kubeconfig = Kubeconfig::read(&folder.path().join("kubeconfig"), None).expect("read");
    let cluster = Cluster::connect(kubeconfig).await.expect("usable");
    let asked = tokio::spawn(async move { cluster.server().await.map(drop) });
    let seen = seen.join().expect("asked");
    asked.abort();
    assert!(seen.starts_with("CONNECT cluster.example.com:6443 "), "{seen}");
    assert!(seen.to_lowercase().contains("proxy-authorization: basic "), "{seen}");
}
