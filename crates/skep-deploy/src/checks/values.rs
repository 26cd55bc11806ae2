//! Values of config and secrets: no placeholders left, groups whole, keys of the right kind. No text of it shows a value.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use skep_model::{Format, Project};

use super::{Finding, Severity};

pub(super) fn findings(project: &Project) -> Vec<Finding> {
    let mut found = Vec::new();
    let config = project.config.iter().flat_map(|(set, config)| {
        config.values.iter().map(move |(key, value)| (format!("config/{set}/{key}"), key, value))
    });
    let secrets = project.secrets.iter().flat_map(|(set, secret)| {
        secret.values.iter().map(move |(key, value)| (format!("secrets/{set}/{key}"), key, value))
    });
    let mut values: BTreeMap<&str, (String, &str)> = BTreeMap::new();
    for (place, key, value) in config.chain(secrets) {
        if is_placeholder(value) {
            let what = format!("{key} still has a placeholder for a value");
            found.push(Finding::new(
                Severity::Objection,
                &place,
                what,
                "put the real value in its place, or leave the key out",
            ));
        }
        values.insert(key, (place, value));
    }
    let has = |key: &String| values.get(key.as_str()).is_some_and(|(_, value)| !value.is_empty());
    let generated = |key: &String| project.secrets.values().any(|set| set.generate.contains(key));
    for group in &project.checks.all_or_none {
        let (there, missing): (Vec<&String>, Vec<&String>) =
            group.iter().partition(|key| has(key) || generated(key));
        if !there.is_empty() && !missing.is_empty() {
            let what = format!(
                "{} without {}: either all of them have a value, or none",
                list(&there),
                list(&missing)
            );
            found.push(Finding::new(
                Severity::Objection,
                "checks/all-or-none",
                what,
                "add what is missing, or take the others out",
            ));
        }
    }
    for (key, format) in &project.checks.format {
        let Some((place, value)) = values.get(key.as_str()).filter(|(_, value)| !value.is_empty()) else {
            continue;
        };
        if let Err(why) = fits(*format, value) {
            let what = format!("{key} is no {format}: {why}");
            found.push(Finding::new(
                Severity::Objection,
                place,
                what,
                "correct the value, or `checks.format` in skep.yaml",
            ));
        }
    }
    found
}

fn list(keys: &[&String]) -> String {
    keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ")
}

/// What people write where a value is still to come. Whole values only: a password may well hold such a word.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let inside = value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let inside = inside.or_else(|| value.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")));
    // Words: neither an address nor markup.
    let wrapped = inside.is_some_and(|words| {
        !words.trim().is_empty() && words.chars().all(|c| c.is_alphanumeric() || " _-".contains(c))
    });
    let words = [
        "changeme",
        "change-me",
        "change_me",
        "replaceme",
        "replace-me",
        "replace_me",
        "todo",
        "tbd",
        "fixme",
        "placeholder",
    ];
    let xs = value.len() > 2 && value.chars().all(|c| c == 'x');
    wrapped
        || xs
        || words.contains(&value.as_str())
        || value.ends_with("_placeholder")
        || value.starts_with("your-") && value.ends_with("-here")
        || value.starts_with("your_") && value.ends_with("_here")
}

fn fits(format: Format, value: &str) -> Result<(), &'static str> {
    let yes = |fits: bool, why| if fits { Ok(()) } else { Err(why) };
    match format {
        Format::PemP8 => pem(value, Some("PRIVATE KEY")),
        Format::Pem => pem(value, None),
        Format::Url => {
            let parsed = reqwest::Url::parse(value);
            yes(parsed.is_ok() && value.contains("://"), "it has no scheme, or no host")
        }
        Format::Integer => yes(value.parse::<i128>().is_ok(), "it is not a whole number"),
        Format::Boolean => yes(matches!(value, "true" | "false"), "it is neither true nor false"),
        Format::Base64 => yes(STANDARD.decode(value).is_ok(), "it has other characters, or is cut off"),
        Format::Hex => yes(
            value.len().is_multiple_of(2) && value.chars().all(|c| c.is_ascii_hexdigit()),
            "it has other characters, or an odd number of them",
        ),
        Format::Json => yes(serde_json::from_str::<serde_json::Value>(value).is_ok(), "it can't be parsed"),
    }
}

fn pem(value: &str, label: Option<&str>) -> Result<(), &'static str> {
    let value = value.trim();
    let begin = value.lines().next().unwrap_or_default();
    let found = begin.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
    let found = found.ok_or("it does not begin with `-----BEGIN …-----` on a line of its own")?;
    if label.is_some_and(|label| label != found) {
        return Err("it is a PEM of another kind: expected `-----BEGIN PRIVATE KEY-----`");
    }
    let end = format!("-----END {found}-----");
    let body = value.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end.as_str()));
    let body: String = body.ok_or("its last line is not `-----END …-----`")?.split_whitespace().collect();
    match STANDARD.decode(&body) {
        Ok(bytes) if bytes.first() == Some(&0x30) => Ok(()),
        _ => Err("what is between its first and last line is not a key: is a line missing?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_whole_values() {
        for value in [
            "CHANGEME",
            "change_me",
            "<your token>",
            "{{ token }}",
            "xxxx",
            "TODO",
            "TOKEN_PLACEHOLDER",
            "your-key-here",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in [
            "",
            "x",
            "todo-list",
            "s3cr<et>",
            "changeme-not",
            "https://example.com/<id>/",
            "<noreply@example.com>",
            "<h1>Hi</h1>",
            "<?xml version=\"1.0\"?>",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn formats() {
        let p8 = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\nByqGSM49\n-----END PRIVATE KEY-----\n";
        assert_eq!(fits(Format::PemP8, p8), Ok(()));
        assert!(fits(Format::PemP8, &p8.replace("PRIVATE", "EC PRIVATE")).is_err());
        assert!(fits(Format::PemP8, &p8.replace('\n', "")).is_err());
        assert!(fits(Format::PemP8, &p8.replace("ByqGSM49\n", "ByqGSM4\n")).is_err());
        for (format, good, bad) in [
            (Format::Pem, p8, "MIGH"),
            (Format::Url, "postgres://u:p@db:5432/x", "db:5432"),
            (Format::Integer, "-12", "1.5"),
            (Format::Boolean, "true", "yes"),
            (Format::Base64, "aGk=", "aGk"),
            (Format::Hex, "00ff", "0f0"),
            (Format::Json, "{\"a\":1}", "{a}"),
        ] {
            assert_eq!(fits(format, good), Ok(()), "{format}");
            assert!(fits(format, bad).is_err(), "{format}");
        }
    }
}
