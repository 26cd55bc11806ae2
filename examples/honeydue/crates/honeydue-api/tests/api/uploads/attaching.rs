//! From sent to kept: all or nothing, once, and only what was promised.

use std::time::Duration;

use futures::future::join_all;
use honeydue_surroundings::{Mood, Operation, until};
use serde_json::{Value, json};

use super::house::{House, PNG, id};

const OTHERS: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR, but of another picture, of as many by";

#[tokio::test(flavor = "multi_thread")]
async fn photos_and_pages_are_kept_where_no_form_reaches_and_the_same_request_has_the_same_answer() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let (one, two) = (ada.photo().await, ada.photo().await);
    let done = ada.done(&[&one, &two]).await.made();
    assert_eq!(done["files"].as_array().unwrap().len(), 2);
    assert_eq!(ada.done(&[&two, &one]).await.made(), done, "the same request again, in any order");
    let completions = ada.get(&format!("/api/tasks/{}/completions", ada.task)).await;
    assert_eq!(completions.body, json!([done]), "and it was done once");
    until("what was copied is gone from where it was sent to", || {
        house.bucket.kept(&ada.pending(&one)).is_none()
    });
    assert_eq!(house.bucket.kept(&ada.kept(&one)).as_deref(), Some(PNG));

    let page = ada.page().await;
    let document = ada.document(&[&page]).await.made();
    assert_eq!(document["files"][0]["content_type"], "application/pdf");
    assert_eq!(ada.document(&[&page]).await.made(), document);
    let listed = ada.get(&format!("/api/residences/{}/documents", ada.residence)).await;
    assert_eq!(listed.body, json!([document]));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_27_another_s_upload_answers_as_one_that_never_was() {
    let house = House::open().await;
    let (ada, eve) = (house.person("ada").await, house.person("eve").await);
    let photo = ada.photo().await;
    let never = "00000000-0000-4000-8000-000000000000";
    let (foreign, unknown) = (eve.done(&[&photo]).await, eve.done(&[never]).await);
    assert_eq!(foreign.refusal(), (404, "unknown_upload"));
    let same = |answer: &Value| answer.to_string().replace(&photo, "ID").replace(never, "ID");
    assert_eq!(same(&foreign.body), same(&unknown.body));
    // After it was attached, too.
    ada.done(&[&photo]).await.made();
    assert_eq!(eve.done(&[&photo]).await.refusal(), (404, "unknown_upload"));
    assert_eq!(ada.get(&format!("/api/files/{photo}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_28_another_s_task_or_residence_takes_nothing() {
    let house = House::open().await;
    let (ada, eve) = (house.person("ada").await, house.person("eve").await);
    let (photo, page) = (eve.photo().await, eve.page().await);
    let body = json!({ "task_id": ada.task, "upload_ids": [photo] });
    assert_eq!(eve.post("/api/task-completions", body).await.refusal(), (404, "not_found"));
    let body = json!({ "residence_id": ada.residence, "title": "Mine", "upload_ids": [page] });
    assert_eq!(eve.post("/api/documents", body).await.refusal(), (404, "not_found"));
    // Both are still hers to attach.
    eve.done(&[&photo]).await.made();
    eve.document(&[&page]).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_29_an_upload_of_one_category_is_not_attached_as_another() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let (photo, page) = (ada.photo().await, ada.page().await);
    assert_eq!(ada.document(&[&photo]).await.refusal(), (422, "wrong_category"));
    assert_eq!(ada.done(&[&page]).await.refusal(), (422, "wrong_category"));
    assert_eq!((ada.state(&photo), ada.state(&page)), ("pending".into(), "pending".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_30_and_31_ids_twice_too_many_or_none_at_all_are_refused_before_anything_is_looked_up() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    let upper = photo.to_uppercase();
    let never = "00000000-0000-4000-8000-000000000000";
    for ids in [
        vec![photo.as_str(), photo.as_str()],
        vec![photo.as_str(), upper.as_str()],
        vec![never; 11],
        vec!["1"],
        vec![""],
        vec!["../../files"],
        vec!["'; drop table users; --"],
    ] {
        assert_eq!(ada.done(&ids).await.refusal(), (422, "invalid"), "{ids:?}");
    }
    // More than any body may have: refused before it is read, so whoever is still sending may see no more than the end of the connection.
    let most = json!({ "task_id": ada.task, "upload_ids": vec![never; 10_000] });
    let url = format!("http://{}/api/task-completions", house.api.address);
    let refused = house.http.post(url).bearer_auth(&ada.token).json(&most).send().await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 413));
    for ids in [json!("x"), json!([7]), json!({}), json!([null])] {
        let body = json!({ "task_id": ada.task, "upload_ids": ids });
        assert!((400..500).contains(&ada.post("/api/task-completions", body).await.status), "{ids}");
    }
    assert_eq!(ada.document(&[]).await.refusal(), (422, "invalid"), "a document without pages");
    assert_eq!(ada.state(&photo), "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_32_of_many_requests_at_once_one_attaches_and_the_others_have_its_answer_or_are_told_to_wait() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    // Whatever order their ids have, nobody waits in a circle.
    for _ in 0..6 {
        let (one, two, three) = (ada.photo().await, ada.photo().await, ada.photo().await);
        let ids = [one.as_str(), two.as_str(), three.as_str()];
        let answers = join_all((0..16).map(|_| ada.done(&ids))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(
            statuses.contains(&201) && statuses.iter().all(|status| [201, 409].contains(status)),
            "{answers:?}"
        );
    }
    house.surroundings.sql("delete from task_completions");
    let (one, two) = (ada.photo().await, ada.photo().await);
    let ids = [one.as_str(), two.as_str()];
    let reversed = [two.as_str(), one.as_str()];
    let answers = join_all((0..16).map(|n| ada.done(if n % 2 == 0 { &ids } else { &reversed }))).await;
    let made: Vec<&Value> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| &answer.body).collect();
    assert!(!made.is_empty() && made.iter().all(|one| *one == made[0]), "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        let told = (answer.refusal(), answer.retry_after);
        assert_eq!(told, ((409, "upload_in_hand"), Some(1)), "{}", house.api.log());
    }
    // Another request for one of them finds it taken; one for both is the first one.
    assert_eq!(ada.done(&[&one]).await.refusal(), (409, "upload_taken"));
    assert_eq!(&ada.done(&ids).await.made(), made[0]);
    assert_eq!(house.surroundings.sql("select count(*) from task_completions"), "1");
    assert_eq!(house.surroundings.sql("select count(*) from files where completion_id is not null"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_33_what_a_transaction_that_failed_had_claimed_can_be_claimed_again() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    house.surroundings.sql("alter table files rename column owner_id to away");
    assert_eq!(ada.done(&[&photo]).await.refusal(), (500, "internal"));
    house.surroundings.sql("alter table files rename column away to owner_id");
    assert_eq!(house.surroundings.sql("select count(*) from task_completions"), "0");
    ada.done(&[&photo]).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_34_of_a_list_that_is_good_but_for_one_nothing_is_attached() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let good = ada.photo().await;
    let never_sent = id(&ada.presign("task_completion", "image/png", PNG.len()).await.made());
    assert_eq!(ada.done(&[&good, &never_sent]).await.refusal(), (409, "not_uploaded"));
    assert_eq!((ada.state(&good), ada.state(&never_sent)), ("pending".into(), "pending".into()));
    assert_eq!(house.surroundings.sql("select count(*) from task_completions"), "0");
    assert_eq!(house.bucket.seen(Operation::Copy), 0, "nothing is copied for a list that can't be attached");
    ada.done(&[&good]).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_35_what_is_not_there_empty_a_byte_off_or_of_another_type_is_not_what_was_promised() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    let key = ada.pending(&photo);
    for bytes in [&b""[..], &PNG[..PNG.len() - 1], &[PNG, b"!"].concat()] {
        house.bucket.put(&key, bytes);
        assert_eq!(ada.done(&[&photo]).await.refusal(), (422, "wrong_size"), "{} bytes", bytes.len());
    }
    house.bucket.remove(&key);
    assert_eq!(ada.done(&[&photo]).await.refusal(), (409, "not_uploaded"));
    // A store that was told another type: the row's is the promise.
    let other = ada.photo().await;
    house
        .surroundings
        .sql(&format!("update pending_uploads set content_type = 'image/webp' where id = '{other}'"));
    assert_eq!(ada.done(&[&other]).await.refusal(), (422, "wrong_type"));
    assert!(!house.bucket.keys().iter().any(|key| key.starts_with("files/")), "{:?}", house.bucket.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_36_bytes_that_come_between_the_look_and_the_copy_are_not_kept() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let presigned = ada.presign("task_completion", "image/png", PNG.len()).await.made();
    assert_eq!(house.send(&presigned, PNG).await, 201);
    let (photo, others) = (id(&presigned), &OTHERS[..PNG.len()]);
    // The same form, used again at the worst moment.
    let (http, again) = (house.http.clone(), presigned.clone());
    let handle = tokio::runtime::Handle::current();
    house.bucket.before_the_next(Operation::Copy, move || {
        let body = super::house::form(&again, others);
        tokio::task::block_in_place(|| handle.block_on(super::house::post(&http, &again, body)));
    });
    assert_eq!(ada.done(&[&photo]).await.refusal(), (409, "upload_changed"));
    assert_eq!(ada.state(&photo), "pending");
    assert_eq!(house.bucket.kept(&ada.kept(&photo)), None);
    // What is there now is a picture too: asked again, it is that one that is looked at, and kept.
    ada.done(&[&photo]).await.made();
    assert_eq!(house.bucket.kept(&ada.kept(&photo)).as_deref(), Some(others));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_22_and_23_a_form_is_used_again_before_and_after_and_what_is_served_stays() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let presigned = ada.presign("task_completion", "image/png", PNG.len()).await.made();
    assert_eq!(house.send(&presigned, &OTHERS[..PNG.len()]).await, 201);
    assert_eq!(house.send(&presigned, PNG).await, 201);
    let photo = id(&presigned);
    ada.done(&[&photo]).await.made();
    assert_eq!(house.send(&presigned, &OTHERS[..PNG.len()]).await, 201, "the form still lives");
    let link = ada.get(&format!("/api/files/{photo}")).await.body;
    let served = house.http.get(link["url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(served, PNG);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_37_after_it_has_expired_an_upload_is_not_attached_reaped_or_not() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    house.surroundings.sql("update pending_uploads set expires_at = now()");
    assert_eq!(ada.done(&[&photo]).await.refusal(), (410, "upload_expired"));
    assert!(house.bucket.kept(&ada.pending(&photo)).is_some(), "the reaper has not come yet");
    assert_eq!(house.bucket.kept(&ada.kept(&photo)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_39_a_store_that_is_busy_silent_or_forgets_changes_nothing() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    for (operation, mood) in [
        (Operation::Get, Mood::Busy),
        (Operation::Get, Mood::Silent),
        (Operation::Copy, Mood::Busy),
        (Operation::Copy, Mood::Forgetful),
    ] {
        house.bucket.is(operation, mood);
        let refused = ada.done(&[&photo]).await;
        assert_eq!(
            (refused.refusal(), refused.retry_after),
            ((503, "storage_unavailable"), Some(5)),
            "{operation:?} {mood:?}"
        );
        house.bucket.is_wholly(Mood::Well);
        assert_eq!(ada.state(&photo), "pending", "{operation:?} {mood:?}");
        assert_eq!(house.surroundings.sql("select count(*) from files"), "0");
    }
    // Late is not never, and what can't be removed yet is kept all the same.
    house.bucket.is(Operation::Copy, Mood::Slow(Duration::from_secs(1)));
    house.bucket.is(Operation::Delete, Mood::Busy);
    ada.done(&[&photo]).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_40_what_only_calls_itself_a_picture_is_not_kept() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let avif = b"\0\0\0\x18ftypavif\0\0\0\0mif1heic and so on";
    let cut = b"\0\0\0\x18ftypheic";
    for (content_type, bytes) in [
        ("image/png", &b"<html><script>alert(1)</script></html>"[..]),
        ("image/png", b"\x89PNG\r\n\x1a\n<html>a header alone</html>"),
        ("image/webp", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"),
        ("image/jpeg", PNG),
        ("image/heic", avif),
        ("image/heic", cut),
        ("image/heif", b"\0\0\0\x18ftypmp42\0\0\0\0isommp41 and so on"),
    ] {
        let upload = ada.sent("task_completion", content_type, bytes).await;
        let refused = ada.done(&[&upload]).await;
        assert_eq!(
            refused.refusal(),
            (422, "wrong_content"),
            "{content_type} {}",
            String::from_utf8_lossy(bytes)
        );
        house.surroundings.sql("delete from pending_uploads");
    }
    let zip = ada.sent("document", "application/pdf", b"PK\x03\x04 %PDF-1.7").await;
    assert_eq!(ada.document(&[&zip]).await.refusal(), (422, "wrong_content"));
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and so on";
    let named_either_way = ada.sent("task_completion", "image/heif", heic).await;
    ada.done(&[&named_either_way]).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_was_promised_is_kept_on_stores_that_check_it_and_on_those_that_do_not() {
    use sha2::{Digest as _, Sha256};
    let others = &OTHERS[..PNG.len()];
    for how in ["post", "put"] {
        let house = House::with(how).await;
        let ada = house.person("ada").await;
        let sha256: String = Sha256::digest(PNG).iter().map(|byte| format!("{byte:02x}")).collect();
        let request = json!({ "category": "task_completion", "content_type": "image/png", "content_length": PNG.len(), "sha256": sha256 });
        let presigned = ada.post("/api/uploads/presign", request).await.made();
        house.send(&presigned, others).await;
        let photo = id(&presigned);
        // Whatever the store has kept of it.
        let refused = ada.done(&[&photo]).await;
        assert!(
            matches!(refused.refusal(), (422, "wrong_checksum" | "wrong_type") | (409, "not_uploaded")),
            "{how}: {refused:?}"
        );
        if refused.refusal().1 == "wrong_checksum" {
            let again = ada.done(&[&photo]).await;
            assert_eq!(again.refusal(), (409, "not_uploaded"), "the same bytes are not read twice");
        }
        house.send(&presigned, PNG).await;
        ada.done(&[&photo]).await.made();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_48_a_person_who_is_deleted_while_something_is_attached_keeps_nothing() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    house.bucket.is(Operation::Copy, Mood::Slow(Duration::from_secs(2)));
    let photos = [photo.as_str()];
    let (attached, deleted) = tokio::join!(ada.done(&photos), async {
        while house.bucket.seen(Operation::Copy) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ada.post("/api/me/delete", json!({ "password": "a long password" })).await
    });
    assert_eq!(deleted.status, 204);
    assert_eq!(attached.refusal(), (401, "unauthorized"));
    assert_eq!(house.surroundings.sql("select count(*) from files"), "0");
    // A copy that was made goes with the rest of her.
    assert_eq!(
        house.surroundings.sql("select user_id from erasures where finished_at is null"),
        ada.id.to_string()
    );
    assert_eq!(ada.presign("document", "image/png", 7).await.refusal(), (401, "unauthorized"));
}
