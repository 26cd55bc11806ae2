//! A fleet: five services beside the same job by kapp and by a kubectl script, where those are installed; and two hundred.

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use skep_tests::{FarNode, Outcome, SCHEDULER, World, program};

use super::{median, row, spawn, timed};

const RUNS: usize = 9;
const OTHERS: [&str; 4] = ["b", "c", "d", "e"];

/// 5 services, 20 objects: the first deploy, and one that has nothing to do.
pub(super) fn five_services() {
    let world = World::new();
    world.project.add_services(&OTHERS);
    for path in ["skep.yaml", "k8s/shop.yaml"] {
        let text = fs::read_to_string(world.project.dir().join(path)).expect("written by this harness");
        world.project.write(path, &text.replace("replicas: 2", "replicas: 1"));
    }
    let lines = world.skep(&["deploy", "--output", "json"]).ok().json();
    let own = ["load", "check", "plan", "lock", "stage", "apply", "record", "prune"];
    let millis = |line: &Value| line["millis"].as_u64().unwrap_or(0);
    let steps = lines.iter().filter(|line| line["type"] == "step-finished");
    let share: u64 = steps.filter(|line| own.iter().any(|step| line["step"] == *step)).map(millis).sum();
    row(
        "first deploy, 20 objects: all but build, push and roll",
        Duration::from_millis(share),
        spawn(),
        "150 ms",
    );

    let foreign = env::var("SKEP_TEST_KUBECONFIG").unwrap_or_default();
    let manifests = world.path().join("peer.yaml");
    let (kapp, script) = (format!("{}-kapp", world.namespace()), format!("{}-script", world.namespace()));
    let mut peers: Vec<Peer> = vec![(
        "skep deploy --skip-build",
        Box::new(|| {
            drop(world.skep(&["deploy", "--skip-build", "--quiet"]).ok());
        }),
    )];
    if !foreign.is_empty() {
        fs::write(&manifests, as_kubectl_needs_them(&world)).expect("a file can be written");
        for namespace in [&kapp, &script] {
            world.kubectl(&["create", "namespace", namespace]).ok();
        }
        if Command::new("kapp").arg("--version").stdout(Stdio::null()).status().is_ok() {
            peers.push((
                "kapp deploy",
                Box::new(|| {
                    let mut command = Command::new("kapp");
                    command
                        .args(["deploy", "--yes", "-a", "bench", "-n", &kapp, "--into-ns", &kapp, "-f"])
                        .arg(&manifests);
                    drop(Outcome::of(command.env("KUBECONFIG", &foreign)).ok());
                }),
            ));
        }
        peers.push((
            "kubectl apply, then rollout status of each",
            Box::new(|| {
                world.kubectl(&["-n", &script, "apply", "-f", &manifests.display().to_string()]).ok();
                for name in OTHERS.iter().chain(["shop"].iter()) {
                    world.kubectl(&["-n", &script, "rollout", "status", &format!("deployment/{name}")]).ok();
                }
            }),
        ));
    }
    compare(&peers);
    drop(peers);
    if !foreign.is_empty() {
        world.kubectl(&["delete", "namespace", &kapp, &script, "--wait=false"]).ok();
    }
}

