//! What keeps a workload from being ready: one cause a thing that somebody can do something about, with the words for it.

use std::fmt;

/// What keeps a workload from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The registry says that the image does not exist.
    ImageMissing {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
    },
    /// The registry refused the cluster's credentials.
    ImageDenied {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
    },
    /// The same, and whoever deploys may read the image: the cluster's pull secret is out of date, or there is none.
    PullSecretRefused {
        /// As the pod names it.
        image: String,
        /// What the pod pulls with; none when it names none.
        secrets: Vec<String>,
    },
    /// The registry could not be reached, several times.
    RegistryUnreachable {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
        /// Tries seen.
        tries: u32,
    },
    /// The image has nothing for the node's platform.
    NoPlatform {
        /// As the pod names it.
        image: String,
        /// The runtime's message.
        message: String,
    },
    /// A ConfigMap, Secret or key that the container needs is missing.
    ConfigMissing {
        /// The kubelet's message.
        message: String,
    },
    /// The program is for another processor, or is not a program.
    ExecFormat {
        /// As the pod names it.
        image: String,
    },
    /// The container could not be started at all.
    CannotStart {
        /// The runtime's message.
        message: String,
    },
    /// The app refused to boot on an old schema.
    SchemaRefused {
        /// What the app exited with.
        exit_code: i64,
    },
    /// The container ended again and again.
    CrashLoop {
        /// Times it ended.
        crashes: u32,
        /// What it exited with last.
        exit_code: i64,
        /// The kubelet's word for it: `Error`, `Completed`.
        reason: String,
        /// The line of its log that says why, if one does.
        line: Option<String>,
        /// Whether this release has migrated before.
        migrated: bool,
    },
    /// The container used more memory than it may, again and again.
    OutOfMemory {
        /// Times it was ended.
        crashes: u32,
        /// `resources.limits.memory`; `None` when it is the node that ran out.
        limit: Option<String>,
    },
    /// The app ends because something that it needs does not answer it.
    Dependency {
        /// `Redis`, `Postgres`; none when the log does not say.
        what: Option<String>,
        /// How it fails.
        how: Trouble,
        /// The line of the log.
        line: String,
        /// Times the app ended.
        crashes: u32,
    },
    /// A liveness or startup probe ends a container that runs.
    ProbeKills {
        /// `Liveness`, `Startup`.
        probe: String,
        /// What it says.
        said: String,
        /// Times the container was ended.
        crashes: u32,
    },
    /// It runs, and its readiness probe never passes.
    NeverReady {
        /// What the probe says; empty while the cluster has not told.
        said: String,
        /// What the probe asks: `/ready on port 8000`.
        asks: String,
        /// For how long, in seconds.
        seconds: i64,
    },
    /// It was ready, and its readiness probe fails.
    WentUnready {
        /// What the probe says; empty while the cluster has not told.
        said: String,
        /// What the probe asks: `/ready on port 8000`.
        asks: String,
    },
    /// No node has room for it, or may take it.
    Unschedulable {
        /// The scheduler's message.
        message: String,
        /// What the nodes themselves say, each in a few words: how much is left, which taint.
        nodes: Vec<String>,
    },
    /// The namespace's quota has no room for its pods.
    QuotaExceeded {
        /// The API's message.
        message: String,
    },
    /// The API, or a webhook of it, refuses its pods.
    PodsRefused {
        /// The API's message.
        message: String,
    },
    /// A volume that it needs is not there.
    VolumePending {
        /// The claim.
        claim: String,
        /// Why, in the cluster's words.
        message: String,
    },
    /// A volume can't be mounted.
    MountFailed {
        /// The kubelet's message.
        message: String,
    },
    /// An old pod does not end.
    StuckTerminating {
        /// The pod.
        pod: String,
        /// What holds it; empty when nothing does but its own program.
        finalizers: Vec<String>,
        /// For how long, in seconds.
        seconds: i64,
    },
    /// Somebody paused it.
    Paused,
    /// The node that its pod is on does not answer, or is short of something.
    NodeTrouble {
        /// The node.
        node: String,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing has moved for as long as the policy allows.
    NoProgress {
        /// Seconds since the last progress.
        seconds: i64,
        /// What it was waiting for.
        waiting_for: String,
    },
    /// A Job failed.
    JobFailed {
        /// `BackoffLimitExceeded`, `DeadlineExceeded`, …
        reason: String,
        /// The controller's message.
        message: String,
    },
    /// The object went away while it was awaited.
    Deleted,
}

/// How something that an app needs fails it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens there.
    Refused,
    /// It takes no such account or password.
    Login,
    /// Its name is unknown.
    Name,
    /// It does not answer.
    Silent,
}

