//! Exit codes: one table, stable, and the match that picks from it.

use std::process::ExitCode;

use skep_deploy::{Failure, Problem, Restoration};
use skep_model::Step;

/// Something that no step owns.
pub(crate) const FAILED: u8 = 1;
/// `plan` and `diff` found something to do.
pub(crate) const CHANGES: u8 = 2;
/// Something that could be known is wrong.
pub(crate) const CHECK: u8 = 11;
/// Another deploy runs, or the lock was lost.
pub(crate) const LOCK: u8 = 15;
/// A release failed, and the one before runs again.
pub(crate) const RESTORED: u8 = 30;
/// A release failed, and so did putting the one before back.
pub(crate) const NOT_RESTORED: u8 = 31;
/// The command line can't be understood.
pub(crate) const USAGE: u8 = 64;
/// Stopped by the user.
pub(crate) const INTERRUPTED: u8 = 130;

/// Code, and what it says; the reference in `docs/` is generated from it.
pub(crate) const TABLE: &[(u8, &str)] = &[
    (0, "success; nothing to do counts"),
    (FAILED, "a failure outside any step"),
    (
        CHANGES,
        "plan, diff: there is something to do, or something was changed by hand; diagnose: something is wrong",
    ),
    (10, "load: skep.yaml, an env file or a manifest can't be read"),
    (CHECK, "check: something that could be known before is wrong"),
    (12, "build: an image can't be built"),
    (13, "push: the registry failed or refused"),
    (14, "plan: the cluster can't be read, or would refuse the change"),
    (LOCK, "lock: another deploy runs, or the lock was lost"),
    (16, "stage: storage, config or what the migration needs can't be made ready"),
    (17, "migrate: the migration failed; no service was changed"),
    (18, "apply: an object was refused"),
    (19, "roll: a service does not become ready"),
    (20, "verify: a URL does not answer well"),
    (21, "record: the release's record can't be closed"),
    (22, "prune: what is no longer needed can't be removed"),
    (RESTORED, "a release failed after apply had begun, and the last good one runs again"),
    (NOT_RESTORED, "a release failed after apply had begun, and the last good one could not be put back"),
    (USAGE, "usage: the command line can't be understood"),
    (INTERRUPTED, "stopped by the user"),
];

/// What a code says.
pub(crate) fn meaning(code: u8) -> &'static str {
    TABLE.iter().find(|(known, _)| *known == code).map_or("", |(_, meaning)| meaning)
}

/// The code of a failure.
pub(crate) fn code(failure: &Failure) -> u8 {
    match *failure.problem {
        Problem::Interrupted => return INTERRUPTED,
        // Whatever step it was lost in.
        Problem::Lock(_) => return LOCK,
        _ => {}
    }
    match failure.restoration {
        Some(Restoration::Restored { .. }) => return RESTORED,
        Some(Restoration::Failed { .. }) => return NOT_RESTORED,
        Some(Restoration::Left { .. }) | None => {}
    }
    match failure.step {
        Step::Load => 10,
        Step::Check => CHECK,
        Step::Build => 12,
        Step::Push => 13,
        Step::Plan => 14,
        Step::Lock => LOCK,
        Step::Stage => 16,
        Step::Migrate => 17,
        Step::Apply => 18,
        Step::Roll => 19,
        Step::Verify => 20,
        Step::Record => 21,
        Step::Prune => 22,
    }
}

/// Runs `work` on what was parsed; clap's own answers (help, version, usage errors) end here.
pub(crate) fn on_usage<T>(parsed: Result<T, clap::Error>, work: impl FnOnce(T) -> ExitCode) -> ExitCode {
    match parsed {
        Ok(parsed) => work(parsed),
        Err(error) => {
            let printed = error.print().is_ok();
            if error.use_stderr() || !printed { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page in `docs/` says what the table says; `UPDATE_DOCS=1 cargo test -p skep` writes it anew.
    #[test]
    fn the_reference_is_the_table() {
        let rows: String = TABLE.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n")).collect();
        let page = format!(
            "# Exit codes\n\nStable: a script may rely on them.\n\n| code | meaning |\n|---|---|\n{rows}"
        );
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/exit-codes.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).expect("docs/reference can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, page, "{} is out of date", path.display());
    }

    #[test]
    fn codes_are_unique() {
        for (index, (code, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[..index].iter().all(|(other, _)| other != code), "{code}");
        }
    }
}
