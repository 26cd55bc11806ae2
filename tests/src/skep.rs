//! Running the real binary.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// What `make dist` made, if the tests are to run that: the folder that `SKEP_TEST_DIST` names.
pub fn dist() -> Option<PathBuf> {
    std::env::var_os("SKEP_TEST_DIST").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A program of this build, beside the test's own: `target/<profile>/<name>`. Skep itself is that of `make dist`, where there is one.
///
/// # Panics
/// When it has not been built.
pub fn program(name: &str) -> PathBuf {
    if let Some(dist) = dist().filter(|_| name == "skep") {
        let files = std::fs::read_dir(&dist).unwrap_or_else(|error| panic!("{}: {error}", dist.display()));
        let mut files = files.filter_map(|entry| Some(entry.ok()?.path()));
        let is_program = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("skep-") && !name.ends_with(".tar") && !name.ends_with(".gz")
        };
        return files.find(is_program).unwrap_or_else(|| panic!("{} holds no program", dist.display()));
    }
    let this = std::env::current_exe().expect("this program has a file");
    // Tests lie in target/<profile>/deps, programs in target/<profile>.
    let found = this.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|program| program.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: run `cargo build --workspace --bins` first"))
}

/// What a run of Skep came to.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn of(command: &mut Command) -> Self {
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
    }

    /// Insists on success.
    ///
    /// # Panics
    /// With everything it printed, when it failed.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "expected success\n{self}");
        self
    }

    /// Insists on an exit code.
    ///
    /// # Panics
    /// With everything it printed, when it was another.
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "expected exit code {code}\n{self}");
        self
    }

    /// Insists that all of it, taken together, says this.
    ///
    /// # Panics
    /// With everything it printed, when it doesn't.
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "expected `{text}`\n{self}");
        self
    }

    /// Insists that none of it says this.
    ///
    /// # Panics
    /// With everything it printed, when it does.
    pub fn never_says(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "did not expect `{text}`\n{self}"
        );
        self
    }

    /// Standard output as one JSON object a line.
    ///
    /// # Panics
    /// When a line is not JSON.
    pub fn json(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`\n{self}"))
        };
        self.stdout.lines().map(parse).collect()
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}