impl Cause {
    /// A word for programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ImageMissing { .. } => "image-missing",
            Self::ImageDenied { .. } => "image-denied",
            Self::PullSecretRefused { .. } => "pull-secret-refused",
            Self::RegistryUnreachable { .. } => "registry-unreachable",
            Self::NoPlatform { .. } => "no-platform",
            Self::ConfigMissing { .. } => "config-missing",
            Self::ExecFormat { .. } => "exec-format",
            Self::CannotStart { .. } => "cannot-start",
            Self::SchemaRefused { .. } => "schema-refused",
            Self::CrashLoop { migrated: false, .. } => "crash-loop",
            Self::CrashLoop { migrated: true, .. } => "crash-after-migration",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::Dependency { how: Trouble::Refused, .. } => "dependency-refused",
            Self::Dependency { how: Trouble::Login, .. } => "dependency-login",
            Self::Dependency { how: Trouble::Name, .. } => "dependency-name",
            Self::Dependency { how: Trouble::Silent, .. } => "dependency-silent",
            Self::ProbeKills { .. } => "probe-kills",
            Self::NeverReady { .. } => "never-ready",
            Self::WentUnready { .. } => "went-unready",
            Self::Unschedulable { .. } => "unschedulable",
            Self::QuotaExceeded { .. } => "quota-exceeded",
            Self::PodsRefused { .. } => "pods-refused",
            Self::VolumePending { .. } => "volume-pending",
            Self::MountFailed { .. } => "mount-failed",
            Self::StuckTerminating { .. } => "stuck-terminating",
            Self::Paused => "paused",
            Self::NodeTrouble { .. } => "node-trouble",
            Self::NoProgress { .. } => "no-progress",
            Self::JobFailed { .. } => "job-failed",
            Self::Deleted => "deleted",
        }
    }

    /// Whether the words that say why are still to come: Events may be late.
    pub fn lacks_words(&self) -> bool {
        matches!(self, Self::NeverReady { said, .. } | Self::WentUnready { said, .. } if said.is_empty())
    }

    /// What to do about it: a sentence, for people.
    pub fn hint(&self) -> String {
        match self {
            Self::ImageMissing { .. } => {
                "the registry no longer has it, or never had: deploy without `--skip-build` to push it again".to_owned()
            }
            Self::ImageDenied { .. } => {
                "the cluster's pull secret is missing, expired or for another registry: check `registry` in skep.yaml".to_owned()
            }
            Self::PullSecretRefused { secrets, .. } if secrets.is_empty() => {
                "you may read it, the cluster may not: name a pull secret in the pod's `imagePullSecrets`; skep keeps it current from your login".to_owned()
            }
            Self::PullSecretRefused { .. } => {
                "your own login reads it: `skep deploy` writes the pull secret anew from `registry` in skep.yaml, unless somebody else owns it".to_owned()
            }
            Self::RegistryUnreachable { .. } => "check that the nodes reach the registry, then deploy again".to_owned(),
            Self::NoPlatform { .. } | Self::ExecFormat { .. } => {
                "build for the platform of the nodes: `platforms` in skep.yaml; `kubectl get nodes -L kubernetes.io/arch` shows theirs".to_owned()
            }
            Self::ConfigMissing { .. } => "add the key to `config` or `secrets` in skep.yaml, or mark the reference optional".to_owned(),
            Self::CannotStart { .. } => "check `command` in the manifest and the image's entrypoint".to_owned(),
            Self::SchemaRefused { .. } => {
                "the app needs a newer schema: add `migrate` to skep.yaml, or apply the missing migration".to_owned()
            }
            Self::CrashLoop { migrated: true, .. } => {
                "this release has migrated before: does the program still expect the schema of before? read its last lines above".to_owned()
            }
            Self::CrashLoop { exit_code: 127 | 126, .. } => {
                "the shell found no such program: check `command` and `args` in the manifest against what the image holds".to_owned()
            }
            Self::CrashLoop { reason, .. } if reason == "Completed" => {
                "it did its work and ended; what runs in a Deployment must go on: make it a Job, or keep it running".to_owned()
            }
            Self::CrashLoop { .. } => "read its last lines above; `skep logs SERVICE` shows the rest".to_owned(),
            Self::OutOfMemory { limit: Some(_), .. } => {
                "raise `resources.limits.memory`, or find what takes it".to_owned()
            }
            Self::OutOfMemory { limit: None, .. } => {
                "the node ran out of memory: give the container a limit, or the node more".to_owned()
            }
            Self::Dependency { how: Trouble::Login, .. } => {
                "the account or its password in `secrets` is not what the server has: `skep secret set NAME`, then `skep config apply`".to_owned()
            }
            Self::Dependency { how: Trouble::Name, .. } => {
                "check the host's name in `config`: a Service of this namespace is found by its own name, of another by NAME.NAMESPACE".to_owned()
            }
            Self::Dependency { how: Trouble::Refused | Trouble::Silent, .. } => {
                "is it up, and are host and port in `config` right? `skep status` shows the services of this app".to_owned()
            }
            Self::ProbeKills { probe, .. } if probe == "Startup" => {
                "it starts more slowly than its startup probe allows: raise `failureThreshold`, or mend what it asks".to_owned()
            }
            Self::ProbeKills { .. } => {
                "the program runs and is ended by its own probe: give it a startup probe, raise `failureThreshold` or `timeoutSeconds`, or mend what it asks".to_owned()
            }
            Self::NeverReady { said, .. } => never_ready(said).to_owned(),
            Self::WentUnready { .. } => {
                "it had come up, and fell ill while it served: `skep logs SERVICE` may say why".to_owned()
            }
            Self::Unschedulable { .. } => {
                "lower `resources.requests`, free or add a node, or correct `nodeSelector` and tolerations".to_owned()
            }
            Self::QuotaExceeded { .. } => "raise the ResourceQuota, lower the requests, or let a roll make do with fewer pods: `maxSurge: 0`, `maxUnavailable: 1`".to_owned(),
            Self::PodsRefused { message } if message.contains("error looking up service account") => {
                "add the ServiceAccount to the manifests, or correct `serviceAccountName`".to_owned()
            }
            Self::PodsRefused { .. } => "change what it objects to, or ask who runs that webhook or policy".to_owned(),
            Self::VolumePending { .. } => "check the claim's `storageClassName` and size: `kubectl get storageclass` shows what there is".to_owned(),
            Self::MountFailed { .. } => "check the volume's name and who else uses it".to_owned(),
            Self::StuckTerminating { finalizers, .. } if !finalizers.is_empty() => {
                "whoever set the finalizer must take it away: its controller is gone or stuck".to_owned()
            }
            Self::StuckTerminating { .. } => "its program ignores SIGTERM, or its node is gone: lower `terminationGracePeriodSeconds`".to_owned(),
            Self::Paused => "`skep resume SERVICE` lets its pods come".to_owned(),
            Self::NodeTrouble { node, .. } => format!("`kubectl describe node {node}` says more; drain it if it does not come back"),
            Self::NoProgress { .. } => "look at `skep status`; `rollout.no-progress` in skep.yaml sets this patience".to_owned(),
            Self::JobFailed { .. } => "read its log above; a job of the same name is made again at the next deploy".to_owned(),
            Self::Deleted => "somebody else changed the namespace: deploy again".to_owned(),
        }
    }
}

