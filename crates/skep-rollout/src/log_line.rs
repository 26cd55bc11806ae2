//! What the end of a program's log says of why it ended: the line of a panic, or that something it needs failed it.

use crate::cause::Trouble;

/// What a log's end says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Something that the program needs failed it.
    Dependency {
        /// `Redis`, `Postgres`, … if the line names it.
        what: Option<String>,
        how: Trouble,
        line: String,
    },
    /// The line that a person would look for.
    Line(String),
}

/// Looks through the last lines of a log, the newest first.
pub(crate) fn read(log: &[String]) -> Option<Said> {
    let lines: Vec<&str> = log.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let trouble = lines.iter().rev().find_map(|line| Some((trouble(line)?, *line)));
    if let Some((how, line)) = trouble {
        // A panic of the program's own that came after it is not told by an older complaint that was survived.
        let at = lines.iter().rposition(|other| *other == line).unwrap_or(0);
        let panicked = lines.iter().rposition(|line| is_panic(line) && self::trouble(line).is_none());
        let own = panicked.is_some_and(|panicked| panicked > at + LINES_OF_ONE_STORY);
        if !own {
            return Some(Said::Dependency { what: server(line, &lines), how, line: line.to_owned() });
        }
    }
    let panic = lines.iter().position(|line| is_panic(line)).map(|at| panic_text(&lines, at));
    panic
        .or_else(|| lines.iter().rev().find(|line| is_complaint(line)).map(|line| (*line).to_owned()))
        .or_else(|| lines.last().map(|line| (*line).to_owned()))
        .map(Said::Line)
}

/// A panic that quotes what it stumbled over stands within so many lines of it.
const LINES_OF_ONE_STORY: usize = 6;

fn trouble(line: &str) -> Option<Trouble> {
    let line = line.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| line.contains(sign));
    if has(&[
        "wrongpass",
        "noauth authentication required",
        "password authentication failed",
        "invalid username-password pair",
        "invalid password",
        "access denied for user",
        "authentication failed",
    ]) {
        Some(Trouble::Login)
    } else if has(&[
        "no such host",
        "name or service not known",
        "could not translate host name",
        "failed to lookup address information",
        "temporary failure in name resolution",
        "getaddrinfo enotfound",
        "nodename nor servname",
        "nxdomain",
        "bad address",
    ]) {
        Some(Trouble::Name)
    } else if has(&["connection refused", "econnrefused", "actively refused"]) {
        Some(Trouble::Refused)
    } else if has(&[
        "i/o timeout",
        "connection timed out",
        "etimedout",
        "no route to host",
        "host is unreachable",
        "ehostunreach",
    ]) {
        Some(Trouble::Silent)
    } else {
        None
    }
}

/// Servers that apps need, by the words that their errors use and the ports that they listen on.
const SERVERS: &[(&str, &[&str])] = &[
    ("Redis", &["redis", ":6379", "wrongpass", "noauth"]),
    ("Postgres", &["postgres", "postgresql", ":5432", ":6432", "pgbouncer", "sqlx", "pq:"]),
    ("MySQL", &["mysql", "mariadb", ":3306"]),
    ("MongoDB", &["mongo", ":27017"]),
    ("RabbitMQ", &["rabbitmq", "amqp", ":5672"]),
    ("Kafka", &["kafka", ":9092"]),
    ("NATS", &["nats:", ":4222"]),
    ("Memcached", &["memcache", ":11211"]),
    ("Elasticsearch", &["elasticsearch", "opensearch", ":9200"]),
];

/// What the line, or else the lines around it, say that it was.
fn server(line: &str, lines: &[&str]) -> Option<String> {
    let named = |text: &str| {
        let text = text.to_lowercase();
        SERVERS
            .iter()
            .find(|(_, signs)| signs.iter().any(|sign| text.contains(sign)))
            .map(|(name, _)| (*name).to_owned())
    };
    named(line).or_else(|| {
        let at = lines.iter().rposition(|other| *other == line)?;
        let around = &lines[at.saturating_sub(3)..lines.len().min(at + 4)];
        around.iter().find_map(|line| named(line))
    })
}

fn is_panic(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.starts_with("panic:")
        || lower.contains("panicked at")
        || lower.starts_with("fatal error:")
        || lower.starts_with("fatal:")
        || lower.starts_with("traceback (most recent call last)")
        || lower.starts_with("uncaught ")
        || lower.starts_with("unhandled exception")
        || lower.starts_with("exception in thread")
}

