//! Arguments and environment → one value. The only place that reads either.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use skep_migrate::{Environment, Missing, TableName, Task};

use crate::arguments::Arguments;
use crate::duration;
use crate::failure::Stop;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run(Task),
    Status,
    Version,
    Create(String),
    Validate,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) command: Command,
    /// The DSN argument; where it is missing, the environment decides.
    pub(crate) dsn: Option<String>,
    pub(crate) dir: PathBuf,
    pub(crate) table: TableName,
    pub(crate) missing: Missing,
    pub(crate) versioned: bool,
    pub(crate) sequential: bool,
    pub(crate) verbose: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) environment: Environment,
}

const COMMANDS: [&str; 15] = [
    "up",
    "up-by-one",
    "up-to",
    "down",
    "down-to",
    "redo",
    "reset",
    "status",
    "version",
    "create",
    "validate",
    "fix",
    "init",
    "env",
    "beta",
];
const POSTGRES: [&str; 3] = ["postgres", "pgx", "postgresql"];
const OTHERS: [&str; 14] = [
    "mysql",
    "sqlite3",
    "sqlite",
    "spanner",
    "mssql",
    "azuresql",
    "sqlserver",
    "redshift",
    "tidb",
    "clickhouse",
    "vertica",
    "ydb",
    "turso",
    "starrocks",
];

impl Settings {
    pub(crate) fn resolve(arguments: &[String]) -> Result<Self, Stop> {
        let arguments = Arguments::parse(arguments).map_err(Stop::Flags)?;
        if arguments.on("version") {
            return Err(Stop::Version);
        }
        if arguments.on("h") || arguments.on("help") {
            return Err(Stop::Help);
        }
        let environment = environment(arguments.value("env"))?;
        Self::from(&arguments, environment)
    }

    fn from(arguments: &Arguments, environment: Environment) -> Result<Self, Stop> {
        let words = Words::sort(&arguments.words)?;
        let driver = words.driver.or_else(|| environment.filled("GOOSE_DRIVER"));
        if let Some(driver) = driver.filter(|driver| !POSTGRES.contains(driver)) {
            return Err(Stop::Usage(format!("driver {driver}: this program speaks Postgres only")));
        }
        let table = arguments.value("table").or_else(|| environment.filled("GOOSE_TABLE"));
        let table = table.map(TableName::new).transpose().map_err(|error| Stop::Usage(error.to_string()))?;
        let dir = match arguments.value("dir") {
            None | Some(".") => environment.filled("GOOSE_MIGRATION_DIR").unwrap_or("."),
            Some(dir) => dir,
        };
        Ok(Self {
            command: command(words.command, words.rest)?,
            dsn: words.dsn.map(Into::into),
            dir: dir.into(),
            table: table.unwrap_or_default(),
            missing: if arguments.on("allow-missing") { Missing::Allow } else { Missing::Refuse },
            versioned: !arguments.on("no-versioning"),
            sequential: arguments.on("s"),
            verbose: arguments.on("v"),
            timeout: timeout(arguments.value("timeout"))?,
            environment,
        })
    }
}

/// goose's words are `[DRIVER] [DSN] COMMAND [ARGUMENT…]`; driver and DSN may be left to the environment.
struct Words<'a> {
    driver: Option<&'a str>,
    dsn: Option<&'a str>,
    command: &'a str,
    rest: &'a [String],
}

impl<'a> Words<'a> {
    fn sort(words: &'a [String]) -> Result<Self, Stop> {
        let is_command = |word: &&str| COMMANDS.contains(word);
        let is_driver = |word: &&str| POSTGRES.contains(word) || OTHERS.contains(word);
        let mut left = words;
        let mut next = |wanted: &dyn Fn(&&str) -> bool| {
            let (first, rest) = left.split_first()?;
            wanted(&first.as_str()).then(|| {
                left = rest;
                first.as_str()
            })
        };
        let driver = next(&is_driver);
        let dsn = next(&|word| !is_command(word));
        let command = next(&|_| true);
        match (command, dsn) {
            (Some(command), _) if is_command(&command) => Ok(Self { driver, dsn, command, rest: left }),
            (Some(other), _) => Err(Stop::Usage(format!("\"{other}\": no such command"))),
            // One word that is no command: not a DSN whose command is missing, more likely a misspelt command.
            (None, Some(word)) if !word.contains(['=', '/', '@']) => {
                Err(Stop::Usage(format!("\"{word}\": no such command")))
            }
            (None, _) => Err(Stop::NoCommand),
        }
    }
}

