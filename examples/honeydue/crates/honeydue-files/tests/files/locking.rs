//! Two who change the same rows at once.

use std::{collections::BTreeSet, time::Duration};

use honeydue_model::{Category, NewCompletion, WantedUpload};
use honeydue_store::uploads::{Claimed, Opened, Target};
use jiff::civil::date;
use uuid::Uuid;

use crate::shed::{PNG, Shed};

#[tokio::test(flavor = "multi_thread")]
async fn case_32_two_who_each_have_a_row_that_the_other_wants_never_wait_in_a_circle() {
    let shed = Shed::open().await;
    let (ada, task) = shed.person("ada");
    let wanted = WantedUpload {
        category: Category::TaskCompletion,
        content_type: "image/png".to_owned(),
        content_length: PNG.len() as u64,
        sha256: None,
    };
    // In the table they stand in the other order than that of their ids.
    let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
    for id in ids.iter().rev() {
        assert_eq!(shed.store.open_upload(ada, *id, &wanted).await.unwrap(), Opened::Opened);
    }
    let new = NewCompletion { task_id: task, upload_ids: ids.map(|id| id.to_string()).to_vec() };
    let target = Target::Completion(new, date(2026, 3, 1));
    let claimed = shed.store.claim_uploads(ada, &target, &BTreeSet::from(ids)).await.unwrap();
    let Claimed::Ours(claim, uploads) = claimed else { panic!("{claimed:?}") };
    // Another request for the same ones, just as slow between the two rows as it takes for the worst.
    let lock = |id: Uuid| format!("select 1 from pending_uploads where id = '{id}' for update");
    let other = format!("begin; {}; select pg_sleep(1); {}; commit", lock(ids[0]), lock(ids[1]));
    let attached = std::thread::scope(|scope| {
        let other = scope.spawn(|| shed.sql(&other));
        let held = "select count(*) from pg_locks where mode = 'RowShareLock' and relation = 'pending_uploads'::regclass";
        let began = std::time::Instant::now();
        while shed.sql(held) == "0" {
            assert!(began.elapsed() < Duration::from_secs(5), "the other has not begun");
        }
        let attached = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(shed.store.attach_uploads(
                ada,
                &target,
                Some(claim),
                &uploads,
            ))
        });
        other.join().unwrap();
        attached
    });
    assert!(attached.is_ok(), "{attached:?}");
}
