//! honeyDue's words: people, residences and tasks, when a task is due, and what counts as a valid one.
//!
//! The shapes here are what travels as JSON between the api and its clients, so both sides compile against the same ones.
//! Nothing here does I/O or asks for the time: "today" is always an argument. Start with [`schedule`].

pub mod keeper;
pub mod people;
pub mod places;
pub mod schedule;
pub mod tasks;
pub mod uploads;
mod valid;

pub use self::{
    keeper::{Counts, JobReport, Overview, RunReport},
    people::{Digest, Farewell, Login, Registration, SignedIn, User},
    places::{NewResidence, Residence},
    schedule::Urgency,
    tasks::{NewTask, Reminder, Task},
    uploads::{
        Category, Completion, Document, FileLink, NewCompletion, NewDocument, NotWanted, StoredFile,
        UploadRequest, WantedUpload,
    },
    valid::Invalid,
};