fn command(name: &str, rest: &[String]) -> Result<Command, Stop> {
    let version = || match rest.first().map(|text| (text, text.parse())) {
        Some((_, Ok(version))) => Ok(version),
        Some((text, Err(_))) => Err(Stop::Usage(format!("version must be a number (got '{text}')"))),
        None => Err(Stop::Usage(format!(
            "{name} must be of form: goose DRIVER DBSTRING [OPTIONS] {name} VERSION"
        ))),
    };
    Ok(match name {
        "up" => Command::Run(Task::Up),
        "up-by-one" => Command::Run(Task::UpByOne),
        "up-to" => Command::Run(Task::UpTo(version()?)),
        "down" => Command::Run(Task::Down),
        "down-to" => Command::Run(Task::DownTo(version()?)),
        "redo" => Command::Run(Task::Redo),
        "reset" => Command::Run(Task::Reset),
        "status" => Command::Status,
        "version" => Command::Version,
        "validate" => Command::Validate,
        "create" => match rest {
            [name] => Command::Create(name.clone()),
            [name, kind] if kind == "sql" => Command::Create(name.clone()),
            [_, kind, ..] => {
                return Err(Stop::Usage(format!(
                    "create: expected `sql`, found `{kind}`; only SQL migrations can be run"
                )));
            }
            [] => {
                return Err(Stop::Usage("create must be of form: goose [OPTIONS] create NAME [sql]".into()));
            }
        },
        other => {
            return Err(Stop::Usage(format!("{other}: this program does not do goose's `{other}`")));
        }
    })
}

fn timeout(text: Option<&str>) -> Result<Option<Duration>, Stop> {
    let Some(text) = text else { return Ok(None) };
    let limit = duration::parse(text).ok_or_else(|| {
        Stop::Flags(format!("invalid value \"{text}\" for flag -timeout: expected 1h13m, 90s or 500ms"))
    })?;
    Ok(Some(limit).filter(|limit| !limit.is_zero()))
}

/// The process's environment, filled up from `.env` or the file that was named. `none` names no file.
fn environment(file: Option<&str>) -> Result<Environment, Stop> {
    let mut environment = Environment::of_process();
    match (file, fs::read_to_string(file.unwrap_or(".env"))) {
        (Some("none"), _) => {}
        (_, Ok(text)) => environment.add_file(&text),
        (None, Err(_)) => {}
        (Some(file), Err(error)) => {
            return Err(Stop::Usage(format!("failed to load env file {file}: {error}")));
        }
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &[&str], environment: &[(&str, &str)]) -> Result<Settings, Stop> {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let arguments = Arguments::parse(&words).map_err(Stop::Flags)?;
        Settings::from(&arguments, environment.iter().copied().collect())
    }

    #[test]
    fn every_way_to_say_up() {
        const DSN: &str = "user=app dbname=app";
        for (line, environment, dsn) in [
            (vec!["postgres", DSN, "up"], vec![], Some(DSN)),
            (vec!["-dir", "m", "postgres", DSN, "up"], vec![], Some(DSN)),
            (vec!["up"], vec![("GOOSE_DRIVER", "postgres"), ("GOOSE_DBSTRING", DSN)], None),
            (vec!["postgres", "up"], vec![("GOOSE_DBSTRING", DSN)], None),
            (vec![DSN, "up"], vec![("GOOSE_DRIVER", "pgx")], Some(DSN)),
            (vec!["up"], vec![("DB_HOST", "db")], None),
        ] {
            let found = settings(&line, &environment).unwrap();
            assert_eq!(found.command, Command::Run(Task::Up), "{line:?}");
            assert_eq!(found.dsn.as_deref(), dsn, "{line:?}");
        }
    }

    #[test]
    fn flags_win_over_the_environment() {
        let environment = [("GOOSE_MIGRATION_DIR", "from-env"), ("GOOSE_TABLE", "env_table")];
        let found = settings(&["up"], &environment).unwrap();
        assert_eq!((found.dir.to_str(), found.table.to_string()), (Some("from-env"), "env_table".into()));
        let found = settings(&["-dir", "x", "-table=a.b", "-timeout", "1m", "up"], &environment).unwrap();
        assert_eq!((found.dir.to_str(), found.table.to_string()), (Some("x"), "a.b".into()));
        assert_eq!(found.timeout, Some(Duration::from_secs(60)));
    }

    #[test]
    fn commands_and_their_arguments() {
        for (line, command) in [
            (&["up-to", "12"][..], Command::Run(Task::UpTo(12))),
            (&["postgres", "host=x", "down-to", "0"], Command::Run(Task::DownTo(0))),
            (&["create", "add x", "sql"], Command::Create("add x".into())),
            (&["create", "add_x"], Command::Create("add_x".into())),
            (&["up-by-one"], Command::Run(Task::UpByOne)),
        ] {
            assert_eq!(settings(line, &[]).unwrap().command, command, "{line:?}");
        }
        for (line, why) in [
            (&["up-to"][..], "up-to VERSION"),
            (&["up-to", "x"], "must be a number"),
            (&["mysql", "x@/y", "up"], "speaks Postgres only"),
            (&["upp"], "no such command"),
            (&["postgres", "host=x", "upp"], "no such command"),
            (&["create", "x", "go"], "expected `sql`"),
            (&["fix"], "does not do"),
            (&["-table", "a b", "up"], "not a table's name"),
            (&["-timeout", "5", "up"], "-timeout"),
        ] {
            let stop = settings(line, &[]).unwrap_err().to_string();
            assert!(stop.contains(why), "{line:?}: {stop}");
        }
        assert!(matches!(settings(&[], &[]), Err(Stop::NoCommand)));
        assert!(matches!(settings(&["postgres", "host=x"], &[]), Err(Stop::NoCommand)));
    }
}
