//! Whatever is in a file: no panic, no hang, and errors with a place.

use proptest::prelude::*;
use skep_project::{parse_env, with_env, without_env};

use crate::{folder::Folder, good::HONEYDUE};

/// Pieces of env files, in any order.
fn env_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("KEY=".to_owned()),
        Just("export ".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("# note".to_owned()),
        Just("\\".to_owned()),
        "['\"=#$` \t]",
        "[A-Za-z_0-9.-]{1,6}",
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A skep.yaml that works, with something cut out, put in, or repeated.
fn broken_yaml() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "\n",
        "  ",
        "\t",
        "&a ",
        "*a",
        "<<: *a",
        "|",
        ">",
        "\"",
        "'",
        "~",
        "null",
        "0x",
        "!!binary ",
        "\u{feff}",
        "\u{0}",
        "é",
    ];
    (any::<prop::sample::Index>(), 0..80_usize, prop::collection::vec(prop::sample::select(pieces), 0..6))
        .prop_map(|(at, cut, put)| {
            let starts: Vec<usize> = HONEYDUE.char_indices().map(|(at, _)| at).collect();
            let start = at.index(starts.len());
            let end = (start + cut).min(starts.len() - 1);
            format!("{}{}{}", &HONEYDUE[..starts[start]], put.concat(), &HONEYDUE[starts[end]..])
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn env_files(text in env_text()) {
        match parse_env(&text) {
            Ok(file) => prop_assert!(file.entries.values().all(|entry| entry.line >= 1)),
            Err(error) => {
                let lines = text.split('\n').count();
                prop_assert!((1..=lines).contains(&error.line) && error.column >= 1, "{error:?}");
            }
        }
    }

    #[test]
    fn an_edit_of_an_env_file_changes_its_key_and_no_other(text in env_text(), value in "(\\PC|\n|\t|['\"$`\\\\#]){0,12}") {
        let Ok(before) = parse_env(&text) else { return Ok(()) };
        let edited = parse_env(&with_env(&text, "EDITED", &value).expect("it was read")).expect("it can be read again");
        prop_assert_eq!(&edited.entries["EDITED"].value, &value);
        for (key, entry) in before.entries.iter().filter(|(key, _)| *key != "EDITED") {
            prop_assert_eq!(&edited.entries[key].value, &entry.value);
        }
        if let Some((key, _)) = before.entries.iter().next() {
            let without = without_env(&text, key).expect("it was read").expect("it is there");
            let without = parse_env(&without).expect("it can be read again");
            prop_assert!(!without.entries.contains_key(key));
            prop_assert_eq!(without.entries.len(), before.entries.len() - 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn project_files(text in broken_yaml()) {
        if let Err(error) = Folder::with(&text).load("production") {
            prop_assert!(!error.to_string().is_empty());
            if let Some(location) = error.location() {
                prop_assert!(location.line >= 1 && location.column >= 1, "{error}");
            }
        }
    }

    #[test]
    fn anything_at_all(text in "(\\PC|\n|\t){0,200}") {
        let _ = Folder::with(&text).load("local");
    }
}