type Peer<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// All in turn, so that each has the same minute; the first is Skep.
fn compare(peers: &[Peer<'_>]) {
    for (_, run) in peers {
        run();
    }
    let mut figures: Vec<Vec<Duration>> = vec![Vec::new(); peers.len()];
    for _ in 0..RUNS {
        for ((_, run), figures) in peers.iter().zip(&mut figures) {
            figures.push(timed(run));
        }
    }
    let mut medians = Vec::new();
    for figures in &mut figures {
        figures.sort();
        medians.push(figures[figures.len() / 2]);
    }
    for ((name, _), figure) in peers.iter().zip(&medians) {
        let goal = if *figure == medians[0] {
            "60 ms".to_owned()
        } else {
            format!("x {:.1}", figure.as_secs_f64() / medians[0].as_secs_f64())
        };
        row(&format!("nothing to do, 5 services, 20 objects: {name}"), *figure, median(5, spawn), &goal);
    }
}

/// The same manifests with the image that runs, and the ConfigMap that Skep made.
fn as_kubectl_needs_them(world: &World) -> String {
    let image =
        world.object("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let image = image.as_str().expect("a container has an image");
    let mut all =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop-config }\ndata: { GREETING: hello }\n"
            .to_owned();
    let folder = world.project.dir().join("k8s");
    for file in fs::read_dir(folder).expect("a folder").flatten() {
        let text = fs::read_to_string(file.path()).expect("a manifest");
        all += &format!("---\n{}", text.replace("image: shop", &format!("image: \"{image}\"")));
    }
    all
}

/// What a deploy adds to the time that its slowest service needs by itself: before the cluster has the first new template, and after the
/// last new pod is available.
pub(super) fn what_it_adds() {
    let world = World::new();
    world.project.add_services(&OTHERS);
    world.skep(&["deploy", "--quiet"]).ok();
    let watch = world.watch("deployments");
    let mut number = 0;
    let mut figures: Vec<(Duration, Duration)> = (0..5)
        .map(|_| {
            number += 1;
            world.project.write("shop.env", &format!("GREETING=hello {number}\n"));
            while watch.next(SETTLED).is_some() {}
            let began = Instant::now();
            world.skep(&["deploy", "--skip-build", "--quiet"]).ok();
            let ended = Instant::now();
            let (mut first, mut last, mut open) = (None, began, BTreeSet::new());
            while let Some((at, deployment)) = watch.next(SETTLED) {
                let name = deployment["metadata"]["name"].to_string();
                first.get_or_insert(at);
                if is_rolled(&deployment) {
                    if open.remove(&name) {
                        last = at;
                    }
                } else {
                    open.insert(name);
                }
            }
            let first = first.expect("a new template shows");
            assert!(open.is_empty() && last > first, "each service was rolled: {open:?}");
            (first - began + ended.saturating_duration_since(last), last - first)
        })
        .collect();
    figures.sort();
    let (added, own) = figures[2];
    row("what a deploy of 5 services adds to its slowest one", added, spawn(), "300 ms");
    println!("{:<78} {:>7} ms", "  which by itself needed", own.as_millis());
}

/// How long nothing changes once all has been seen.
const SETTLED: Duration = Duration::from_millis(500);

fn is_rolled(deployment: &Value) -> bool {
    let (status, wanted) = (&deployment["status"], &deployment["spec"]["replicas"]);
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|count| status[count] == *wanted)
}

/// 200 services, 1,000 objects, no pods: what a plan of one changed key costs.
pub(super) fn two_hundred_services() {
    let world = World::new();
    let service = |number: usize| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: s{number} }}\nspec:\n  replicas: 0\n  selector: {{ matchLabels: {{ app: s{number} }} }}\n  template:\n    metadata: {{ labels: {{ app: s{number} }} }}\n    spec:\n      serviceAccountName: s{number}\n      containers: [{{ name: s, image: shop, envFrom: [{{ configMapRef: {{ name: shop-config }} }}] }}]\n---\napiVersion: v1\nkind: Service\nmetadata: {{ name: s{number} }}\nspec: {{ selector: {{ app: s{number} }}, ports: [{{ port: 80 }}] }}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{ name: s{number} }}\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{ name: s{number} }}\nspec: {{ maxUnavailable: 1, selector: {{ matchLabels: {{ app: s{number} }} }} }}\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{ name: s{number} }}\nspec: {{ rules: [{{ host: s{number}.localhost, http: {{ paths: [{{ path: /, pathType: Prefix, backend: {{ service: {{ name: s{number}, port: {{ number: 80 }} }} }} }}] }} }}] }}\n"
        )
    };
    for number in 0..200 {
        world.project.write(&format!("k8s/s{number}.yaml"), &service(number));
    }
    world.skep(&["deploy", "--quiet"]).ok();
    world.project.write("shop.env", "GREETING=good evening\n");
    let plan = || {
        let mut child = Command::new(program("skep"));
        child.args(world.command(&["plan", "--skip-build"]).get_args()).current_dir(world.project.dir());
        child.envs(world.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
        let began = Instant::now();
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skep starts");
        let status = Path::new("/proc").join(child.id().to_string()).join("status");
        let mut peak = 0;
        while child.try_wait().expect("it can be waited for").is_none() {
            peak = peak.max(high_water(&status));
            thread::sleep(Duration::from_millis(2));
        }
        (began.elapsed(), peak)
    };
    let mut runs: Vec<(Duration, u64)> = (0..5).map(|_| plan()).collect();
    runs.sort();
    row("plan of 200 services, 1,000 objects, all changed", runs[2].0, spawn(), "2000 ms");
    let peak = runs.iter().map(|(_, peak)| *peak).max().unwrap_or(0) / 1024;
    println!("{:<78} {peak:>7} MB {:>10} {:>10}", "  its memory, at the most", "-", "150 MB");
}

