//! Postgres, Redis and pgbouncer.
//!
//! The servers are Debian's (`apt-get install postgresql redis-server pgbouncer`). Postgres refuses to run as root, so as root they run
//! as `nobody`. They end with the test: by `Drop`, or, when the test is killed, because setpriv made them die with it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use honeydue_store::{Cache, DatabaseSettings, Store};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use skep_migrate::{Catalog, Environment, Migrator, Session, Task};

/// `nobody` on Debian: Postgres wants a user that has a name.
const NOBODY: u32 = 65534;
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The password of Redis' user `honeydue`. Who has none may do nothing but ask whether it is there.
const REDIS_PASSWORD: &str = "a-password-for-tests";

/// What the api needs around it. The folder and the servers go with it.
#[derive(Debug)]
pub struct Surroundings {
    folder: tempfile::TempDir,
    postgres: Option<Server>,
    redis: Option<Server>,
}

/// A running pooler.
#[derive(Debug)]
pub struct Pooler {
    /// Where its socket is.
    pub folder: PathBuf,
    _server: Server,
}

#[derive(Debug)]
struct Server {
    child: Child,
    stop: Signal,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(pid(&self.child), self.stop);
        let _ = self.child.wait();
    }
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

impl Surroundings {
    /// Starts both servers, with an empty database.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("honeydue-").tempdir_in("/tmp").unwrap();
        own(folder.path());
        let postgres = start_postgres(folder.path());
        let redis = start_redis(folder.path());
        Self { folder, postgres: Some(postgres), redis: Some(redis) }
    }

    /// Brings the schema up, to `newest` if given.
    pub async fn migrate(&self, newest: Option<i64>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let migrator = Migrator::new(Catalog::from_dir(folder).unwrap());
        let environment: Environment = self.database().into_iter().collect();
        let resolved = skep_migrate::resolve(None, &environment).unwrap();
        let mut session = Session::connect(&resolved.dsn).await.unwrap();
        let task = newest.map_or(Task::Up, Task::UpTo);
        migrator.run(&mut session, task, &mut |_| {}).await.unwrap();
        session.close().await;
    }

    /// What a statement answers, as psql prints it without decoration.
    pub fn sql(&self, statement: &str) -> String {
        let asked = Command::new(newest_postgres().join("psql"))
            .args([
                "-qtAX",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "honeydue",
                "-d",
                "postgres",
                "-c",
                statement,
                "-h",
            ])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(asked.status.success(), "{statement}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    }

    /// What a command answers, as redis-cli prints it.
    pub fn redis(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("redis.sock");
        let asked = Command::new("redis-cli")
            .arg("-s")
            .arg(socket)
            .args(["--user", "tests", "--pass", "any", "--no-auth-warning"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(asked.stdout).unwrap().trim().to_owned();
        assert!(asked.status.success() && !said.starts_with("ERR"), "{arguments:?}: {said}");
        said
    }

    /// What a command answers to somebody who has no password.
    pub fn redis_without_password(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("redis.sock");
        let asked = Command::new("redis-cli").arg("-s").arg(socket).args(arguments).output().unwrap();
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    }

    /// Takes the cache away.
    pub fn stop_redis(&mut self) {
        self.redis = None;
    }

    /// Brings the cache back, empty.
    pub fn start_redis(&mut self) {
        self.redis = Some(start_redis(self.folder.path()));
    }

    /// Puts a transaction-mode pooler with two server connections before the database.
    pub fn pooled(&self) -> Pooler {
        let program = Path::new("/usr/sbin/pgbouncer");
        assert!(program.exists(), "no {}: apt-get install pgbouncer", program.display());
        let folder = self.folder.path().join("pooler");
        fs::create_dir(&folder).unwrap();
        own(&folder);
        let settings = folder.join("pgbouncer.ini");
        let (database, own_folder) = (self.folder.path().display(), folder.display());
        let text = format!(
            "[databases]\npostgres = host={database} user=honeydue\n[pgbouncer]\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 2\nunix_socket_dir = {own_folder}\nlisten_port = 5432\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        fs::write(&settings, text).unwrap();
        let child = unprivileged(program).arg("-q").arg(&settings).spawn().unwrap();
        let server = Server { child, stop: Signal::SIGTERM };
        until("the pooler takes connections", || {
            std::os::unix::net::UnixStream::connect(folder.join(".s.PGSQL.5432")).is_ok()
        });
        Pooler { folder, _server: server }
    }

    /// A cache on this Redis.
    pub fn cache(&self) -> Cache {
        Cache::new(&self.redis_url(), REDIS_PASSWORD).unwrap()
    }

    fn redis_url(&self) -> String {
        format!("redis+unix://{}/redis.sock?user=honeydue", self.folder.path().display())
    }

    /// A store on this database.
    pub async fn store(&self) -> Store {
        store_at(self.folder.path()).await
    }

    fn database(&self) -> Vec<(String, String)> {
        let socket = self.folder.path().to_str().unwrap();
        [
            ("DB_HOST", socket),
            ("DB_NAME", "postgres"),
            ("DB_USER", "honeydue"),
            ("DB_PASSWORD", "unused: local sockets are trusted"),
            ("DB_SSLMODE", "disable"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// One of honeyDue's programs, configured for these surroundings.
    pub fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        command
            .env_clear()
            .envs(self.database())
            .env("REDIS_URL", self.redis_url())
            .env("REDIS_PASSWORD", REDIS_PASSWORD)
            .env("SECRET_KEY", "a key for tests")
            .env("GREETING", "hello from the test")
            .env("BIND_ADDR", "127.0.0.1")
            .env("PORT", "0")
            .env("METRICS_PORT", "0")
            .env("DB_WAIT_SECONDS", "5");
        command
    }

    /// Takes the database away.
    pub fn stop_postgres(&mut self) {
        self.postgres = None;
    }

    /// Brings the database back, with what was in it.
    pub fn start_postgres(&mut self) {
        self.postgres = Some(run_postgres(self.folder.path()));
    }
}

/// A store on the database whose socket is in `folder`.
pub async fn store_at(folder: &Path) -> Store {
    let settings = DatabaseSettings {
        host: folder.to_str().unwrap().to_owned(),
        port: 5432,
        name: "postgres".to_owned(),
        user: "honeydue".to_owned(),
        password: String::new(),
        ssl_mode: "disable".parse().unwrap(),
        connections: 8,
    };
    Store::connect(&settings, DEADLINE).await.unwrap()
}

fn start_postgres(folder: &Path) -> Server {
    let programs = newest_postgres();
    let data = folder.join("data");
    let made = unprivileged(&programs.join("initdb"))
        .args([
            "--username=honeydue",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
        ])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    run_postgres(folder)
}

fn run_postgres(folder: &Path) -> Server {
    let (programs, data) = (newest_postgres(), folder.join("data"));
    let log = File::create(folder.join("postgres.log")).unwrap();
    let child = unprivileged(&programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c"])
        .arg(format!("unix_socket_directories={}", folder.display()))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    // Fast shutdown: sessions are ended.
    let server = Server { child, stop: Signal::SIGINT };
    until("Postgres takes connections", || {
        let asked = Command::new(programs.join("pg_isready")).arg("-q").arg("-h").arg(folder).status();
        asked.is_ok_and(|status| status.success())
    });
    server
}

fn start_redis(folder: &Path) -> Server {
    let program = Path::new("/usr/bin/redis-server");
    assert!(program.exists(), "no {}: apt-get install redis-server", program.display());
    let socket = folder.join("redis.sock");
    // As the pods start it, so that its users are the same here; but on a socket, and with one more user, who may look around.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy-k3s/manifests/redis/start.yaml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let (_, script) = manifest.split_once("  start.sh: |\n").unwrap();
    let script: String = script.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let own = format!("port 0\nunixsocket {}\nuser tests on nopass ~* &* +@all\nEND", socket.display());
    let script = script
        .replace("exec redis-server", "exec /usr/bin/redis-server")
        .replace("\nEND", &format!("\n{own}"));
    let child = unprivileged(Path::new("/bin/sh"))
        .args(["-c", &script])
        .env("REDIS_PASSWORD", REDIS_PASSWORD)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { child, stop: Signal::SIGTERM };
    until("Redis takes connections", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    server
}

fn newest_postgres() -> PathBuf {
    let found = fs::read_dir("/usr/lib/postgresql").ok().and_then(|versions| {
        versions
            .filter_map(|version| version.ok()?.file_name().into_string().ok()?.parse::<u32>().ok())
            .max()
            .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
    });
    let programs = found.expect("no Postgres under /usr/lib/postgresql: apt-get install postgresql");
    assert!(
        programs.join("initdb").exists(),
        "no initdb in {}: apt-get install postgresql",
        programs.display()
    );
    programs
}

/// `program` as someone other than root, and dying with this process.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if geteuid().is_root() {
        command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).arg("--clear-groups");
    }
    command.arg("--").arg(program).current_dir("/tmp");
    command
}

fn own(folder: &Path) {
    if geteuid().is_root() {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Polls `holds` until it does.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}
