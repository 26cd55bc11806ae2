//! The api's own program, among the surroundings that all of honeyDue's tests share.

use std::process::{Command, Output};

pub(crate) use honeydue_surroundings::{Running, Surroundings, store_at, until};

const API: &str = env!("CARGO_BIN_EXE_honeydue-api");

/// The api, among these surroundings.
pub(crate) trait ServesTheApi {
    /// Its program, configured.
    fn api(&self) -> Command;

    /// Runs it to its end, for starts that must fail.
    fn api_ends(&self) -> Output {
        self.api().output().unwrap()
    }

    /// Starts it and waits until it listens.
    fn serve(&self) -> Running {
        Running::start(self.api())
    }
}

impl ServesTheApi for Surroundings {
    fn api(&self) -> Command {
        self.program(API)
    }
}
