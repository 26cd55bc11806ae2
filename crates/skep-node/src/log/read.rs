//! From a container's log files to whoever asks.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;

use super::line::Line;
use super::write::{Logs, older};
use super::{LogRequest, LogStream};
use crate::NodeError;

/// How much is read at a time.
const CHUNK: usize = 256 * 1024;

/// Opens a container's log. Reads block; call it where that is allowed.
pub(crate) fn open(logs: &Logs, request: &LogRequest) -> Result<LogStream, NodeError> {
    let folder = logs.folder(&request.namespace, &request.pod, &request.uid, &request.container);
    let attempts = attempts(&folder);
    let ended = |path: &&PathBuf| logs.growth(path).is_none();
    let path = if request.previous {
        attempts.iter().rev().find(ended).ok_or_else(|| NodeError::NoLogs {
            message: format!(
                "previous terminated container {:?} in pod {:?} not found",
                request.container, request.pod
            ),
        })?
    } else {
        attempts.last().ok_or_else(|| NodeError::NoLogs {
            message: format!(
                "container {:?} in pod {:?} has not started yet",
                request.container, request.pod
            ),
        })?
    };
    // Asked before the file is read, so that nothing written in between is missed.
    let growth = logs.growth(path);
    let mut tail =
        Tail::open(path).map_err(|source| NodeError::State { action: "read", path: path.clone(), source })?;
    let mut view = View::of(request);
    let first = tail.all(&mut view).map_err(|source| NodeError::State {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let head = stream::iter([Ok(Bytes::from(first))]);
    match growth.filter(|_| request.follow && !view.spent()) {
        None => Ok(head.boxed()),
        Some(growth) => Ok(head.chain(follow(tail, view, growth)).boxed()),
    }
}

/// The last lines of a container's newest attempt, at most `lines` and `bytes`: an exit's message.
pub(crate) fn last_lines(folder: &Path, lines: usize, bytes: usize) -> String {
    let Some(path) = attempts(folder).pop() else { return String::new() };
    let Ok(mut tail) = Tail::open(&path) else { return String::new() };
    let mut view = View { tail: Some(lines), ..View::default() };
    let text = tail.all(&mut view).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

/// Attempts' files, oldest first.
fn attempts(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_suffix(".log")?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn follow(
    tail: Tail,
    view: View,
    growth: watch::Receiver<()>,
) -> impl futures::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((tail, view, Some(growth)), |(mut tail, mut view, mut growth)| async move {
        loop {
            if view.spent() {
                return Ok(None);
            }
            // Marked as seen before reading: a write during the read wakes the next turn.
            if let Some(growth) = &mut growth {
                growth.mark_unchanged();
            }
            let out = tail.more(&mut view)?;
            if !out.is_empty() {
                return Ok(Some((Bytes::from(out), (tail, view, growth))));
            }
            let Some(waiting) = &mut growth else { return Ok(None) };
            // Its writer is done: one more look for what came last, then the end.
            if waiting.changed().await.is_err() {
                growth = None;
            }
        }
    })
}

/// What of the lines is shown, and how.
#[derive(Debug, Default)]
struct View {
    timestamps: bool,
    since: Option<jiff::Timestamp>,
    tail: Option<usize>,
    left: Option<u64>,
    middle: bool,
}

impl View {
    fn of(request: &LogRequest) -> Self {
        Self {
            timestamps: request.timestamps,
            since: request.since,
            tail: request.tail_lines.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX)),
            left: request.limit_bytes,
            middle: false,
        }
    }

    fn spent(&self) -> bool {
        self.left == Some(0)
    }

    fn wants(&self, line: &Line<'_>) -> bool {
        self.since.is_none_or(|since| line.timestamp().is_some_and(|time| time >= since))
    }

    fn show(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        if self.timestamps && !self.middle {
            out.extend_from_slice(line.time);
            out.push(b' ');
        }
        out.extend_from_slice(line.text);
        if line.full {
            out.push(b'\n');
        }
        self.middle = !line.full;
        if let Some(left) = &mut self.left {
            let shown = usize::try_from(*left).unwrap_or(usize::MAX).min(out.len() - start);
            out.truncate(start + shown);
            *left -= shown as u64;
        }
    }
}

/// A file read to its present end, again and again, across rotation.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: File,
    /// A line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::open(path)?, rest: Vec::new() })
    }

    /// All there is, in the rotated file and the present one, as `view` wants them.
    fn all(&mut self, view: &mut View) -> io::Result<Vec<u8>> {
        let mut text = fs::read(older(&self.path)).unwrap_or_default();
        self.file.read_to_end(&mut text)?;
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.rest = text.split_off(end);
        let wanted =
            text.split(|byte| *byte == b'\n').filter_map(Line::parse).filter(|line| view.wants(line));
        let kept: VecDeque<Line<'_>> = match view.tail {
            None => wanted.collect(),
            Some(count) => last(wanted, count),
        };
        let mut out = Vec::new();
        for line in &kept {
            view.show(line, &mut out);
        }
        Ok(out)
    }

    /// What was written since.
    fn more(&mut self, view: &mut View) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = self.file.read(&mut chunk)?;
            if length == 0 {
                let present = fs::metadata(&self.path).map(|found| found.ino());
                if present.is_ok_and(|inode| self.file.metadata().is_ok_and(|own| own.ino() != inode)) {
                    self.file = File::open(&self.path)?;
                    continue;
                }
                return Ok(out);
            }
            self.rest.extend_from_slice(&chunk[..length]);
            let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let text: Vec<u8> = self.rest.drain(..end).collect();
            for line in text.split(|byte| *byte == b'\n').filter_map(Line::parse) {
                if view.wants(&line) {
                    view.show(&line, &mut out);
                }
            }
            if out.len() >= CHUNK {
                return Ok(out);
            }
        }
    }
}

/// The last `count` lines, where the parts of a cut line count as one.
fn last<'a>(lines: impl Iterator<Item = Line<'a>>, count: usize) -> VecDeque<Line<'a>> {
    let mut kept: VecDeque<Line<'a>> = VecDeque::new();
    let mut starts = 0;
    let mut middle = false;
    for line in lines {
        if !middle {
            starts += 1;
        }
        middle = !line.full;
        kept.push_back(line);
        while starts > count {
            while kept.pop_front().is_some_and(|gone| !gone.full) {}
            starts -= 1;
        }
    }
    kept
}
