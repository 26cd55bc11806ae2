//! How the api starts, on which schema, and how it leaves.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::support::{ServesTheApi as _, Surroundings, until};
use honeydue_service::Release;

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_a_schema_that_is_missing_or_old_with_the_schema_exit_code() {
    let surroundings = Surroundings::start();
    let missing = surroundings.api_ends();
    assert_eq!(missing.status.code(), Some(i32::from(skep_migrate::SCHEMA_EXIT_CODE)));
    assert!(String::from_utf8_lossy(&missing.stdout).contains("goose_db_version"));

    surroundings.migrate(Some(20_260_105_091_500)).await;
    let behind = surroundings.api_ends();
    assert_eq!(behind.status.code(), Some(i32::from(skep_migrate::SCHEMA_EXIT_CODE)));
    let said = String::from_utf8_lossy(&behind.stdout).into_owned();
    assert!(
        said.contains("20260105091500") && said.contains(&honeydue_store::NEWEST_MIGRATION.to_string()),
        "{said}"
    );

    surroundings.migrate(None).await;
    let running = surroundings.serve();
    let release: Release = running.client.get("/api/version/", None).await.unwrap();
    assert_eq!(release.greeting, "hello from the test");
}

#[test]
fn a_missing_setting_is_named_with_its_source() {
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_honeydue-api"))
        .env_clear()
        .env("DB_HOST", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains("DB_PASSWORD is not set; it comes from the Secret honeydue-secrets"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_leave_it_answers_what_it_has_begun_and_takes_nothing_new() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let running = surroundings.serve();

    // A request whose head has arrived and whose body has not: it is under way.
    let body = r#"{"email":"ada@example.com","name":"Ada","password":"a long password"}"#;
    let mut slow = TcpStream::connect(&running.address).unwrap();
    let head = format!(
        "POST /api/auth/register/ HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&body.as_bytes()[..10]).unwrap();
    // A second request, answered, proves that the server has long read the first one's head.
    running.client.get::<Release>("/api/version/", None).await.unwrap();

    running.terminate();
    running.says("draining");
    until("no new connection is taken", || TcpStream::connect(&running.address).is_err());
    slow.write_all(&body.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    assert_eq!(running.ends(), Some(0));
}
