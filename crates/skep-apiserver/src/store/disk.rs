//! The file behind the store: one writer thread that gathers all writes that are waiting into one synced transaction.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::kind::Key;

/// Objects as JSON, by `group/kind/namespace/name`.
const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
/// `format` and `ceiling`.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
/// The layout above. A newer one is refused rather than misread.
const FORMAT: u64 = 1;
/// Versions that may be handed out before the next ceiling must be on disk. After a crash, counting goes on at the
/// ceiling, so a version that some watcher saw and the disk did not is never used twice.
const HEADROOM: u64 = 1 << 16;
/// Objects are read once, at the start: the database's own cache need not be large.
const CACHE: usize = 4 << 20;
/// How long writes that nobody waits for may gather.
const GATHER: Duration = Duration::from_millis(25);

/// Why the store's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be opened, read or written.
    #[error("the store {} can't be used", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What redb says.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file was written by a newer Skep.
    #[error("the store {} has format {found}, this skep reads format {FORMAT}: use the skep that wrote it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// An object in the file isn't JSON.
    #[error("the store {} holds something unreadable under {key}", path.display())]
    Object {
        /// The file.
        path: PathBuf,
        /// Where in it.
        key: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// An object in the file is of a kind that this server does not serve.
    #[error("the store {} holds a {kind}, which this skep does not serve: use the skep that wrote it", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: String,
    },
    /// The writer thread can't be started.
    #[error("the store's writer thread can't be started")]
    Thread(#[source] std::io::Error),
}

/// What a file held when it was opened.
pub(crate) struct Loaded {
    pub(crate) objects: Vec<Value>,
    /// The version to count on from.
    pub(crate) version: u64,
}

/// Tells when a write is on disk.
#[derive(Debug)]
#[must_use = "a write is acknowledged only when it is on disk"]
pub(crate) struct Synced(Option<oneshot::Receiver<Result<(), String>>>);

impl Synced {
    /// Nothing to wait for.
    pub(crate) fn already() -> Self {
        Self(None)
    }

    /// Waits.
    pub(crate) async fn wait(self) -> Result<(), String> {
        let Some(answer) = self.0 else { return Ok(()) };
        answer.await.unwrap_or_else(|_| Err("the store is shutting down".to_owned()))
    }
}

struct Write {
    version: u64,
    key: String,
    object: Option<Arc<Value>>,
    done: Option<oneshot::Sender<Result<(), String>>>,
}

/// The handle on the writer thread.
#[derive(Debug)]
pub(crate) struct Disk {
    queue: Option<mpsc::Sender<Write>>,
    synced: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    /// Opens or makes the file and reads all of it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Loaded), StoreError> {
        let failed =
            |source: redb::Error| StoreError::Database { path: path.to_owned(), source: Box::new(source) };
        let database = create(path).map_err(failed)?;
        let mut loaded = read(&database, path)?;
        let synced = Arc::new(AtomicU64::new(loaded.version));
        let mut file =
            File { database, pending: HashMap::new(), ceiling: loaded.version, synced: synced.clone() };
        file.commit(loaded.version).map_err(failed)?;
        loaded.version = loaded.version.max(1);
        let (queue, writes) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || file.run(&writes))
            .map_err(StoreError::Thread)?;
        Ok((Self { queue: Some(queue), synced, thread: Some(thread) }, loaded))
    }

    /// Queues a write; `object` none removes. A write that need not be waited for is waited for nevertheless when the
    /// disk has fallen far behind.
    pub(crate) fn write(&self, version: u64, key: &Key, object: Option<Arc<Value>>, eager: bool) -> Synced {
        let behind = version.saturating_sub(self.synced.load(Ordering::Relaxed)) > HEADROOM / 2;
        let (done, answer) = if eager || behind {
            let (done, answer) = oneshot::channel();
            (Some(done), Synced(Some(answer)))
        } else {
            (None, Synced::already())
        };
        let info = key.kind.info();
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let key = format!("{}/{}/{namespace}/{}", info.group, info.kind, key.name);
        if let Some(queue) = &self.queue {
            // A closed queue drops `done`, and the waiter learns of it.
            _ = queue.send(Write { version, key, object, done });
        }
        answer
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

/// Opens or makes the file. It holds Secrets, so only its owner may read it.
fn create(path: &Path) -> Result<Database, redb::Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(redb::Error::Io)?;
    Ok(Database::builder().set_cache_size(CACHE).create(path)?)
}

fn read(database: &Database, path: &Path) -> Result<Loaded, StoreError> {
    let failed =
        |source: redb::Error| StoreError::Database { path: path.to_owned(), source: Box::new(source) };
    let transaction = database.begin_read().map_err(|error| failed(error.into()))?;
    let numbers = match transaction.open_table(NUMBERS) {
        Ok(numbers) => numbers,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            return Ok(Loaded { objects: Vec::new(), version: 0 });
        }
        Err(error) => return Err(failed(error.into())),
    };
    let number = |name: &str| -> Result<u64, StoreError> {
        let found = numbers.get(name).map_err(|error| failed(error.into()))?;
        Ok(found.map_or(0, |value| value.value()))
    };
    let format = number("format")?;
    if format != FORMAT {
        return Err(StoreError::Format { path: path.to_owned(), found: format });
    }
    let table = transaction.open_table(OBJECTS).map_err(|error| failed(error.into()))?;
    let mut objects = Vec::new();
    for row in table.iter().map_err(|error| failed(error.into()))? {
        let (key, bytes) = row.map_err(|error| failed(error.into()))?;
        let object = serde_json::from_slice(bytes.value()).map_err(|source| StoreError::Object {
            path: path.to_owned(),
            key: key.value().to_owned(),
            source,
        })?;
        objects.push(object);
    }
    Ok(Loaded { objects, version: number("ceiling")? })
}

/// The writer thread's side.
struct File {
    database: Database,
    /// The latest state of each object that is not on disk yet; kept over a failed commit, so that the next one heals it.
    pending: HashMap<String, Option<Arc<Value>>>,
    ceiling: u64,
    synced: Arc<AtomicU64>,
}

impl File {
    fn run(mut self, writes: &mpsc::Receiver<Write>) {
        while let Ok(first) = writes.recv() {
            let mut waiting = Vec::new();
            let mut version = self.take(first, &mut waiting);
            if waiting.is_empty()
                && let Ok(next) = writes.recv_timeout(GATHER)
            {
                version = self.take(next, &mut waiting);
            }
            while let Ok(next) = writes.try_recv() {
                version = self.take(next, &mut waiting);
            }
            let result = self.commit(version).map_err(|error| error.to_string());
            if let Err(error) = &result {
                tracing::error!(%error, "the store's file can't be written");
            }
            for done in waiting {
                // Whoever asked may have gone away.
                _ = done.send(result.clone());
            }
        }
    }

    fn take(&mut self, write: Write, waiting: &mut Vec<oneshot::Sender<Result<(), String>>>) -> u64 {
        self.pending.insert(write.key, write.object);
        waiting.extend(write.done);
        write.version
    }

    /// One transaction for everything that is pending.
    fn commit(&mut self, version: u64) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            for (key, object) in &self.pending {
                match object {
                    Some(object) => _ = objects.insert(key.as_str(), object.to_string().as_bytes())?,
                    None => _ = objects.remove(key.as_str())?,
                }
            }
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert("format", FORMAT)?;
            self.ceiling = version + HEADROOM;
            numbers.insert("ceiling", self.ceiling)?;
        }
        transaction.commit()?;
        self.pending.clear();
        self.synced.store(version, Ordering::Relaxed);
        Ok(())
    }
}
