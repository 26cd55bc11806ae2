//! Password hashing: argon2id with its default cost.
//!
//! A hash takes tens of milliseconds and 19 MiB on purpose. Two threads hash, each with one buffer that it reuses, and a short queue
//! is in front of them: the memory is bounded however many requests come.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use tokio::sync::oneshot;

/// Hashes at once.
const THREADS: usize = 2;
/// Requests that may wait for a thread: about half a second of work.
const WAITING: usize = 16;
/// The salt for unknown accounts, whose passwords are hashed to take as long.
const NOBODYS_SALT: [u8; 16] = [0; 16];

/// A password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// The queue is full. Retry in a second.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// Hashing failed.
    #[error("a password could not be hashed: {reason}")]
    Failed {
        /// The cause.
        reason: String,
    },
}

impl From<password_hash::Error> for HashingError {
    fn from(error: password_hash::Error) -> Self {
        Self::Failed { reason: error.to_string() }
    }
}

impl From<argon2::Error> for HashingError {
    fn from(error: argon2::Error) -> Self {
        Self::Failed { reason: error.to_string() }
    }
}

type Work = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

/// The hashing threads. Clones share them; they end with the last clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    queue: SyncSender<Work>,
}

impl Passwords {
    /// Starts the threads. Each allocates its buffer with its first password.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (queue, work) = sync_channel(WAITING);
        let work = Arc::new(Mutex::new(work));
        for number in 1..=THREADS {
            let work = work.clone();
            // It ends when the last sender is gone, with the process.
            thread::Builder::new().name(format!("passwords-{number}")).spawn(move || hash_all(&work))?;
        }
        Ok(Self { queue })
    }

    /// Returns a password's hash in PHC form (`$argon2id$v=19$…`).
    ///
    /// # Errors
    /// See [`HashingError`].
    pub async fn hash(&self, password: String) -> Result<String, HashingError> {
        self.in_turn(move |memory| {
            let salt = Salt::generate();
            let output = hashed(memory, &password, Method::default(), &salt)?;
            let hash = PasswordHash {
                algorithm: Algorithm::default().ident(),
                version: Some(Version::default().into()),
                params: ParamsString::try_from(&Params::DEFAULT)?,
                salt: Some(salt),
                hash: Some(output),
            };
            Ok(hash.to_string())
        })
        .await?
    }

    /// Returns whether `hash` was made of `password`. Without a hash (unknown account) it takes as long and returns false, so that
    /// the time doesn't reveal which accounts exist.
    ///
    /// # Errors
    /// See [`HashingError`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, HashingError> {
        self.in_turn(move |memory| {
            let Some((method, salt, expected)) = hash.as_deref().and_then(parts) else {
                hashed(memory, &password, Method::default(), &NOBODYS_SALT)?;
                return Ok(false);
            };
            // Compared in constant time.
            Ok(hashed(memory, &password, method, &salt)? == expected)
        })
        .await?
    }

    /// Runs `work` on one of the threads, if the queue has room.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |memory| {
            // The client may have disconnected while this waited.
            if !answer.is_closed() {
                drop(answer.send(work(memory)));
            }
        });
        match self.queue.try_send(work) {
            Ok(()) => {
                answered.await.map_err(|_| HashingError::Failed { reason: "its thread has ended".to_owned() })
            }
            Err(TrySendError::Full(_)) => Err(HashingError::Busy),
            Err(TrySendError::Disconnected(_)) => {
                Err(HashingError::Failed { reason: "its threads have ended".to_owned() })
            }
        }
    }
}

/// The loop of one thread.
fn hash_all(work: &Mutex<Receiver<Work>>) {
    let mut memory = Vec::new();
    loop {
        // The lock is held while waiting: the other thread hashes, or waits for the lock.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        next(&mut memory);
    }
}

