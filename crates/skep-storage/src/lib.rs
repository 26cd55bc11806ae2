//! Object storage for an app whose clients send their files straight to a bucket.
//!
//! Start at [`Signer`]: it signs an [`Upload`], whose key, type and size are settled before the first byte, as a form that a browser
//! posts or as a URL that takes a PUT; both are [`Presigned`]. Not every store takes forms (Backblaze B2 answers 501), and none takes an
//! upload that differs from what was signed.
//!
//! Signing asks nobody and needs no clock of its own: the time is passed in. [`Client`] is what the app itself asks of its bucket, and
//! [`FileKind`] what it makes of the bytes that came. [`Admin`] sets a bucket's rules.

mod admin;
mod bucket;
mod client;
mod copying;
mod expiry;
mod form;
mod kind;
mod names;
mod presigned;
mod rules;
mod signer;
mod upload;

pub use admin::{Admin, B2_API, MOST_LISTED};
pub use bucket::{Addressing, Bucket, BucketError, Credentials, region_of};
pub use client::{Client, Copied, ListedVersion, Marker, NotDeleted, Page, Seen, StoreError};
pub use copying::{CopyReport, Copying};
pub use expiry::Expiring;
pub use kind::{FIRST_BYTES, FileKind};
pub use presigned::Presigned;
pub use rules::{CorsRule, Difference, FoundCors, LifecycleRule, cors_differences, lifecycle_differences};
pub use signer::{Download, LONGEST, Signer};
pub use upload::{Upload, UploadError};
