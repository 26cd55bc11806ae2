//! goose's own test data, where a checkout of pressly/goose is at hand: `SKEP_GOOSE_CHECKOUT=/path/to/goose`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use skep_migrate::{Direction, parse};

use crate::server::{Postgres, run};

fn variable(name: &str) -> Option<String> {
    // What goose's TestEnvsub sets.
    match name {
        "GOOSE_ENV_REGION" => Some("us_east_".into()),
        "GOOSE_ENV_SET_BUT_EMPTY_VALUE" => Some(String::new()),
        "GOOSE_ENV_NAME" => Some("foo".into()),
        _ => None,
    }
}

fn sql_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sql_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "sql") {
            found.push(path);
        }
    }
}

fn goldens(input: &Path, direction: Direction) -> Vec<String> {
    let dir = input.parent().unwrap();
    (1..)
        .map_while(|number| {
            fs::read_to_string(dir.join(format!("{number:02}.{}.golden.sql", direction.as_str()))).ok()
        })
        .collect()
}

#[tokio::test]
async fn gooses_own_postgres_migrations_run() {
    let Some(checkout) = env::var_os("SKEP_GOOSE_CHECKOUT").map(PathBuf::from) else {
        eprintln!("not judged: set SKEP_GOOSE_CHECKOUT to a checkout of github.com/pressly/goose");
        return;
    };
    let postgres = Postgres::start().await;
    let dir = checkout.join("internal/testing/integration/testdata/migrations/postgres");
    let files = fs::read_dir(&dir).unwrap().count();
    let said = run(&dir, &postgres.url(), &["up"], 0);
    assert!(said.contains(&format!("successfully migrated database to version: {files}")), "{said}");
    let said = run(&dir, &postgres.url(), &["reset"], 0);
    assert_eq!(postgres.number("SELECT max(version_id) FROM goose_db_version").await, 0, "{said}");
    eprintln!("{files} of goose's Postgres migrations ran up and down");
}

#[test]
fn gooses_own_test_data() {
    let Some(checkout) = env::var_os("SKEP_GOOSE_CHECKOUT").map(PathBuf::from) else {
        eprintln!("not judged: set SKEP_GOOSE_CHECKOUT to a checkout of github.com/pressly/goose");
        return;
    };
    let mut files = Vec::new();
    sql_files(&checkout, &mut files);
    let (mut parsed, mut compared, mut refused) = (0, 0, 0);
    for file in files.iter().filter(|file| !file.to_string_lossy().ends_with(".golden.sql")) {
        let text = fs::read_to_string(file).unwrap();
        let in_folder = |name: &str| file.components().any(|part| part.as_os_str() == name);
        if in_folder("invalid") {
            let error = parse(&text, Direction::Up, &variable).expect_err(&file.to_string_lossy());
            assert!(error.place.line > 0);
            refused += 1;
            continue;
        }
        for direction in [Direction::Up, Direction::Down] {
            let script = parse(&text, direction, &variable)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let statements: Vec<&str> = script.statements.iter().map(|statement| statement.sql()).collect();
            parsed += 1;
            let expected = goldens(file, direction);
            if !expected.is_empty() {
                assert_eq!(statements, expected, "{} {}", file.display(), direction.as_str());
                compared += expected.len();
            }
            let no_transaction = text.to_lowercase().contains("+goose no transaction");
            assert_eq!(script.transaction, !no_transaction, "{}", file.display());
        }
    }
    eprintln!("{parsed} scripts parsed, {compared} statements equal to goose's, {refused} files refused");
    assert!(parsed > 20 && compared > 20 && refused > 3, "this is no checkout of goose");
}
