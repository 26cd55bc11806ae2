//! What keeps a write from being sent once the lock that it was meant under is lost: a request that is tried again after the network was
//! away would else come upon somebody else's deploy.

use std::sync::{Arc, Mutex, PoisonError};

use skep_model::AppName;

use super::renew::{Hold, Standing};
use super::{LOOK_EVERY, LockError};

/// The lock that a cluster's writes are made under, while there is one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fence(Arc<Mutex<Option<(AppName, Hold)>>>);

/// While it lives, writes are fenced.
#[derive(Debug)]
pub(super) struct Fenced(Fence);

impl Fence {
    pub(super) fn raise(&self, app: &AppName, hold: &Hold) -> Fenced {
        self.set(Some((app.clone(), hold.clone())));
        Fenced(self.clone())
    }

    /// Waits while nobody knows whose the lock is.
    ///
    /// # Errors
    /// [`LockError::Lost`] when it is somebody else's.
    pub(crate) async fn pass(&self) -> Result<(), LockError> {
        loop {
            let Some((app, hold)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
                return Ok(());
            };
            match hold.standing() {
                Standing::Held => return Ok(()),
                Standing::Lost(why) => return Err(LockError::Lost { app, why }),
                Standing::Unsure(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    fn set(&self, hold: Option<(AppName, Hold)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hold;
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
