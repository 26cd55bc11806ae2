//! A blob's way to the disk: hashed in the same pass that writes it, a mebibyte at a time, and named when its digest is right.
//!
//! A session is kept in memory and its bytes in a file without a name; whichever ends first takes the other with it.

use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use sha2::{Digest as _, Sha256};
use skep_model::Digest;
use thiserror::Error;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use uuid::Uuid;

use crate::{
    Shared, StorageError,
    layout::{remove_if_present, touch},
    names::Repository,
};

/// What is gathered before it is written. One such piece is being written while the next is gathered.
const PIECE: usize = 1024 * 1024;
/// How long a client may send nothing in the middle of a body.
const STALL: Duration = Duration::from_secs(60);
/// How long a client may go on sending after its upload has failed.
const HEAR_OUT: Duration = Duration::from_secs(5);
/// How long a session is kept for a client that may come back.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The sessions of this process.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    sessions: Mutex<HashMap<Uuid, Arc<Session>>>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) repository: Repository,
    /// Whoever appends holds it, to the last byte it has handed to a writing thread.
    turn: Arc<Turn<()>>,
    written: Arc<Mutex<Written>>,
}

#[derive(Debug)]
struct Written {
    file: File,
    /// Where the bytes are until they have a name.
    unnamed: PathBuf,
    hash: Sha256,
    length: u64,
    touched: Instant,
}

/// Why an upload does not go on.
#[derive(Debug, Error)]
pub(crate) enum UploadError {
    #[error("the digest does not match the content: expected {expected}, found {found}")]
    Digest { expected: Digest, found: Digest },
    #[error("the piece begins at byte {found}, expected {expected}")]
    Gap { expected: u64, found: u64 },
    #[error("the piece says to be {said} bytes long, but {sent} came")]
    Size { said: u64, sent: u64 },
    #[error("the body ended early: {0}")]
    Interrupted(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Uploads {
    fn sessions(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        // A map of handles is valid whatever was interrupted.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, repository: &Repository, id: &str) -> Option<Arc<Session>> {
        let id = id.parse().ok()?;
        self.sessions().get(&id).filter(|session| session.repository == *repository).cloned()
    }

    /// Forgets the session; with its last user its bytes go too. False if it was not there.
    pub(crate) fn drop_session(&self, id: Uuid) -> bool {
        self.sessions().remove(&id).is_some()
    }

    /// Drops what nobody has added to for `age`; returns how many.
    pub(crate) fn drop_older(&self, age: Duration) -> usize {
        let mut sessions = self.sessions();
        let before = sessions.len();
        // A taken turn means that somebody is at it right now.
        sessions.retain(|_, session| {
            session.turn.try_lock().is_err() || session.written().touched.elapsed() < age
        });
        before - sessions.len()
    }
}

impl Session {
    fn written(&self) -> MutexGuard<'_, Written> {
        // After a panic while writing the hash no longer fits the file, which the digest's check tells.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that are safely in the file.
    pub(crate) fn length(&self) -> u64 {
        self.written().length
    }
}

impl Shared {
    /// A new session in `repository`.
    pub(crate) fn begin(&self, repository: Repository) -> Result<Arc<Session>, StorageError> {
        self.uploads.drop_older(ABANDONED);
        let unnamed = self.layout.unnamed();
        let file = File::create_new(&unnamed).map_err(StorageError::at("create", &unnamed))?;
        let written = Written { file, unnamed, hash: Sha256::new(), length: 0, touched: Instant::now() };
        let session = Arc::new(Session {
            id: Uuid::new_v4(),
            repository,
            turn: Arc::default(),
            written: Arc::new(Mutex::new(written)),
        });
        self.uploads.sessions().insert(session.id, Arc::clone(&session));
        Ok(session)
    }

    /// Appends `body`, which must begin at byte `range.0` and be as long as `range` says, if it is given (both inclusive).
    /// Returns the length so far. A body that breaks off leaves what came; a full disk ends the session.
    pub(crate) async fn append(
        &self,
        session: &Session,
        body: Body,
        range: Option<(u64, u64)>,
    ) -> Result<u64, UploadError> {
        let turn = Arc::new(Arc::clone(&session.turn).lock_owned().await);
        let begun = session.length();
        if let Some((first, _)) = range
            && first != begun
        {
            return Err(UploadError::Gap { expected: begun, found: first });
        }
        let mut body = body.into_data_stream();
        let appended = write_pieces(session, &mut body, &turn).await;
        if matches!(appended, Err(UploadError::Storage(_))) {
            self.uploads.drop_session(session.id);
            hear_out(&mut body).await;
        }
        appended?;
        let length = session.length();
        match range {
            Some((first, last)) if length - begun != last.saturating_add(1).saturating_sub(first) => {
                Err(UploadError::Size {
                    said: last.saturating_add(1).saturating_sub(first),
                    sent: length - begun,
                })
            }
            _ => Ok(length),
        }
    }

    /// Ends the session: its content becomes the blob `expected` of its repository, if that is what it is.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        session: &Session,
        expected: Digest,
    ) -> Result<(), UploadError> {
        let turn = Arc::clone(&session.turn).lock_owned().await;
        let naming = self.naming.read().await;
        let (shared, written, repository) =
            (Arc::clone(self), Arc::clone(&session.written), session.repository.clone());
        let finished = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.finish(&shared, &repository, expected)
        });
        let finished = joined(finished).await;
        drop(naming);
        self.uploads.drop_session(session.id);
        finished
    }
}

