//! The program, as a Job written for goose calls it.

use std::fs;

use crate::server::{Postgres, goose, migrations, run, stderr};

const TWO: [(&str, &str); 2] = [
    ("00001_users.sql", "-- +goose Up\nCREATE TABLE users (id int);\n-- +goose Down\nDROP TABLE users;\n"),
    ("00002_empty.sql", "-- +goose Up\n"),
];

/// Without the time before each line, and with durations made equal.
fn bare(said: &str) -> Vec<String> {
    said.lines()
        .map(|line| line.get(20..).unwrap_or(line))
        .map(|line| {
            line.rsplit_once(" (").filter(|(_, end)| end.ends_with("s)")).map_or(line, |(line, _)| line)
        })
        .map(Into::into)
        .collect()
}

#[tokio::test]
async fn a_whole_life() {
    let postgres = Postgres::start().await;
    let (dir, url) = (migrations(&TWO), postgres.url());
    let said = |arguments: &[&str]| bare(&run(dir.path(), &url, arguments, 0));
    assert_eq!(said(&["version"]), ["goose: version 0"]);
    let head = ["    Applied At                  Migration", "    ======================================="];
    let pending = [
        head[0],
        head[1],
        "    Pending                  -- 00001_users.sql",
        "    Pending                  -- 00002_empty.sql",
    ];
    assert_eq!(said(&["status"]), pending);
    assert_eq!(
        said(&["up"]),
        [
            "OK   00001_users.sql",
            "EMPTY 00002_empty.sql",
            "goose: successfully migrated database to version: 2"
        ]
    );
    assert_eq!(said(&["up"]), ["goose: no migrations to run. current version: 2"]);
    assert_eq!(said(&["down"]), ["EMPTY 00002_empty.sql"]);
    let status = said(&["status"]);
    // As in `Mon Nov 23 06:01:38 2026`.
    assert_eq!(status[2].len(), "    Mon Nov 23 06:01:38 2026 -- 00001_users.sql".len(), "{status:?}");
    assert!(status[2].ends_with(" -- 00001_users.sql") && !status[2].contains("Pending"), "{status:?}");
    assert_eq!(said(&["up-by-one"]), ["EMPTY 00002_empty.sql"]);
    let nothing = run(dir.path(), &url, &["up-by-one"], 1);
    assert_eq!(bare(&nothing)[1], "goose run: no next version found");
    assert_eq!(
        said(&["down-to", "0"]),
        ["EMPTY 00002_empty.sql", "OK   00001_users.sql", "goose: no migrations to run. current version: 0"]
    );
    assert_eq!(
        said(&["-allow-missing", "up-to", "1"])[1],
        "goose: successfully migrated database to version: 1"
    );
    assert_eq!(said(&["redo"]), ["OK   00001_users.sql", "OK   00001_users.sql"]);
    assert_eq!(said(&["reset"]), ["OK   00001_users.sql"]);
}

#[tokio::test]
async fn the_same_job_by_arguments_words_and_environment() {
    let postgres = Postgres::start().await;
    let dir = migrations(&TWO);
    let words = format!("host=127.0.0.1 port={} user=app dbname=postgres sslmode=disable", postgres.port);
    let folder = dir.path().to_str().unwrap();
    let mut by_arguments = goose(dir.path());
    by_arguments.env_remove("GOOSE_MIGRATION_DIR").args(["-dir", folder, "postgres", &words, "up"]);
    let mut by_environment = goose(dir.path());
    by_environment.env("GOOSE_DRIVER", "postgres").env("GOOSE_DBSTRING", &words).arg("up");
    let mut by_parts = goose(dir.path());
    by_parts.envs([("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_USER", "app"), ("POSTGRES_DB", "postgres")]);
    by_parts.env("POSTGRES_PORT", postgres.port.to_string()).arg("up");
    let file = dir.path().join("db.env");
    fs::write(&file, format!("GOOSE_DRIVER=postgres\nGOOSE_DBSTRING=\"{words}\"\n")).unwrap();
    let mut by_file = goose(dir.path());
    by_file.arg("-env").arg(&file).arg("up");
    for (index, mut command) in [by_arguments, by_environment, by_parts, by_file].into_iter().enumerate() {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{index}: {}", stderr(&output));
    }
    assert_eq!(postgres.number("SELECT count(*) FROM goose_db_version").await, 3);
}

