//! Where honeyDue keeps things: Postgres holds the truth, Redis holds what may be lost (recent sessions, login throttling).
//!
//! One module per table family, each query a function that says what it answers. [`Store::connect`] and
//! [`Store::require_schema`] are what a service calls at start.

mod attempts;
mod cache;
mod database;
mod error;
pub mod jobs;
mod limits;
mod notices;
mod overview;
pub mod passwords;
mod places;
mod query;
mod schema;
mod sessions;
mod start;
mod tasks;
mod tokens;
pub mod uploads;
mod users;

pub use self::{
    attempts::Attempt,
    cache::Cache,
    database::{DatabaseSettings, Store},
    error::StoreError,
    limits::{Counted, Limit},
    schema::NEWEST_MIGRATION,
    start::StartError,
    tokens::Token,
};
pub use redis::RedisError;
pub use skep_migrate::{SCHEMA_EXIT_CODE, SchemaError};
