//! From a container's pipes into its log file.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::line::{LONGEST, append};

/// All log files of a node, and which of them still grow.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    folder: PathBuf,
    limit: u64,
    growing: Arc<Mutex<HashMap<PathBuf, watch::Receiver<()>>>>,
}

impl Logs {
    /// `limit`: bytes after which a file is rotated.
    pub(crate) fn new(state_dir: &Path, limit: u64) -> Self {
        Self { folder: state_dir.join("logs"), limit, growing: Arc::default() }
    }

    /// Where a container's attempts are kept.
    pub(crate) fn folder(&self, namespace: &str, pod: &str, uid: &str, container: &str) -> PathBuf {
        self.folder.join(format!("{namespace}_{pod}_{uid}")).join(container)
    }

    /// Deletes a pod's logs.
    pub(crate) fn forget(&self, namespace: &str, pod: &str, uid: &str) {
        let _ = fs::remove_dir_all(self.folder.join(format!("{namespace}_{pod}_{uid}")));
    }

    /// Deletes the logs of pods whose uid is not in `known`.
    pub(crate) fn forget_others(&self, known: &BTreeSet<String>) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // Neither a namespace nor a pod's name has an underscore.
            let uid = name.to_str().and_then(|name| name.splitn(3, '_').nth(2));
            if uid.is_some_and(|uid| !known.contains(uid)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Told on every write; `None` once the file is complete.
    pub(super) fn growth(&self, file: &Path) -> Option<watch::Receiver<()>> {
        self.growing().get(file).cloned()
    }

    fn growing(&self) -> MutexGuard<'_, HashMap<PathBuf, watch::Receiver<()>>> {
        self.growing.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// Writes both pipes to attempt `attempt`'s file in `folder` until both end. Older attempts but one are deleted.
    pub(crate) fn capture(
        &self,
        folder: &Path,
        attempt: i32,
        stdout: pipe::Receiver,
        stderr: pipe::Receiver,
    ) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        fs::create_dir_all(folder)?;
        if attempt >= 2 {
            let _ = fs::remove_file(folder.join(format!("{}.log", attempt - 2)));
            let _ = fs::remove_file(folder.join(format!("{}.log.1", attempt - 2)));
        }
        let path = folder.join(format!("{attempt}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        let (grown, growth) = watch::channel(());
        self.growing().insert(path.clone(), growth);
        let (logs, limit) = (self.clone(), self.limit);
        let mut sink = Sink { path, file, written, limit, grown };
        Ok(async move {
            sink.drain(stdout, stderr).await;
            logs.growing().remove(&sink.path);
        })
    }
}

struct Sink {
    path: PathBuf,
    file: File,
    written: u64,
    limit: u64,
    grown: watch::Sender<()>,
}

/// What one pipe has said since its last newline.
struct Source {
    name: &'static str,
    pipe: pipe::Receiver,
    buffer: Vec<u8>,
    open: bool,
}

impl Source {
    fn new(name: &'static str, pipe: pipe::Receiver) -> Self {
        Self { name, pipe, buffer: Vec::with_capacity(LONGEST), open: true }
    }

    async fn read(&mut self) {
        self.buffer.reserve(LONGEST);
        if !matches!(self.pipe.read_buf(&mut self.buffer).await, Ok(length) if length > 0) {
            self.open = false;
        }
    }

    /// Moves whole lines, and parts of too long ones, to `out`.
    fn lines(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let mut rest = self.buffer.as_slice();
        loop {
            match rest.iter().take(LONGEST).position(|byte| *byte == b'\n') {
                Some(end) => {
                    append(out, time, self.name, true, &rest[..end]);
                    rest = &rest[end + 1..];
                }
                None if rest.len() >= LONGEST => {
                    append(out, time, self.name, false, &rest[..LONGEST]);
                    rest = &rest[LONGEST..];
                }
                None => break,
            }
        }
        if !self.open && !rest.is_empty() {
            append(out, time, self.name, false, rest);
            rest = &[];
        }
        let used = self.buffer.len() - rest.len();
        self.buffer.drain(..used);
    }
}

impl Sink {
    async fn drain(&mut self, stdout: pipe::Receiver, stderr: pipe::Receiver) {
        let (mut out, mut err) = (Source::new("stdout", stdout), Source::new("stderr", stderr));
        let mut batch = Vec::new();
        while out.open || err.open {
            tokio::select! {
                () = out.read(), if out.open => {}
                () = err.read(), if err.open => {}
            }
            let now = Timestamp::now();
            out.lines(now, &mut batch);
            err.lines(now, &mut batch);
            if let Err(error) = self.write(&batch) {
                // A full disk must not stop the container: its lines are lost, it goes on.
                tracing::warn!(file = %self.path.display(), %error, "write a container's log");
            }
            batch.clear();
        }
    }

    /// Writes whole lines, as many to a file as its limit allows.
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let mut rest = batch;
        while !rest.is_empty() {
            let room = usize::try_from(self.limit.saturating_sub(self.written)).unwrap_or(usize::MAX);
            let end = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            let fits = end(&rest[..room.min(rest.len())]);
            if fits.is_none() && self.written > 0 {
                fs::rename(&self.path, older(&self.path))?;
                self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                self.written = 0;
                continue;
            }
            // A line longer than a whole file has one of its own.
            let first = || rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let length = fits.unwrap_or_else(first);
            self.file.write_all(&rest[..length])?;
            self.written += length as u64;
            rest = &rest[length..];
        }
        if !batch.is_empty() {
            self.grown.send_replace(());
        }
        Ok(())
    }
}

/// The file that a log was rotated to.
pub(super) fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}
