//! What happens when a part goes away in the middle, and when everybody comes at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use honeydue_surroundings::{Mood, Operation};
use reqwest::Method;
use serde_json::json;

use super::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_while_its_upload_is_attached_finds_the_answer_when_it_asks_again() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    house.bucket.is(Operation::Copy, Mood::Slow(Duration::from_secs(1)));
    let hung_up = tokio::time::timeout(Duration::from_millis(300), ada.done(&[&photo])).await;
    assert!(hung_up.is_err());
    let begun = Instant::now();
    while ada.done(&[&photo]).await.status != 201 {
        assert!(begun.elapsed().as_secs() < 30, "it is not attached");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(house.surroundings.sql("select count(*) from task_completions"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_killed_while_it_attaches_loses_nothing_and_another_one_attaches() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    house.bucket.is(Operation::Copy, Mood::Forgetful);
    let (token, task) = (ada.token.clone(), ada.task);
    let state = ada.state(&photo);
    assert_eq!(state, "pending");
    let copying = async {
        while house.bucket.seen(Operation::Copy) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let photos = [photo.as_str()];
    tokio::select! {
        answer = ada.done(&photos) => panic!("the store answers nobody: {answer:?}"),
        () = copying => {}
    }
    assert_eq!(ada.state(&photo), "attaching");
    let House { surroundings, bucket, api, http } = house;
    api.kill();
    bucket.is_wholly(Mood::Well);
    let mut command = surroundings.program(env!("CARGO_BIN_EXE_honeydue-api"));
    bucket.known_to(&mut command);
    let house = House { surroundings, api: honeydue_surroundings::Running::start(command), bucket, http };
    let body = json!({ "task_id": task, "upload_ids": [photo] });
    let again = || house.call(Method::POST, "/api/task-completions", &token, Some(body.clone()));
    assert_eq!(again().await.refusal(), (409, "upload_in_hand"), "for five minutes it is the dead one's");
    house.surroundings.sql("update pending_uploads set state_since = now() - interval '5 minutes 1 second'");
    again().await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_in_the_middle_is_found_again_and_nothing_is_attached_twice() {
    let mut house = House::open().await;
    let ada = house.person("ada").await;
    let (token, task, photo) = (ada.token.clone(), ada.task, ada.photo().await);
    house.surroundings.stop_postgres();
    let body = json!({ "task_id": task, "upload_ids": [photo] });
    let refused = house.call(Method::POST, "/api/task-completions", &token, Some(body.clone())).await;
    assert_eq!(refused.status, 500);
    house.surroundings.start_postgres();
    let begun = Instant::now();
    while house.call(Method::POST, "/api/task-completions", &token, Some(body.clone())).await.status != 201 {
        assert!(begun.elapsed().as_secs() < 30, "the api does not find its database again");
    }
    assert_eq!(house.surroundings.sql("select count(*) from files"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_people_at_once_each_get_their_ten_and_not_one_more() {
    const PEOPLE: usize = 1000;
    let house = House::open().await;
    let ada = house.person("ada").await;
    // People without passwords to hash, who are signed in already.
    house.surroundings.sql(&format!(
        "insert into users (email, name, password_hash) select 'p' || n || '@example.com', 'p', '' from generate_series(1, {PEOPLE}) n"
    ));
    let token = |number: usize| honeydue_store::Token::parse(&format!("{number:064x}")).unwrap();
    let sealer = honeydue_service::Sealer::new("a key for tests");
    for chunk in (1..=PEOPLE).collect::<Vec<_>>().chunks(200) {
        let rows: Vec<String> = chunk
            .iter()
            .map(|n| format!("('{}', (select id from users where email = 'p{n}@example.com'), now() + interval '1 day')", token(*n).sealed(&sealer)))
            .collect();
        house.surroundings.sql(&format!(
            "insert into sessions (token_hash, user_id, expires_at) values {}",
            rows.join(", ")
        ));
    }
    let request = json!({ "category": "document", "content_type": "image/png", "content_length": 7 });
    // Twelve each, two more than there is room for: twelve thousand requests, 200 at any moment.
    let all: Vec<usize> = (0..12).flat_map(|_| 1..=PEOPLE).collect();
    let (mut made, mut full) = (0, 0);
    for some in all.chunks(200) {
        let tokens: Vec<String> = some.iter().map(|n| token(*n).into_text()).collect();
        let answers = join_all(
            tokens
                .iter()
                .map(|token| house.call(Method::POST, "/api/uploads/presign", token, Some(request.clone()))),
        )
        .await;
        for answer in answers {
            match answer.refusal() {
                (201, _) => made += 1,
                (429, "too_many_uploads") => full += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((made, full), (PEOPLE * 10, PEOPLE * 2));
    let exact = "select count(*) from (select user_id from pending_uploads group by user_id having count(*) = 10) each";
    assert_eq!(house.surroundings.sql(exact), PEOPLE.to_string());
    drop(ada);
}
