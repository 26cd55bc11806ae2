//! The way past a pooler, and the proof that there is none, with a real pgbouncer.

use skep_migrate::{Catalog, ConnectError, Dsn, Migrator, RunError, Session, Task};

use crate::server::{Postgres, goose, migrations, run, stderr};

const ONE: [(&str, &str); 1] =
    [("00001_a.sql", "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose Down\nDROP TABLE a;\n")];

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused() {
    let postgres = Postgres::start().await;
    let bouncer = postgres.bouncer("transaction", "").await;
    let error = Session::connect(&Dsn::parse(&bouncer.url()).unwrap()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Pooled { .. }), "{error}");
    let dir = migrations(&ONE);
    let said = run(dir.path(), &bouncer.url(), &["up"], 1);
    assert!(said.contains("GOOSE_DIRECT_DBSTRING"), "{said}");
    assert_eq!(postgres.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 0);
}

#[tokio::test]
async fn a_round_robin_pooler_does_not_slip_through() {
    let postgres = Postgres::start().await;
    let more = "server_round_robin = 1\nmin_pool_size = 3\ndefault_pool_size = 3";
    let bouncer = postgres.bouncer("transaction", more).await;
    // Three idle server connections, so that two clients need not meet on one of them.
    let bouncer_clients: Vec<_> = futures_of_three(&bouncer.url()).await;
    drop(bouncer_clients);
    let catalog = Catalog::embedded(ONE).unwrap();
    match Session::connect(&Dsn::parse(&bouncer.url()).unwrap()).await {
        Err(error) => assert!(matches!(error, ConnectError::Pooled { .. }), "{error}"),
        Ok(mut session) => {
            let error = Migrator::new(catalog).run(&mut session, Task::Up, &mut |_| {}).await.unwrap_err();
            assert!(matches!(error, RunError::Moved { .. }), "{error}");
        }
    }
    assert_eq!(postgres.number("SELECT count(*) FROM pg_tables WHERE tablename = 'a'").await, 0);
}

/// Three transactions at once, each on a server connection of its own.
async fn futures_of_three(url: &str) -> Vec<sqlx::PgConnection> {
    use sqlx::Connection as _;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT 1").execute(&mut connection).await.unwrap();
        open.push(connection);
    }
    for connection in &mut open {
        sqlx::raw_sql("COMMIT").execute(connection).await.unwrap();
    }
    open
}

#[tokio::test]
async fn a_pooler_in_session_mode_is_a_session() {
    let postgres = Postgres::start().await;
    let dir = migrations(&ONE);
    let bouncer = postgres.bouncer("session", "").await;
    let said = run(dir.path(), &bouncer.url(), &["up"], 0);
    assert!(said.contains("successfully migrated database to version: 1"), "{said}");
    // With room for one session only, the probe has to give up.
    let bouncer = postgres.bouncer("session", "default_pool_size = 1").await;
    let said = run(dir.path(), &bouncer.url(), &["redo"], 0);
    assert!(said.contains("OK   00001_a.sql"), "{said}");
}

#[tokio::test]
async fn a_direct_url_decides() {
    let postgres = Postgres::start().await;
    let bouncer = postgres.bouncer("transaction", "").await;
    let dir = migrations(&ONE);
    let output = goose(dir.path())
        .env("GOOSE_DRIVER", "postgres")
        .env("GOOSE_DBSTRING", bouncer.url())
        .env("DATABASE_DIRECT_URL", postgres.url())
        .arg("up")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(postgres.number("SELECT count(*) FROM goose_db_version").await, 2);
}

#[tokio::test]
async fn the_pooler_segment_of_db_host_is_stripped() {
    let postgres = Postgres::start().await;
    let dir = migrations(&ONE);
    // The only name of this shape that resolves everywhere without its `-pooler`: 127.0.0.1.
    let output = goose(dir.path())
        .env("DB_HOST", "127-pooler.0.0.1")
        .env("DB_PORT", postgres.port.to_string())
        .env("DB_USER", "app")
        .env("DB_NAME", "postgres")
        .env("DB_SSLMODE", "disable")
        .arg("up")
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("going past the pooler 127-pooler.0.0.1"), "{said}");
    assert_eq!(postgres.number("SELECT count(*) FROM goose_db_version").await, 2);
}
