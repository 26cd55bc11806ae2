//! Rules that a field of a request must keep, told so that a form can show them next to that field.

/// A value that cannot be accepted, and the field that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// The JSON field, as clients spell it.
    pub field: &'static str,
    /// What was expected, as a sentence for people.
    pub message: &'static str,
}

/// Passes when `holds`, otherwise names the field and the rule.
pub(crate) fn require(holds: bool, field: &'static str, message: &'static str) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid { field, message }) }
}

/// True when `text`, without surrounding space, has between `least` and `most` characters and no control characters.
pub(crate) fn is_text(text: &str, least: usize, most: usize) -> bool {
    let trimmed = text.trim();
    let length = trimmed.chars().count();
    (least..=most).contains(&length) && !trimmed.chars().any(|c| c.is_control() && c != '\n' && c != '\r')
}
