//! Queries through a transaction-mode pooler, as production has one: any of them may meet any server connection.

use honeydue_model::{NewResidence, Registration};
use jiff::civil::date;
use tokio::task::JoinSet;

use crate::support::{Surroundings, store_at};

#[tokio::test(flavor = "multi_thread")]
async fn many_queries_at_once_share_two_server_connections() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let pooler = surroundings.pooled();
    let store = store_at(&pooler.folder).await;
    store.require_schema().await.unwrap();
    let registration =
        Registration { email: "ada@example.com".into(), name: "Ada".into(), password: String::new() };
    let owner = store.add_user(&registration, "hash").await.unwrap().id;

    let mut people = JoinSet::new();
    for number in 0..8 {
        let store = store.clone();
        people.spawn(async move {
            for round in 0..10 {
                let new = NewResidence { name: format!("{number}-{round}"), address: String::new() };
                store.add_residence(owner, &new).await.unwrap();
                store.residences(owner, date(2026, 3, 1)).await.unwrap();
                store.reminders(owner).await.unwrap();
            }
        });
    }
    people.join_all().await;
    assert_eq!(store.residences(owner, date(2026, 3, 1)).await.unwrap().len(), 80);
}
