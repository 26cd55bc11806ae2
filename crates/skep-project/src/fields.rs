//! Reading a mapping of skep.yaml key by key, with errors that name the path.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    conceal::name_in,
    duration,
    error::{Fault, Problem},
    tree::{At, Entry, Node, Value},
};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) at: At,
    pub(crate) path: String,
}

impl<T> Placed<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: change(self.value), at: self.at, path: self.path }
    }

    pub(crate) fn fault(&self, problem: Problem) -> Fault {
        Fault::new(self.at, &self.path, problem)
    }
}

/// One value of the file on its way to being typed.
#[derive(Debug, Clone)]
pub(crate) struct Field<'n> {
    pub(crate) node: &'n Node,
    pub(crate) key_at: At,
    pub(crate) path: String,
}

/// The keys of one mapping, all of them known.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    at: At,
    pub(crate) path: String,
}

impl<'n> Field<'n> {
    pub(crate) fn root(node: &'n Node) -> Self {
        Self { node, key_at: node.at, path: String::new() }
    }

    /// The error that this value is of another type.
    pub(crate) fn wrong(&self, expected: &'static str) -> Fault {
        let found = match (&self.node.value, self.is_secret()) {
            (Value::Scalar { .. }, true) => "a string".to_owned(),
            _ => self.node.describe(),
        };
        Fault::new(self.at(), &self.path, Problem::WrongType { expected, found })
    }

    /// Whether this may be a secret written where it doesn't belong, which no message may repeat.
    pub(crate) fn is_secret(&self) -> bool {
        crate::conceal::is_secret(&self.path)
    }

    /// Where the value is; where its key is, if nothing was written.
    pub(crate) fn at(&self) -> At {
        if self.node.is_null() { self.key_at } else { self.node.at }
    }

    pub(crate) fn bad(&self, message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault::bad(self.at(), &self.path, message, hint)
    }

    pub(crate) fn place<T>(&self, value: T) -> Placed<T> {
        Placed { value, at: self.at(), path: self.path.clone() }
    }

    fn below(&self, key: &str, node: &'n Node, key_at: At) -> Self {
        // Without a value the key may be the secret: `{ hunter2 }`.
        let hides = node.is_null() && crate::conceal::is_secret(&format!("{}/{key}", self.path));
        let key = if hides { "…".to_owned() } else { name_in(key) };
        let path = if self.path.is_empty() { key } else { format!("{}/{key}", self.path) };
        Self { node, key_at, path }
    }

    /// Whether it is a mapping with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(&self.node.value, Value::Map(entries) if entries.iter().any(|entry| entry.key == key))
    }

    /// The keys of a mapping that may hold `known` and nothing else.
    pub(crate) fn fields(&self, known: &'static [&'static str]) -> Result<Fields<'n>, Fault> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.wrong("a mapping"));
        };
        if let Some(entry) = entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            let below = format!("{}/{}", self.path, entry.key);
            let hides = entry.node.is_null() && !self.path.is_empty() && crate::conceal::is_secret(&below);
            let key = if hides { "…".to_owned() } else { name_in(&entry.key) };
            let known = known.to_vec();
            return Err(Fault::new(entry.key_at, &self.path, Problem::UnknownKey { key, known }));
        }
        Ok(Fields { entries, at: self.key_at, path: self.path.clone() })
    }

    /// Every key of a mapping whose keys are the user's names.
    pub(crate) fn named<T>(
        &self,
        mut read: impl FnMut(&str, Self) -> Result<T, Fault>,
    ) -> Result<BTreeMap<String, T>, Fault> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.wrong("a mapping"));
        };
        entries
            .iter()
            .map(|entry| {
                let field = self.below(&entry.key, &entry.node, entry.key_at);
                Ok((entry.key.clone(), read(&entry.key, field)?))
            })
            .collect()
    }

    /// The items of a list.
    pub(crate) fn items<T>(&self, read: impl FnMut(Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let Value::List(nodes) = &self.node.value else {
            return Err(self.wrong("a list"));
        };
        let items = nodes.iter().enumerate();
        items.map(|(index, node)| self.below(&index.to_string(), node, node.at)).map(read).collect()
    }

    /// Any scalar, as it is written: `1.10` stays `1.10`.
    pub(crate) fn scalar(&self) -> Result<String, Fault> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Ok(text.clone()),
            _ => Err(self.wrong("a string")),
        }
    }

    /// A string that isn't empty. A number or boolean is refused: it is a slip where a name or a path is wanted.
    pub(crate) fn text(&self) -> Result<String, Fault> {
        match &self.node.value {
            Value::Scalar { text, plain }
                if !(*plain
                    && (text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false")))
                    && !self.node.is_null() =>
            {
                if text.trim().is_empty() {
                    return Err(self.bad("should not be empty", ""));
                }
                Ok(text.clone())
            }
            _ => Err(self.wrong("a string")),
        }
    }

    pub(crate) fn placed_text(&self) -> Result<Placed<String>, Fault> {
        Ok(self.place(self.text()?))
    }

    /// A list of strings, or one string alone.
    pub(crate) fn texts(&self) -> Result<Vec<Placed<String>>, Fault> {
        match &self.node.value {
            Value::List(_) => self.items(|item| item.placed_text()),
            Value::Scalar { .. } if !self.node.is_null() => Ok(vec![self.placed_text()?]),
            _ => Err(self.wrong("a string or a list of strings")),
        }
    }

    pub(crate) fn strings(&self) -> Result<Vec<String>, Fault> {
        self.items(|item| item.scalar())
    }

    /// A mapping of strings to strings.
    pub(crate) fn string_map(&self) -> Result<BTreeMap<String, String>, Fault> {
        self.named(|_, field| field.scalar())
    }

    pub(crate) fn boolean(&self) -> Result<bool, Fault> {
        match self.scalar()?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    pub(crate) fn duration(&self) -> Result<Duration, Fault> {
        let text = self.scalar().map_err(|_| self.wrong("a duration such as `10m`"))?;
        duration::parse(&text).map_err(|why| {
            self.bad(format!("`{text}` is not a duration: {why}"), "write `90s`, `10m` or `1h30m`")
        })
    }

    pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Result<T, Fault> {
        self.text()?.parse().map_err(|error: T::Err| self.bad(error.to_string(), ""))
    }
}

impl<'n> Fields<'n> {
    /// The value at `key`; a key with nothing written after it counts as absent.
    pub(crate) fn get(&self, key: &'static str) -> Option<Field<'n>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        if entry.node.is_null() {
            return None;
        }
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}/{key}", self.path) };
        Some(Field { node: &entry.node, key_at: entry.key_at, path })
    }

    pub(crate) fn need(&self, key: &'static str, why: &'static str) -> Result<Field<'n>, Fault> {
        self.get(key).ok_or_else(|| self.missing(key, why))
    }

    pub(crate) fn missing(&self, key: &'static str, why: &'static str) -> Fault {
        Fault::new(self.at, &self.path, Problem::MissingKey { key, why })
    }

    /// That at most one of two keys is there.
    pub(crate) fn exclusive(&self, first: &'static str, second: &'static str) -> Result<(), Fault> {
        match (self.get(first), self.get(second)) {
            (Some(_), Some(other)) => {
                Err(Fault::new(other.key_at, &self.path, Problem::Exclusive { first, second }))
            }
            _ => Ok(()),
        }
    }

    /// `read` on the value at `key`, if there is one.
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Field<'n>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.get(key).map(read).transpose()
    }
}
