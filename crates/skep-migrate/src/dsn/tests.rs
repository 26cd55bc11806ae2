use super::*;
use crate::environment::Environment;

#[test]
fn urls_and_words_mean_the_same() {
    for (url, words) in [
        ("postgres://app@db/shop", "user=app host=db dbname=shop"),
        ("postgresql://app:p%40ss@db:6432/shop", "host=db port=6432 user=app password=p@ss dbname=shop"),
        ("postgres://db", "host = db"),
        ("postgres://app:@[::1]:5432/", "host=::1 port=5432 user=app"),
        ("postgres://%2Fvar%2Frun/shop?user=app", "host=/var/run dbname=shop user=app"),
        ("postgres:///shop?host=/tmp&port=5433", "host=/tmp port=5433 dbname=shop"),
        (
            "postgres://db/shop?sslmode=require&search_path=a",
            "host=db dbname=shop sslmode=require search_path=a",
        ),
        ("postgres://db?options=-c%20geqo%3Doff", r"host=db options='-c geqo=off'"),
        ("postgres://u:a'b%5C@db", r"user=u password='a\'b\\' host=db"),
        ("postgres://u:a%20b@db", r"user=u password=a\ b host=db"),
        ("postgres://db?connect_timeout=5&channel_binding=require", "host=db connect_timeout=5"),
        ("postgres://db?pool_max_conns=3&pgbouncer=true", "host=db"),
        ("postgres://x?hostaddr=10.0.0.1", "host=x hostaddr=10.0.0.1"),
    ] {
        let (url_dsn, words_dsn) = (Dsn::parse(url), Dsn::parse(words));
        assert!(url_dsn.is_ok(), "{url}: {url_dsn:?}");
        assert!(url_dsn == words_dsn, "{url} and {words}");
    }
}

#[test]
fn what_cannot_be_read_is_said_without_the_password() {
    for text in [
        "mysql://root:hunter2@db/shop",
        "postgres://app:hunter2/x@db/shop",
        "postgres://app:hunter2%zz@db/shop",
        "postgres://app:hunter2@db:port/shop",
        "postgres://app:hunter2@one,two/shop",
        "postgres://app:hunter2@[::1/shop",
        "host=db password='hunter2",
        "host=db password=x hunter2",
        "host=db port=hunter",
        "host=db service=main password=hunter2",
        "hunter2",
        "",
    ] {
        let error = Dsn::parse(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{text}: {error}");
    }
    let dsn = Dsn::parse("postgres://app:hunter2@db/shop").unwrap();
    assert_eq!(format!("{dsn:?} {dsn}"), "Dsn(app@db/shop) app@db/shop");
}

fn found(given: Option<&str>, environment: &[(&str, &str)]) -> (String, String, Option<String>) {
    let environment: Environment = environment.iter().copied().collect();
    let found = resolve(given, &environment).unwrap();
    (found.dsn.to_string(), found.origin, found.pooler)
}

#[test]
fn the_pooler_segment_is_stripped_where_it_is_neons() {
    for (host, direct) in [
        ("ep-cool-1-pooler.eu-central-1.aws.neon.tech", Some("ep-cool-1.eu-central-1.aws.neon.tech")),
        ("db-pooler.example.com", Some("db.example.com")),
        // Names that only resemble it: changing these would reach another server.
        ("db-pooler", None),
        ("pooler.example.com", None),
        ("-pooler.example.com", None),
        ("db.x-pooler.example.com", None),
        ("db-pooler2.example.com", None),
        ("/run/db-pooler.d", None),
        ("10.0.0.1", None),
    ] {
        let (dsn, _, pooler) = found(Some(&format!("host={host}")), &[]);
        assert_eq!(dsn, direct.unwrap_or(host), "{host}");
        assert_eq!(pooler.is_some(), direct.is_some(), "{host}");
    }
}

#[test]
fn a_direct_url_wins_over_everything() {
    let environment = [
        ("GOOSE_DBSTRING", "postgres://pooled-pooler.example.com/a"),
        ("DATABASE_DIRECT_URL", "postgres://direct-pooler.example.com/b"),
    ];
    let (dsn, origin, pooler) = found(Some("postgres://argument/c"), &environment);
    assert_eq!(
        (dsn.as_str(), origin.as_str(), pooler),
        ("direct-pooler.example.com/b", "DATABASE_DIRECT_URL", None)
    );
}

#[test]
fn the_argument_then_the_variables() {
    let all = [
        ("GOOSE_DBSTRING", "host=goose"),
        ("DATABASE_URL", "postgres://url"),
        ("DB_HOST", "parts"),
        ("PGHOST", "libpq"),
    ];
    assert_eq!(found(Some("host=argument"), &all).0, "argument");
    assert_eq!(found(Some(" "), &all).0, "goose");
    assert_eq!(found(None, &all[1..]).0, "url");
    assert_eq!(found(None, &all[2..]).1, "DB_HOST");
    assert_eq!(found(None, &all[3..]).1, "PGHOST");
    assert_eq!(resolve(None, &Environment::default()), Err(DsnError::Nothing));
}

#[test]
fn parts_of_either_spelling() {
    for (environment, expected) in [
        (vec![("DB_HOST", "h"), ("DB_PORT", "6"), ("DB_USER", "u"), ("DB_NAME", "n")], "u@h:6/n"),
        (vec![("DB_HOST", "h"), ("DB_USERNAME", "u"), ("DB_DATABASE", "n")], "u@h/n"),
        (vec![("POSTGRES_HOST", "h"), ("POSTGRES_USER", "u"), ("POSTGRES_DB", "n")], "u@h/n"),
        (vec![("DB_HOST", "h"), ("POSTGRES_USER", "u"), ("POSTGRES_DB", "n")], "u@h/n"),
        (vec![("DB_HOST", "p"), ("DB_DIRECT_HOST", "d-pooler.x.y")], "d-pooler.x.y"),
        // What Kubernetes injects for a Service named `db` or `postgres`.
        (vec![("DB_HOST", "h"), ("DB_PORT", "tcp://10.0.0.1:5432")], "h"),
        (vec![("DB_HOST", "h"), ("POSTGRES_PORT", "tcp://10.0.0.1:5432"), ("DB_PORT", "7")], "h:7"),
    ] {
        assert_eq!(found(None, &environment).0, expected, "{environment:?}");
    }
    let environment: Environment =
        [("DB_HOST", "h"), ("DB_PASSWORD", "s"), ("DB_SSLMODE", "require")].into_iter().collect();
    let dsn = resolve(None, &environment).unwrap().dsn;
    assert_eq!(dsn.password.as_deref(), Some("s"));
    assert_eq!(dsn.client, [("sslmode".to_owned(), "require".to_owned())]);
}
