//! Claims of job runs: the table that keeps two workers from doing one job twice.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};

use crate::support::Surroundings;

const JOB: &str = "due-reminders";
const LEASE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_one_has_the_run() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let store = surroundings.store().await;
    let tick: Timestamp = "2026-03-01T10:30:00Z".parse().unwrap();

    let mut claims = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let store = store.clone();
        claims.spawn(
            async move { store.claim_run(JOB, tick, &format!("worker-{worker}"), LEASE).await.unwrap() },
        );
    }
    let won: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);

    // The next tick has to wait for this run, and is free after it.
    let next = tick + 10.minutes();
    assert_eq!(store.claim_run(JOB, next, "other", LEASE).await.unwrap(), None);
    store.finish_run(won[0], &Ok("reminders made: 0".to_owned())).await.unwrap();
    assert!(store.claim_run(JOB, next, "other", LEASE).await.unwrap().is_some());
    // What was done once is not done again.
    assert_eq!(store.claim_run(JOB, tick, "other", LEASE).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_vanished_is_lost_and_makes_room() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let store = surroundings.store().await;
    let tick: Timestamp = "2026-03-01T10:30:00Z".parse().unwrap();

    let vanished = store.claim_run(JOB, tick, "first", Duration::ZERO).await.unwrap().unwrap();
    let next = store.claim_run(JOB, tick + 10.minutes(), "second", LEASE).await.unwrap();
    assert!(next.is_some());
    assert!(!store.renew_run(vanished, LEASE).await.unwrap());
    let overview = store.overview(jiff::civil::date(2026, 3, 1), 1).await.unwrap();
    let states: Vec<_> = overview.runs.iter().map(|run| (run.worker.as_str(), run.state.as_str())).collect();
    assert_eq!(states, [("second", "running"), ("first", "lost")]);
}
