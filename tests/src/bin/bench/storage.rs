//! What direct uploads cost.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use skep_storage::{Addressing, Bucket, Credentials, Signer, Upload};

/// How many are signed for one figure.
const SIGNED: u32 = 10_000;

/// Signing on one core; the floor is one HMAC-SHA256 of a text as long as a policy.
pub(super) fn signing() {
    let endpoint = "https://s3.eu-central-003.example.com".parse().expect("an address");
    let bucket =
        Bucket::new(&endpoint, Addressing::Path, "photos", "eu-central-003").expect("a bucket's name");
    let signer = Signer::new(bucket, Credentials::new("AKIAEXAMPLE", "open/sesame"));
    let lives = Duration::from_secs(900);
    let upload = |number: u32| {
        Upload::new(&format!("uploads/7/{number:032x}"), "image/jpeg", 123_456).expect("a plain upload")
    };
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"a key");
    let floor = each(|number| {
        let text = [u8::try_from(number % 256).unwrap_or(0); 1000];
        black_box(ring::hmac::sign(&key, &text));
    });
    let form = each(|number| drop(black_box(signer.post(&upload(number), Timestamp::now(), lives))));
    let url = each(|number| drop(black_box(signer.put(&upload(number), Timestamp::now(), lives))));
    for (what, figure) in [("a signed form", form), ("a signed URL", url)] {
        println!("{what:<78} {figure:>7.1} µs {floor:>7.1} µs {:>10}", "10 µs");
    }
}

/// The median of five runs, in microseconds each.
fn each(mut work: impl FnMut(u32)) -> f64 {
    let mut runs: Vec<Duration> = (0..5)
        .map(|_| {
            let began = Instant::now();
            (0..SIGNED).for_each(&mut work);
            began.elapsed()
        })
        .collect();
    runs.sort();
    runs[2].as_secs_f64() * 1e6 / f64::from(SIGNED)
}
