//! Env files: `KEY=VALUE` a line, quoted as in a shell.
//!
//! Two readings of such files exist: `kubectl --from-env-file` takes everything after `=` as it is, quotes included;
//! shells, Docker Compose and every dotenv library take quotes off. Skep reads them as the latter do, because the same
//! files are sourced by scripts and only quotes can hold several lines (a PEM key, for one):
//! - spaces around the key and around an unquoted value are dropped; `export ` before the key too;
//! - `'…'` is literal; `"…"` knows `\n`, `\r`, `\t`, `\\`, `\"`, `\$` and `` \` ``; both may hold line breaks;
//! - an unquoted ` #` begins a comment (with a warning, since kubectl keeps it); a `#` inside a word doesn't;
//! - nothing is expanded: `$HOME` stays `$HOME`;
//! - a key given twice has its last value, with a warning.
//!
//! Errors and warnings give line and column, never the text: it may be a secret.

use std::{collections::BTreeMap, ops::Range};

use thiserror::Error;

/// What an env file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvFile {
    /// By key.
    pub entries: BTreeMap<String, EnvEntry>,
    /// What deserves a second look.
    pub warnings: Vec<EnvWarning>,
}

/// One value of an env file.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvEntry {
    /// The value, without its quotes.
    pub value: String,
    /// The line of its key, from 1.
    pub line: usize,
    /// The whole assignment in the text without BOM and CRLF, its last line's end excluded.
    span: Range<usize>,
}

/// Shows the line only: the value may be a secret.
impl std::fmt::Debug for EnvEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvEntry").field("line", &self.line).finish_non_exhaustive()
    }
}

/// A line that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct EnvError {
    /// What is wrong.
    pub what: &'static str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl EnvError {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        "write `KEY=value`, or `KEY=\"value\"` if the value has spaces, quotes, `#` or several lines"
    }
}

/// Something that is read, but perhaps not as meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvWarning {
    /// The last value was taken.
    #[error("`{key}` is given twice, on line {first} and line {line}; the last one is used")]
    Duplicate {
        /// The key.
        key: String,
        /// Where it is first.
        first: usize,
        /// Where the value that is used stands.
        line: usize,
    },
    /// Text after ` #` was dropped.
    #[error(
        "line {line}: what follows ` #` in the value of `{key}` is read as a comment; quote the value to keep it"
    )]
    Comment {
        /// The key.
        key: String,
        /// The line.
        line: usize,
    },
}

/// Reads an env file's text. A BOM and CRLF line ends are no part of any value.
///
/// # Errors
/// When a line has no `=`, its key isn't a name, a quote isn't closed, or something follows one.
pub fn parse_env(text: &str) -> Result<EnvFile, EnvError> {
    parse_plain(&plain(text))
}

