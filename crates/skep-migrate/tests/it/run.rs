//! The runner against a real Postgres: the table, the order, transactions, failures.

use std::time::Duration;

use skep_migrate::{
    Catalog, Environment, LockError, LockPolicy, Migrator, Missing, PlanError, Progress, RunError, Session,
    SourceError, Task,
};
use sqlx::{Connection as _, Row as _};

use crate::server::Postgres;

const THREE: [(&str, &str); 3] = [
    ("00001_users.sql", "-- +goose Up\nCREATE TABLE users (id int);\n-- +goose Down\nDROP TABLE users;\n"),
    (
        "00002_tasks.sql",
        "-- +goose Up\nCREATE TABLE tasks (id int);\nINSERT INTO tasks VALUES (1);\n-- +goose Down\nDROP TABLE tasks;\n",
    ),
    ("00003_empty.sql", "-- +goose Up\n-- +goose Down\n"),
];

fn migrator(files: &[(&str, &str)]) -> Migrator {
    Migrator::new(Catalog::embedded(files.iter().copied()).unwrap())
}

async fn run(migrator: &Migrator, session: &mut Session, task: Task) -> Result<(Vec<String>, i64), RunError> {
    let mut ran = Vec::new();
    let outcome = migrator
        .run(session, task, &mut |progress| {
            if let Progress::Finished(done) = progress {
                ran.push(format!("{} {}", done.direction.as_str(), done.name));
            }
        })
        .await?;
    assert_eq!(outcome.ran, ran.len());
    Ok((ran, outcome.version))
}

async fn rows(postgres: &Postgres) -> Vec<(i32, i64, bool)> {
    let rows = postgres.rows("SELECT id, version_id, is_applied FROM goose_db_version ORDER BY id").await;
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn the_table_is_gooses() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    run(&migrator(&THREE[..1]), &mut session, Task::Up).await.unwrap();
    assert_eq!(rows(&postgres).await, [(1, 0, true), (2, 1, true)]);
    let columns = postgres
        .rows(
            "SELECT column_name, data_type, is_nullable, coalesce(column_default, ''), \
             coalesce(identity_generation, '') FROM information_schema.columns \
             WHERE table_name = 'goose_db_version' ORDER BY ordinal_position",
        )
        .await;
    let columns: Vec<[String; 5]> =
        columns.iter().map(|row| std::array::from_fn(|index| row.get(index))).collect();
    assert_eq!(
        columns,
        [
            ["id", "integer", "NO", "", "BY DEFAULT"],
            ["version_id", "bigint", "NO", "", ""],
            ["is_applied", "boolean", "NO", "", ""],
            ["tstamp", "timestamp without time zone", "NO", "now()", ""],
        ]
    );
    let key = "SELECT count(*) FROM pg_index WHERE indrelid = 'goose_db_version'::regclass AND indisprimary";
    assert_eq!(postgres.number(key).await, 1);
}

#[tokio::test]
async fn up_and_down_again() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let all = migrator(&THREE);
    assert_eq!(all.version(&mut session).await.unwrap(), 0);
    let step = run(&all, &mut session, Task::UpByOne).await.unwrap();
    assert_eq!(step, (vec!["up 00001_users.sql".into()], 1));
    let (ran, version) = run(&all, &mut session, Task::Up).await.unwrap();
    assert_eq!((ran.len(), version), (2, 3));
    // Nothing left: no change, no error.
    assert_eq!(run(&all, &mut session, Task::Up).await.unwrap(), (vec![], 3));
    assert_eq!(run(&all, &mut session, Task::UpByOne).await.unwrap(), (vec![], 3));
    let times: Vec<bool> =
        all.status(&mut session).await.unwrap().iter().map(|line| line.applied_at.is_some()).collect();
    assert_eq!(times, [true, true, true]);

    let down = run(&all, &mut session, Task::Down).await.unwrap();
    assert_eq!(down, (vec!["down 00003_empty.sql".into()], 2));
    // goose 3 deletes the row.
    assert_eq!(rows(&postgres).await, [(1, 0, true), (2, 1, true), (3, 2, true)]);
    let redo = run(&all, &mut session, Task::Redo).await.unwrap();
    assert_eq!(redo, (vec!["down 00002_tasks.sql".into(), "up 00002_tasks.sql".into()], 2));
    assert_eq!(run(&all, &mut session, Task::UpTo(2)).await.unwrap(), (vec![], 2));
    let down = run(&all, &mut session, Task::DownTo(1)).await.unwrap();
    assert_eq!(down, (vec!["down 00002_tasks.sql".into()], 1));
    run(&all, &mut session, Task::Up).await.unwrap();
    let (ran, version) = run(&all, &mut session, Task::Reset).await.unwrap();
    assert_eq!((ran.len(), version), (3, 0));
    assert_eq!(run(&all, &mut session, Task::DownTo(0)).await.unwrap(), (vec![], 0));
    let below = run(&all, &mut session, Task::Down).await.unwrap_err();
    assert!(matches!(below, RunError::Plan(PlanError::NoFile(0))), "{below}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.number(tables).await, 1);
}

