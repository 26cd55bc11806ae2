//! Replaces secret values in text by `***`, in every form in which a program is likely to print them.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Bytes below which a value is not redacted: `true` or a port would make every text unreadable, and gives nothing away.
const SHORTEST: usize = 6;
/// The same for one line of a value of several lines.
const SHORTEST_LINE: usize = 16;
/// Characters below which part of a base64 text is too likely to be something else.
const SHORTEST_BASE64: usize = 8;
/// Bytes above which a value is looked for as it is and line by line, and in no encoded form.
const LONGEST_ENCODED: usize = 16 << 10;
/// Settings that are often kept in a Secret, and that no log could be read without.
const SETTINGS: &[&str] = &["enabled", "disabled", "localhost", "production", "staging", "development"];
/// What takes the place of a value.
const STARS: &str = "***";

/// The values to hide, ready to be searched for. Cloning one copies no value.
#[derive(Clone, Default)]
pub struct Redactor(Option<AhoCorasick>);

/// Shows no value.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Hides these values: whole, each longer line of one, the password of a URL, and all of that in JSON, percent encoding and base64.
    pub fn new<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut forms = BTreeSet::new();
        for value in values {
            add(value.as_ref(), &mut forms);
        }
        if forms.is_empty() {
            return Self::default();
        }
        // Standard matches can be searched with overlaps, so that no end of a value is left beside another's stars.
        let search = AhoCorasick::builder().match_kind(MatchKind::Standard).build(forms);
        Self(Some(search.expect("gigabytes of values, where a Secret holds one megabyte")))
    }

    /// The text with `***` in the place of each value.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(search) = self.0.as_ref().filter(|search| search.is_match(text)) else {
            return Cow::Borrowed(text);
        };
        let mut hidden: Vec<Range<usize>> =
            search.find_overlapping_iter(text).map(|one| one.range()).collect();
        hidden.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        let mut shown = String::with_capacity(text.len());
        let mut rest = 0;
        let mut ranges = hidden.into_iter().peekable();
        while let Some(mut range) = ranges.next() {
            while let Some(next) = ranges.next_if(|next| next.start < range.end) {
                range.end = range.end.max(next.end);
            }
            shown.push_str(&text[rest..range.start]);
            shown.push_str(STARS);
            rest = range.end;
        }
        shown.push_str(&text[rest..]);
        Cow::Owned(shown)
    }
}

/// Adds every form of a value that is looked for.
fn add(value: &[u8], forms: &mut BTreeSet<String>) {
    let Ok(text) = std::str::from_utf8(value) else {
        // A log is text: of a value that is none it can only show an encoded form.
        base64_forms(value, forms);
        return;
    };
    let text = text.trim();
    let shortest_line = if text.contains("-----BEGIN ") { SHORTEST } else { SHORTEST_LINE };
    let lines = text.lines().map(str::trim).filter(|line| line.len() >= shortest_line);
    let passwords = password_of(text);
    let whole = Some(text).filter(|text| text.len() >= SHORTEST && !SETTINGS.contains(text));
    for secret in lines.map(Cow::Borrowed).chain(passwords).chain(whole.map(Cow::Borrowed)) {
        if secret.len() <= LONGEST_ENCODED {
            json_forms(&secret, forms);
            percent_forms(&secret, forms);
            base64_forms(secret.as_bytes(), forms);
        }
        forms.insert(secret.into_owned());
    }
    // An editor's newline at the end shifts what comes before it by nothing, but ends the whole in another way.
    if value.len() >= SHORTEST && value.len() <= LONGEST_ENCODED && whole.is_some() {
        base64_forms(value, forms);
    }
}

/// The password in `scheme://user:password@host`, as it is written and as it is meant.
fn password_of(text: &str) -> Vec<Cow<'_, str>> {
    let Some((_, rest)) = text.split_once("://").filter(|_| !text.contains(char::is_whitespace)) else {
        return Vec::new();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((_, password)) = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) else {
        return Vec::new();
    };
    let meant = percent_decoded(password).filter(|meant| meant != password).map(Cow::Owned);
    let both = std::iter::once(Cow::Borrowed(password)).chain(meant);
    both.filter(|password| password.len() >= SHORTEST).collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// As a JSON string holds it, also as Go writes it, which escapes what HTML would read.
