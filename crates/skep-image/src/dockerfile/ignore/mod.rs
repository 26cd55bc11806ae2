//! `.dockerignore`: which files of a context a build never sees, and which its inputs therefore leave out.
//!
//! Docker and buildah read the same file by different rules: `**.log` ignores `a.log` for Docker only, `dir` after `!dir/file` hides the
//! file again for buildah only. A file counts as ignored when both ignore it. A file that counts although the builder ignores it costs a
//! build; the other way round an old image would be deployed.
//!
//! [`Ignore`] reads the file and evaluates its patterns in order, `pattern` compiles one pattern, and `go` translates the regular
//! expressions that both tools make of a pattern.

mod go;
mod pattern;
#[cfg(test)]
mod tests;

use thiserror::Error;

use pattern::{Pattern, clean};

/// The longest line that Docker reads, in bytes (`bufio.MaxScanTokenSize`).
const LONGEST_LINE: usize = 64 * 1024 - 1;

/// The patterns of a `.dockerignore` in their order, as each of the tools understands them.
#[derive(Debug, Default)]
pub struct Ignore {
    docker: Vec<Pattern>,
    buildah: Vec<Pattern>,
    /// Whether a pattern means something to Docker that isn't known here: no file counts as ignored then.
    in_doubt: bool,
}

/// A pattern with which Docker refuses to build.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid pattern `{pattern}`: {why}")]
pub struct InvalidPattern {
    /// Its line, counted from 1.
    pub line: usize,
    /// The line's text, without surrounding space.
    pub pattern: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Ignore {
    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// The first pattern that Docker would refuse, or would if it came to evaluate it. One that buildah alone would refuse ignores
    /// nothing.
    pub fn parse(content: &[u8]) -> Result<Self, InvalidPattern> {
        let mut ignore = Self::default();
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let text = String::from_utf8_lossy(line);
            let invalid = |why| InvalidPattern { line: number + 1, pattern: shortened(&text), why };
            if line.len() > LONGEST_LINE {
                return Err(invalid("the line is longer than 65,535 bytes"));
            }
            if text.starts_with('#') {
                continue;
            }
            // Docker removes a byte order mark, buildah takes it for a part of the first pattern.
            let marked = if number == 0 { text.strip_prefix('\u{feff}') } else { None };
            match docker_line(marked.unwrap_or(&text)).map_err(invalid)? {
                Line::Pattern(pattern) => ignore.docker.push(pattern),
                Line::Empty => {}
                Line::Unknown => ignore.in_doubt = true,
            }
            ignore.buildah.extend(buildah_line(&text));
        }
        Ok(ignore)
    }

    /// Returns whether neither tool sees a file or folder. `path`: relative to the context, its parts separated by `/`.
    pub fn ignores(&self, path: &str) -> bool {
        !self.in_doubt && self.docker_ignores(path) && self.buildah_ignores(path)
    }

    /// Returns whether a pattern begins with `!`: a file below an ignored folder can be part of the context then.
    pub fn has_exceptions(&self) -> bool {
        self.docker.iter().chain(&self.buildah).any(|pattern| pattern.exception)
    }

    /// Walks down to the path, as Docker does: a pattern that matched a folder matches all that is below it, unless it was not evaluated
    /// there because it could not have changed the answer (`MatchesUsingParentResults` of moby/patternmatcher).
    fn docker_ignores(&self, path: &str) -> bool {
        let mut above = vec![false; self.docker.len()];
        let mut ignored = false;
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            ignored = false;
            for (pattern, matched) in self.docker.iter().zip(&mut above) {
                *matched = *matched || pattern.exception == ignored && pattern.matches(&path[..end]);
                if *matched {
                    ignored = !pattern.exception;
                }
            }
        }
        ignored
    }

    /// The last pattern that matches decides; each also matches below what it names (`Matches` of containers/storage).
    fn buildah_ignores(&self, path: &str) -> bool {
        let last = self.buildah.iter().rev().find(|pattern| pattern.matches(path));
        last.is_some_and(|pattern| !pattern.exception)
    }
}

/// What Docker makes of a line.
enum Line {
    Empty,
    Pattern(Pattern),
    Unknown,
}

/// Reads a line as moby/patternmatcher does: its `ignorefile` cleans the text after a `!`, its `New` the whole.
fn docker_line(line: &str) -> Result<Line, &'static str> {
    let text = line.trim();
    if line.starts_with('#') || text.is_empty() {
        return Ok(Line::Empty);
    }
    if text.contains(char::REPLACEMENT_CHARACTER) {
        // Bytes that aren't UTF-8.
        return Ok(Line::Unknown);
    }
    let (mark, text) = match text.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", text),
    };
    let text = if text.is_empty() { String::new() } else { clean(text) };
    let relative = text.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&text);
    let whole = clean(format!("{mark}{relative}").trim());
    let pattern = match whole.strip_prefix('!') {
        Some("") => return Err("`!` needs a pattern after it"),
        Some(exception) => Pattern::docker(true, exception)?,
        None => Pattern::docker(false, &whole)?,
    };
    Ok(pattern.map_or(Line::Unknown, Line::Pattern))
}

/// Reads a line as buildah does, by openshift/imagebuilder and containers/storage.
fn buildah_line(line: &str) -> Option<Pattern> {
    let text = line.trim_matches('/').trim();
    if line.starts_with('#') || text.is_empty() {
        return None;
    }
    let whole = clean(text);
    let Some(exception) = whole.strip_prefix('!') else { return Some(Pattern::buildah(false, &whole)) };
    let cleaned = clean(exception);
    Some(Pattern::buildah(true, cleaned.strip_prefix('/').unwrap_or(&cleaned)))
}

/// A line as an error shows it: trimmed, and at most 100 characters.
fn shortened(text: &str) -> String {
    text.trim().chars().take(100).collect()
}
