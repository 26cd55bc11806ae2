//! Hard ground: Skep run through another program that takes something from it first, file systems that are odd or full, and what
//! a hive has put into the kernel.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Outcome, World};

/// How long the kernel may take to clear away what nobody holds any more.
const LEAVING: Duration = Duration::from_secs(5);

/// A world on hard ground. Whatever it runs is run by `through`, and hive's state lies where the test says. Dropped, it stops its
/// hive.
#[derive(Debug)]
pub struct Ground {
    /// The world as it would be on good ground. Its own hive is never started.
    pub world: World,
    hive_dir: PathBuf,
    through: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Ground {
    /// The shop, and no hive yet.
    pub fn new() -> Self {
        let world = World::without_hive();
        let hive_dir = world.hive_dir();
        Self { world, hive_dir, through: Vec::new(), environment: Vec::new() }
    }

    /// Puts hive's state elsewhere.
    #[must_use]
    pub fn with_hive_dir(mut self, dir: PathBuf) -> Self {
        self.hive_dir = dir;
        self
    }

    /// Runs everything as the last arguments of this command.
    #[must_use]
    pub fn through<I: Into<OsString>>(mut self, command: impl IntoIterator<Item = I>) -> Self {
        self.through = command.into_iter().map(Into::into).collect();
        self
    }

    /// Hands the test's folder to an unprivileged user, and runs everything as that one.
    ///
    /// # Panics
    /// When the folder can't be handed over: that needs root.
    #[must_use]
    pub fn as_user(mut self, id: u32) -> Self {
        let owner = format!("{id}:{id}");
        Outcome::of(Command::new("chown").args(["-R", &owner]).arg(self.world.path())).ok();
        for (variable, place) in
            [("HOME", "home"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")]
        {
            self.environment.push((variable.into(), self.world.path().join(place).into()));
        }
        let id = id.to_string();
        self.through(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"])
    }

    /// Where hive keeps its state.
    pub fn hive_dir(&self) -> &Path {
        &self.hive_dir
    }

    /// A command that runs Skep in the project folder, on this ground.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.on_this_ground(&self.world.command(arguments), &self.through)
    }

    /// Runs Skep to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn skep(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Runs Skep to its end through a command of its own, while the rest of the world stands on the ground.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn skep_through(&self, through: &[OsString], arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.on_this_ground(&self.world.command(arguments), through))
    }

    fn on_this_ground(&self, plain: &Command, through: &[OsString]) -> Command {
        let mut command = wrapped(plain, through);
        command.env("SKEP_HIVE_DIR", &self.hive_dir).envs(self.environment.iter().cloned());
        command
    }

    /// Lists objects through kubectl.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let outcome = self.kubectl(&["get", kind, "-A", "-o", "json"]).ok();
        let list: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Runs kubectl against this hive, in the namespace `default`, which is there before anything is deployed.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn kubectl(&self, arguments: &[&str]) -> Outcome {
        let kubeconfig = self.hive_dir.join("kubeconfig");
        let here = ["--kubeconfig", &kubeconfig.display().to_string(), "--namespace", "default"];
        self.world.kubectl(&[&here, arguments].concat())
    }

    /// The process that is this ground's hive; `None` when it isn't running.
    ///
    /// # Panics
    /// When Skep can't say.
    pub fn hive_pid(&self) -> Option<u32> {
        let status = self.skep(&["hive", "status", "--output", "json"]).ok().json();
        status.first().and_then(|line| u32::try_from(line["pid"].as_u64()?).ok())
    }

    /// What hive has put into the kernel by now.
    ///
    /// # Panics
    /// When hive does not run.
    pub fn footprint(&self) -> Footprint {
        Footprint::of(self.hive_pid().expect("hive runs"), &self.hive_dir)
    }
}

impl Default for Ground {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.command(&["hive", "stop"]).output();
    }
}

/// A command as the last arguments of another, with the same folder and environment.
pub fn wrapped(plain: &Command, through: &[OsString]) -> Command {
    let Some((first, rest)) = through.split_first() else {
        let mut same = Command::new(plain.get_program());
        same.args(plain.get_args());
        return dressed(same, plain);
    };
    let mut command = Command::new(first);
    command.args(rest).arg(plain.get_program()).args(plain.get_args());
    dressed(command, plain)
}

fn dressed(mut command: Command, like: &Command) -> Command {
    for (variable, value) in like.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    if let Some(dir) = like.get_current_dir() {
        command.current_dir(dir);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command in a mount namespace of its own, after `script` has changed what it sees there.
pub fn behind_mounts(script: &str) -> Vec<OsString> {
    after("unshare", &["--mount"], script)
}

/// `<program> <arguments> sh -c '<script>; exec "$@"' sh`, to be followed by a command.
pub fn after(program: &str, arguments: &[&str], script: &str) -> Vec<OsString> {
    let script = format!("set -e; {script}; exec \"$@\"");
    let tail = ["sh", "-c", &script, "sh"];
    [program].iter().chain(arguments).chain(&tail).map(OsString::from).collect()
}

/// A mounted file system, taken away when dropped.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// `mount -t <kind> -o <options> <kind> <at>`; `at` is made first.
    ///
    /// # Panics
    /// When it can't be mounted: that needs root.
    pub fn new(kind: &str, options: &str, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
        Outcome::of(Command::new("mount").args(["-t", kind, "-o", options, kind]).arg(&at)).ok();
        Self { at }
    }

    /// An overlay whose parts lie in `parts`, mounted at `parts`/merged.
    ///
    /// # Panics
    /// When it can't be mounted.
    pub fn overlay(parts: &Path) -> Self {
        let part = |name: &str| {
            let dir = parts.join(name);
            fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
            dir.display().to_string()
        };
        let options =
            format!("lowerdir={},upperdir={},workdir={}", part("lower"), part("upper"), part("work"));
        Self::new("overlay", &options, parts.join("merged"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Fills it with a file `ballast` until only this many bytes are free.
    ///
    /// # Panics
    /// When that file can't be written.
    pub fn fill(&self, free: u64) {
        let ballast = self.at.join("ballast");
        let mut file =
            fs::File::create(&ballast).unwrap_or_else(|error| panic!("{}: {error}", ballast.display()));
        let page = [0_u8; 4096];
        let mut len = 0;
        while let Ok(written) = file.write(&page) {
            len += written as u64;
        }
        file.set_len(len.saturating_sub(free))
            .unwrap_or_else(|error| panic!("{}: {error}", ballast.display()));
    }

    /// Changes its options, such as `size=64m`.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        Outcome::of(Command::new("mount").args(["-o", &options]).arg(&self.at)).ok();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

/// What a hive has put into the kernel: processes, links, routes, mounts, control groups.
#[derive(Debug, Clone)]
pub struct Footprint {
    /// Hive and all that descend from it, by id and time of birth: ids are used again.
    processes: BTreeSet<(u32, String)>,
    /// Its bridge and the pods' links on it.
    links: BTreeSet<String>,
    /// The Services' subnet.
    service_cidr: Option<String>,
    hive_dir: PathBuf,
}

impl Footprint {
    fn of(hive: u32, hive_dir: &Path) -> Self {
        let born: Vec<(u32, u32, String)> = processes();
        let mut family = BTreeSet::from([hive]);
        loop {
            let before = family.len();
            family.extend(
                born.iter()
                    .filter(|(_, parent, _)| family.contains(parent))
                    .map(|(pid, ..)| *pid)
                    .collect::<Vec<_>>(),
            );
            if family.len() == before {
                break;
            }
        }
        let processes = born
            .into_iter()
            .filter(|(pid, ..)| family.contains(pid))
            .map(|(pid, _, born)| (pid, born))
            .collect();
        let network = fs::read(hive_dir.join("network.json")).unwrap_or_default();
        let network: Value = serde_json::from_slice(&network).unwrap_or_default();
        let gateway = network["pod_cidr"].as_str().and_then(|cidr| cidr.split('/').next()).map(first_of);
        let bridge = gateway.and_then(|gateway| {
            let has = |link: &&Value| {
                link["addr_info"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one["local"] == gateway.as_str()))
            };
            let links = ip(&["address"]);
            links.iter().find(has).and_then(|link| Some(link["ifname"].as_str()?.to_owned()))
        });
        let mut links: BTreeSet<String> = bridge.iter().cloned().collect();
        if let Some(bridge) = &bridge {
            let on_it = ip(&["link", "show", "master", bridge]);
            links.extend(on_it.iter().filter_map(|link| Some(link["ifname"].as_str()?.to_owned())));
        }
        let service_cidr = network["service_cidr"].as_str().map(str::to_owned);
        Self { processes, links, service_cidr, hive_dir: hive_dir.to_owned() }
    }

    /// How many processes there were: hive itself, who holds the pods, and theirs.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// How many links there were: the bridge, and one a pod.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Waits until none of it is left: the kernel takes a link away a moment after the network namespace of its other end.
    ///
    /// # Panics
    /// With what is left, when some still is after five seconds.
    pub fn await_nothing(&self) {
        let deadline = Instant::now() + LEAVING;
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is still there of it, in words.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (pid, _, born) in processes() {
            if self.processes.contains(&(pid, born)) {
                let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                left.push(format!("process {pid}: {}", String::from_utf8_lossy(&command).replace('\0', " ")));
            }
        }
        let links = ip(&["link"]);
        let links = links.iter().filter_map(|link| link["ifname"].as_str());
        left.extend(links.filter(|name| self.links.contains(*name)).map(|name| format!("link {name}")));
        if let Some(cidr) = &self.service_cidr {
            let routes = ip(&["route", "show", "table", "all"]);
            let routes = routes.iter().filter(|route| route["dst"] == cidr.as_str());
            left.extend(routes.map(|route| format!("route {route}")));
        }
        let dir = self.hive_dir.display().to_string();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let below = format!("{dir}/");
        left.extend(mounts.lines().filter(|line| line.contains(&below)).map(|line| format!("mount {line}")));
        for name in &self.links {
            left.extend(control_groups(name));
            let memory = Path::new("/dev/shm").join(name);
            left.extend(memory.exists().then(|| memory.display().to_string()));
        }
        left
    }
}

/// `10.128.0.0` → `10.128.0.1`, which is the bridge's.
fn first_of(network: &str) -> String {
    network.rsplit_once('.').map_or_else(|| network.to_owned(), |(head, _)| format!("{head}.1"))
}

/// `ip -j …`.
fn ip(arguments: &[&str]) -> Vec<Value> {
    let outcome = Outcome::of(Command::new("ip").arg("-j").args(arguments));
    serde_json::from_str(&outcome.stdout).unwrap_or_default()
}

/// Control groups of that name, of whatever hierarchy.
fn control_groups(name: &str) -> Vec<String> {
    let hierarchies =
        fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let places = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).map(|dir| dir.join(name));
    places.filter(|dir| dir.is_dir()).map(|dir| format!("control group {}", dir.display())).collect()
}

/// Every process: its id, its parent's, and when it was born (ticks since boot). What has ended and waits to be reaped is left out.
fn processes() -> Vec<(u32, u32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // proc(5): the name in parentheses may hold anything; the state follows it.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            (*fields.first()? != "Z")
                .then(|| Some((pid, fields.get(1)?.parse().ok()?, (*fields.get(19)?).to_owned())))?
        })
        .collect()
}
