//! What happens in a run: which versions are shipped, by whom, and what goes wrong, all decided by the seed.

use std::{fmt::Write as _, time::Duration};

use rand::{Rng, rngs::StdRng};

/// How a program of a version behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// Ends with 1, soon after each start.
    Crashes,
    /// Runs, and never answers its readiness probe.
    NeverReady,
    /// No registry has its image.
    NoImage,
}

impl Health {
    pub(crate) const ALL: [Self; 4] = [Self::Good, Self::Crashes, Self::NeverReady, Self::NoImage];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Crashes => "crashes",
            Self::NeverReady => "never-ready",
            Self::NoImage => "no-image",
        }
    }

    fn draw(rng: &mut StdRng, good: f64) -> Self {
        if rng.random_bool(good) { Self::Good } else { Self::ALL[rng.random_range(1..Self::ALL.len())] }
    }
}

/// A version of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) api: Health,
    pub(crate) web: Health,
    /// Whether the migration ends well; `None`: there is none yet, or it is that of the version before.
    pub(crate) migration: bool,
    /// Whether what is asked after the rollout goes well.
    pub(crate) check: bool,
    workers: u32,
    /// Whether the manifests hold an object that another version lacks.
    extra: bool,
}

impl Version {
    pub(crate) fn good(number: u32) -> Self {
        let (api, web) = (Health::Good, Health::Good);
        Self { number, api, web, migration: true, check: true, workers: 1, extra: false }
    }

    fn draw(rng: &mut StdRng, number: u32) -> Self {
        Self {
            number,
            api: Health::draw(rng, 0.65),
            web: Health::draw(rng, 0.9),
            migration: rng.random_bool(0.9),
            check: rng.random_bool(0.85),
            workers: rng.random_range(1..=3),
            extra: rng.random_bool(0.5),
        }
    }

    /// Whether a release of it may be called good.
    pub(crate) fn is_good(&self) -> bool {
        self.api == Health::Good && self.web == Health::Good && self.migration && self.check
    }

    pub(crate) fn skep_yaml(&self) -> String {
        let number = self.number;
        format!(
            "app: shop\nmanifests: k8s\nmigrate: {{ manifest: migrate.yaml }}\n\
             config: {{ shop-config: {{ values: {{ VERSION: 'v{number}' }} }} }}\n\
             secrets: {{ shop-keys: {{ generate: [TOKEN] }} }}\n\
             rollout: {{ no-progress: 60s }}\n\
             verify: [{{ run: api, command: [/check], within: 20s }}]\n"
        )
    }

    pub(crate) fn manifests(&self) -> String {
        let mut text = String::new();
        for (name, health, replicas) in
            [("api", self.api, 2), ("web", self.web, 1), ("worker", Health::Good, self.workers)]
        {
            let (version, health, check) = (self.number, health.name(), self.check);
            let digest = format!("{:064x}", u64::from(self.number) * 16 + name.len() as u64);
            // Writing to a string can't fail.
            _ = write!(
                text,
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n  replicas: {replicas}\n  \
                 selector: {{ matchLabels: {{ app: {name} }} }}\n  template:\n    metadata:\n      \
                 labels: {{ app: {name} }}\n      \
                 annotations: {{ sim/version: '{version}', sim/health: {health} }}\n    spec:\n      \
                 terminationGracePeriodSeconds: 10\n      containers:\n        - name: {name}\n          \
                 image: registry.test/{name}@sha256:{digest}\n          \
                 env: [{{ name: CHECK, value: '{check}' }}]\n          \
                 envFrom: [{{ configMapRef: {{ name: shop-config }} }}, {{ secretRef: {{ name: shop-keys }} }}]\n          \
                 readinessProbe: {{ httpGet: {{ path: /, port: 8000 }} }}\n---\n"
            );
        }
        text.push_str(
            "apiVersion: v1\nkind: Service\nmetadata: { name: api }\nspec: { selector: { app: api }, ports: [{ port: 80 }] }\n",
        );
        if self.extra {
            text.push_str(
                "---\napiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec: { selector: { app: web }, ports: [{ port: 80 }] }\n",
            );
        }
        text
    }

    pub(crate) fn migration(&self) -> String {
        // A version whose migration works shares it with its neighbour, as most releases do.
        let (number, ends) =
            if self.migration { (self.number / 2, "good") } else { (self.number, "crashes") };
        let digest = format!("{number:064x}");
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: migrate }}\nspec:\n  backoffLimit: 0\n  template:\n    \
             metadata: {{ annotations: {{ sim/health: {ends} }} }}\n    spec:\n      restartPolicy: Never\n      \
             containers: [{{ name: migrate, image: 'registry.test/migrate@sha256:{digest}' }}]\n"
        )
    }
}

/// What stops a deploy in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The process is killed: at this await, counted from the start.
    Killed(u32),
    /// The user presses Ctrl-C.
    Cancelled(u32),
}

/// What goes wrong between a process and the API.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Of a thousand requests, so many fail in one way or another.
    pub(crate) per_mille: u32,
    /// The network of this process is away: from which of its requests on, and for how long.
    pub(crate) away: Option<(u32, Duration)>,
}

/// One `skep deploy`.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) version: Version,
    pub(crate) stop: Option<Stop>,
    pub(crate) faults: Faults,
    /// Begins so long after the one before has begun, instead of after its end.
    pub(crate) beside: Option<Duration>,
    /// `--wait`, as against being refused while another deploys.
    pub(crate) waits: bool,
    /// Put the last good release back after a failure.
    pub(crate) restores: bool,
}

/// The acts of a run.
pub(crate) fn draw(rng: &mut StdRng) -> Vec<Act> {
    let mut acts = Vec::new();
    // Most runs begin from something that works.
    if rng.random_bool(0.8) {
        acts.push(Act::calm(Version::good(1)));
    }
    for _ in 0..rng.random_range(1..=3) {
        let number = u32::try_from(acts.len()).unwrap_or(0) + 1;
        acts.push(Act::draw(rng, number));
    }
    acts
}

impl Act {
    /// Nothing goes wrong but what the version brings.
    pub(crate) fn calm(version: Version) -> Self {
        Self { version, stop: None, faults: Faults::default(), beside: None, waits: true, restores: true }
    }

    fn draw(rng: &mut StdRng, number: u32) -> Self {
        let at = |rng: &mut StdRng| {
            // The plan is at its end after some fifty awaits, the lock is taken and given back within few, and the rest takes hundreds.
            let range = [1..50, 40..120, 40..400][rng.random_range(0..3)].clone();
            rng.random_range(range)
        };
        let stop = match rng.random_range(0..10) {
            0..4 => Some(Stop::Killed(at(rng))),
            4..6 => Some(Stop::Cancelled(at(rng))),
            _ => None,
        };
        let per_mille = [0, 0, 20, 100, 300][rng.random_range(0..5)];
        let seconds =
            |rng: &mut StdRng, longest: u64| Duration::from_millis(rng.random_range(0..longest * 1000));
        let away = rng.random_bool(0.3).then(|| (rng.random_range(1..150), seconds(rng, 100)));
        Self {
            version: Version::draw(rng, number),
            stop,
            faults: Faults { per_mille, away },
            beside: rng.random_bool(0.35).then(|| seconds(rng, 30)),
            waits: rng.random_bool(0.5),
            restores: rng.random_bool(0.8),
        }
    }
}
