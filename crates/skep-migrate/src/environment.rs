//! Environment variables as a value: taken once at the edge, then handed to what needs them.

use std::collections::BTreeMap;
use std::{env, fmt};

/// Names and values. Values are never shown by `Debug`: they hold passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The process's own; variables that aren't UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable, even when it is empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A variable that is not empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Adds what isn't there yet from the text of an env file (`KEY=value`, `export`, quotes, `#` comments), as goose
    /// loads `.env`.
    pub fn add_file(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((name, value)) = assignment(line) {
                self.0.entry(name.into()).or_insert(value);
            }
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    if name.is_empty() || name.starts_with('#') || name.contains(char::is_whitespace) {
        return None;
    }
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let end = rest.rfind(quote)?;
            let inner = &rest[..end];
            let inner =
                if quote == '"' { inner.replace("\\n", "\n").replace("\\\"", "\"") } else { inner.into() };
            return Some((name, inner));
        }
    }
    let bare = value.split_once(" #").map_or(value, |(before, _)| before.trim_end());
    Some((name, bare.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_fills_only_what_is_unset() {
        let mut environment: Environment = [("SET", "kept"), ("BLANK", "")].into_iter().collect();
        environment.add_file(
            "# comment\nSET=lost\nBLANK=lost\nexport A=1\nB = two words # why\nC=\"q # \\\"x\\\"\"\nD='$raw'\n\nnoise\nE=\n",
        );
        for (name, expected) in [
            ("SET", Some("kept")),
            ("BLANK", Some("")),
            ("A", Some("1")),
            ("B", Some("two words")),
            ("C", Some("q # \"x\"")),
            ("D", Some("$raw")),
            ("E", Some("")),
            ("noise", None),
        ] {
            assert_eq!(environment.get(name), expected, "{name}");
        }
        assert_eq!(environment.filled("BLANK"), None);
        assert!(!format!("{environment:?}").contains("kept"));
    }
}