/// An env file's text with `key` set to `value`: in place where the key is, at the end where it isn't. Everything else stays as it is.
///
/// # Errors
/// As [`parse_env`]'s.
pub fn with_env(text: &str, key: &str, value: &str) -> Result<String, EnvError> {
    let mut text = plain(text);
    let line = format!("{key}={}", quoted(value));
    match parse_plain(&text)?.entries.get(key) {
        Some(entry) => text.replace_range(entry.span.clone(), &line),
        None => {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// An env file's text without `key`; `None` where it isn't there.
///
/// # Errors
/// As [`parse_env`]'s.
pub fn without_env(text: &str, key: &str) -> Result<Option<String>, EnvError> {
    let mut text = plain(text);
    let mut found = false;
    // A key may be there twice.
    while let Some(entry) = parse_plain(&text)?.entries.get(key) {
        let Range { start, end } = entry.span.clone();
        text.replace_range(start..(end + 1).min(text.len()), "");
        found = true;
    }
    Ok(found.then_some(text))
}

/// A value as every reader of such files takes it: `kubectl --from-env-file` too, when it needs no quotes.
fn quoted(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(bare) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' | '"' | '$' | '`' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The text as one that was written here.
fn plain(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

fn parse_plain(text: &str) -> Result<EnvFile, EnvError> {
    let mut reader = Reader { rest: text, all: text.len(), line: 1, column: 1 };
    let mut file = EnvFile::default();
    while !reader.rest.is_empty() {
        reader.skip_blanks();
        if reader.rest.is_empty() {
            break;
        }
        match reader.peek() {
            Some('\n') => reader.bump(),
            Some('#') => reader.skip_line(),
            _ => reader.assignment(&mut file)?,
        }
    }
    Ok(file)
}

struct Reader<'t> {
    rest: &'t str,
    /// The length of the whole text.
    all: usize,
    line: usize,
    column: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) {
        if let Some(c) = self.peek() {
            self.rest = &self.rest[c.len_utf8()..];
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|c| c != '\n' && c.is_whitespace()) {
            self.bump();
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.bump();
        }
    }

    fn error(&self, what: &'static str) -> EnvError {
        EnvError { what, line: self.line, column: self.column }
    }

    fn word(&mut self) -> String {
        let end =
            self.rest.find(|c: char| c.is_whitespace() || "=#'\"".contains(c)).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        word.chars().for_each(|_| self.bump());
        word
    }

    fn assignment(&mut self, file: &mut EnvFile) -> Result<(), EnvError> {
        let begun = self.all - self.rest.len();
        let mut start =
            self.error("a key may hold letters, digits, `_`, `-` and `.`, and doesn't begin with a digit");
        let mut key = self.word();
        self.skip_blanks();
        if key == "export" && self.peek() != Some('=') {
            (start.line, start.column) = (self.line, self.column);
            key = self.word();
            self.skip_blanks();
        }
        if self.peek() != Some('=') {
            return Err(self.error("expected `=` after the key"));
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if key.is_empty() || !key.chars().all(fine) || key.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(start);
        }
        self.bump();
        let value = self.value(&key, file)?;
        let line = start.line;
        let span = begun..self.all - self.rest.len();
        if let Some(earlier) = file.entries.insert(key.clone(), EnvEntry { value, line, span }) {
            let first = earlier.line;
            file.warnings.push(EnvWarning::Duplicate { key, first, line });
        }
        Ok(())
    }

    fn value(&mut self, key: &str, file: &mut EnvFile) -> Result<String, EnvError> {
        self.skip_blanks();
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            let value = self.quoted(quote)?;
            self.skip_blanks();
            return match self.peek() {
                None | Some('\n') => Ok(value),
                Some('#') => {
                    self.skip_line();
                    Ok(value)
                }
                Some(_) => Err(self.error("nothing but a comment may follow the closing quote")),
            };
        }
        let raw = self.rest.split('\n').next().unwrap_or_default();
        let comment = raw
            .char_indices()
            .find(|&(at, c)| c == '#' && raw[..at].chars().next_back().is_none_or(char::is_whitespace))
            .map(|(at, _)| at);
        if comment.is_some() {
            let (key, line) = (key.to_owned(), self.line);
            file.warnings.push(EnvWarning::Comment { key, line });
        }
        let value = raw[..comment.unwrap_or(raw.len())].trim_end().to_owned();
        self.skip_line();
        Ok(value)
    }

    fn quoted(&mut self, quote: char) -> Result<String, EnvError> {
        let open = self.error("this quote is never closed");
        self.bump();
        let mut value = String::new();
        loop {
            let Some(c) = self.peek() else { return Err(open) };
            self.bump();
            if c == quote {
                return Ok(value);
            }
            if c != '\\' || quote == '\'' {
                value.push(c);
                continue;
            }
            let Some(escaped) = self.peek() else {
                return Err(open);
            };
            self.bump();
            match escaped {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                '\\' | '"' | '$' | '`' => value.push(escaped),
                // As in a shell: a backslash before anything else is itself.
                other => value.extend(['\\', other]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        for (text, key, value) in [
            ("A=1", "A", "1"),
            ("export A=1", "A", "1"),
            ("export=1", "export", "1"),
            ("  A = spaced out  ", "A", "spaced out"),
            ("A=", "A", ""),
            ("A=\"\"", "A", ""),
            ("A='single $HOME \\n'", "A", "single $HOME \\n"),
            ("A=\"line\\nbreak \\\"q\\\" \\d\"", "A", "line\nbreak \"q\" \\d"),
            ("A=\"first\nsecond\"\nB=2", "A", "first\nsecond"),
            ("A=\"x\" # why", "A", "x"),
            ("A=p#ss", "A", "p#ss"),
            ("A=\"a # b\"", "A", "a # b"),
            ("A=it's", "A", "it's"),
            ("A=a=b==", "A", "a=b=="),
            ("# note\n\n\tA=1\r\nB=2\r\n", "A", "1"),
            ("\u{feff}A=1", "A", "1"),
            ("A.b-c=1", "A.b-c", "1"),
            ("URL=postgres://u:p@h/d?sslmode=require", "URL", "postgres://u:p@h/d?sslmode=require"),
            ("A=ünï", "A", "ünï"),
            ("A=\"crlf\r\ninside\"", "A", "crlf\ninside"),
        ] {
            let file = parse_env(text).expect(text);
            let entry = file.entries.get(key).expect(text);
            assert_eq!(entry.value, value, "{text}");
            assert!(file.warnings.is_empty(), "{text}: {:?}", file.warnings);
        }
    }

    #[test]
    fn warns_where_others_read_differently() {
        let file = parse_env("A=1\nB=x # y\nA=2\n").expect("valid");
        assert_eq!(file.entries["A"].value, "2");
        assert_eq!(file.entries["B"].value, "x");
        let texts: Vec<String> = file.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "line 2: what follows ` #` in the value of `B` is read as a comment; quote the value to keep it",
                "`A` is given twice, on line 1 and line 3; the last one is used",
            ]
        );
    }

    #[test]
    fn errors_give_line_and_column_but_no_text() {
        for (text, line, column, what) in [
            ("A=1\nhunter2\n", 2, 8, "expected `=`"),
            ("1A=hunter2", 1, 1, "begin with a digit"),
            ("export 1A=hunter2", 1, 8, "begin with a digit"),
            ("A=\"hunter2\nB=1\n", 1, 3, "never closed"),
            ("A='hunter2' x", 1, 13, "closing quote"),
            ("=hunter2", 1, 1, "a key may hold"),
            ("A B=hunter2", 1, 3, "expected `=`"),
        ] {
            let error = parse_env(text).expect_err(text);
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
            assert!(error.what.contains(what), "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn an_edit_touches_its_own_key_only() {
        let text = "# keys\nexport A='old'  # why\nB=2\nPEM=\"one\ntwo\"\nC=3";
        assert_eq!(with_env(text, "A", "new").as_deref(), Ok("# keys\nA=new\nB=2\nPEM=\"one\ntwo\"\nC=3"),);
        assert_eq!(
            with_env(text, "PEM", "x").as_deref(),
            Ok("# keys\nexport A='old'  # why\nB=2\nPEM=x\nC=3")
        );
        assert_eq!(
            with_env("C=3", "D", "four five").as_deref(),
            Ok("C=3\nD='four five'\n"),
            "a last line without its end"
        );
        let without = without_env("A=1\nB=2\nA=\"3\n4\"\n", "A").expect("valid");
        assert_eq!(without.as_deref(), Some("B=2\n"), "both of them");
        assert_eq!(without_env(text, "D"), Ok(None));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIG=\n-----END PRIVATE KEY-----\n";
        for value in [
            "",
            "plain",
            "a b",
            " lead",
            "it's",
            "p#ss",
            "a # b",
            "\"q\"",
            "$HOME",
            "\\n",
            "'",
            "`x` $y \\ '\"",
            "a\r\nb",
            "ü",
            pem,
        ] {
            let text = with_env("A=1\n", "KEY", value).expect(value);
            let file = parse_env(&text).expect(value);
            assert_eq!(file.entries["KEY"].value, value, "{text}");
            assert!(file.warnings.is_empty(), "{text}: {:?}", file.warnings);
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let file = parse_env("A=hunter2").expect("valid");
        assert!(!format!("{file:?}").contains("hunter2"));
    }
}
