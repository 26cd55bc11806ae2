//! Go's flags (`-dir x`, `-dir=x`, `--dir x`, `-v`), anywhere among the words, as goose takes them.

use std::collections::BTreeMap;

/// Flags that stand alone; they also take `=true` and `=false`.
const SWITCHES: [&str; 8] = ["v", "h", "help", "version", "s", "allow-missing", "no-versioning", "no-color"];
/// Flags with a value. The certificates are MySQL's and are passed over.
const VALUES: [&str; 7] = ["dir", "table", "timeout", "env", "certfile", "ssl-cert", "ssl-key"];

/// The command line, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    values: BTreeMap<String, String>,
    pub(crate) words: Vec<String>,
}

impl Arguments {
    /// The reason is for a person to read.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                parsed.words.extend(rest.by_ref().cloned());
                break;
            }
            let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                parsed.words.push(argument.clone());
                continue;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (name, given) =
                flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let value = if SWITCHES.contains(&name) {
                switch(name, given)?.to_string()
            } else if VALUES.contains(&name) {
                let given = given.map(Into::into).or_else(|| rest.next().cloned());
                given.ok_or_else(|| format!("flag needs an argument: -{name}"))?
            } else {
                return Err(format!("flag provided but not defined: -{name}"));
            };
            parsed.values.insert(name.into(), value);
        }
        Ok(parsed)
    }

    pub(crate) fn on(&self, switch: &str) -> bool {
        self.values.get(switch).is_some_and(|value| value == "true")
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn switch(name: &str, given: Option<&str>) -> Result<bool, String> {
    match given {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(format!("invalid boolean value \"{other}\" for -{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(&line.split_whitespace().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn flags_stand_anywhere_and_in_every_form() {
        for line in [
            "-dir migrations -allow-missing postgres DSN up",
            "--dir=migrations postgres --allow-missing DSN up",
            "postgres DSN up -dir=migrations -allow-missing=true",
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.value("dir"), Some("migrations"), "{line}");
            assert!(arguments.on("allow-missing"), "{line}");
            assert_eq!(arguments.words, ["postgres", "DSN", "up"], "{line}");
        }
        assert!(!parse("-v=false up").unwrap().on("v"));
        assert_eq!(parse("up -- -x").unwrap().words, ["up", "-x"]);
    }

    #[test]
    fn what_goose_refuses_is_refused() {
        for (line, why) in [
            ("-dri x up", "not defined: -dri"),
            ("up -dir", "needs an argument: -dir"),
            ("-v=maybe up", "invalid boolean"),
        ] {
            assert!(parse(line).unwrap_err().contains(why), "{line}");
        }
    }
}
