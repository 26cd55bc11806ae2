//! The records of an app: those that can be read, and what is known of the others.

use std::ops::{Deref, DerefMut};

use skep_model::Release;
use thiserror::Error;

use crate::ClusterError;

/// A record that can't be read or written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Written by a newer Skep.
    #[error(
        "release record {name} has format {format}, and this Skep knows formats up to {}",
        Release::FORMAT
    )]
    Newer {
        /// The Secret.
        name: String,
        /// Its format.
        format: u64,
    },
    /// Not what Skep writes.
    #[error("release record {name} can't be read: {why}")]
    Unreadable {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The number is taken: another deploy was faster.
    #[error("release v{0} was opened by another deploy")]
    Taken(u64),
    /// The API failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The records of one app. As a list it is those that can be read, oldest first.
#[derive(Debug, Default)]
pub struct Records {
    releases: Vec<Release>,
    unreadable: Vec<(u64, RecordError)>,
}

impl Records {
    /// The newest number in use, 0 if there is none. It may be that of a record that can't be read.
    pub fn newest(&self) -> u64 {
        let readable = self.releases.last().map(|release| release.number);
        let unreadable = self.unreadable.last().map(|(number, _)| *number);
        readable.max(unreadable).unwrap_or(0)
    }

    /// The records that can't be read: number and reason, lowest number first.
    pub fn unreadable(&self) -> &[(u64, RecordError)] {
        &self.unreadable
    }

    /// Checks that the record of this number isn't one that can't be read.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn readable(&self, number: u64) -> Result<(), RecordError> {
        self.refuse(|unreadable, _| unreadable == number)
    }

    /// Checks that every record from this number on can be read.
    ///
    /// # Errors
    /// Why the first that can't be read can't.
    pub fn readable_since(&self, number: u64) -> Result<(), RecordError> {
        self.refuse(|unreadable, _| unreadable >= number)
    }

    /// Checks that none was written by a newer Skep.
    ///
    /// # Errors
    /// [`RecordError::Newer`].
    pub fn not_newer(&self) -> Result<(), RecordError> {
        self.refuse(|_, error| matches!(error, RecordError::Newer { .. }))
    }

    fn refuse(&self, counts: impl Fn(u64, &RecordError) -> bool) -> Result<(), RecordError> {
        let found = self.unreadable.iter().find(|(number, error)| counts(*number, error));
        match found.map(|(_, error)| error) {
            Some(RecordError::Newer { name, format }) => {
                Err(RecordError::Newer { name: name.clone(), format: *format })
            }
            Some(error) => {
                Err(RecordError::Unreadable { name: error.secret().to_owned(), why: error.why().to_owned() })
            }
            None => Ok(()),
        }
    }
}

impl FromIterator<Result<Release, (u64, RecordError)>> for Records {
    fn from_iter<I: IntoIterator<Item = Result<Release, (u64, RecordError)>>>(read: I) -> Self {
        let mut records = Self::default();
        for one in read {
            match one {
                Ok(release) => records.releases.push(release),
                Err(unreadable) => records.unreadable.push(unreadable),
            }
        }
        records.releases.sort_by_key(|release| release.number);
        records.unreadable.sort_by_key(|(number, _)| *number);
        records
    }
}

impl Deref for Records {
    type Target = Vec<Release>;

    fn deref(&self) -> &Vec<Release> {
        &self.releases
    }
}

impl DerefMut for Records {
    fn deref_mut(&mut self) -> &mut Vec<Release> {
        &mut self.releases
    }
}

impl IntoIterator for Records {
    type Item = Release;
    type IntoIter = std::vec::IntoIter<Release>;

    fn into_iter(self) -> Self::IntoIter {
        self.releases.into_iter()
    }
}

impl RecordError {
    /// The Secret that it is about; empty for a failure of the API.
    pub fn secret(&self) -> &str {
        match self {
            Self::Newer { name, .. } | Self::Unreadable { name, .. } => name,
            Self::Taken(_) | Self::Cluster(_) => "",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Unreadable { why, .. } => why,
            _ => "",
        }
    }
}