/// The algorithm and cost of a hash.
#[derive(Debug, Clone, Default)]
struct Method {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

/// Parses a stored hash; `None` if it is malformed, or needs more memory than a thread has.
fn parts(hash: &str) -> Option<(Method, Salt, Output)> {
    let hash = PasswordHash::new(hash).ok()?;
    let method = Method {
        algorithm: Algorithm::try_from(hash.algorithm.as_str()).ok()?,
        version: hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default(),
        params: Params::try_from(&hash).ok()?,
    };
    if method.params.block_count() > Params::DEFAULT.block_count() {
        tracing::error!("a stored password hash needs more memory than this build allows");
        return None;
    }
    Some((method, hash.salt?, hash.hash?))
}

fn hashed(
    memory: &mut Vec<Block>,
    password: &str,
    method: Method,
    salt: &[u8],
) -> Result<Output, HashingError> {
    let Method { algorithm, version, params } = method;
    let size = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    // Allocates the first time only.
    memory.resize(Params::DEFAULT.block_count(), Block::new());
    let argon2 = Argon2::new(algorithm, version, params);
    let mut out = [0; Output::MAX_LENGTH];
    let out = out.get_mut(..size).ok_or(password_hash::Error::OutputSize)?;
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory[..])?;
    Ok(Output::new(out).map_err(password_hash::Error::from)?)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[tokio::test]
    async fn password_is_recognised_and_another_is_not() {
        let passwords = Passwords::start().unwrap();
        let kept = passwords.hash("correct horse".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(passwords.verify("correct horse".into(), Some(kept.clone())).await.unwrap());
        assert!(!passwords.verify("incorrect horse".into(), Some(kept)).await.unwrap());
        assert!(!passwords.verify(String::new(), None).await.unwrap());
        assert!(!passwords.verify(String::new(), Some(String::new())).await.unwrap());
    }

    #[tokio::test]
    async fn hash_that_takes_more_memory_is_refused() {
        let passwords = Passwords::start().unwrap();
        let kept = passwords.hash("correct horse".into()).await.unwrap();
        let costly = kept.replace("m=19456", "m=4000000");
        assert!(!passwords.verify("correct horse".into(), Some(costly)).await.unwrap());
        assert!(passwords.verify("correct horse".into(), Some(kept)).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_are_those_of_the_library() {
        let passwords = Passwords::start().unwrap();
        let params = Params::new(64, 1, 2, Some(16)).unwrap();
        for argon2 in [Argon2::default(), Argon2::new(Algorithm::Argon2i, Version::V0x10, params)] {
            let theirs = argon2.hash_password(b"correct horse").unwrap().to_string();
            assert!(passwords.verify("correct horse".into(), Some(theirs)).await.unwrap());
        }
        let ours = passwords.hash("correct horse".into()).await.unwrap();
        assert_eq!(Argon2::default().verify_password(b"correct horse", ours.as_str()), Ok(()));
    }

    #[tokio::test]
    async fn full_queue_is_answered_at_once() {
        let passwords = Passwords::start().unwrap();
        let (started, has_started) = sync_channel(0);
        let (open, gate) = sync_channel::<()>(0);
        let gate = Arc::new(Mutex::new(gate));
        let held = || -> Work {
            let (started, gate) = (started.clone(), gate.clone());
            Box::new(move |_| {
                // Fails when the gate opens, or the test is over.
                let _ = started.send(());
                let _ = gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
            })
        };
        for _ in 0..THREADS {
            passwords.queue.try_send(held()).unwrap();
            has_started.recv().unwrap();
        }
        for _ in 0..WAITING {
            passwords.queue.try_send(Box::new(|_| ())).unwrap();
        }
        let refused = passwords.verify("correct horse".into(), None).await;
        assert!(matches!(refused, Err(HashingError::Busy)), "{refused:?}");
        drop(open);
        loop {
            match passwords.verify("correct horse".into(), None).await {
                Ok(right) => return assert!(!right, "there is room again"),
                Err(HashingError::Busy) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
