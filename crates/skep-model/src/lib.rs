//! The vocabulary that every part of Skep shares.
//!
//! Values only: no I/O, no async, no clock (time is passed in). Start at [`Project`] for what a user wants,
//! [`Release`] for what was shipped, [`Event`] for what is being said while it ships.

mod bucket;
mod digest;
mod event;
mod image;
mod name;
mod object;
mod platform;
mod project;
mod quantity;
mod redactor;
mod release;
mod verify;

pub use bucket::{Bucket, BucketCors, BucketLifecycle};
pub use digest::{Digest, DigestError};
pub use event::{Emit, Event, Outcome, Progress, Step, WorkloadState};
pub use image::{ImageRef, ImageRefError};
pub use name::{AppName, NameError};
pub use object::ObjectKey;
pub use platform::{Platform, PlatformError};
pub use project::{
    Build, BuildSecrets, Builder, Checks, Cluster, ConfigSet, Credentials, DockerBuild, Format, Image,
    LaidPath, Migrate, NativeBuild, Notify, NotifyUrl, Project, Registry, RolloutPolicy, SecretSet,
    Substitute,
};
pub use quantity::{Quantity, QuantityError};
pub use redactor::Redactor;
pub use release::{IllegalTransition, PodSpan, ReasonForRelease, Release, ReleaseStatus, StepTiming};
pub use verify::{Check, RunCheck, UrlCheck};