/// Writes `body` to the session's file, one piece while the next is gathered.
async fn write_pieces(
    session: &Session,
    body: &mut BodyDataStream,
    turn: &Arc<OwnedMutexGuard<()>>,
) -> Result<(), UploadError> {
    let mut writing = None;
    let mut interrupted = None;
    loop {
        let mut piece = Vec::new();
        let mut size = 0;
        let ended = loop {
            match tokio::time::timeout(STALL, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    size += bytes.len();
                    piece.push(bytes);
                    if size >= PIECE {
                        break false;
                    }
                }
                Ok(Some(Err(error))) => {
                    interrupted = Some(error.to_string());
                    break true;
                }
                Ok(None) => break true,
                Err(_) => {
                    interrupted = Some(format!("nothing came for {STALL:?}"));
                    break true;
                }
            }
        };
        if let Some(before) = writing.take() {
            joined(before).await?;
        }
        let (written, turn) = (Arc::clone(&session.written), Arc::clone(turn));
        writing = Some(tokio::task::spawn_blocking(move || {
            let done = written.lock().unwrap_or_else(PoisonError::into_inner).append(&piece);
            drop(turn);
            done
        }));
        if ended {
            break;
        }
    }
    if let Some(last) = writing {
        joined(last).await?;
    }
    interrupted.map_or(Ok(()), |why| Err(UploadError::Interrupted(why)))
}

/// Reads what is left of a body whose fate is decided: a client that is cut off while it sends never reads the answer.
async fn hear_out(body: &mut BodyDataStream) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // A longer one has to live with a broken pipe.
    tokio::time::timeout(HEAR_OUT, rest).await.unwrap_or_default();
}

/// The result of a writing thread; a panic there is an interruption here.
async fn joined<E: Into<UploadError>>(
    task: tokio::task::JoinHandle<Result<(), E>>,
) -> Result<(), UploadError> {
    task.await.map_err(|panic| UploadError::Interrupted(panic.to_string()))?.map_err(Into::into)
}

impl Written {
    fn append(&mut self, piece: &[Bytes]) -> Result<(), StorageError> {
        for bytes in piece {
            self.file.write_all(bytes).map_err(StorageError::at("write", &self.unnamed))?;
            self.hash.update(bytes);
            self.length += bytes.len() as u64;
        }
        self.touched = Instant::now();
        Ok(())
    }

    fn finish(&self, shared: &Shared, repository: &Repository, expected: Digest) -> Result<(), UploadError> {
        let found = Digest::from_sha256(self.hash.clone().finalize().into());
        if found != expected {
            return Err(UploadError::Digest { expected, found });
        }
        let path = shared.layout.blob(&expected);
        // Somebody else may have pushed the same in the meantime; equal content can as well be named twice.
        if !touch(&path)? {
            shared.layout.name(&self.file, &self.unnamed, &path)?;
        }
        Ok(shared.link_blob(repository, &expected)?)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // Renamed already if all went well.
        if let Err(error) = remove_if_present(&self.unnamed) {
            tracing::warn!(%error, "an unfinished upload stays until the registry is opened again");
        }
    }
}
