//! End-to-end tests on the real binary, a file a theme. Each test has a hive of its own.

mod adopt;
mod architecture;
mod bucket;
mod builders;
mod cheat_sheet;
mod checks;
mod config;
mod crash;
mod dist;
#[path = "../../crates/skep-registry/tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of crates/skep-registry")]
mod docker_registry;
mod errors;
mod faults;
mod gallery;
mod ground;
mod guestbook;
mod hands;
mod honeydue;
mod init;
mod judge;
mod kill;
mod kubeconfig;
mod lock;
mod look;
mod migration;
mod notify;
mod operate;
mod output;
mod plan;
mod promote;
mod records;
mod removal;
mod report;
mod restore;
mod rollback;
mod rolling;
mod secrets;
mod story;
mod transitions;
mod two_hives;
mod uploads;
mod verify;
mod workloads;
