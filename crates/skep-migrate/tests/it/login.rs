//! TLS and passwords, as a managed database asks for them.

use std::fs;
use std::time::Duration;

use crate::server::{Postgres, goose, migrations, stderr};

const PASSWORD: &str = "p@ss w/rd:%'\\?#";
const ENCODED: &str = "p%40ss%20w%2Frd%3A%25%27%5C%3F%23";

/// A server that takes TLS connections with a password only; answers the certificate that vouches for it.
async fn strict(postgres: &Postgres) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    postgres.private_file("server.crt", &made.cert.pem());
    postgres.private_file("server.key", &made.signing_key.serialize_pem());
    let literal = PASSWORD.replace('\'', "''");
    postgres.rows(&format!("ALTER USER app PASSWORD '{literal}'")).await;
    postgres.rows("ALTER SYSTEM SET ssl = on").await;
    // The test's own connections go on by the socket's trust; what must log in is database `strict`.
    postgres.rows("CREATE DATABASE strict").await;
    let rules = "host postgres all 127.0.0.1/32 trust\nhostssl strict all 127.0.0.1/32 scram-sha-256\n";
    postgres.private_file("pg_hba.conf", rules);
    postgres.rows("SELECT pg_reload_conf()").await;
    postgres
        .until(
            "SELECT count(*) FROM pg_settings WHERE name = 'ssl' AND setting = 'on'",
            1,
            Duration::from_secs(5),
        )
        .await;
    made.cert.pem()
}

#[tokio::test]
async fn tls_and_a_password_of_every_sign() {
    let postgres = Postgres::start().await;
    let certificate = strict(&postgres).await;
    let dir = migrations(&[("00001_a.sql", "-- +goose Up\nCREATE TABLE a (id int);\n")]);
    let root = dir.path().join("root.crt");
    fs::write(&root, certificate).unwrap();
    let (port, root) = (postgres.port, root.display());
    let quoted = PASSWORD.replace('\\', r"\\").replace('\'', r"\'");
    let words = format!("host=127.0.0.1 port={port} user=app dbname=strict");
    let url = format!("postgres://app:{ENCODED}@127.0.0.1:{port}/strict");
    for (dsn, part) in [
        (format!("{url}?sslmode=require"), None),
        (url.clone(), None),
        (format!("{url}?sslmode=verify-full&sslrootcert={root}"), None),
        (format!("{words} password='{quoted}' sslmode=verify-full sslrootcert={root}"), None),
        (format!("{url}?sslmode=verify-full"), Some("certificate")),
        (format!("{url}?sslmode=disable"), Some("no encryption")),
        (format!("{words} password=wrong sslmode=require"), Some("password authentication failed")),
    ] {
        let output = goose(dir.path()).args(["postgres", &dsn, "up"]).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.success(), part.is_none(), "{dsn}: {said}");
        assert!(said.contains(part.unwrap_or("version: 1")), "{dsn}: {said}");
        assert!(!said.contains("p@ss") && !said.contains("p%40"), "{said}");
    }
    let output = goose(dir.path())
        .envs([
            ("DB_HOST", "127.0.0.1"),
            ("DB_USER", "app"),
            ("DB_NAME", "strict"),
            ("DB_SSLMODE", "require"),
        ])
        .env("DB_PASSWORD", PASSWORD)
        .env("DB_PORT", port.to_string())
        .arg("version")
        .output()
        .unwrap();
    assert!(stderr(&output).contains("goose: version 1"), "{}", stderr(&output));
}
