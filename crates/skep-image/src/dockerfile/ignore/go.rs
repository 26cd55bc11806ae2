//! Go's regular expressions, as far as a translated pattern can hold them, in the syntax of the `regex` crate.
//!
//! The two differ where a pattern of an ignore file brings its own `[…]` and `\`: the crate nests classes and knows set operations,
//! Go doesn't, and `\d` means ASCII to Go. Source: `regexp/syntax/parse.go` with the flags of `regexp.Compile`.

use std::{fmt::Write as _, str::Chars};

/// Translates an expression. `None` for what is valid or not depending on more than is read here (`\p`, `\x`, `\Q`, octal, `|`, repetitions).
///
/// # Errors
///
/// Why Go would refuse it.
pub(super) fn to_rust(expression: &str) -> Result<Option<String>, &'static str> {
    let mut out = String::new();
    let mut rest = expression.chars();
    while let Some(char) = rest.next() {
        let known = match char {
            '[' => class(&mut rest, &mut out)?,
            '\\' => escape(&mut rest, &mut out)?,
            // These come from the translation of the pattern; its own ones are escaped.
            '^' | '$' | '.' | '*' | '?' | '(' | ')' => {
                out.push(char);
                Some(())
            }
            '|' => None,
            '{' if repeats(rest.as_str()) => None,
            char => {
                literal(char, &mut out);
                Some(())
            }
        };
        if known.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(out))
}

/// Returns whether `{` begins a repetition such as `{2,3}`; otherwise it is an ordinary character.
fn repeats(after: &str) -> bool {
    let Some((count, _)) = after.split_once('}') else { return false };
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

fn literal(char: char, out: &mut String) {
    // A string takes every write.
    let _ = write!(out, r"\x{{{:x}}}", u32::from(char));
}

const UNKNOWN_ESCAPE: &str = "`\\` before this letter or digit is not a known escape; write `/` between folders and `\\\\` for the character";

/// What an escape stands for.
enum Escape {
    Char(char),
    /// A set of characters, as the crate writes it.
    Set(&'static str),
    /// A place between characters.
    Place(&'static str),
    Unknown,
}

/// Reads what follows a `\`.
fn escaped(rest: &mut Chars<'_>) -> Result<Escape, &'static str> {
    Ok(match rest.next().ok_or(UNKNOWN_ESCAPE)? {
        'd' => Escape::Set("[0-9]"),
        'D' => Escape::Set("[^0-9]"),
        's' => Escape::Set(r"[\t\n\x0C\r ]"),
        'S' => Escape::Set(r"[^\t\n\x0C\r ]"),
        'w' => Escape::Set("[0-9A-Za-z_]"),
        'W' => Escape::Set("[^0-9A-Za-z_]"),
        'a' => Escape::Char('\x07'),
        'f' => Escape::Char('\x0C'),
        'n' => Escape::Char('\n'),
        'r' => Escape::Char('\r'),
        't' => Escape::Char('\t'),
        'v' => Escape::Char('\x0B'),
        'A' => Escape::Place(r"\A"),
        'z' => Escape::Place(r"\z"),
        'b' => Escape::Place(r"(?-u:\b)"),
        // `\B` can lie within a character, which the crate does not allow for text.
        'B' => Escape::Place(""),
        'p' | 'P' | 'x' | 'Q' | '0' => Escape::Unknown,
        '1'..='7' if rest.as_str().starts_with(|next| ('0'..='7').contains(&next)) => Escape::Unknown,
        char if char.is_ascii_alphanumeric() || !char.is_ascii() => return Err(UNKNOWN_ESCAPE),
        char => Escape::Char(char),
    })
}

fn escape(rest: &mut Chars<'_>, out: &mut String) -> Result<Option<()>, &'static str> {
    match escaped(rest)? {
        Escape::Char(char) => literal(char, out),
        Escape::Set(text) => out.push_str(text),
        Escape::Place("") | Escape::Unknown => return Ok(None),
        Escape::Place(text) => out.push_str(text),
    }
    Ok(Some(()))
}

/// Reads a class after its `[`.
fn class(rest: &mut Chars<'_>, out: &mut String) -> Result<Option<()>, &'static str> {
    out.push('[');
    if skip(rest, '^') {
        out.push('^');
    }
    let mut first = true;
    while first || !skip(rest, ']') {
        first = false;
        if let Some(name) = named(rest)? {
            let _ = write!(out, "[:{name}:]");
            continue;
        }
        let low = match member(rest)? {
            Escape::Char(char) => char,
            Escape::Set(text) => {
                out.push_str(text);
                continue;
            }
            Escape::Place(_) => return Err(UNKNOWN_ESCAPE),
            Escape::Unknown => return Ok(None),
        };
        literal(low, out);
        let range =
            rest.as_str().strip_prefix('-').is_some_and(|ahead| !ahead.is_empty() && !ahead.starts_with(']'));
        if range {
            skip(rest, '-');
            let high = match member(rest)? {
                Escape::Char(char) => char,
                Escape::Set(_) | Escape::Place(_) => return Err(UNKNOWN_ESCAPE),
                Escape::Unknown => return Ok(None),
            };
            if high < low {
                return Err("a range between `[` and `]` ends before it begins");
            }
            out.push('-');
            literal(high, out);
        }
    }
    out.push(']');
    Ok(Some(()))
}

/// Reads one member of a class.
fn member(rest: &mut Chars<'_>) -> Result<Escape, &'static str> {
    match rest.next().ok_or("`[` is not closed by `]`")? {
        '\\' => escaped(rest),
        char => Ok(Escape::Char(char)),
    }
}

/// Reads `[:alpha:]` within a class, if one is next.
fn named<'t>(rest: &mut Chars<'t>) -> Result<Option<&'t str>, &'static str> {
    const NAMES: &[&str] = &[
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let Some((name, after)) = rest.as_str().strip_prefix("[:").and_then(|text| text.split_once(":]")) else {
        return Ok(None);
    };
    if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err("there is no such class between `[:` and `:]`");
    }
    *rest = after.chars();
    Ok(Some(name))
}

fn skip(rest: &mut Chars<'_>, char: char) -> bool {
    let Some(after) = rest.as_str().strip_prefix(char) else { return false };
    *rest = after.chars();
    true
}
