//! What layers were made of: if no input's size, time, inode or mode has changed, its layer is not packed again.
//!
//! `<cache_dir>/sha256/<hex>` holds blobs, `<cache_dir>/layers/<key>.json` what they were made of, by a hash of it. Using
//! either sets its time to now, so that what is old is unused.

use std::{
    fmt::Write as _,
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use skep_model::Digest;

use crate::{
    BuildError, Compression,
    layer::{Entry, Node, Written, blob_path, write},
};

/// Raised when the same inputs begin to make other bytes.
const FORMAT: u32 = 1;
/// What nobody used for this long is removed.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// A file that changed this shortly before it was read could change again within the same tick of the file system's clock.
const TICK: Duration = Duration::from_millis(20);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

/// The layer of `entries`, and whether it was there already.
pub(crate) fn layer(
    entries: &[Entry],
    compression: Compression,
    epoch: u64,
    cache_dir: &Path,
) -> Result<(Written, bool), BuildError> {
    let record_path =
        cache_dir.join("layers").join(format!("{}.json", key(entries, compression, epoch).hex()));
    if let Some(written) = recall(&record_path, cache_dir) {
        return Ok((written, true));
    }
    let before = outwait(entries);
    let written = write(entries, compression, epoch, cache_dir)?;
    if settled(entries, before) {
        // A record that can't be written costs time at the next build, and nothing else.
        if let Err(error) = remember(&record_path, &written) {
            tracing::debug!(%error, "layer record not kept");
        }
    }
    Ok((written, false))
}

fn recall(record_path: &Path, cache_dir: &Path) -> Option<Written> {
    let record: Record = serde_json::from_slice(&std::fs::read(record_path).ok()?).ok()?;
    let blob = File::open(blob_path(cache_dir, &record.digest)).ok()?;
    if blob.metadata().ok()?.len() != record.size {
        return None;
    }
    let now = SystemTime::now();
    // On a file system that keeps no times, or in a folder of somebody else's, things are removed sooner than they need be.
    let _ = blob.set_modified(now);
    let _ = File::open(record_path).and_then(|record| record.set_modified(now));
    Some(Written { digest: record.digest, size: record.size, diff_id: record.diff_id })
}

/// Removes what nobody used for two weeks, parts of layers that a killed build left among it.
pub(crate) fn sweep(cache_dir: &Path) {
    let Some(limit) = SystemTime::now().checked_sub(KEPT) else {
        return;
    };
    for folder in ["sha256", "layers", "builds"] {
        let entries = std::fs::read_dir(cache_dir.join(folder)).into_iter().flatten().flatten();
        for entry in entries {
            let unused = entry.metadata().and_then(|meta| meta.modified()).is_ok_and(|used| used < limit);
            if unused && let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::debug!(%error, path = %entry.path().display(), "old layer not removed");
            }
        }
    }
}

fn remember(record_path: &Path, written: &Written) -> std::io::Result<()> {
    let folder: PathBuf = record_path.parent().map(Path::to_owned).unwrap_or_default();
    std::fs::create_dir_all(&folder)?;
    let record =
        serde_json::to_vec(&Record { digest: written.digest, size: written.size, diff_id: written.diff_id })?;
    let part = tempfile::NamedTempFile::new_in(&folder)?;
    std::fs::write(part.path(), record)?;
    part.persist(record_path)?;
    Ok(())
}

fn key(entries: &[Entry], compression: Compression, epoch: u64) -> Digest {
    let mut text = format!("{FORMAT} {} {epoch}\n", compression.settings());
    for Entry { path, node, mode, owner } in entries {
        // Debug text quotes paths, so that no two lists of entries look the same. A string takes every write.
        let _ = writeln!(text, "{path:?} {mode:o} {owner:?} {node:?}");
    }
    Digest::of(text.as_bytes())
}

/// Waits until the youngest input is older than a tick, which an output of the build command may not be, and says when that was:
/// a record that isn't kept would have the same layer packed again at the next build.
fn outwait(entries: &[Entry]) -> SystemTime {
    let now = SystemTime::now();
    let youngest = entries.iter().filter_map(|entry| match &entry.node {
        Node::File { stat, .. } => u64::try_from(stat.modified.max(stat.changed)).ok(),
        _ => None,
    });
    let settled = youngest.max().map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos) + TICK + TICK / 20);
    match settled.and_then(|settled| settled.duration_since(now).ok()) {
        // A time in the future says nothing about a tick.
        Some(left) if left <= TICK + TICK / 20 => {
            std::thread::sleep(left);
            SystemTime::now()
        }
        _ => now,
    }
}

/// True when no input is so young that a later change might look the same.
fn settled(entries: &[Entry], before: SystemTime) -> bool {
    let limit = (before - TICK)
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX));
    entries.iter().all(|entry| match &entry.node {
        Node::File { stat, .. } => stat.modified.max(stat.changed) < limit,
        _ => true,
    })
}
