//! The bucket against the tables, both ways.

use honeydue_files::{keys, reconcile::reconcile};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::shed::{PNG, Shed};

#[tokio::test(flavor = "multi_thread")]
async fn case_38_objects_without_rows_and_files_without_objects_are_named_and_young_ones_left_alone() {
    let shed = Shed::open().await;
    let (ada, task) = shed.person("ada");
    let (waiting, kept, lost) = (shed.sent(ada).await, shed.sent(ada).await, shed.sent(ada).await);
    shed.attach(ada, task, kept).await.unwrap();
    shed.attach(ada, task, lost).await.unwrap();
    let now = Timestamp::now();
    let fits = reconcile(&shed.store, &shed.storage, now).await.unwrap();
    assert_eq!((fits.unknown_count, fits.missing_count, fits.files), (0, 0, 2));
    // An upload that ended after its row was reaped, what somebody put there by hand, and a file that was deleted behind our back.
    let stray = keys::pending(ada, Uuid::from_u128(1));
    for key in [stray.as_str(), "files/notes.txt"] {
        shed.bucket.put(key, PNG);
    }
    shed.bucket.remove(&keys::kept(ada, lost));
    let young = reconcile(&shed.store, &shed.storage, now).await.unwrap();
    assert_eq!(
        (young.unknown_count, young.missing_count),
        (0, 1),
        "what came just now may have its row in a moment"
    );
    let tomorrow = now + SignedDuration::from_hours(25);
    let found = reconcile(&shed.store, &shed.storage, tomorrow).await.unwrap();
    assert_eq!(found.unknown, [stray, "files/notes.txt".to_owned()]);
    assert_eq!(found.missing, [lost]);
    assert!(shed.bucket.kept(&keys::pending(ada, waiting)).is_some(), "it changes nothing");
    // Of an account that is closed the objects go before the rows do.
    assert!(shed.delete_user(ada).await);
    shed.bucket.remove(&keys::kept(ada, kept));
    let closed = reconcile(&shed.store, &shed.storage, now).await.unwrap();
    assert_eq!((closed.missing_count, closed.files), (0, 0), "nobody has lost them");
}
