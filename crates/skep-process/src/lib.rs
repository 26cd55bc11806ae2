//! Starts other programs. What Skep is given to read secrets and to log in with is not theirs: a build runs the scripts of hundreds of
//! dependencies. Every program that Skep starts is made by [`command`], [`build`] or [`helper`], which a test of the house holds.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    process::Command,
    sync::{PoisonError, RwLock},
};

/// The variables that hold, or lead to, the key of all encrypted env files.
pub const AGE_KEYS: [&str; 2] = ["SKEP_AGE_KEY", "SKEP_AGE_KEY_FILE"];
/// What leads to clusters and to logins of registries: a build has neither to reach.
const TARGETS: [&str; 3] = ["KUBECONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG"];

/// The variables that skep.yaml reads secrets from.
static NAMED: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// Withholds these environment variables from all programs that are started from now on, helpers for logins excepted.
pub fn withhold<N: Into<String>>(names: impl IntoIterator<Item = N>) {
    NAMED.write().unwrap_or_else(PoisonError::into_inner).extend(names.into_iter().map(Into::into));
}

/// A program that has this process's environment without the age key and without what was [withheld](withhold).
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = helper(program);
    for name in NAMED.read().unwrap_or_else(PoisonError::into_inner).iter() {
        command.env_remove(name);
    }
    command
}

/// The same for what builds an image: it has no way to a cluster or to a registry's login either.
#[must_use]
pub fn build(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    for name in TARGETS {
        command.env_remove(name);
    }
    command
}

/// A program of the user's own that answers with a login. It may need the very variables that skep.yaml names (those of a cloud); the age
/// key it never needs.
#[must_use]
pub fn helper(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in AGE_KEYS {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(command: &Command) -> Vec<&str> {
        command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .filter_map(|(name, _)| name.to_str())
            .collect()
    }

    #[test]
    fn programs_inherit_no_credentials() {
        withhold(["REGISTRY_TOKEN", "SENTRY_TOKEN"]);
        assert_eq!(removed(&helper("true")), AGE_KEYS);
        assert_eq!(removed(&command("true")), ["REGISTRY_TOKEN", "SENTRY_TOKEN", AGE_KEYS[0], AGE_KEYS[1]]);
        let build = build("true");
        let removed = removed(&build);
        assert!(removed.contains(&"KUBECONFIG") && removed.contains(&"SENTRY_TOKEN"), "{removed:?}");
    }
}