/// A wrong port, a wrong path and a program that is not ready are three different things to mend.
fn never_ready(said: &str) -> &'static str {
    let said = said.to_lowercase();
    if said.contains("statuscode: 404") {
        "the program answers, and knows no such path: correct `readinessProbe.httpGet.path`"
    } else if said.contains("connection refused") {
        "nobody listens on that port: correct `readinessProbe`'s port, or let the program listen on all addresses, not on 127.0.0.1"
    } else if said.contains("statuscode: 401") || said.contains("statuscode: 403") {
        "the path asks for a login: let a probe ask something that is open"
    } else if said.contains("statuscode: 5") {
        "the program says itself that it is not ready: `skep logs SERVICE` may say why"
    } else if said.contains("timeout") || said.contains("deadline exceeded") {
        "the program takes longer than `timeoutSeconds` to answer: it is busy, or it hangs"
    } else {
        "compare what the probe asks with what the program serves"
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageMissing { image, message } => {
                write!(f, "image {image} is not in the registry: {message}")
            }
            Self::ImageDenied { image, message } => {
                write!(f, "the registry refused to hand out {image}: {message}")
            }
            Self::PullSecretRefused { image, secrets } if secrets.is_empty() => {
                write!(
                    f,
                    "the registry hands out {image} to you and not to the cluster: the pod names no pull secret"
                )
            }
            Self::PullSecretRefused { image, secrets } => write!(
                f,
                "the registry hands out {image} to you and not to the cluster: it refuses pull secret {}",
                secrets.join(", ")
            ),
            Self::RegistryUnreachable { image, message, tries } => {
                write!(f, "the registry of {image} could not be reached in {tries} tries: {message}")
            }
            Self::NoPlatform { image, message } => {
                write!(f, "image {image} has nothing for the node's platform: {message}")
            }
            Self::ConfigMissing { message } => write!(f, "its configuration is incomplete: {message}"),
            Self::ExecFormat { image } => {
                write!(f, "{image} holds a program for another kind of machine (exec format error)")
            }
            Self::CannotStart { message } => write!(f, "the container can't be started: {message}"),
            Self::SchemaRefused { exit_code } => write!(
                f,
                "it refused to boot because the database schema is not what it was built for (exit code {exit_code})"
            ),
            Self::CrashLoop { crashes, exit_code, reason, line, migrated } => {
                let last = if *crashes > 1 { "; the last time" } else { "" };
                write!(f, "it ended {}{}{last} with ", times(*crashes), after(*migrated))?;
                match exit_code {
                    129..=192 => write!(f, "signal {}", signal(exit_code - 128))?,
                    _ => write!(f, "exit code {exit_code} ({reason})")?,
                }
                line.iter().try_for_each(|line| write!(f, ": {line}"))
            }
            Self::OutOfMemory { crashes, limit: Some(limit) } => {
                write!(
                    f,
                    "it used more memory than its limit of {limit} and was ended {} (OOMKilled)",
                    times(*crashes)
                )
            }
            Self::OutOfMemory { crashes, limit: None } => {
                write!(f, "its node ran out of memory and ended it {} (OOMKilled)", times(*crashes))
            }
            Self::Dependency { what, how, line, crashes } => {
                let what = what.as_deref().unwrap_or("something that it needs");
                let how = match how {
                    Trouble::Refused => "refuses its connections",
                    Trouble::Login => "does not take its login",
                    Trouble::Name => "is not found by its name",
                    Trouble::Silent => "does not answer",
                };
                write!(f, "{what} {how}, and it ended {}: {line}", times(*crashes))
            }
            Self::ProbeKills { probe, said, crashes } => {
                write!(
                    f,
                    "its {} probe ended it {} though it ran: {said}",
                    probe.to_lowercase(),
                    times(*crashes)
                )
            }
            Self::NeverReady { said, asks, seconds } => {
                let said = or_nothing(said);
                write!(f, "it runs, and for {seconds} s its readiness probe ({asks}) has not passed: {said}")
            }
            Self::WentUnready { said, asks } => {
                let said = or_nothing(said);
                write!(f, "it was ready, and then its readiness probe ({asks}) failed: {said}")
            }
            Self::Unschedulable { message, nodes } => {
                write!(f, "no node can take it: {}", message.trim_end_matches('.'))?;
                nodes.iter().try_for_each(|why| write!(f, "; {why}"))
            }
            Self::QuotaExceeded { message } => write!(f, "the namespace's quota is used up: {message}"),
            Self::PodsRefused { message } => write!(f, "its pods are refused: {message}"),
            Self::VolumePending { claim, message } => {
                write!(f, "its volume is not there: PersistentVolumeClaim/{claim} is pending: {message}")
            }
            Self::MountFailed { message } => write!(f, "a volume can't be mounted: {message}"),
            Self::StuckTerminating { pod, finalizers, seconds } => {
                write!(f, "the old pod {pod} has been ending for {seconds} s")?;
                match finalizers.as_slice() {
                    [] => Ok(()),
                    some => write!(f, ", held by finalizer {}", some.join(", ")),
                }
            }
            Self::Paused => f.write_str("somebody paused it: no new pods come"),
            Self::NodeTrouble { node, message } => write!(f, "node {node} is in trouble: {message}"),
            Self::NoProgress { seconds, waiting_for } => {
                write!(f, "no progress for {seconds} s while waiting for {waiting_for}")
            }
            Self::JobFailed { reason, message } => write!(f, "the job failed ({reason}): {message}"),
            Self::Deleted => f.write_str("the object was deleted while it was awaited"),
        }
    }
}

fn or_nothing(said: &str) -> &str {
    if said.is_empty() { "the cluster has not told why" } else { said }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn after(migrated: bool) -> &'static str {
    if migrated { " right after the migration" } else { "" }
}

/// Signals that a program dies of, as `kill -l` names them.
fn signal(number: i64) -> String {
    match number {
        4 => "4 (SIGILL)".to_owned(),
        6 => "6 (SIGABRT)".to_owned(),
        7 => "7 (SIGBUS)".to_owned(),
        8 => "8 (SIGFPE)".to_owned(),
        9 => "9 (SIGKILL)".to_owned(),
        11 => "11 (SIGSEGV)".to_owned(),
        13 => "13 (SIGPIPE)".to_owned(),
        15 => "15 (SIGTERM)".to_owned(),
        other => other.to_string(),
    }
}
