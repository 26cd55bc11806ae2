//! Whole deploys under a simulated clock: the real deploy code, over the API's own HTTP, against the real API server and hive's controllers.
//! Only time, chance, the network and the node are simulated.
//!
//! A seed decides what is shipped, by whom, what fails, and when somebody is killed. Whatever it is: no half release is called good, the
//! old one keeps serving, nobody writes without the lock, the lock frees itself, and the next deploy converges.
//!
//! `SKEP_SEED=17 cargo test -p skep-deploy --test simulation -- --nocapture` tells the story of one seed; `SKEP_SEEDS=10000` runs more of them.

mod kubelet;
mod observer;
mod scenario;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use jiff::Timestamp;
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
use skep_ambient::Simulated;
use skep_apiserver::{ApiConnections, Resources, ResourcesConfig};
use skep_cluster::{Cluster, Holder, LockError, Releases};
use skep_deploy::{App, Author, DeployRequest, Done, Failure, Problem, Restoration};
use skep_hive::{Controllers, RetryDelay};
use skep_image::Compression;
use skep_model::{Emit, Event, ReleaseStatus, Step};
use skep_project::{LOCAL, LoadRequest, Outside, Reads};
use skep_registry::{Client, ClientConfig};
use tokio_util::sync::CancellationToken;

use observer::{NAMESPACE, Observer};
use scenario::{Act, Faults, Stop, Version};
use wire::{TOKEN, Wire};

/// How many seeds are run where nobody says.
const SEEDS: u64 = 200;
/// No deploy may take longer, in simulated time.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// How long a dead process's lock may stand.
const LOCK: Duration = Duration::from_secs(15);

/// How an act ended.
enum Ended {
    Well,
    Badly(Box<Failure>),
    Killed(Option<Step>),
}

/// `killed at roll`, for counting.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("went well"),
            Self::Badly(failure) => {
                let how = match &*failure.problem {
                    Problem::Interrupted => "stopped",
                    Problem::Lock(LockError::Held { .. }) => "refused",
                    Problem::Lock(LockError::Lost { .. }) => "lost the lock",
                    _ => "failed",
                };
                write!(f, "{how} at {}", failure.step)?;
                match failure.restoration {
                    Some(Restoration::Restored { .. }) => f.write_str(", restored"),
                    Some(Restoration::Failed { .. }) => f.write_str(", not restored"),
                    Some(Restoration::Left { .. }) => f.write_str(", left"),
                    None => Ok(()),
                }
            }
            Self::Killed(None) => f.write_str("killed before the first step"),
            Self::Killed(Some(step)) => write!(f, "killed at {step}"),
        }
    }
}

