//! `make bench`: speed and size on the real release binary. Medians of repeated runs, and beside each figure the floor: what the same
//! machine needs, in the same minute, for the least that the job can't do without. Figures of other machines are not comparable;
//! ratios to the floor are.
//!
//! On this machine's own cluster; with `SKEP_TEST_KUBECONFIG`, the part that compares with others' tools on that one.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what it is for")]

mod app;
mod fleet;
mod storage;
mod verdicts;

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use skep_tests::{Outcome, World, eventually, program};

/// Bytes of the binary whose push is measured.
const BINARY: usize = 20_000_000;
/// How long a hive is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(8);

/// What is measured, by the name that asks for it alone: `make bench ONLY="fleet verdicts"`.
const PARTS: &[(&str, fn())] = &[
    ("fleet", fleet::five_services),
    ("adds", fleet::what_it_adds),
    ("verdicts", verdicts::of_the_gallery),
    ("plan", fleet::two_hundred_services),
    ("pods", fleet::a_thousand_pods),
    ("releases", fleet::fifty_releases),
    ("hive", hive_start),
    ("unchanged", nothing_changed),
    ("idle", idle_memory),
    ("push", push),
    ("roll", roll),
    ("signing", storage::signing),
    ("app", app::as_a_team_ships_it),
];
/// What can be measured on somebody's cluster.
const ON_A_CLUSTER: &[&str] = &["fleet"];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        let parts: Vec<&str> = PARTS.iter().map(|(part, _)| *part).collect();
        eprintln!("nothing is measured by the name {unknown:?}; there are {}", parts.join(", "));
        return ExitCode::from(2);
    }
    let on_a_cluster = std::env::var_os("SKEP_TEST_KUBECONFIG").is_some_and(|path| !path.is_empty());
    println!("{:<78} {:>10} {:>10} {:>10}", "", "median", "floor", "goal");
    for (name, measure) in PARTS {
        let is_asked = asked.is_empty() || asked.iter().any(|one| one == name);
        if is_asked && (!on_a_cluster || ON_A_CLUSTER.contains(name)) {
            measure();
        }
    }
    ExitCode::SUCCESS
}

fn nothing_changed() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    row(
        "no-change deploy --skip-build",
        median(9, || timed(|| drop(world.skep(&["deploy", "--skip-build", "--quiet"]).ok()))),
        median(9, spawn),
        "300 ms",
    );
}

fn row(what: &str, figure: Duration, floor: Duration, goal: &str) {
    println!("{what:<78} {:>7} ms {:>7} ms {goal:>10}", figure.as_millis(), floor.as_millis());
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(runs: usize, mut figure: impl FnMut() -> Duration) -> Duration {
    let mut figures: Vec<Duration> = (0..runs).map(|_| figure()).collect();
    figures.sort();
    figures[runs / 2]
}

/// The floor of every command: the same binary, started to say its version.
fn spawn() -> Duration {
    timed(|| drop(Outcome::of(Command::new(program("skep")).arg("--version")).ok()))
}

fn hive_start() {
    let world = World::without_hive();
    let first = timed(|| drop(world.skep(&["hive", "start"]).ok()));
    world.skep(&["hive", "stop"]).ok();
    let again = median(5, || {
        let took = timed(|| drop(world.skep(&["hive", "start"]).ok()));
        world.skep(&["hive", "stop"]).ok();
        took
    });
    row("hive: process start to API ready, first time", first, median(5, spawn), "200 ms");
    row("hive: process start to API ready, again", again, median(5, spawn), "200 ms");
}

/// Resident memory with honeyDue up, in the kernel's own count, once what the deploy needed has been given back; and after a restart.
fn idle_memory() {
    let world = World::without_hive();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/honeydue");
    world.skep(&["-C", &example.display().to_string(), "up", "--quiet"]).ok();
    memory("hive: resident memory, idle, honeyDue just deployed", &world);
    world.skep(&["hive", "stop"]).ok();
    world.skep(&["hive", "start"]).ok();
    memory("hive: the same after a restart", &world);
}

fn memory(what: &str, world: &World) {
    thread::sleep(SETTLE);
    let status = fs::read_to_string(format!("/proc/{}/status", world.hive_pid())).unwrap_or_default();
    let megabytes = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    println!("{what:<78} {:>7} MB {:>10} {:>10}", megabytes("VmRSS:"), "-", "40 MB");
    println!("{:<78} {:>7} MB", "  of that, pages of the program's own file", megabytes("RssFile:"));
}

/// One changed 20 MB binary, from the finished binary to the registry's answer.
fn push() {
    let world = World::new();
    world.project.edit("skep.yaml", "/release: release", "/release: release, /blob: blob");
    let blob = world.project.dir().join("blob");
    let mut seed = 1_u64;
    let mut change = || {
        let program = fs::read(program("skep")).expect("the binary");
        let mut bytes: Vec<u8> = program.into_iter().cycle().take(BINARY).collect();
        for byte in bytes.iter_mut().step_by(4096) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = seed.to_le_bytes()[7];
        }
        fs::write(&blob, bytes).expect("the blob is written");
    };
    change();
    world.skep(&["deploy"]).ok();
    let figure = median(5, || {
        change();
        let lines = world.skep(&["deploy", "--output", "json"]).ok().json();
        let millis = |step: &str| {
            let line = lines.iter().find(|line| line["type"] == "step-finished" && line["step"] == step);
            line.and_then(|line| line["millis"].as_u64()).expect("every step says how long it took")
        };
        Duration::from_millis(millis("build") + millis("push"))
    });
    row("build and push of one changed 20 MB binary", figure, median(5, loopback), "400 ms");
}

/// The floor of a push: the same number of bytes over loopback, read and thrown away.
fn loopback() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("an address");
    let reader = thread::spawn(move || {
        let mut stream = listener.accept().expect("a connection").0;
        let mut buffer = vec![0; 1 << 16];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let bytes = vec![7; BINARY];
    timed(|| {
        TcpStream::connect(address)
            .and_then(|mut stream| stream.write_all(&bytes))
            .expect("loopback takes bytes");
        reader.join().expect("the reader ends");
    })
}

/// Three replicas, probes every second, under load.
fn roll() {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.skep(&["deploy"]).ok();
    eventually("the shop to answer", Duration::from_secs(20), || world.get("/").ok());
    let load = world.load("/", 250);
    let mut release = 0;
    let figure = median(3, || {
        release += 1;
        world.project.write("release", &format!("{release}\n"));
        let lines = world.skep(&["deploy", "--output", "json"]).ok().json();
        let line = lines.iter().find(|line| line["type"] == "step-finished" && line["step"] == "roll");
        Duration::from_millis(
            line.and_then(|line| line["millis"].as_u64()).expect("the roll says how long it took"),
        )
    });
    let tally = load.stop();
    // Three pods one after another, each seen ready no sooner than it can be started and asked once.
    row("3-replica roll with 1 s probes, under load", figure, 3 * median(5, spawn), "5 s");
    println!("{:<78} {:>10} {:>10} {:>10}", "  failed requests of those under way", tally.bad.len(), 0, 0);
    println!("{:<78} {:>10} {:>10} {:>10}", "  requests a second", tally.rate(), "-", 200);
}
