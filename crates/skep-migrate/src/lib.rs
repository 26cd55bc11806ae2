//! goose-format migrations for Postgres: parser, runner, and the check an app makes at start.
//!
//! The format, the version table, the lock and the command line are those of goose v3, so a project with goose
//! migrations works unchanged, and either program can go on where the other stopped.
//!
//! # The check at start
//! An app that was built for a schema refuses to boot on an older one. It knows the newest migration of its own
//! source, asks the database, and exits with [`SCHEMA_EXIT_CODE`], which whoever watches the rollout takes as final:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use skep_migrate::{SCHEMA_EXIT_CODE, newest_version, require_schema_applied};
//! use sqlx::Connection as _;
//!
//! // For example from a build script: the file names of the folder `migrations`.
//! const MIGRATIONS: [&str; 2] = ["00001_users.sql", "00002_tasks.sql"];
//!
//! # async fn start() -> Result<ExitCode, Box<dyn std::error::Error>> {
//! let mut connection = sqlx::PgConnection::connect("postgres://app@db/app").await?;
//! let newest = newest_version(MIGRATIONS).unwrap_or(0);
//! if let Err(error) = require_schema_applied(&mut connection, newest).await {
//!     eprintln!("{error}");
//!     return Ok(if error.is_final() { ExitCode::from(SCHEMA_EXIT_CODE) } else { ExitCode::FAILURE });
//! }
//! # Ok(ExitCode::SUCCESS)
//! # }
//! ```
//!
//! # Migrating
//! The program `skep-migrate` answers goose's own arguments. The same from code:
//!
//! ```no_run
//! use skep_migrate::{Catalog, Environment, Migrator, Session, Task, resolve};
//!
//! # async fn migrate() -> Result<(), Box<dyn std::error::Error>> {
//! let environment = Environment::of_process();
//! let mut session = Session::connect(&resolve(None, &environment)?.dsn).await?;
//! let migrator = Migrator::new(Catalog::from_dir("migrations")?).environment(environment);
//! let outcome = migrator.run(&mut session, Task::Up, &mut |_| {}).await?;
//! println!("version {}", outcome.version);
//! session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to start reading
//! `parse` is the format, `plan` and `history` decide what runs; these are pure. `source` finds files, `dsn` finds
//! the database, `session`, `lock`, `table` and `run` speak to it, `schema` is the check.

mod dsn;
mod environment;
mod history;
mod lint;
#[cfg(feature = "postgres")]
mod lock;
mod parse;
#[cfg(feature = "postgres")]
mod plan;
#[cfg(feature = "postgres")]
mod run;
#[cfg(feature = "postgres")]
mod schema;
#[cfg(feature = "postgres")]
mod session;
mod source;
#[cfg(feature = "postgres")]
mod table;
mod version;

pub use dsn::{Dsn, DsnError, Resolved, resolve};
pub use environment::Environment;
pub use history::{History, Row};
pub use lint::{Danger, dangers};
#[cfg(feature = "postgres")]
pub use lock::{Holder, LockError, LockPolicy};
pub use parse::{Direction, ParseError, Place, Problem, Script, Statement, parse};
#[cfg(feature = "postgres")]
pub use plan::{Missing, PlanError};
#[cfg(feature = "postgres")]
pub use run::{
    Failed, Finished, Migrator, Outcome, Progress, Report, RunError, ServerMessage, StatusLine, Task,
};
#[cfg(feature = "postgres")]
pub use schema::{SCHEMA_EXIT_CODE, SchemaError, require_schema_applied, require_schema_applied_in};
#[cfg(feature = "postgres")]
pub use session::{Canceller, ConnectError, Session};
pub use source::{Catalog, CreateError, Migration, Numbering, SourceError, create};
#[cfg(feature = "postgres")]
pub use table::{TableName, TableNameError};
pub use version::{NameError, newest_version, version_of};
