//! Runs that end in the middle: killed, stopped, timed out, cut off. The next run goes on.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::server::{Postgres, goose, migrations, run, stderr};

/// The second one takes as long as PAUSE says.
const SLOW: [(&str, &str); 3] = [
    ("00001_a.sql", "-- +goose Up\nCREATE TABLE a (id int);\n"),
    (
        "00002_b.sql",
        "-- +goose ENVSUB ON\n-- +goose Up\nCREATE TABLE b (id int);\nSELECT pg_sleep(${PAUSE:-0});\nINSERT INTO b VALUES (1);\n",
    ),
    ("00003_c.sql", "-- +goose Up\nCREATE TABLE c (id int);\n"),
];

const SLEEPING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(%'";
const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
const LIMIT: Duration = Duration::from_secs(20);

async fn asleep(postgres: &Postgres, dir: &Path, more: &[&str]) -> Child {
    let child = goose(dir)
        .env("PAUSE", "600")
        .args(["postgres", &postgres.url(), "up"])
        .args(more)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    postgres.until(SLEEPING, 1, LIMIT).await;
    child
}

/// The first is done, the second left nothing; a new run finishes.
async fn goes_on(postgres: &Postgres, dir: &Path) {
    assert_eq!(postgres.number("SELECT max(version_id) FROM goose_db_version").await, 1);
    assert_eq!(postgres.number("SELECT count(*) FROM pg_tables WHERE tablename IN ('b', 'c')").await, 0);
    let said = run(dir, &postgres.url(), &["up"], 0);
    assert!(said.contains("successfully migrated database to version: 3"), "{said}");
    assert_eq!(postgres.number("SELECT count(*) FROM b").await, 1);
    assert_eq!(postgres.number("SELECT count(*) FROM goose_db_version").await, 4);
}

#[tokio::test]
async fn killed() {
    let postgres = Postgres::start().await;
    let dir = migrations(&SLOW);
    let mut child = asleep(&postgres, dir.path(), &[]).await;
    child.kill().unwrap();
    child.wait().unwrap();
    // The server notices by itself, though the statement would have gone on for ten minutes.
    postgres.until(LOCKS, 0, LIMIT).await;
    goes_on(&postgres, dir.path()).await;
}

#[tokio::test]
async fn asked_to_stop() {
    let postgres = Postgres::start().await;
    let dir = migrations(&SLOW);
    let child = asleep(&postgres, dir.path(), &[]).await;
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    assert!(stderr(&output).contains("server session was ended"), "{}", stderr(&output));
    goes_on(&postgres, dir.path()).await;
}

#[tokio::test]
async fn out_of_time() {
    let postgres = Postgres::start().await;
    let dir = migrations(&SLOW);
    let started = Instant::now();
    let child = asleep(&postgres, dir.path(), &["-timeout", "3s"]).await;
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("not done after -timeout 3s"), "{}", stderr(&output));
    assert!(started.elapsed() < LIMIT);
    goes_on(&postgres, dir.path()).await;
}

#[tokio::test]
async fn cut_off_by_the_server() {
    let postgres = Postgres::start().await;
    let dir = migrations(&SLOW);
    let child = asleep(&postgres, dir.path(), &[]).await;
    postgres
        .rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%'")
        .await;
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("00002_b.sql:4") && said.contains("57P01"), "{said}");
    postgres.until(LOCKS, 0, LIMIT).await;
    goes_on(&postgres, dir.path()).await;
}

#[tokio::test]
async fn two_runs_at_once_apply_everything_once() {
    let postgres = Postgres::start().await;
    // The first migration goes on when the test lets go of a lock of its own.
    let gate = "-- +goose Up\nSELECT pg_advisory_xact_lock(42);\nCREATE TABLE a (id int);\n";
    let dir = migrations(&[("00001_gate.sql", gate), SLOW[2]]);
    let mut test = postgres.connection().await;
    sqlx::raw_sql("SELECT pg_advisory_lock(42)").execute(&mut test).await.unwrap();
    let start = || {
        goose(dir.path()).args(["postgres", &postgres.url(), "up"]).stderr(Stdio::piped()).spawn().unwrap()
    };
    let first = start();
    postgres
        .until("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", 1, LIMIT)
        .await;
    let mut second = start();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let waiting = lines.next().unwrap().unwrap();
    assert!(waiting.contains("waiting for the migration lock, held by backend"), "{waiting}");
    assert!(waiting.contains("skep-migrate, 127.0.0.1, SELECT pg_advisory_xact_lock(42);"), "{waiting}");
    test.close().await.unwrap();
    let output = first.wait_with_output().unwrap();
    assert!(stderr(&output).contains("successfully migrated database to version: 3"), "{}", stderr(&output));
    let said = lines.last().unwrap().unwrap();
    assert!(said.contains("no migrations to run. current version: 3"), "{said}");
    assert!(second.wait().unwrap().success());
    assert_eq!(postgres.number("SELECT count(*) FROM goose_db_version").await, 3);
}