#[tokio::test]
async fn a_migration_that_came_late() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let early = [THREE[0], THREE[2]];
    run(&migrator(&early), &mut session, Task::Up).await.unwrap();
    let refused = run(&migrator(&THREE), &mut session, Task::Up).await.unwrap_err();
    assert!(refused.to_string().contains("00002_tasks.sql"), "{refused}");
    let allowing = migrator(&THREE).missing(Missing::Allow);
    run(&allowing, &mut session, Task::Up).await.unwrap();
    // The last one recorded is current, as in goose: a down takes that one back.
    assert_eq!(allowing.version(&mut session).await.unwrap(), 2);
    let down = run(&allowing, &mut session, Task::Down).await.unwrap();
    assert_eq!(down, (vec!["down 00002_tasks.sql".into()], 3));
}

#[tokio::test]
async fn goose_2_rows_and_a_table_of_another_name() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let named = migrator(&THREE).table(skep_migrate::TableName::new("public.history").unwrap());
    run(&named, &mut session, Task::UpTo(2)).await.unwrap();
    // goose 2 recorded a down as a row of its own.
    postgres.rows("INSERT INTO history (version_id, is_applied) VALUES (2, false); DROP TABLE tasks").await;
    assert_eq!(named.version(&mut session).await.unwrap(), 1);
    let status = named.status(&mut session).await.unwrap();
    assert_eq!(status.iter().map(|line| line.applied_at.is_some()).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(run(&named, &mut session, Task::Up).await.unwrap().0.len(), 2);
    postgres.rows("DELETE FROM history").await;
    let empty = run(&named, &mut session, Task::Up).await.unwrap_err();
    assert!(matches!(empty, RunError::Plan(PlanError::NoCurrent { .. })), "{empty}");
}

#[tokio::test]
async fn a_failing_statement_leaves_nothing_of_its_file() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let bad = "-- +goose Up\nCREATE TABLE half (id int);\n\n-- why\nINSERT INTO half\n  VALUES (1, nope);\n";
    let files =
        [THREE[0], ("00002_bad.sql", bad), ("00003_never.sql", "-- +goose Up\nCREATE TABLE never ();\n")];
    let error = run(&migrator(&files), &mut session, Task::Up).await.unwrap_err();
    let RunError::Failed(failed) = &error else { panic!("{error}") };
    assert_eq!((failed.path.to_str(), failed.line, failed.column), (Some("00002_bad.sql"), 6, Some(14)));
    assert_eq!(failed.statement.as_ref().unwrap().sql(), "INSERT INTO half\n  VALUES (1, nope);");
    assert_eq!((failed.done, failed.transaction), ((1, 2), true));
    assert_eq!(failed.message.code.as_deref(), Some("42703"));
    assert_eq!(failed.message.message, "column \"nope\" does not exist");
    assert_eq!(rows(&postgres).await, [(1, 0, true), (2, 1, true)]);
    assert_eq!(
        postgres.number("SELECT count(*) FROM pg_tables WHERE tablename IN ('half', 'never')").await,
        0
    );
    // The session is fit for the next run, and nobody holds the lock.
    let good = [THREE[0], THREE[1]];
    run(&migrator(&good), &mut session, Task::Up).await.unwrap();
}

#[tokio::test]
async fn everything_the_server_says_is_kept() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let text = "-- +goose Up\nCREATE TABLE one (id int UNIQUE);\nINSERT INTO one VALUES (1), (1);\n";
    let error = run(&migrator(&[("1_a.sql", text)]), &mut session, Task::Up).await.unwrap_err();
    let RunError::Failed(failed) = &error else { panic!("{error}") };
    assert_eq!(failed.message.detail.as_deref(), Some("Key (id)=(1) already exists."));
    assert_eq!((failed.line, failed.column), (3, None));
    let text = "-- +goose Up\n-- +goose StatementBegin\nDO $$ BEGIN\n  PERFORM nope();\nEND $$\n-- +goose StatementEnd\n";
    let error = run(&migrator(&[("1_a.sql", text)]), &mut session, Task::Up).await.unwrap_err();
    let RunError::Failed(failed) = &error else { panic!("{error}") };
    assert!(failed.message.hint.as_ref().unwrap().contains("explicit type casts"), "{:?}", failed.message);
    assert!(failed.message.context.as_ref().unwrap().contains("line 2"), "{:?}", failed.message);
    // A constraint that is checked at the commit belongs to no statement.
    let text = "-- +goose Up\nCREATE TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO d VALUES (1), (1);\n";
    let error = run(&migrator(&[("1_a.sql", text)]), &mut session, Task::Up).await.unwrap_err();
    let RunError::Failed(failed) = &error else { panic!("{error}") };
    assert_eq!((&failed.statement, failed.message.code.as_deref()), (&None, Some("23505")));
    assert_eq!(rows(&postgres).await, [(1, 0, true)]);
}

