//! The worker's own program, ended as a machine that loses its power: whatever it was at, the next one makes it good.

use std::time::Duration;

use honeydue_surroundings::{Mood, Operation, Running, Surroundings, TestBucket, until};

const WORKER: &str = env!("CARGO_BIN_EXE_honeydue-worker");
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on";

fn start(surroundings: &Surroundings, bucket: &TestBucket) -> Running {
    let mut command = surroundings.program(WORKER);
    Running::start(std::mem::replace(bucket.known_to(&mut command), std::process::Command::new("true")))
}

/// Starts a worker, kills it at its next request of a kind, before or after the store has done it, and lets another one do the rest.
fn killed_at(
    surroundings: &Surroundings,
    bucket: &TestBucket,
    operation: Operation,
    mood: Mood,
    is_done: impl Fn() -> bool,
) {
    bucket.is(operation, mood);
    let before = bucket.seen(operation);
    let worker = start(surroundings, bucket);
    until("the worker is at it", || bucket.seen(operation) > before);
    std::thread::sleep(Duration::from_millis(200));
    worker.kill();
    bucket.is_wholly(Mood::Well);
    // Time passes: leases run out, claims are old, and the next tick comes.
    surroundings.sql("delete from job_runs");
    surroundings.sql("update pending_uploads set state_since = now() - interval '10 minutes'");
    let next = start(surroundings, bucket);
    until("another worker has done it", is_done);
    next.terminate();
    assert_eq!(next.ends(), Some(0));
    surroundings.sql("delete from job_runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_that_is_not_up_yet_fails_no_run() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let bucket = TestBucket::start().await;
    bucket.is_wholly(Mood::Busy);
    let runs = |condition: &str| {
        let jobs = "job in ('upload-reaper', 'upload-reconcile')";
        surroundings.sql(&format!("select count(*) from job_runs where {jobs} and {condition}"))
    };
    // Its first runs are those that were missed before there was a worker.
    let worker = start(&surroundings, &bucket);
    for job in ["upload-reaper", "upload-reconcile"] {
        until("the run waits", || {
            worker.log().lines().any(|line| line.contains("the run waits for it") && line.contains(job))
        });
    }
    assert_eq!(runs("true"), "0", "none is claimed, so another worker may have it");
    bucket.is_wholly(Mood::Well);
    until("both have run", || runs("state = 'done'") == "2");
    assert_eq!(runs("state <> 'done'"), "0");
    // One that waits holds no worker up that is to leave.
    bucket.is_wholly(Mood::Busy);
    worker.kill();
    surroundings.sql("delete from job_runs");
    let worker = start(&surroundings, &bucket);
    worker.says("the run waits for it");
    worker.terminate();
    assert_eq!(worker.ends(), Some(0));
    assert_eq!(runs("true"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_that_refuses_fails_the_run() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let bucket = TestBucket::start().await;
    let mut command = surroundings.program(WORKER);
    bucket.known_to(&mut command).env("B2_APP_KEY", "another key");
    let _worker = Running::start(command);
    until("the run has failed", || {
        surroundings.sql("select state from job_runs where job = 'upload-reconcile'") == "failed"
    });
}

const POINTS: [(Operation, Mood); 4] = [
    (Operation::List, Mood::Silent),
    (Operation::Delete, Mood::Silent),
    (Operation::Delete, Mood::Forgetful),
    (Operation::Delete, Mood::Slow(Duration::from_secs(1))),
];

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_reaping_it_loses_nothing_and_leaves_nothing() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let bucket = TestBucket::start().await;
    bucket.put("files/7/00000000-0000-4000-8000-000000000000", PNG);
    for (operation, mood) in POINTS {
        for number in 1..=3 {
            let id = format!("00000000-0000-4000-8000-{number:012}");
            bucket.put(&format!("uploads/7/{id}"), PNG);
            surroundings.sql(&format!(
                "insert into pending_uploads (id, user_id, category, content_type, content_length, form_expires_at, expires_at) \
                 values ('{id}', 7, 'document', 'image/png', 7, now() - interval '1 hour', now())"
            ));
        }
        killed_at(&surroundings, &bucket, operation, mood, || {
            surroundings.sql("select count(*) from pending_uploads") == "0"
        });
        assert_eq!(bucket.keys(), ["files/7/00000000-0000-4000-8000-000000000000"], "{operation:?} {mood:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_erasing_it_loses_nothing_and_leaves_nothing() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let bucket = TestBucket::start().await;
    bucket.put("files/70/00000000-0000-4000-8000-000000000000", PNG);
    for (user, (operation, mood)) in (1..).zip(POINTS) {
        for folder in ["uploads", "files"] {
            bucket.put(&format!("{folder}/{user}/00000000-0000-4000-8000-000000000001"), PNG);
        }
        surroundings.sql(&format!("insert into erasures (user_id, quiet_after) values ({user}, now())"));
        killed_at(&surroundings, &bucket, operation, mood, || {
            // Each tick is a minute: the next one is let come at once.
            surroundings.sql("select count(*) from erasures where attempts > 0 and last_error = ''") != "0"
        });
        assert_eq!(
            bucket.keys(),
            ["files/70/00000000-0000-4000-8000-000000000000"],
            "{operation:?} {mood:?}"
        );
        let last = start(&surroundings, &bucket);
        until("it is proven", || {
            surroundings.sql("select count(*) from erasures where finished_at is null") == "0"
        });
        last.kill();
        surroundings.sql("delete from erasures; delete from job_runs");
    }
}
