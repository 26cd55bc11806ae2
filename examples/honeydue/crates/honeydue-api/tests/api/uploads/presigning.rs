//! What is signed, for whom, and how often.

use futures::future::join_all;
use serde_json::json;

use super::house::{House, PNG, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_form_or_a_url_brings_exactly_what_was_asked_for() {
    for (how, method, taken) in [("auto", "POST", 201), ("put", "PUT", 200)] {
        let house = House::with(how).await;
        let ada = house.person("ada").await;
        let presigned = ada.presign("task_completion", "image/png", PNG.len()).await.made();
        assert_eq!(presigned["method"], method);
        assert_eq!(
            presigned["expires_at"].as_str().unwrap().len(),
            "2026-01-01T00:00:00Z".len(),
            "{presigned}"
        );
        assert!(house.send(&presigned, &PNG[1..]).await >= 400, "a byte less");
        assert!(house.send(&presigned, &[PNG, b"!"].concat()).await >= 400, "a byte more");
        assert_eq!(house.bucket.keys(), [] as [String; 0]);
        assert_eq!(house.send(&presigned, PNG).await, taken);
        assert_eq!(house.bucket.kept(&ada.pending(&id(&presigned))).as_deref(), Some(PNG));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_come_in_their_order_each_with_a_code_of_its_own() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let path = "/api/uploads/presign";
    let all_wrong =
        json!({ "category": "avatar", "content_type": "text/html", "content_length": 0, "sha256": "x" });
    let stranger = house.call(reqwest::Method::POST, path, "nobody", Some(all_wrong.clone())).await;
    assert_eq!(stranger.refusal(), (401, "unauthorized"));
    let mut request = all_wrong;
    for (code, field, right) in [
        ("unknown_category", "category", json!("task_completion")),
        ("type_not_allowed", "content_type", json!("image/png")),
        ("size_not_allowed", "content_length", json!(7)),
        ("bad_checksum", "sha256", json!(null)),
    ] {
        let refused = ada.post(path, request.clone()).await;
        assert_eq!(refused.refusal(), (422, code));
        assert_eq!(refused.body["error"]["field"], field);
        request[field] = right;
    }
    ada.post(path, request).await.made();
    // PDFs are for documents alone.
    assert_eq!(
        ada.presign("task_completion", "application/pdf", 7).await.refusal(),
        (422, "type_not_allowed")
    );
    ada.presign("document", "application/pdf", 7).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_6_nothing_of_a_client_s_text_gets_into_a_key() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let request = json!({
        "category": "document", "content_type": "image/png", "content_length": 7,
        "key": "../../files/1/x", "filename": "${filename}", "upload_id": "%2e%2e/x", "user_id": 1, "path": "//x"
    });
    let presigned = ada.post("/api/uploads/presign", request).await.made();
    let key = presigned["fields"]["key"].as_str().unwrap();
    assert_eq!(key, ada.pending(&id(&presigned)));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '-';
    assert!(key.chars().all(is_plain) && id(&presigned).len() == 36, "{key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_7_the_51st_within_an_hour_is_refused_wherever_the_hour_begins() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let again = || async {
        house.surroundings.sql("delete from pending_uploads");
        ada.presign("document", "image/png", 7).await
    };
    for number in 0..50 {
        assert_eq!(again().await.status, 201, "{number}");
    }
    let refused = again().await;
    assert_eq!(refused.refusal(), (429, "too_many_presigns"));
    assert!((3500..=3601).contains(&refused.retry_after.unwrap()), "{refused:?}");
    // All fifty were at the end of one clock hour: two minutes into the next they still count.
    let key = format!("presigns:{{{}}}", ada.id);
    let older = |seconds: i64| {
        let script = format!(
            "for _, m in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -{seconds}000000, m) end"
        );
        house.surroundings.redis(&["EVAL", &script, "1", &key]);
    };
    older(3480);
    let refused = again().await;
    assert_eq!(refused.refusal(), (429, "too_many_presigns"));
    assert!((1..=121).contains(&refused.retry_after.unwrap()), "{refused:?}");
    older(121);
    assert_eq!(again().await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_8_of_a_hundred_at_once_with_one_place_left_one_gets_it() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let key = format!("presigns:{{{}}}", ada.id);
    let script = "local t = redis.call('TIME') for i = 1, 49 do redis.call('ZADD', KEYS[1], t[1] * 1000000 + t[2], i) end";
    house.surroundings.redis(&["EVAL", script, "1", &key]);
    let answers = join_all((0..100).map(|_| ada.presign("document", "image/png", 7))).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(201), of(429)), (1, 99));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_9_of_eleven_at_once_with_nine_waiting_one_gets_the_tenth_place() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    for _ in 0..9 {
        ada.presign("document", "image/png", 7).await.made();
    }
    let answers = join_all((0..11).map(|_| ada.presign("document", "image/png", 7))).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(201), of(429)), (1, 10));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.refusal().1, "too_many_uploads");
    assert_eq!(house.surroundings.sql("select count(*) from pending_uploads"), "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_10_without_redis_nothing_is_signed_and_a_forgotten_script_is_loaded_again() {
    let mut house = House::open().await;
    let ada = house.person("ada").await;
    ada.presign("document", "image/png", 7).await.made();
    house.surroundings.redis(&["SCRIPT", "FLUSH"]);
    ada.presign("document", "image/png", 7).await.made();
    let (token, url) = (ada.token.clone(), "/api/uploads/presign");
    house.surroundings.stop_redis();
    let request = json!({ "category": "document", "content_type": "image/png", "content_length": 7 });
    let refused = house.call(reqwest::Method::POST, url, &token, Some(request.clone())).await;
    assert_eq!((refused.refusal(), refused.retry_after), ((503, "limits_unavailable"), Some(5)));
    house.surroundings.start_redis();
    let begun = std::time::Instant::now();
    while house.call(reqwest::Method::POST, url, &token, Some(request.clone())).await.status != 201 {
        assert!(begun.elapsed().as_secs() < 30, "the api does not find Redis again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_11_a_place_that_nothing_came_of_through_our_fault_is_given_back() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let taken = || house.surroundings.redis(&["ZCARD", &format!("presigns:{{{}}}", ada.id)]);
    house.surroundings.sql("alter table pending_uploads rename to away");
    assert_eq!(ada.presign("document", "image/png", 7).await.refusal(), (500, "internal"));
    assert_eq!(taken(), "0");
    house.surroundings.sql("alter table away rename to pending_uploads");
    // What was refused before it was counted does not count, and what the limit itself refuses takes no place.
    assert_eq!(ada.presign("document", "text/html", 7).await.status, 422);
    assert_eq!(taken(), "0");
    ada.presign("document", "image/png", 7).await.made();
    assert_eq!(taken(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_a_place_is_free_when_its_upload_expires_and_not_only_when_it_is_reaped() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    for _ in 0..10 {
        ada.presign("document", "image/png", 7).await.made();
    }
    assert_eq!(ada.presign("document", "image/png", 7).await.refusal(), (429, "too_many_uploads"));
    house.surroundings.sql(
        "update pending_uploads set expires_at = now() where id = (select id from pending_uploads limit 1)",
    );
    ada.presign("document", "image/png", 7).await.made();
    assert_eq!(ada.presign("document", "image/png", 7).await.refusal(), (429, "too_many_uploads"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_frees_its_place_and_can_not_be_attached() {
    let house = House::open().await;
    let (ada, eve) = (house.person("ada").await, house.person("eve").await);
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(id(&ada.presign("task_completion", "image/png", PNG.len()).await.made()));
    }
    let path = format!("/api/uploads/{}", all[0]);
    let delete = reqwest::Method::DELETE;
    assert_eq!(house.call(delete.clone(), &path, &eve.token, None).await.status, 404, "it is another's");
    assert_eq!(ada.presign("document", "image/png", 7).await.status, 429);
    assert_eq!(house.call(delete.clone(), &path, &ada.token, None).await.status, 204);
    assert_eq!(house.call(delete.clone(), &path, &ada.token, None).await.status, 404, "once");
    ada.presign("document", "image/png", 7).await.made();
    assert_eq!(ada.done(&[&all[0]]).await.refusal(), (410, "upload_expired"));
    // What is attached is not given up.
    let photo = {
        house.surroundings.sql("delete from pending_uploads");
        ada.photo().await
    };
    ada.done(&[&photo]).await.made();
    assert_eq!(house.call(delete, &format!("/api/uploads/{photo}"), &ada.token, None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_to_attach_are_counted_too() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let key = format!("attaches:{{{}}}", ada.id);
    let script = "local t = redis.call('TIME') for i = 1, 199 do redis.call('ZADD', KEYS[1], t[1] * 1000000 + t[2], i) end";
    house.surroundings.redis(&["EVAL", script, "1", &key]);
    let photo = ada.photo().await;
    let done = ada.done(&[&photo]).await.made();
    let refused = ada.done(&[&photo]).await;
    assert_eq!(refused.refusal(), (429, "too_many_attaches"));
    assert!(refused.retry_after.is_some_and(|wait| wait > 3500), "{refused:?} {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bucket_files_are_refused_and_all_else_works() {
    let surroundings = honeydue_surroundings::Surroundings::start();
    surroundings.migrate(None).await;
    let bucket = honeydue_surroundings::TestBucket::start().await;
    drop(rustls::crypto::ring::default_provider().install_default());
    let api = honeydue_surroundings::Running::start(surroundings.program(env!("CARGO_BIN_EXE_honeydue-api")));
    let house =
        House { surroundings, bucket, api, http: reqwest::Client::builder().no_proxy().build().unwrap() };
    let ada = house.person("ada").await;
    assert_eq!(ada.presign("document", "image/png", 7).await.refusal(), (503, "uploads_off"));
    assert_eq!(ada.done(&[]).await.made()["files"], json!([]));
}