#[tokio::test]
async fn no_transaction_runs_what_a_transaction_cannot() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let text = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE t (id int);\nCREATE INDEX CONCURRENTLY i ON t (id);\nVACUUM t;\n";
    run(&migrator(&[("1_a.sql", text)]), &mut session, Task::Up).await.unwrap();
    let text = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE kept ();\nSELECT nope;\n";
    let files = [("1_a.sql", "-- +goose Up\n"), ("2_b.sql", text)];
    let error = run(&migrator(&files), &mut session, Task::Up).await.unwrap_err();
    let RunError::Failed(failed) = &error else { panic!("{error}") };
    assert_eq!((failed.done, failed.transaction), ((1, 2), false));
    assert_eq!(postgres.number("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'").await, 1);
}

#[tokio::test]
async fn blocks_of_several_commands_and_variables() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let text = "\
-- +goose ENVSUB ON
-- +goose Up
-- +goose StatementBegin
CREATE TABLE ${PREFIX}one (id int);
CREATE TABLE ${PREFIX}two (id int);
-- +goose StatementEnd
SELECT 1; SELECT 2;
";
    let environment: Environment = [("PREFIX", "shop_")].into_iter().collect();
    let migrator = migrator(&[("1_a.sql", text)]).environment(environment);
    run(&migrator, &mut session, Task::Up).await.unwrap();
    assert_eq!(postgres.number("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'shop\\_%'").await, 2);
}

#[tokio::test]
async fn a_mistake_in_a_later_file_stops_the_run_before_it_began() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let files = [THREE[0], ("00002_bad.sql", "-- +goose Up\nSELECT 1\n")];
    let error = run(&migrator(&files), &mut session, Task::Up).await.unwrap_err();
    assert!(matches!(error, RunError::Source(SourceError::Parse { .. })), "{error}");
    assert_eq!(
        error.to_string().lines().next().map(|line| line.starts_with("00002_bad.sql:2:1: ")),
        Some(true)
    );
    assert_eq!(rows(&postgres).await, [(1, 0, true)]);
}

#[tokio::test]
async fn without_versions_files_run_every_time() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    postgres.rows("CREATE TABLE seed (id int)").await;
    let files =
        [("1_seed.sql", "-- +goose Up\nINSERT INTO seed VALUES (1);\n-- +goose Down\nTRUNCATE seed;\n")];
    let seeds = migrator(&files).unversioned();
    run(&seeds, &mut session, Task::Up).await.unwrap();
    run(&seeds, &mut session, Task::Up).await.unwrap();
    assert_eq!(postgres.number("SELECT count(*) FROM seed").await, 2);
    run(&seeds, &mut session, Task::Reset).await.unwrap();
    assert_eq!(postgres.number("SELECT count(*) FROM seed").await, 0);
    assert_eq!(
        postgres.number("SELECT count(*) FROM pg_tables WHERE tablename = 'goose_db_version'").await,
        0
    );
}

#[tokio::test]
async fn the_lock_is_gooses_and_is_waited_for() {
    let postgres = Postgres::start().await;
    let mut session = postgres.session().await;
    let quick = LockPolicy { interval: Duration::from_millis(20), retries: 3, ..LockPolicy::default() };
    let migrator = migrator(&THREE).lock(quick);
    let mut other = postgres.connection().await;
    sqlx::raw_sql("SET application_name = 'goose'; SELECT pg_advisory_lock(4097083626)")
        .execute(&mut other)
        .await
        .unwrap();
    let mut waited = 0;
    let error = migrator
        .run(&mut session, Task::Up, &mut |progress| {
            waited += i32::from(matches!(progress, Progress::WaitingForLock(Some(_))));
        })
        .await
        .unwrap_err();
    assert_eq!(waited, 3);
    let RunError::Lock(LockError::Busy { holder: Some(holder), .. }) = &error else { panic!("{error}") };
    assert!(holder.about.starts_with("goose, 127.0.0.1"), "{holder}");
    assert_eq!(
        postgres.number("SELECT count(*) FROM pg_tables WHERE tablename = 'goose_db_version'").await,
        0
    );
    other.close().await.unwrap();
    let free = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    postgres.until(free, 0, Duration::from_secs(5)).await;
    run(&migrator, &mut session, Task::Up).await.unwrap();
    assert_eq!(postgres.number(free).await, 0);
}

#[tokio::test]
async fn the_time_zone_is_the_databases_own() {
    let postgres = Postgres::start().await;
    postgres.rows("ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'").await;
    let mut session = postgres.session().await;
    let row = sqlx::raw_sql("SHOW timezone").fetch_one(session.connection()).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "Asia/Tokyo");
}
