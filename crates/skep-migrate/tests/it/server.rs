//! A Postgres and a pgbouncer of the test's own, in a temporary folder, as an unprivileged user. Both die with the test.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use skep_migrate::{Dsn, Session};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio::time::sleep;

const START_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a condition, so that waiting takes no processor from what is waited for.
const POLL: Duration = Duration::from_millis(10);

/// A process that is asked to stop when the test is over, and killed with it if it dies.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Postgres: immediate shutdown. pgbouncer: the same.
        let pid = self.0.id().to_string();
        let asked = Command::new("kill").args(["-QUIT", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

pub(crate) struct Postgres {
    _server: Server,
    dir: TempDir,
    pub(crate) port: u16,
}

pub(crate) struct Bouncer {
    _server: Server,
    pub(crate) port: u16,
}

/// Installed programs of Debian's `package`, newest version first.
fn program(name: &str, package: &str) -> PathBuf {
    let mut places: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    places.sort();
    places.reverse();
    places.extend(["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from));
    places.into_iter().map(|place| place.join(name)).find(|path| path.exists()).unwrap_or_else(|| {
        panic!("{name} is not installed: this test needs Debian's package `{package}` (apt-get install {package})")
    })
}

/// A command that drops root, which Postgres refuses, and dies with this thread.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig=QUIT", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    id(&["-u"]) == 0
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().expect("id runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        panic!(
            "no user `postgres` on this machine: this test needs Debian's package `postgresql`: {output:?}"
        )
    })
}

/// A folder that the servers' user may write.
fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    if is_root() {
        chown(dir.path(), Some(id(&["-u", "postgres"])), Some(id(&["-g", "postgres"]))).unwrap();
    }
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        let dir = folder();
        let data = dir.path().join("data");
        let initialised = unprivileged(&program("initdb", "postgresql"))
            .args(["-U", "app", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("setpriv (util-linux) runs");
        assert!(initialised.status.success(), "initdb: {initialised:?}");
        let port = free_port();
        let log = dir.path().join("postgres.log");
        let child = unprivileged(&program("postgres", "postgresql"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"])
            .args(["-c", "shared_buffers=16MB", "-c", "max_connections=40"])
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let postgres = Self { _server: Server(child), dir, port };
        let started = Instant::now();
        while PgConnection::connect(&postgres.url()).await.is_err() {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(started.elapsed() < START_LIMIT, "postgres does not start: {}", log());
            sleep(POLL).await;
        }
        postgres
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://app@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub(crate) async fn session(&self) -> Session {
        Session::connect(&Dsn::parse(&self.url()).unwrap()).await.unwrap()
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// One number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        use sqlx::Row as _;
        self.rows(&format!("SELECT ({sql})::bigint")).await[0].get(0)
    }

    /// Waits until a query's number is `wanted`.
    pub(crate) async fn until(&self, sql: &str, wanted: i64, limit: Duration) {
        use sqlx::Row as _;
        let mut connection = self.connection().await;
        let query = format!("SELECT ({sql})::bigint");
        let started = Instant::now();
        loop {
            let row = sqlx::raw_sql(AssertSqlSafe(query.clone())).fetch_one(&mut connection).await.unwrap();
            let found: i64 = row.get(0);
            if found == wanted {
                return;
            }
            assert!(started.elapsed() < limit, "{sql}: expected {wanted}, found {found} after {limit:?}");
            sleep(POLL).await;
        }
    }

    /// A file of the server's own, as a private key must be.
    pub(crate) fn private_file(&self, name: &str, text: &str) {
        let path = self.dir.path().join("data").join(name);
        fs::write(&path, text).unwrap();
        if is_root() {
            chown(&path, Some(id(&["-u", "postgres"])), Some(id(&["-g", "postgres"]))).unwrap();
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// A pgbouncer in front of it.
    pub(crate) async fn bouncer(&self, mode: &str, more: &str) -> Bouncer {
        let port = free_port();
        let dir = self.dir.path().join(format!("bouncer-{port}"));
        fs::create_dir(&dir).unwrap();
        let ini = dir.join("pgbouncer.ini");
        let users = dir.join("users.txt");
        fs::write(&users, "\"app\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
             ignore_startup_parameters = extra_float_digits,options\nserver_tls_sslmode = disable\n{more}\n",
            self.port,
            users.display(),
        );
        fs::write(&ini, text).unwrap();
        let log = dir.join("log");
        let child = unprivileged(&program("pgbouncer", "pgbouncer"))
            .arg(&ini)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let bouncer = Bouncer { _server: Server(child), port };
        let started = Instant::now();
        while PgConnection::connect(&bouncer.url()).await.is_err() {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(started.elapsed() < START_LIMIT, "pgbouncer does not start: {}", log());
            sleep(POLL).await;
        }
        bouncer
    }
}

impl Bouncer {
    pub(crate) fn url(&self) -> String {
        format!("postgres://app@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

/// A folder of migrations.
pub(crate) fn migrations(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// The program, with nothing of this environment but the path.
pub(crate) fn goose(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skep-migrate"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("GOOSE_MIGRATION_DIR", dir);
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `arguments` against `url`; expects the exit code; answers what was said.
pub(crate) fn run(dir: &Path, url: &str, arguments: &[&str], code: i32) -> String {
    let output = goose(dir).args(["postgres", url]).args(arguments).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}
