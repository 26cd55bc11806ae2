//! People are forgotten: all of it, for good, however often it takes.

use honeydue_files::{erasure::erase, keys};
use honeydue_surroundings::Mood;
use uuid::Uuid;

use crate::shed::{PNG, Shed};

impl Shed {
    /// As if the hour were over in which something may still arrive.
    fn quiet(&self) {
        self.sql("update erasures set quiet_after = now()");
    }

    fn proof(&self) -> String {
        self.sql("select (finished_at is not null) || ' ' || versions from erasures")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_and_attached_objects_go_at_once_and_nobody_else_s() {
    let shed = Shed::open().await;
    let ((ada, task), (grace, other)) = (shed.person("ada"), shed.person("grace"));
    let (pending, attached, hers) = (shed.sent(ada).await, shed.sent(ada).await, shed.sent(grace).await);
    shed.attach(ada, task, attached).await.unwrap();
    shed.attach(grace, other, hers).await.unwrap();
    // `1` is the beginning of `10`.
    let neighbour = keys::kept(ada * 10, pending);
    shed.bucket.put(&neighbour, PNG);
    assert!(shed.delete_user(ada).await);
    let first = erase(&shed.store, &shed.storage).await.unwrap();
    assert_eq!((first.finished, first.open), (0, 1));
    assert!(
        !shed.bucket.keys().iter().any(|key| key.contains(&format!("/{ada}/"))),
        "{:?}",
        shed.bucket.keys()
    );
    assert!(shed.bucket.kept(&keys::kept(grace, hers)).is_some() && shed.bucket.kept(&neighbour).is_some());
    shed.quiet();
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().finished, 1);
    assert_eq!(shed.proof(), format!("true {}", first.versions));
    let left = format!(
        "select (select count(*) from pending_uploads where user_id = {ada}) + (select count(*) from files where owner_id = {ada})"
    );
    assert_eq!(shed.sql(&left), "0");
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().open, 0, "and it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_47_what_a_living_form_brings_after_the_account_is_gone_is_erased_too() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    let upload = shed.sent(ada).await;
    shed.delete_user(ada).await;
    erase(&shed.store, &shed.storage).await.unwrap();
    shed.send(ada, upload).await;
    shed.quiet();
    // It was there when it was looked for: that it is gone now is no proof that nothing comes any more.
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().finished, 0);
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().finished, 1);
    assert_eq!((shed.bucket.keys(), shed.proof()), (Vec::new(), "true 2".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_49_thousands_of_objects_go_page_by_page() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    for number in 0..2500_u128 {
        shed.bucket.put(&keys::kept(ada, Uuid::from_u128(number)), PNG);
    }
    shed.delete_user(ada).await;
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().versions, 2500);
    assert!(shed.bucket.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_outlives_a_store_that_is_down_and_one_that_refuses() {
    let shed = Shed::open().await;
    let (ada, _) = shed.person("ada");
    let upload = shed.sent(ada).await;
    shed.delete_user(ada).await;
    shed.quiet();
    shed.bucket.is_wholly(Mood::Busy);
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().open, 1);
    let report = shed.store.upload_report().await.unwrap().erasures;
    assert!(report[0].last_error.contains("too busy") && report[0].finished_at.is_none(), "{report:?}");
    shed.bucket.is_wholly(Mood::Well);
    shed.bucket.denies(Some(&keys::pending(ada, upload)));
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().open, 1);
    assert!(shed.store.upload_report().await.unwrap().erasures[0].last_error.contains("AccessDenied"));
    shed.bucket.denies(None);
    erase(&shed.store, &shed.storage).await.unwrap();
    assert_eq!(erase(&shed.store, &shed.storage).await.unwrap().finished, 1);
    let report = shed.store.upload_report().await.unwrap().erasures;
    assert!(report[0].finished_at.is_some() && report[0].attempts == 4, "{report:?}");
}
