//! libpq's `host=… user='…'` words.

use std::iter::Peekable;
use std::str::Chars;

use super::{Dsn, DsnError};

pub(super) fn parse(text: &str) -> Result<Dsn, DsnError> {
    let mut dsn = Dsn::default();
    let mut letters = text.chars().peekable();
    loop {
        skip_space(&mut letters);
        if letters.peek().is_none() {
            return Ok(dsn);
        }
        let key = key(&mut letters)?;
        let value = value(&mut letters, &key)?;
        dsn.set(&key, &value)?;
    }
}

fn skip_space(letters: &mut Peekable<Chars<'_>>) {
    while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
}

fn key(letters: &mut Peekable<Chars<'_>>) -> Result<String, DsnError> {
    let mut key = String::new();
    while let Some(letter) = letters.next_if(|letter| *letter != '=' && !letter.is_whitespace()) {
        key.push(letter);
    }
    skip_space(letters);
    if letters.next() != Some('=') || key.is_empty() {
        // Not quoted: a password with a space in it lands here.
        return Err(DsnError::part(
            "words",
            "expected `key=value` words; put a value with spaces in single quotes",
        ));
    }
    skip_space(letters);
    Ok(key)
}

fn value(letters: &mut Peekable<Chars<'_>>, key: &str) -> Result<String, DsnError> {
    let quoted = letters.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match letters.peek() {
            None if quoted => return Err(DsnError::part(key, "the closing quote is missing")),
            None => return Ok(value),
            Some('\'') if quoted => {
                letters.next();
                return Ok(value);
            }
            Some(letter) if !quoted && letter.is_whitespace() => return Ok(value),
            Some('\\') => {
                letters.next();
                value.extend(letters.next());
            }
            Some(_) => value.extend(letters.next()),
        }
    }
}
