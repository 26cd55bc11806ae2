//! One pattern of a `.dockerignore`, compiled as moby/patternmatcher (Docker) or containers/storage (buildah) compiles it.

use std::{iter::Peekable, str::Chars};

use regex::Regex;

use super::go;

/// A pattern, and whether it brings back what earlier ones ignore.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) exception: bool,
    matcher: Matcher,
}

/// The ways in which Docker compares; buildah has the last one only.
#[derive(Debug)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(Regex),
    /// What buildah does with it isn't known here.
    Unknown,
}

impl Pattern {
    /// Compiles a cleaned pattern as Docker does. `None` if what Docker makes of it isn't known here.
    ///
    /// # Errors
    ///
    /// Why Docker would refuse it.
    pub(super) fn docker(exception: bool, pattern: &str) -> Result<Option<Self>, &'static str> {
        let sure = check(pattern)?;
        let matcher = match expression(pattern, ".+()$") {
            // Docker's scanner skips a byte order mark and its comparisons don't.
            _ if pattern.starts_with('\u{feff}') => None,
            (Kind::Exact, _) => Some(Matcher::Exact(pattern.to_owned())),
            (Kind::Prefix, _) => pattern.strip_suffix("**").map(|prefix| Matcher::Prefix(prefix.to_owned())),
            (Kind::Suffix, _) => pattern.strip_prefix("**").map(|suffix| Matcher::Suffix(suffix.to_owned())),
            (Kind::Regex, expression) => compile(&format!("^{expression}$"))?,
        };
        Ok(matcher.filter(|_| sure).map(|matcher| Self { exception, matcher }))
    }

    /// Compiles a cleaned pattern as buildah does. A pattern that it would refuse is unknown.
    pub(super) fn buildah(exception: bool, pattern: &str) -> Self {
        // These characters keep their meaning in buildah's regular expressions.
        let known = !pattern.contains(['+', '(', ')']) && check(pattern) == Ok(true);
        let (_, expression) = expression(pattern, ".$");
        let compiled = || compile(&format!("^{expression}(/.*)?$")).ok().flatten();
        let matcher = if known { compiled() } else { None };
        Self { exception, matcher: matcher.unwrap_or(Matcher::Unknown) }
    }

    /// Returns whether it matches a path itself. An unknown pattern matches where that makes the path part of the context.
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact(pattern) => path == pattern,
            Matcher::Prefix(prefix) => path.starts_with(prefix),
            Matcher::Suffix(suffix) => path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path),
            Matcher::Regex(regex) => regex.is_match(path),
            Matcher::Unknown => self.exception,
        }
    }
}

fn compile(expression: &str) -> Result<Option<Matcher>, &'static str> {
    let rust = go::to_rust(expression)?;
    // One that is too large for the engine is unknown as well.
    Ok(rust.and_then(|rust| Regex::new(&rust).ok()).map(Matcher::Regex))
}

/// How Docker compares a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Regex,
}

/// Translates a pattern to Go's regular expressions, without anchors. `escaped`: the characters that the tool escapes. Docker means to
/// escape `{`, `|` and `}` too, and its table of them has no room for a character above `_`.
fn expression(pattern: &str, escaped: &str) -> (Kind, String) {
    let mut kind = Kind::Exact;
    let mut out = String::new();
    let mut chars = pattern.strip_prefix('\u{feff}').unwrap_or(pattern).chars().peekable();
    let mut first = true;
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_some() {
                    out.push_str("(.*/)?");
                    kind = Kind::Regex;
                } else {
                    out.push_str(".*");
                    kind = if kind == Kind::Exact { Kind::Prefix } else { Kind::Regex };
                }
                if first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                out.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                out.push_str("[^/]");
                kind = Kind::Regex;
            }
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
                kind = Kind::Regex;
            }
            '[' | ']' => {
                out.push(char);
                kind = Kind::Regex;
            }
            char => {
                if escaped.contains(char) {
                    out.push('\\');
                }
                out.push(char);
            }
        }
        first = false;
    }
    (kind, out)
}

/// Checks what Go's `filepath.Match` checks: both tools refuse a pattern with which it has an error. Returns whether the answer is sure:
/// versions of Go differ in whether they look at what follows a `*`.
fn check(pattern: &str) -> Result<bool, &'static str> {
    let mut chars = pattern.trim_start_matches('*').chars().peekable();
    let mut sure = true;
    while let Some(char) = chars.next() {
        let checked = match char {
            '*' => {
                sure = false;
                Ok(())
            }
            '\\' => chars.next().map(drop).ok_or("nothing follows the last `\\`"),
            '[' => class(&mut chars),
            _ => Ok(()),
        };
        match checked {
            Err(why) if sure => return Err(why),
            Err(_) => return Ok(false),
            Ok(()) => {}
        }
    }
    Ok(true)
}

/// Reads a class after its `[`.
fn class(chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    chars.next_if_eq(&'^');
    let mut first = true;
    while first || chars.next_if_eq(&']').is_none() {
        first = false;
        bound(chars)?;
        if chars.next_if_eq(&'-').is_some() {
            bound(chars)?;
        }
    }
    Ok(())
}

/// Reads one end of a range between `[` and `]`.
fn bound(chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    let unclosed = "`[` is not closed by `]`; write `\\[` for the character";
    match chars.next().ok_or(unclosed)? {
        '-' => Err("`-` between `[` and `]` needs a character on each side; write `\\-` for the character"),
        ']' => Err("`[` and `]` need a character between them; write `\\]` for the character"),
        '\\' => chars.next().map(drop).ok_or(unclosed),
        _ => Ok(()),
    }?;
    chars.peek().map(drop).ok_or(unclosed)
}

/// Cleans a path as Go's `path.Clean` does.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}