/// Rust writes what a panic says in the line after it, Python in the last one of the traceback.
fn panic_text(lines: &[&str], at: usize) -> String {
    let line = lines[at];
    let lower = line.to_lowercase();
    if lower.contains("panicked at")
        && line.ends_with(':')
        && let Some(next) = lines.get(at + 1)
    {
        return format!("{line} {next}");
    }
    if lower.starts_with("traceback") {
        let is_error = |line: &&&str| {
            line.split(':').next().is_some_and(|name| name.ends_with("Error") || name.ends_with("Exception"))
        };
        return lines[at..].iter().rev().find(is_error).unwrap_or(&line).to_string();
    }
    line.to_owned()
}

fn is_complaint(line: &str) -> bool {
    let lower = line.to_lowercase();
    [
        "error",
        "fatal",
        "can't",
        "cannot",
        "could not",
        "failed",
        "missing",
        "not found",
        "denied",
        "required",
        "invalid",
    ]
    .iter()
    .any(|sign| lower.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(log: &str) -> Option<Said> {
        read(&log.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    fn dependency(what: Option<&str>, how: Trouble, line: &str) -> Option<Said> {
        Some(Said::Dependency { what: what.map(str::to_owned), how, line: line.to_owned() })
    }

    /// Lines as the clients of several languages write them.
    #[test]
    fn what_an_app_needs_and_does_not_get() {
        let cases = [
            ("dial tcp 10.43.0.9:6379: connect: connection refused", Some("Redis"), Trouble::Refused),
            (
                "redis: WRONGPASS invalid username-password pair or user is disabled.",
                Some("Redis"),
                Trouble::Login,
            ),
            (
                "FATAL: password authentication failed for user \"app\" (postgresql)",
                Some("Postgres"),
                Trouble::Login,
            ),
            ("Error: getaddrinfo ENOTFOUND redis", Some("Redis"), Trouble::Name),
            ("failed to lookup address information: Name or service not known", None, Trouble::Name),
            (
                "could not translate host name \"db\" to address: Name or service not known",
                None,
                Trouble::Name,
            ),
            ("dial tcp 10.0.0.3:5432: i/o timeout", Some("Postgres"), Trouble::Silent),
            ("connect ECONNREFUSED 127.0.0.1:3306", Some("MySQL"), Trouble::Refused),
        ];
        for (line, what, how) in cases {
            assert_eq!(of(&format!("starting\n{line}\n")), dependency(what, how, line), "{line}");
        }
    }

    #[test]
    fn the_server_may_be_named_a_line_away() {
        let log = "connecting to redis at cache\nError: Connection refused (os error 111)\n";
        assert_eq!(
            of(log),
            dependency(Some("Redis"), Trouble::Refused, "Error: Connection refused (os error 111)")
        );
    }

    #[test]
    fn a_panic_of_the_app_s_own_is_no_dependency() {
        let line = |line: &str| Some(Said::Line(line.to_owned()));
        assert_eq!(
            of("listening\npanic: runtime error: index out of range [3] with length 3\ngoroutine 1"),
            line("panic: runtime error: index out of range [3] with length 3")
        );
        assert_eq!(
            of("thread 'main' panicked at src/main.rs:4:5:\nthe answer is 41\nnote: run with"),
            line("thread 'main' panicked at src/main.rs:4:5: the answer is 41")
        );
        assert_eq!(
            of("Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'HOME'"),
            line("KeyError: 'HOME'")
        );
        assert_eq!(
            of("reading config\nERROR SECRET_KEY is required\nbye"),
            line("ERROR SECRET_KEY is required")
        );
        assert_eq!(of("one\ntwo\n"), line("two"));
        assert_eq!(of("\n  \n"), None);
        let survived =
            "warn: redis connection refused, going on without a cache\na\nb\nc\nd\ne\nf\ng\npanic: nil map\n";
        assert_eq!(of(survived), line("panic: nil map"));
    }

    #[test]
    fn a_panic_that_quotes_the_dependency_is_the_dependency_s() {
        let log = "thread 'main' panicked at src/main.rs:9:\ncalled `Result::unwrap()` on an `Err` value: redis: Connection refused (os error 111)\n";
        assert!(matches!(of(log), Some(Said::Dependency { how: Trouble::Refused, .. })));
    }
}