#[tokio::test]
async fn a_failing_statement_is_shown_where_it_stands() {
    let postgres = Postgres::start().await;
    let bad = "-- +goose Up\nCREATE TABLE a (id int);\nCREATE VIEW v AS\n\tSELECT id,\n\t       nmae\n\tFROM a;\nSELECT 1;\n";
    let dir = migrations(&[TWO[0], ("00002_bad.sql", bad)]);
    let said = run(dir.path(), &postgres.url(), &["up"], 1);
    let said = said.replace(dir.path().to_str().unwrap(), "DIR");
    let expected = "\
goose run: ERROR 00002_bad.sql: failed to run SQL migration: column \"nmae\" does not exist (SQLSTATE 42703)
  --> DIR/00002_bad.sql:5:9
  3 | CREATE VIEW v AS
  4 | \tSELECT id,
  5 | \t       nmae
    | \t       ^
  6 | \tFROM a;
  statement 2 of 3 (up); the file runs in a transaction, so nothing of it remains
  migrations that were reported OK stay applied; correct the file and run the command again
";
    let (_, told) = said.split_once("00001_users.sql").unwrap();
    let (_, told) = told.split_once('\n').unwrap();
    assert_eq!(&told[20..], expected);
}

#[tokio::test]
async fn a_dump_that_empties_the_search_path() {
    let postgres = Postgres::start().await;
    let dump =
        "-- +goose Up\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.a ();\n";
    let dir = migrations(&[("00001_dump.sql", dump)]);
    let said = run(dir.path(), &postgres.url(), &["up"], 1);
    assert!(said.contains("at recording the version") && said.contains("changed search_path"), "{said}");
    run(dir.path(), &postgres.url(), &["-table", "public.goose_db_version", "up"], 0);
}

#[tokio::test]
async fn a_mistake_in_a_file_is_shown_where_it_stands() {
    let postgres = Postgres::start().await;
    let dir = migrations(&[TWO[0], ("00002_bad.sql", "-- +goose Up\nSELECT 1;\nSELECT 2\n-- +goose Down\n")]);
    let said = run(dir.path(), &postgres.url(), &["up"], 1);
    let said = said.replace(dir.path().to_str().unwrap(), "DIR");
    assert_eq!(
        &said[20..],
        "goose run: ERROR 00002_bad.sql: failed to parse SQL migration file: this statement has no `;` at the end of its last line (`SELECT 2`)\n  --> DIR/00002_bad.sql:3:1\n  3 | SELECT 2\n    | ^\n  nothing was run\n"
    );
    assert!(stderr(&goose(dir.path()).arg("validate").output().unwrap()).contains("00002_bad.sql:3:1"));
}

#[test]
fn what_needs_no_database() {
    let dir = migrations(&[]);
    let output = goose(dir.path()).args(["-s", "create", "Add users", "sql"]).output().unwrap();
    assert!(output.status.success() && dir.path().join("00001_add_users.sql").exists(), "{output:?}");
    let output = goose(dir.path()).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("goose version: "), "{output:?}");
    let output = goose(dir.path()).args(["-v", "validate"]).output().unwrap();
    assert!(stderr(&output).contains("00001_add_users.sql: 1 up, 1 down"), "{output:?}");
}

#[test]
fn mistakes_in_the_call() {
    let dir = migrations(&TWO);
    for (arguments, code, part) in [
        (&[][..], 1, "Usage: goose"),
        (&["-nope", "up"], 2, "not defined: -nope"),
        (&["up"], 1, "no database is named"),
        (&["mysql", "root@/x", "up"], 1, "speaks Postgres only"),
        (
            &["postgres", "postgres://app:hunter2@127.0.0.1:1/x", "up"],
            1,
            "cannot connect to app@127.0.0.1:1/x",
        ),
        (
            &["postgres", "host=127.0.0.1 port=1", "-dir", "/nowhere", "up"],
            1,
            "/nowhere directory does not exist",
        ),
    ] {
        let output = goose(dir.path()).args(arguments).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
    let empty = migrations(&[]);
    let output = goose(empty.path()).args(["-h"]).output().unwrap();
    assert!(output.status.success());
}
