//! The part of `make bench` that is about honeyDue's files. Medians, and beside each the floor: what the same machine needs in the same
//! minute for the least that the job can't do without.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]
#![expect(clippy::unwrap_used, reason = "a measurement that can't be made ends in a panic")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use honeydue_files::{attach::attach, keys, reaper::reap};
use honeydue_model::{Category, NewCompletion, WantedUpload};
use honeydue_service::Sealer;
use honeydue_store::{
    Cache, Counted, Limit, Store, Token,
    uploads::{Opened, Target},
};
use honeydue_surroundings::{Mood, Operation, Running, Surroundings, TestBucket};
use jiff::civil::date;
use reqwest::Client;
use uuid::Uuid;

/// People who presign, each as often as they may have uploads open but for one.
const PEOPLE: usize = 1500;
const EACH: usize = 9;
/// Requests at any moment.
const AT_ONCE: usize = 16;
/// How much farther away a store is than this machine's loopback.
const FAR: Duration = Duration::from_millis(20);
/// Rows that are reaped.
const EXPIRED: u32 = 100_000;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0 and so on";

#[tokio::main]
async fn main() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let bucket = TestBucket::start().await;
    println!("{:<78} {:>10} {:>10} {:>10}", "", "median", "floor", "goal");
    presigning(&surroundings, &bucket).await;
    attaching(&surroundings, &bucket).await;
    reaping(&surroundings, &bucket).await;
}

/// The api's presigning against two endpoints of one round trip to Redis and one to Postgres and nothing else: one that asks what
/// presigning asks them, and one that asks the least that there is to ask.
async fn presigning(surroundings: &Surroundings, bucket: &TestBucket) {
    surroundings.sql(&format!(
        "insert into users (email, name, password_hash) select 'p' || n || '@example.com', 'p', '' from generate_series(1, {PEOPLE}) n"
    ));
    let sealer = Sealer::new("a key for tests");
    for some in (1..=PEOPLE).collect::<Vec<_>>().chunks(500) {
        let row = |n: &usize| {
            let token = token(*n).sealed(&sealer);
            format!(
                "('{token}', (select id from users where email = 'p{n}@example.com'), now() + interval '1 day')"
            )
        };
        let rows: Vec<String> = some.iter().map(row).collect();
        surroundings.sql(&format!(
            "insert into sessions (token_hash, user_id, expires_at) values {}",
            rows.join(", ")
        ));
    }
    let programs = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let mut command = surroundings.program(programs.join("honeydue-api").to_str().unwrap());
    bucket.known_to(&mut command).env("UPLOAD_METHOD", "put").env("RUST_LOG", "warn,honeydue=info");
    command.env("RUST_LOG", "info");
    let api = Running::start(command);
    let first = surroundings.sql("select min(id) from users").parse().unwrap();
    let floor = floor(surroundings, first).await;
    let url = format!("http://{}/api/uploads/presign", api.address);
    // Everybody is known to the cache by then.
    throughput(&format!("http://{}/api/me", api.address), PEOPLE, false).await;
    let (same, least) = (format!("{floor}/same"), format!("{floor}/least"));
    let mut figures = [(&url, Vec::new()), (&same, Vec::new()), (&least, Vec::new())];
    for _ in 0..3 {
        for (url, figures) in &mut figures {
            surroundings.sql("truncate pending_uploads");
            surroundings.redis(&[
                "EVAL",
                "for _, k in ipairs(redis.call('KEYS', 'presigns:*')) do redis.call('DEL', k) end",
                "0",
            ]);
            figures.push(throughput(url, PEOPLE * EACH, true).await);
            figures.sort_by(f64::total_cmp);
        }
    }
    let [ours, same, least] = figures.map(|(_, figures)| figures[1]);
    for (floor, of_what) in [(same, "the same two round trips alone"), (least, "the least two round trips")] {
        let of = ours / floor * 100.0;
        println!(
            "{:<78} {ours:>7.0} /s {floor:>7.0} /s {:>10}",
            format!("presigned uploads, {AT_ONCE} at once: {of:.0} % of {of_what}"),
            "70 %"
        );
    }
}

/// The token of one of the people.
fn token(number: usize) -> Token {
    Token::parse(&format!("{number:064x}")).unwrap()
}

#[derive(Clone)]
struct Floor {
    store: Store,
    cache: Cache,
    /// The first of the people, and who is next.
    first: i64,
    next: Arc<AtomicI64>,
}

