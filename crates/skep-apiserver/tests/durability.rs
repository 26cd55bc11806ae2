//! What was acknowledged is there after a crash, and versions are never used twice.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;

use serde_json::{Value, json};
use skep_apiserver::{Kind, Resources, ResourcesConfig, WatchEvent};

fn open(file: &Path) -> Resources {
    Resources::open(ResourcesConfig { file: Some(file.to_owned()), ..ResourcesConfig::default() }).unwrap()
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"a": "1"}})
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_copy_taken_in_the_middle_holds_everything_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive.redb");
    let resources = open(&file);
    let mut last = 0;
    let writes = (0..40).map(|n| {
        let resources = resources.clone();
        async move { version(&resources.create(config_map(&format!("m{n}")), "test").await.unwrap()) }
    });
    for written in futures::future::join_all(writes).await {
        last = last.max(written);
    }
    // What a killed process leaves behind: the file as it is, without any closing.
    let crashed = folder.path().join("crashed.redb");
    std::fs::copy(&file, &crashed).unwrap();
    let after = open(&crashed);
    assert_eq!(after.list(Kind::CONFIG_MAP, Some("default")).len(), 40);
    let next = after.create(config_map("next"), "test").await.unwrap();
    assert!(version(&next) > last, "{} was used before", version(&next));
}

#[tokio::test]
async fn it_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive.redb");
    let first = open(&file);
    let kept = first.create(config_map("kept"), "test").await.unwrap();
    first.create(config_map("gone"), "test").await.unwrap();
    first.delete(Kind::CONFIG_MAP, Some("default"), "gone", Default::default()).await.unwrap();
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "default"}});
    first.create(lease, "test").await.unwrap();
    drop(first);
    let second = open(&file);
    assert_eq!(second.list(Kind::CONFIG_MAP, None), std::slice::from_ref(&kept));
    assert_eq!(
        second.list(Kind::LEASE, None).len(),
        1,
        "a write that was not waited for is flushed at the end"
    );
    let mut watch = second.watch(Kind::CONFIG_MAP, None);
    assert_eq!(watch.next().await, Some(WatchEvent::Added(kept)));
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive.redb");
    drop(open(&file));
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(redb::TableDefinition::<&str, u64>::new("numbers"))
        .unwrap()
        .insert("format", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error =
        Resources::open(ResourcesConfig { file: Some(file), ..ResourcesConfig::default() }).unwrap_err();
    assert!(error.to_string().contains("has format 2"), "{error}");
}

/// Where the child of the test below keeps its store.
const CHILD: &str = "SKEP_TEST_STORE";

/// Not a test of its own: the process that is killed. It says what was acknowledged.
#[tokio::test]
#[ignore = "the child of a_killed_process_loses_nothing_it_acknowledged"]
async fn write_until_killed() {
    use std::io::Write;
    let Ok(file) = std::env::var(CHILD) else { return };
    let resources = open(Path::new(&file));
    for n in 0.. {
        let made = resources.create(config_map(&format!("m{n}")), "test").await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged m{n} {}", version(&made)).unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive.redb");
    let mut acknowledged = 0;
    let mut highest = 0;
    for round in 1..=2 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
            .env(CHILD, file.with_extension(round.to_string()))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let words = lines.map_while(Result::ok).filter_map(|line| {
            // The harness writes `test … ` without an end of line before the first.
            let (_, rest) = line.split_once("acknowledged m")?;
            let (number, version) = rest.split_once(' ')?;
            Some((number.parse::<usize>().ok()?, version.parse::<u64>().ok()?))
        });
        for (number, version) in words.take(30 * round) {
            (acknowledged, highest) = (number + 1, version);
        }
        // SIGKILL, in the middle of a write most likely.
        child.kill().unwrap();
        child.wait().unwrap();
        let after = open(&file.with_extension(round.to_string()));
        for n in 0..acknowledged {
            assert!(
                after.get(Kind::CONFIG_MAP, Some("default"), &format!("m{n}")).is_some(),
                "m{n} of {acknowledged}"
            );
        }
        assert_eq!(acknowledged, 30 * round);
        let next = after.create(config_map("next"), "test").await.unwrap();
        assert!(version(&next) > highest);
    }
}