fn json_forms(text: &str, forms: &mut BTreeSet<String>) {
    let quoted = serde_json::Value::from(text).to_string();
    let json = &quoted[1..quoted.len() - 1];
    if json != text {
        forms.insert(json.to_owned());
    }
    if json.contains(['<', '>', '&']) {
        forms.insert(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
    }
}

/// As a URL or a form holds it.
fn percent_forms(text: &str, forms: &mut BTreeSet<String>) {
    let encoded = |keep: &[u8], lower: bool| -> String {
        let one = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() || keep.contains(&byte) => char::from(byte).to_string(),
            byte if lower => format!("%{byte:02x}"),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    };
    // RFC 3986's unreserved characters; those that JavaScript's encodeURIComponent keeps besides; what a path may hold.
    for keep in [&b"-._~"[..], b"-._~!*'()", b"-._~!*'()$&+,;=:@/"] {
        for lower in [false, true] {
            let encoded = encoded(keep, lower);
            if encoded != text {
                if encoded.contains("%20") {
                    forms.insert(encoded.replace("%20", "+"));
                }
                forms.insert(encoded);
            }
        }
    }
}

/// In base64, also in the middle of a longer text: what precedes it shifts its bits by none, two or four.
fn base64_forms(value: &[u8], forms: &mut BTreeSet<String>) {
    if value.len() > LONGEST_ENCODED {
        forms.insert(STANDARD.encode(value));
        return;
    }
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value);
        // The first characters have bits of what stands before it, the last ones of what follows.
        let first = [0, 2, 3][before];
        let last = bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if let Some(own) = encoded.get(first..last).filter(|own| own.len() >= SHORTEST_BASE64) {
                forms.insert(own.to_owned());
            }
        }
    }
    let whole = STANDARD.encode(value);
    if whole.len() >= SHORTEST_BASE64 {
        forms.insert(URL_SAFE_NO_PAD.encode(value));
        forms.insert(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(values: &[&str], text: &str) -> String {
        Redactor::new(values).redact(text).into_owned()
    }

    #[test]
    fn redactor_hides_values_whole_and_line_by_line() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMGByqGSM49\nAwEHBG0w\n-----END PRIVATE KEY-----\n";
        let values = ["hunter2", "hunter2-longer", "true", "disabled", key];
        for (text, shown) in [
            ("login with hunter2 failed: true, disabled", "login with *** failed: true, disabled"),
            ("redis://:hunter2-longer@cache", "redis://:***@cache"),
            ("  MIGTAgEAMBMGByqGSM49", "  ***"),
            ("AwEHBG0w", "***"),
            (key, "***\n"),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(redacted(&values, text), shown);
        }
        assert_eq!(redacted(&[], "hunter2"), "hunter2");
        assert_eq!(redacted(&["a: 1\nb: a line of its own"], "a: 1 b: a line of its own"), "a: 1 ***");
    }

    #[test]
    fn redactor_overlapping_values_leave_no_rest() {
        assert_eq!(redacted(&["abcdef", "defghi"], "<abcdefghi>"), "<***>");
        assert_eq!(redacted(&["abcdef", "abcdefgh"], "abcdefghabcdef"), "******");
    }

    #[test]
    fn redactor_hides_encoded_forms() {
        let secret = "p\"ss zq<&/é";
        for text in [
            r#"{"password": "p\"ss zq<&/é"}"#,
            r#"{"password": "p\"ss zq\u003c\u0026/é"}"#,
            "postgres://app:p%22ss%20zq%3C%26%2F%C3%A9@db",
            "password=p%22ss+zq%3c%26%2f%c3%a9&x=1",
        ] {
            let shown = redacted(&[secret], text);
            assert!(shown.contains("***") && !shown.contains("zq"), "{shown}");
        }
        // `Authorization: Basic`, whatever the user's name shifts it by; and alone, with and without a newline at its end.
        let secret = "correct horse battery?>~";
        for user in ["", "a:", "ab:", "abc:"] {
            for encoded in [
                STANDARD.encode(format!("{user}{secret}")),
                URL_SAFE_NO_PAD.encode(format!("{user}{secret}")),
            ] {
                let shown = redacted(&[secret], &encoded);
                assert!(shown.len() <= 12 && shown.contains("***"), "{user}: {encoded} -> {shown}");
            }
        }
        assert_eq!(redacted(&["hunter2!\n"], &STANDARD.encode("hunter2!\n")), "***");
    }

    #[test]
    fn redactor_hides_the_password_of_a_url() {
        let url = "postgres://app:hunt%2Fer2@db:5432/app?sslmode=require";
        assert_eq!(redacted(&[url], "dsn=postgres://app:hunt%2Fer2@db"), "dsn=postgres://app:***@db");
        assert_eq!(redacted(&[url], "wrong password hunt/er2 for app"), "wrong password *** for app");
    }

    #[test]
    fn redactor_hides_base64_of_binary_values() {
        let key = [0xff, 0xfe, 0, 1, 2, 3, 4, 5, 0x80];
        assert_eq!(Redactor::new([key]).redact(&format!("key {}", STANDARD.encode(key))), "key ***");
    }
}
