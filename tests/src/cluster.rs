//! The cluster that a test ships to: a hive of its own, or one that these tests did not make.
//!
//! `SKEP_TEST_KUBECONFIG` names the other one's kubeconfig, which has one context, and `SKEP_TEST_REGISTRY` a registry that both
//! these tests and its nodes reach. Nothing else is assumed of it: no StorageClass, no Ingress controller, no metrics.

use std::{
    env,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::Outcome;

/// A cluster that these tests did not make, and the namespace that one test has there.
#[derive(Debug)]
pub(crate) struct Foreign {
    kubeconfig: PathBuf,
    registry: String,
    namespace: String,
    _turn: Option<File>,
}

/// Whether the tests ship to a cluster that they did not make.
pub(crate) fn is_foreign() -> bool {
    kubeconfig().is_some()
}

fn kubeconfig() -> Option<PathBuf> {
    env::var_os("SKEP_TEST_KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Notes that this test was not run, and why. `scripts/test-cluster` counts these: they are no passes.
///
/// # Panics
/// When the note can't be written.
#[expect(clippy::print_stderr, reason = "whoever reads the output of a test wants to know")]
pub fn not_run(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("{test} was not run: {why}");
    if let Some(notes) = env::var_os("SKEP_TEST_NOT_RUN") {
        let mut notes = OpenOptions::new().create(true).append(true).open(notes).expect("notes can be kept");
        notes.write_all(format!("{test}: {why}\n").as_bytes()).expect("a note can be written");
    }
}

impl Foreign {
    /// The cluster that the environment names, with a namespace that nobody else has: `<app>-<a name of the test's folder>`.
    pub(crate) fn with_own_namespace(app: &str, dir: &Path) -> Option<Self> {
        let mark: String = dir
            .file_name()?
            .to_string_lossy()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        Self::with_namespace(format!("{app}-{mark}"), None)
    }

    /// The same for an app whose manifests say where it lives: tests of it come one after the other.
    pub(crate) fn with_fixed_namespace(app: &str) -> Option<Self> {
        kubeconfig()?;
        let turn = File::create(env::temp_dir().join(format!("skep-tests-{app}.lock"))).expect("a lock file");
        turn.lock().expect("its turn comes");
        let foreign = Self::with_namespace(app.to_owned(), Some(turn))?;
        foreign.remove_namespace(true);
        Some(foreign)
    }

    fn with_namespace(namespace: String, turn: Option<File>) -> Option<Self> {
        let kubeconfig = kubeconfig()?;
        let registry = env::var("SKEP_TEST_REGISTRY").unwrap_or_default();
        assert!(
            !registry.is_empty(),
            "SKEP_TEST_KUBECONFIG is set: set SKEP_TEST_REGISTRY too, to a registry that the cluster's nodes reach"
        );
        Some(Self { kubeconfig, registry, namespace, _turn: turn })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A place in the registry of this test's own.
    pub(crate) fn registry(&self) -> String {
        format!("{}/{}", self.registry, self.namespace)
    }

    /// What skep.yaml must say for `local` to be this cluster.
    pub(crate) fn settings(&self) -> String {
        let (namespace, registry, kubeconfig) = (&self.namespace, self.registry(), self.kubeconfig.display());
        format!(
            "namespace: {namespace}\nregistry: {registry}\ntargets: {{ local: {{ kubeconfig: {kubeconfig} }} }}\n"
        )
    }

    fn remove_namespace(&self, wait: bool) {
        let mut command = Command::new(kubectl());
        command.args(["delete", "namespace", &self.namespace, "--ignore-not-found", "--timeout=120s"]);
        command.arg(format!("--wait={wait}")).env("KUBECONFIG", &self.kubeconfig);
        if let Ok(output) = command.output()
            && wait
        {
            Outcome::from(output).ok();
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.remove_namespace(false);
    }
}

/// Debian sid's kubectl, unpacked under `target/` by the first test that needs it.
pub(crate) fn kubectl() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project");
    let kubectl = root.join("target/tools/kubectl/usr/bin/kubectl");
    if !kubectl.exists() {
        Outcome::of(Command::new(root.join("tests/tools/fetch-kubectl.sh")).current_dir(root)).ok();
    }
    kubectl
}
