//! What nobody keeps goes, and nothing else.

use std::time::Duration;

use honeydue_files::{keys, reaper::reap};
use honeydue_store::uploads::Reaped;
use honeydue_surroundings::{Mood, Operation, until};

use crate::shed::{PNG, Shed};

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_goes_with_its_object_and_what_has_not_stays() {
    let shed = Shed::open().await;
    let (ada, task) = shed.person("ada");
    let (late, kept) = (shed.sent(ada).await, shed.sent(ada).await);
    shed.attach(ada, task, kept).await.unwrap();
    shed.expire();
    let waiting = shed.sent(ada).await;
    let done = reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
    assert_eq!((done.reaped, done.refused), (1, 0));
    assert_eq!(shed.bucket.kept(&keys::pending(ada, late)), None);
    assert!(shed.bucket.kept(&keys::pending(ada, waiting)).is_some());
    assert!(shed.bucket.kept(&keys::kept(ada, kept)).is_some());
    let again = reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
    assert_eq!(again, Reaped::default());
    let report = shed.store.upload_report().await.unwrap();
    assert_eq!((report.reaped, report.kept.count, report.runs.len()), (1, 1, 2));
    assert!(report.runs.iter().all(|run| run.is_finished) && !report.is_overdue);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_23_what_a_form_brought_after_its_upload_was_attached_goes_once_the_form_is_dead() {
    let shed = Shed::open().await;
    let (ada, task) = shed.person("ada");
    let photo = shed.sent(ada).await;
    shed.attach(ada, task, photo).await.unwrap();
    until("the first one is gone", || shed.bucket.kept(&keys::pending(ada, photo)).is_none());
    shed.send(ada, photo).await;
    assert_eq!(reap(&shed.store, &shed.storage, |_| {}).await.unwrap(), Reaped::default(), "the form lives");
    shed.expire();
    let done = reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
    assert_eq!((done.cleared, done.reaped), (1, 0));
    assert_eq!(shed.bucket.keys().iter().filter(|key| key.starts_with("uploads/")).count(), 0);
    assert!(shed.bucket.kept(&keys::kept(ada, photo)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_what_was_deleted_go_within_a_run() {
    let shed = Shed::open().await;
    let (ada, task) = shed.person("ada");
    let photo = shed.sent(ada).await;
    shed.attach(ada, task, photo).await.unwrap();
    shed.store.delete_task(ada, task).await.unwrap();
    let done = reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
    assert_eq!(done.orphaned, 1);
    assert_eq!(
        (shed.bucket.kept(&keys::kept(ada, photo)), shed.sql("select count(*) from files")),
        (None, "0".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn case_41_an_upload_is_attached_or_reaped_and_never_both() {
    let shed = Shed::open().await;
    let mut attaching = Vec::new();
    for number in 0..40 {
        let (user, task) = shed.person(&format!("p{number}"));
        let upload = shed.sent(user).await;
        attaching.push((user, task, upload));
    }
    // Each expires at another moment of the seconds in which it is attached and reaped.
    shed.sql("update pending_uploads set expires_at = now() + (random() * interval '3 seconds')");
    let begun = std::time::Instant::now();
    let reaping = async {
        while begun.elapsed() < Duration::from_millis(4500) {
            reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
        }
    };
    let attached = async {
        let mut all = Vec::new();
        for &(user, task, upload) in &attaching {
            tokio::time::sleep(Duration::from_millis(75)).await;
            all.push(shed.attach(user, task, upload).await.is_ok());
        }
        all
    };
    let ((), attached) = tokio::join!(reaping, attached);
    let kept = attached.iter().filter(|attached| **attached).count();
    assert!(kept > 0 && kept < attached.len(), "some of each: {kept}");
    for (&(user, _, upload), attached) in attaching.iter().zip(attached) {
        assert_eq!(shed.bucket.kept(&keys::kept(user, upload)).as_deref(), attached.then_some(PNG));
    }
    assert_eq!(shed.sql("select count(*) from files"), kept.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_42_two_reapers_at_once_reap_each_upload_once() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    shed.expired(ada, 2000);
    let one = reap(&shed.store, &shed.storage, |_| {});
    let other = reap(&shed.store, &shed.storage, |_| {});
    let (one, other) = tokio::join!(one, other);
    let (one, other) = (one.unwrap().reaped, other.unwrap().reaped);
    assert_eq!(one + other, 2000, "{one} and {other}");
    assert_eq!(
        (shed.bucket.keys(), shed.sql("select count(*) from pending_uploads")),
        (Vec::new(), "0".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn case_43_a_run_that_ended_between_object_and_row_is_made_good_by_the_next() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    for (number, mood) in [(1, Mood::Forgetful), (2, Mood::Silent)] {
        let upload = shed.sent(ada).await;
        shed.expire();
        shed.bucket.is(Operation::Delete, mood);
        // The objects are gone, or not; the run ends before it hears of it.
        let cut =
            tokio::time::timeout(Duration::from_millis(500), reap(&shed.store, &shed.storage, |_| {})).await;
        assert!(cut.is_err());
        assert_eq!(shed.bucket.kept(&keys::pending(ada, upload)).is_none(), mood == Mood::Forgetful);
        shed.bucket.is_wholly(Mood::Well);
        assert_eq!(
            reap(&shed.store, &shed.storage, |_| {}).await.unwrap().reaped,
            0,
            "it is in the dead one's hands"
        );
        shed.sql("update pending_uploads set state_since = now() - interval '5 minutes 1 second'");
        assert_eq!(reap(&shed.store, &shed.storage, |_| {}).await.unwrap().reaped, 1, "{number}");
        assert_eq!(
            (shed.bucket.keys(), shed.sql("select count(*) from pending_uploads")),
            (Vec::new(), "0".into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_44_one_object_that_the_store_will_not_delete_stops_no_batch() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    let (one, two, three) = (shed.sent(ada).await, shed.sent(ada).await, shed.sent(ada).await);
    shed.expire();
    shed.bucket.denies(Some(&keys::pending(ada, two)));
    let done = reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
    assert_eq!((done.reaped, done.refused), (2, 1));
    assert_eq!(shed.bucket.keys(), [keys::pending(ada, two)]);
    assert_eq!(shed.sql("select id || ' ' || state from pending_uploads"), format!("{two} pending"));
    shed.bucket.denies(None);
    assert_eq!(reap(&shed.store, &shed.storage, |_| {}).await.unwrap().reaped, 1);
    assert!(shed.bucket.keys().is_empty(), "{one} {three}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_busy_ends_the_run_and_nothing_is_forgotten() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    shed.sent(ada).await;
    shed.expire();
    shed.bucket.is_wholly(Mood::Busy);
    let error = reap(&shed.store, &shed.storage, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("too busy"), "{error}");
    shed.bucket.is_wholly(Mood::Well);
    assert_eq!(
        reap(&shed.store, &shed.storage, |_| {}).await.unwrap().reaped,
        1,
        "at once, not after five minutes"
    );
    let runs = shed.store.upload_report().await.unwrap().runs;
    assert_eq!(runs.iter().map(|run| run.is_finished).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_45_an_object_that_is_gone_already_is_no_failure() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    let upload = shed.sent(ada).await;
    shed.bucket.remove(&keys::pending(ada, upload));
    shed.expire();
    let done = reap(&shed.store, &shed.storage, |_| {}).await.unwrap();
    assert_eq!((done.reaped, done.refused), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_38_what_was_given_up_waits_for_what_is_still_on_its_way() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    let upload = shed.sent(ada).await;
    assert!(shed.store.cancel_upload(ada, upload).await.unwrap());
    // Its form has just died: what began to be sent before may still arrive.
    shed.sql("update pending_uploads set form_expires_at = now() - interval '1 minute'");
    assert_eq!(reap(&shed.store, &shed.storage, |_| {}).await.unwrap().reaped, 0);
    shed.send(ada, upload).await;
    shed.expire();
    assert_eq!(reap(&shed.store, &shed.storage, |_| {}).await.unwrap().reaped, 1);
    assert!(shed.bucket.keys().is_empty());
}