/// 200 services with five pods each, all replaced at once: what watching them costs.
pub(super) fn a_thousand_pods() {
    let world = World::new();
    world.project.remove("k8s/shop.yaml");
    world.project.remove("k8s/traffic.yaml");
    let service = |number: usize| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: s{number} }}\nspec:\n  replicas: 5\n  selector: {{ matchLabels: {{ app: s{number} }} }}\n  template:\n    metadata: {{ labels: {{ app: s{number} }} }}\n    spec:\n      schedulerName: {SCHEDULER}\n      containers: [{{ name: s, image: shop, envFrom: [{{ configMapRef: {{ name: shop-config }} }}] }}]\n"
        )
    };
    for number in 0..200 {
        world.project.write(&format!("k8s/s{number}.yaml"), &service(number));
    }
    world.skep(&["hive", "start"]).ok();
    let node = FarNode::join(&world, Duration::from_secs(10));
    world.skep(&["deploy", "--quiet"]).ok();
    world.project.write("shop.env", "GREETING=good evening\n");
    let mut command = world.command(&["deploy", "--skip-build", "--output", "json"]);
    let mut deploy = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skep starts");
    let process = Path::new("/proc").join(deploy.id().to_string());
    let (began, mut peak, mut busy) = (Instant::now(), 0, Duration::ZERO);
    while deploy.try_wait().expect("it can be waited for").is_none() {
        peak = peak.max(high_water(&process.join("status")));
        busy = busy.max(processor_time(&process.join("stat")));
        thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    drop(node);
    row("a deploy of 200 services that replaces 1,000 pods, 10 s each", took, spawn(), "-");
    println!("{:<78} {:>7} MB {:>10} {:>10}", "  its memory, at the most", peak / 1024, "-", "150 MB");
    let share = busy.as_secs_f64() / took.as_secs_f64() * 100.0;
    println!("{:<78} {share:>7.1} %  {:>10} {:>10}", "  of a core, from start to end", "-", "20 %");
}

/// The processor time that a process has taken, in the hundredths of a second that Linux counts by.
fn processor_time(stat: &Path) -> Duration {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}

/// As many kept releases as anybody wants: what they cost a deploy that has nothing to do, and whoever looks back.
pub(super) fn fifty_releases() {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 0");
    world.project.append("skep.yaml", "keep-releases: 50\n");
    for number in 0..50 {
        world.project.write("shop.env", &format!("GREETING=hello {number}\n"));
        world.skep(&["deploy", "--quiet"]).ok();
    }
    let kept = world.skep(&["history", "--output", "json"]).ok().json().len();
    assert_eq!(kept, 50, "that many are kept");
    for (what, arguments) in [
        ("no-change deploy --skip-build", &["deploy", "--skip-build", "--quiet"][..]),
        ("history", &["history"]),
    ] {
        let figure = median(RUNS, || timed(|| drop(world.skep(arguments).ok())));
        row(&format!("50 kept releases: {what}"), figure, median(5, spawn), "300 ms");
    }
}

/// The most memory that a process has had, in kilobytes.
fn high_water(status: &Path) -> u64 {
    let status = fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}
