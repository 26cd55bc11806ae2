//! Names: what may be one, and how one is made up.

/// The letters that Kubernetes makes names from: no vowels, so no words.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// A made-up name has at most 63 bytes, so that it can be a label's value too.
const LONGEST_PREFIX: usize = 58;

/// The prefix and five random letters.
pub(crate) fn generated(prefix: &str) -> String {
    let random = skep_ambient::uuid().into_bytes();
    let letters = random.iter().take(5).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    let end = prefix.floor_char_boundary(LONGEST_PREFIX);
    prefix[..end].chars().chain(letters).collect()
}

/// Whether a name is a DNS label: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 bytes.
pub(crate) fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_dns(name)
}

/// Whether a name is a DNS subdomain: labels with dots between, at most 253 bytes.
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns)
}

fn is_dns(part: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

/// Whether a label's or annotation's key is one: `[prefix/]name`, the name at most 63 bytes.
pub(crate) fn is_qualified(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Whether a text may be a label's value: empty, or letters, digits, `-_.` that begins and ends alphanumeric.
pub(crate) fn is_label_value(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let edge = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    value.len() <= 63
        && value.bytes().all(inner)
        && edge(value.bytes().next())
        && edge(value.bytes().next_back())
}
