use skep_project::{parse_env, with_env};

use crate::lines;

/// An env file is read, or refused with a place in it; what was read is the same after it was written; and no warning holds a value.
pub fn env_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = match parse_env(text) {
        Ok(file) => file,
        Err(error) => {
            assert!((1..=lines(text)).contains(&error.line) && error.column >= 1, "{error:?}");
            return;
        }
    };
    let mut written = String::new();
    for (key, entry) in &file.entries {
        written = with_env(&written, key, &entry.value).expect("what was written can be read");
    }
    let again = parse_env(&written).expect("what was written can be read");
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    assert_eq!(again.entries.len(), file.entries.len());
    for (key, entry) in &file.entries {
        assert_eq!(again.entries[key].value, entry.value, "{key}");
    }
    for warning in file.warnings.iter().map(ToString::to_string) {
        // A key is named, and so is the syntax that a warning is about: only what can't be either is looked for.
        let mut rest = warning.clone();
        for key in file.entries.keys() {
            rest = rest.replace(&format!("`{key}`"), "");
        }
        for entry in file.entries.values().filter(|entry| !entry.value.is_ascii()) {
            assert!(!rest.contains(&entry.value), "{warning}");
        }
    }
}
