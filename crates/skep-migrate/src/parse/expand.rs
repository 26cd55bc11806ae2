//! Variables under `-- +goose ENVSUB ON`, expanded line by line.
//!
//! The grammar is that of goose's expander (`mfridman/interpolate`): `$NAME`, `${NAME}`, `${NAME:-if unset or empty}`,
//! `${NAME-if unset}`, `${NAME?error}`, `${NAME:offset}`, `${NAME:offset:length}`, nested ones in the texts, `\$` and `$$`
//! for a dollar sign. `$(` stays as it is. Values are not expanded again.

/// Why a line can't be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpandError {
    /// Byte of the line where it went wrong.
    pub(super) at: usize,
    pub(super) why: String,
}

/// The line with its variables put in.
pub(super) fn expand(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    Expander { line, at: 0, variable }.expression(None)
}

struct Expander<'a> {
    line: &'a str,
    at: usize,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Expander<'a> {
    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let text = &rest[..rest.find(stop).unwrap_or(rest.len())];
        self.at += text.len();
        text
    }

    fn error<T>(&self, at: usize, why: impl Into<String>) -> Result<T, ExpandError> {
        Err(ExpandError { at, why: why.into() })
    }

    /// Text and expansions up to `stop` (not taken) or the end.
    fn expression(&mut self, stop: Option<char>) -> Result<String, ExpandError> {
        let mut out = String::new();
        while let Some(letter) = self.peek().filter(|letter| Some(*letter) != stop) {
            if self.take(r"\\") {
                out.push_str(r"\\");
            } else if self.take(r"\$") || self.take("$$") {
                out.push('$');
            } else if self.take("$(") {
                out.push_str("$(");
            } else if letter == '$' && self.rest().len() > 1 {
                out.push_str(&self.expansion()?);
            } else {
                self.next();
                out.push(letter);
                out.push_str(self.until(|c| c == '$' || c == '\\' || Some(c) == stop));
            }
        }
        Ok(out)
    }

    fn expansion(&mut self) -> Result<String, ExpandError> {
        let start = self.at;
        self.take("$");
        if !self.take("{") {
            let name = self.name(start)?;
            return Ok((self.variable)(name).unwrap_or_default());
        }
        let name = self.name(start)?;
        let value = (self.variable)(name);
        let out = if self.peek() == Some('}') {
            value.unwrap_or_default()
        } else if self.take(":-") {
            let default = self.deferred(value.as_deref().is_some_and(|value| !value.is_empty()))?;
            value.filter(|value| !value.is_empty()).or(default).unwrap_or_default()
        } else if self.take(":") {
            self.substring(&value.unwrap_or_default())?
        } else if self.take("-") {
            let default = self.deferred(value.is_some())?;
            value.or(default).unwrap_or_default()
        } else if self.take("?") {
            let message = self.deferred(value.is_some())?;
            match (value, message) {
                (Some(value), _) => value,
                (None, message) => {
                    let message = message.filter(|text| !text.is_empty()).unwrap_or_else(|| "not set".into());
                    return self.error(start, format!("${name}: {message}"));
                }
            }
        } else {
            return self.error(start, format!("${{{name}: expected `}}` or one of :- - ? :"));
        };
        if self.next() != Some('}') {
            return self.error(start, format!("${{{name} has no closing brace on its line"));
        }
        Ok(out)
    }

    /// The text up to the brace; expanded without any value (so that it can't fail) when it is not needed.
    fn deferred(&mut self, unneeded: bool) -> Result<Option<String>, ExpandError> {
        if !unneeded {
            return self.expression(Some('}')).map(Some);
        }
        let always = |_: &str| Some(String::new());
        let mut skipped = Expander { line: self.line, at: self.at, variable: &always };
        skipped.expression(Some('}'))?;
        self.at = skipped.at;
        Ok(None)
    }

    fn name(&mut self, start: usize) -> Result<&'a str, ExpandError> {
        match self.peek() {
            Some(letter) if letter.is_alphabetic() => Ok(self.until(|c| !c.is_alphanumeric() && c != '_')),
            Some(letter) => {
                self.error(start, format!("a variable's name starts with a letter, found `{letter}`"))
            }
            None => self.error(start, "a variable's name starts with a letter, found the end of the line"),
        }
    }

    /// `offset[:length]` of `value`, in bytes; negative ones count from the end, and what is outside is cut off.
    fn substring(&mut self, value: &str) -> Result<String, ExpandError> {
        let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
        let offset = self.number(|c| c == ':' || c == '}')?;
        let from = if offset < 0 { offset.saturating_add(size) } else { offset }.clamp(0, size);
        let to = if self.take(":") {
            let length = self.number(|c| c == '}')?;
            let end = if length < 0 { size.saturating_add(length) } else { from.saturating_add(length) };
            end.clamp(from, size)
        } else {
            size
        };
        let bytes = value.as_bytes();
        let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[range]).into_owned())
    }

    fn number(&mut self, stop: impl Fn(char) -> bool) -> Result<i64, ExpandError> {
        let start = self.at;
        let text = self.until(stop).trim();
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.error(start, format!("expected a number of characters, found `{text}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "REGION" => Some("eu_".into()),
            "EMPTY" => Some(String::new()),
            "ONCE" => Some("$REGION".into()),
            "COMMIT" => Some("0123456789".into()),
            "ÄÖ" => Some("umlaut".into()),
            _ => None,
        }
    }

    #[test]
    fn every_form() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$REGION", "eu_"),
            ("a${REGION}b", "aeu_b"),
            ("$REGION$EMPTY$UNSET;", "eu_;"),
            ("${ONCE}", "$REGION"),
            ("$ÄÖ", "umlaut"),
            ("${UNSET:-dflt}", "dflt"),
            ("${EMPTY:-dflt}", "dflt"),
            ("${EMPTY-dflt}", ""),
            ("${UNSET-dflt}", "dflt"),
            ("${REGION?must}", "eu_"),
            ("${EMPTY?must}", ""),
            ("${REGION:-${OTHER?must}}", "eu_"),
            ("${A:-${B:-$REGION}}", "eu_"),
            ("${A:-x ${REGION} y}", "x eu_ y"),
            ("${EMPTY:--:{}}", "-:{}"),
            ("${COMMIT:0:7}", "0123456"),
            ("${COMMIT:7}", "789"),
            ("${COMMIT: -3}", "789"),
            ("${COMMIT: -30}", "0123456789"),
            ("${COMMIT:30}", ""),
            ("${COMMIT:2:-2}", "234567"),
            ("${COMMIT:7:-7}", ""),
            ("${COMMIT:0:99}", "0123456789"),
            ("${UNSET:0:7}", ""),
            (r"\$REGION", "$REGION"),
            ("$$REGION", "$REGION"),
            ("AS $$", "AS $"),
            (r"\\$REGION", r"\\eu_"),
            ("$(now)", "$(now)"),
            ("costs 5$", "costs 5$"),
            ("a\\b", "a\\b"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_why_and_where() {
        for (text, at, why) in [
            ("id ${UNSET?is needed} int", 3, "$UNSET: is needed"),
            ("${UNSET?}", 0, "$UNSET: not set"),
            ("a $1", 2, "starts with a letter"),
            ("${_X}", 0, "starts with a letter"),
            ("${REGION", 0, "expected `}`"),
            ("${REGION!x}", 0, "expected `}`"),
            ("${REGION:?x}", 9, "expected a number"),
            ("${REGION:-x", 0, "no closing brace"),
        ] {
            let error = expand(text, &environment).unwrap_err();
            assert!(error.why.contains(why), "{text}: {error:?}");
            assert_eq!(error.at, at, "{text}: {error:?}");
        }
    }
}
