//! End-to-end tests on the real binary, a file a theme. Each test has a hive of its own.

mod adopt;
mod architecture;
mod builders;
mod checks;
mod config;
mod crash;
mod errors;
mod faults;
mod ground;
mod guestbook;
mod hands;
mod honeydue;
mod judge;
mod kill;
mod lock;
mod migration;
mod operate;
mod plan;
mod promote;
mod records;
mod rollback;
mod rolling;
mod secrets;
mod story;
mod two_hives;