#[test]
fn whatever_happens_to_deploys_the_promises_hold() {
    if let Some(seed) = number("SKEP_SEED") {
        let told = run(seed);
        println!("{}", told.story.join("\n"));
        assert_eq!(told.broken, None, "seed {seed}");
        return;
    }
    let seeds = number("SKEP_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let ends = Mutex::new(BTreeMap::<String, usize>::new());
    let failed: Vec<(u64, Told)> = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds || failed.len() >= 3 {
                    return failed;
                }
                let told = run(seed);
                let mut ends = ends.lock().expect("no worker fails");
                told.ends.iter().for_each(|end| *ends.entry(end.clone()).or_default() += 1);
                drop(ends);
                if told.broken.is_some() {
                    failed.push((seed, told));
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    for (seed, told) in &failed {
        let tail = &told.story[told.story.len().saturating_sub(60)..];
        println!("seed {seed}: {}\n  {}\n", told.broken.as_deref().unwrap_or(""), tail.join("\n  "));
    }
    let failed: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(
        failed.is_empty(),
        "of {seeds} seeds, these broke a promise: {failed:?}; SKEP_SEED tells the story of one"
    );
    // A run in which nothing happens proves nothing.
    let ends = ends.into_inner().expect("no worker fails");
    ends.iter().for_each(|(end, count)| println!("{count:6} {end}"));
    let killed = [Step::Plan, Step::Lock, Step::Stage, Step::Migrate, Step::Roll, Step::Verify]
        .map(|step| format!("killed at {step}"));
    let others = [
        "went well",
        "failed at migrate",
        "failed at roll, restored",
        "failed at verify, restored",
        "stopped at roll",
    ];
    for must in killed.iter().map(String::as_str).chain(others) {
        assert!(seeds < SEEDS || ends.contains_key(must), "of {seeds} seeds, none `{must}`: {ends:?}");
    }
}

/// Two that wait for the same dead lock: the second must not take it from the first. A seed found that.
#[test]
fn a_lock_that_two_waited_for_is_had_by_one() {
    let told = run(1258);
    assert_eq!(told.broken, None, "{}", told.story.join("\n"));
}

/// The network goes away under a request, is away for longer than the lock lives without it, and comes back to a deploy of somebody else's.
#[test]
fn a_request_that_is_tried_again_never_meets_anothers_deploy() {
    for request in (25..75).step_by(2) {
        let away = Some((request, Duration::from_secs(25)));
        let cut_off = Act { faults: Faults { per_mille: 0, away }, ..Act::calm(Version::good(2)) };
        let another = Act { beside: Some(Duration::from_secs(1)), ..Act::calm(Version::good(3)) };
        let told = played(u64::from(request), |_| {
            vec![Act::calm(Version::good(1)), cut_off.clone(), another.clone()]
        });
        assert_eq!(told.broken, None, "from request {request} on: {}", told.story.join("\n"));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let (one, other) = (run(seed).story, run(seed).story);
        let differ = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(differ.is_none() && one.len() == other.len(), "seed {seed}: {differ:#?}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What there is to tell of a run.
struct Told {
    story: Vec<String>,
    broken: Option<String>,
    /// How each act ended.
    ends: Vec<String>,
}

fn run(seed: u64) -> Told {
    played(seed, scenario::draw)
}

/// Plays what is drawn, in a world of its own.
fn played(seed: u64, draw: impl FnOnce(&mut StdRng) -> Vec<Act>) -> Told {
    // It can be installed once; another run has done so.
    _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let day: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let _simulated = Simulated::begin(day, seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let acts = draw(&mut rng);
        let world = Box::pin(World::new(&acts, &mut rng)).await;
        Box::pin(world.play(acts, &mut rng)).await
    })
}

struct World {
    api: ApiConnections,
    observer: Observer,
    home: tempfile::TempDir,
}

impl World {
    async fn new(acts: &[Act], rng: &mut StdRng) -> Self {
        let resources = Resources::open(ResourcesConfig::default()).expect("a store in memory");
        kubelet::plant(&resources).await.expect("a node");
        let home = tempfile::tempdir().expect("a folder");
        let controllers = Controllers {
            resources: resources.clone(),
            node: kubelet::NODE.to_owned(),
            volumes: home.path().join("volumes"),
            retry: RetryDelay::default(),
        };
        tokio::spawn(controllers.run(CancellationToken::new()));
        tokio::spawn(kubelet::run(resources.clone(), rng.next_u64()));
        let last = Version::good(last_number(acts));
        let versions = acts.iter().map(|act| act.version.clone()).chain([last]);
        let observer = Observer::new(resources.clone(), versions);
        tokio::spawn(observer.clone().watch());
        let api = ApiConnections::new(resources.clone(), Arc::new(kubelet::Logs), TOKEN.to_owned());
        Self { api, observer, home }
    }

    /// Plays all acts, then a last deploy to which nothing happens: it must go well.
    async fn play(self, acts: Vec<Act>, rng: &mut StdRng) -> Told {
        let last = Act::calm(Version::good(last_number(&acts)));
        let mut playing: Vec<tokio::task::JoinHandle<String>> = Vec::new();
        let mut ends = Vec::new();
        for (index, act) in acts.into_iter().enumerate() {
            match act.beside.filter(|_| !playing.is_empty()) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => ends.extend(wait_for(&mut playing).await),
            }
            let actor = self.actor(index, &act, rng);
            playing.push(tokio::task::spawn_local(actor.act(act)));
        }
        ends.extend(wait_for(&mut playing).await);
        if self.observer.broken().is_none() {
            let actor = self.actor(99, &last, rng);
            self.converges(actor, last).await;
        }
        Told { story: self.observer.story(), broken: self.observer.broken(), ends }
    }

    fn actor(&self, index: usize, act: &Act, rng: &mut StdRng) -> Actor {
        let folder = self.home.path().join(format!("act-{index}"));
        write(&folder, &act.version);
        let me = Holder {
            user: format!("dev{index}"),
            host: "simulation".to_owned(),
            pid: 1,
            ..Holder::default()
        };
        let wire =
            Wire::new(self.api.clone(), self.observer.clone(), me.identity(), &act.faults, rng.next_u64());
        let at = Arc::default();
        let app = app(&folder, act, &wire, me, told(&self.observer, &at, &format!("dev{index}")));
        Actor { app, wire, observer: self.observer.clone(), at }
    }

    async fn converges(&self, actor: Actor, last: Act) {
        let app = actor.app.clone();
        let observer = self.observer.clone();
        let number = last.version.number.to_string();
        match actor.play(&last).await {
            Ended::Well => {}
            Ended::Badly(failure) => return observer.broke(format!("the last deploy failed: {failure:?}")),
            Ended::Killed(_) => return observer.broke("the last deploy does not end".to_owned()),
        }
        if let Some(holder) = observer.holder() {
            observer.broke(format!("{holder} still holds the lock"));
        }
        let releases = Releases::new(app.cluster.clone(), NAMESPACE, app.project.app.clone()).all().await;
        let releases = releases.unwrap_or_default();
        let good = releases.last().filter(|release| release.status == ReleaseStatus::Deployed);
        let Some(good) = good else { return observer.broke("the last release is not good".to_owned()) };
        for object in good.objects.iter().filter(|object| object["kind"] == "Deployment") {
            let version = kubelet::text(object, "/spec/template/metadata/annotations/sim~1version");
            if version != number {
                observer.broke(format!("the last release is of version {version}, not {number}"));
            }
            observer.runs(object, &good.number.to_string());
        }
        if releases.iter().any(|release| release.status == ReleaseStatus::Pending) {
            observer.broke("a record is still open".to_owned());
        }
        match skep_deploy::deploy(&app, &DeployRequest::default()).await {
            Ok(Done { release: None, .. }) => {}
            Ok(Done { plan, .. }) => {
                observer.broke(format!("there was still something to do: {:?}", plan.changed()));
            }
            Err(failure) => observer.broke(format!("deployed again, it fails: {failure:?}")),
        }
    }
}

fn last_number(acts: &[Act]) -> u32 {
    u32::try_from(acts.len()).unwrap_or(0) + 1
}

async fn wait_for(playing: &mut Vec<tokio::task::JoinHandle<String>>) -> Vec<String> {
    let mut ends = Vec::new();
    for one in playing.drain(..) {
        ends.push(one.await.expect("an act"));
    }
    ends
}

/// Somebody who deploys.
struct Actor {
    app: App,
    wire: Wire,
    observer: Observer,
    /// The step that it has begun.
    at: Arc<Mutex<Option<Step>>>,
}

impl Actor {
    /// Plays an act, and looks at what became of the promises that concern its end.
    async fn act(self, act: Act) -> String {
        let (observer, me) = (self.observer.clone(), self.app.author.holder.identity());
        let calm = act.faults.per_mille == 0 && act.faults.away.is_none();
        let ended = self.play(&act).await;
        let how = ended.to_string();
        match ended {
            Ended::Well if !act.version.is_good() => {
                observer.broke(format!("a bad version went well: {act:?}"));
            }
            Ended::Well => {}
            Ended::Badly(failure) => observer.note(&me, &failure.to_string()),
            Ended::Killed(_) => return how,
        }
        // Where the API could be reached all the time, the lock is given back at once; else it dies by itself.
        if observer.holder().as_deref() == Some(&me) {
            if calm {
                observer.broke(format!("{me} has ended, and still holds the lock"));
            }
            tokio::time::sleep(LOCK).await;
        }
        how
    }

    async fn play(self, act: &Act) -> Ended {
        let Self { app, wire, observer, at } = self;
        let step = || *at.lock().expect("nobody fails while they hold it");
        let request = DeployRequest::default();
        observer.note(&app.author.holder.user, &format!("deploys {act:?}"));
        let mut deploy = Box::pin(skep_deploy::deploy(&app, &request));
        let mut awaits = 0;
        let cancel = app.cancel.clone();
        let stopped = std::future::poll_fn(|context| {
            awaits += 1;
            match act.stop {
                Some(Stop::Killed(at)) if awaits >= at => return Poll::Ready(None),
                Some(Stop::Cancelled(at)) if awaits == at => cancel.cancel(),
                _ => {}
            }
            deploy.as_mut().poll(context).map(Some)
        });
        let ended = match tokio::time::timeout(LONGEST, stopped).await {
            Ok(Some(Ok(_))) => Ended::Well,
            Ok(Some(Err(failure))) => Ended::Badly(Box::new(failure)),
            Ok(None) => Ended::Killed(step()),
            Err(_) => {
                observer.broke(format!("{} deploys for more than {LONGEST:?}", app.author.holder.user));
                Ended::Killed(step())
            }
        };
        observer.note(&app.author.holder.user, &format!("{ended}, after {awaits} awaits"));
        if matches!(ended, Ended::Killed(_)) {
            wire.cut();
        }
        drop(deploy);
        ended
    }
}

fn write(folder: &Path, version: &Version) {
    let put = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file");
    fs::create_dir_all(folder.join("k8s")).expect("a folder");
    put("skep.yaml", version.skep_yaml());
    put("k8s/app.yaml", version.manifests());
    put("migrate.yaml", version.migration());
}

/// Where the events of an actor go.
fn told(observer: &Observer, at: &Arc<Mutex<Option<Step>>>, user: &str) -> Emit {
    let (observer, at, user) = (observer.clone(), Arc::clone(at), user.to_owned());
    let named = Mutex::new(BTreeSet::new());
    Emit::new(move |event| {
        let mut named = named.lock().expect("no closure panics while it holds it");
        match &event {
            Event::StepStarted { step } => {
                *at.lock().expect("nobody fails while they hold it") = Some(*step);
            }
            Event::WillRemove { object, .. } => _ = named.insert(object.clone()),
            Event::Pruned { object } if !named.contains(object) => {
                observer.broke(format!("{object} was deleted and never named"));
            }
            _ => {}
        }
        observer.note(&user, &format!("{event:?}"));
    })
}

fn app(folder: &Path, act: &Act, wire: &Wire, holder: Holder, emit: Emit) -> App {
    let request = LoadRequest {
        root: folder.to_owned(),
        file: "skep.yaml".to_owned(),
        target: LOCAL.to_owned(),
        home: None,
        environment: BTreeMap::new(),
        keys: skep_project::AgeKeys::default(),
        reads: Reads::Everything,
    };
    let outside =
        Outside { read: &|path| fs::read_to_string(path), run: &|_, _, _| Err("no shell here".to_owned()) };
    let project = skep_project::load(&request, &outside).expect("a skep.yaml that is right").project;
    App {
        project,
        cluster: Cluster::over(wire.clone(), "https://simulation"),
        registry: "registry.test".to_owned(),
        images: Client::new(ClientConfig::default()).expect("a client"),
        cache: folder.join("cache"),
        compression: Compression::Zstd,
        author: Author { holder, commit: None, contexts: BTreeMap::new() },
        ingress_port: None,
        schema_exit_code: 78,
        wait: act.waits,
        restore: act.restores,
        one_way: None,
        extra_checks: Vec::new(),
        asking_checks: Vec::new(),
        emit,
        cancel: CancellationToken::new(),
    }
}