/// Where the floors are: `/same` and `/least`.
async fn floor(surroundings: &Surroundings, first: i64) -> String {
    let (store, cache) = (surroundings.store().await, surroundings.cache());
    let floor = Floor { store, cache, first, next: Arc::default() };
    let same = async |State(floor): State<Floor>| {
        let user = floor.first + floor.next.fetch_add(1, Ordering::Relaxed) % PEOPLE as i64;
        assert!(matches!(floor.cache.take(Limit::Presigns, user).await, Ok(Counted::Taken(_))));
        let opened = floor.store.open_upload(user, Uuid::new_v4(), &wanted()).await.unwrap();
        assert_eq!(opened, Opened::Opened);
        StatusCode::CREATED
    };
    let least = async |State(floor): State<Floor>| {
        floor.cache.ping().await.unwrap();
        floor.store.ping().await.unwrap();
        StatusCode::CREATED
    };
    let router = Router::new().route("/same", post(same)).route("/least", post(least)).with_state(floor);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn wanted() -> WantedUpload {
    WantedUpload {
        category: Category::TaskCompletion,
        content_type: "image/png".to_owned(),
        content_length: PNG.len() as u64,
        sha256: None,
    }
}

/// Answers a second, of so many requests by so many people in turn.
async fn throughput(url: &str, requests: usize, posts: bool) -> f64 {
    let (http, next) = (Client::builder().no_proxy().build().unwrap(), Arc::new(AtomicUsize::new(0)));
    let body = r#"{"category":"document","content_type":"image/png","content_length":7}"#;
    let began = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (http, next, url) = (http.clone(), next.clone(), url.to_owned());
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return;
                }
                let request = match posts {
                    true => http.post(&url).header("content-type", "application/json").body(body),
                    false => http.get(&url),
                };
                let token = token(number % PEOPLE + 1).into_text();
                let status = request.bearer_auth(token).send().await.unwrap().status();
                assert!(status.is_success(), "{url}: {status}");
            }
        });
    }
    workers.join_all().await;
    requests as f64 / began.elapsed().as_secs_f64()
}

/// Ten uploads at once, at a store that is some way off, against the slowest one alone.
async fn attaching(surroundings: &Surroundings, bucket: &TestBucket) {
    let (store, storage) = (surroundings.store().await, bucket.storage());
    let user = surroundings
        .sql("insert into users (email, name, password_hash) values ('a@example.com', 'a', '') returning id");
    let task = surroundings.sql(&format!(
        "with home as (insert into residences (owner_id, name) values ({user}, 'Home') returning id) \
         insert into tasks (residence_id, title, due_on, every_days) select id, 'Filter', '2026-01-01', 30 from home returning id"
    ));
    let (user, task): (i64, i64) = (user.parse().unwrap(), task.parse().unwrap());
    let wanted = wanted();
    let (mut walls, mut singles) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let mut ids = BTreeSet::new();
        for _ in 0..10 {
            let id = Uuid::new_v4();
            assert_eq!(store.open_upload(user, id, &wanted).await.unwrap(), Opened::Opened);
            bucket.send(&keys::pending(user, id), "image/png", PNG).await;
            ids.insert(id);
        }
        [Operation::Get, Operation::Copy]
            .into_iter()
            .for_each(|operation| bucket.is(operation, Mood::Slow(FAR)));
        let mut slowest = Duration::ZERO;
        for id in &ids {
            let began = Instant::now();
            let seen = storage.client.look(&keys::pending(user, *id), 4096).await.unwrap().unwrap();
            storage.client.copy(&keys::pending(user, *id), &seen.etag, "bench/copy").await.unwrap();
            slowest = slowest.max(began.elapsed());
        }
        let new = NewCompletion { task_id: task, upload_ids: Vec::new() };
        let began = Instant::now();
        attach(&store, &storage, user, &Target::Completion(new, date(2026, 3, 1)), &ids).await.unwrap();
        walls.push(began.elapsed());
        singles.push(slowest);
        bucket.is_wholly(Mood::Well);
    }
    walls.sort();
    singles.sort();
    let ratio = walls[2].as_secs_f64() / singles[2].as_secs_f64();
    let what = format!("attaching 10 uploads, the store 20 ms away: x{ratio:.2} of one look and copy");
    println!("{what:<78} {:>7} ms {:>7} ms {:>10}", walls[2].as_millis(), singles[2].as_millis(), "x2");
}

/// A hundred thousand, and whether the last ones need more memory than the first.
async fn reaping(surroundings: &Surroundings, bucket: &TestBucket) {
    surroundings.sql("truncate pending_uploads");
    for number in 1..=EXPIRED {
        bucket.put(&keys::pending(7, Uuid::from_u128(u128::from(number))), PNG);
    }
    surroundings.sql(&format!(
        "insert into pending_uploads (id, user_id, category, content_type, content_length, form_expires_at, expires_at) \
         select lpad(to_hex(n), 32, '0')::uuid, 7, 'document', 'image/png', 7, now() - interval '1 hour', now() from generate_series(1, {EXPIRED}) n"
    ));
    let (store, storage) = (surroundings.store().await, bucket.storage());
    let (mut rows, mut early) = (0, 0);
    let began = Instant::now();
    let done = reap(&store, &storage, |done| {
        rows += done.reaped;
        if rows <= u64::from(EXPIRED) / 10 {
            early = high_water();
        }
    });
    let done = done.await.unwrap();
    let took = began.elapsed();
    assert_eq!(done.reaped, u64::from(EXPIRED));
    let each = |time: Duration| f64::from(EXPIRED) / time.as_secs_f64();
    // The floor: the same files, deleted by nobody but the file system.
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=EXPIRED {
        fs::write(folder.path().join(number.to_string()), PNG).unwrap();
    }
    let alone = Instant::now();
    for number in 1..=EXPIRED {
        fs::remove_file(folder.path().join(number.to_string())).unwrap();
    }
    println!(
        "{:<78} {:>7.0} /s {:>7.0} /s {:>10}",
        format!("{EXPIRED} expired uploads reaped"),
        each(took),
        each(alone.elapsed()),
        "-"
    );
    println!(
        "{:<78} {:>7} MB {:>7} MB {:>10}",
        "  its memory at the end, the bucket's included; after a tenth of them",
        high_water() / 1024,
        early / 1024,
        "the same"
    );
}

/// The most memory that this process has had, in kilobytes.
fn high_water() -> u64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}
