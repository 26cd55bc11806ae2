//! Whatever is in a migration: no panic, no hang, errors with a place; and whatever it does, the lint ends too.

use proptest::prelude::*;
use skep_migrate::{Direction, dangers, parse};

fn text() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = vec![
        "-- +goose Up\n",
        "-- +goose Down\n",
        "-- +goose StatementBegin\n",
        "-- +goose StatementEnd\n",
        "-- +goose NO TRANSACTION\n",
        "-- +goose ENVSUB ON\n",
        "-- +goose ENVSUB OFF\n",
        "-- +skep contract\n",
        "-- +goose Upp\n",
        "ALTER TABLE a DROP COLUMN b",
        "CREATE INDEX i ON t (a)",
        ";",
        "\n",
        "\r\n",
        "$$",
        "$x$",
        "'",
        "\"",
        "/*",
        "*/",
        "--",
        "${A}",
        "${A:-b}",
        "${",
        "(",
        ")",
        ",",
        " ",
        "\u{feff}",
        "é",
        "SELECT 1;\n",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn migrations(text in text()) {
        for direction in [Direction::Up, Direction::Down] {
            match parse(&text, direction, &|name| (name == "A").then(|| "value".to_owned())) {
                Ok(script) => {
                    let lines = text.split('\n').count();
                    for danger in dangers(&script) {
                        prop_assert!((1..=lines).contains(&danger.line), "{danger:?}");
                    }
                }
                Err(error) => prop_assert!(error.place.line >= 1 && error.place.column >= 1, "{error}"),
            }
        }
    }
}
