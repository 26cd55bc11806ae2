//! `-- +goose …` and `-- +skep …` lines.

use super::Line;
use super::error::{ParseError, Problem};

/// What an annotation line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Annotation {
    Up,
    Down,
    StatementBegin,
    StatementEnd,
    NoTransaction,
    EnvsubOn,
    EnvsubOff,
    /// `-- +skep contract`; to goose an ordinary comment.
    Contract,
}

const GOOSE: [(&str, Annotation); 7] = [
    ("Up", Annotation::Up),
    ("Down", Annotation::Down),
    ("StatementBegin", Annotation::StatementBegin),
    ("StatementEnd", Annotation::StatementEnd),
    ("NO TRANSACTION", Annotation::NoTransaction),
    ("ENVSUB ON", Annotation::EnvsubOn),
    ("ENVSUB OFF", Annotation::EnvsubOff),
];

/// The annotation of a line; `None` for any other line.
pub(super) fn read(line: Line<'_>) -> Result<Option<Annotation>, ParseError> {
    let trimmed = line.text.trim();
    let Some(comment) = trimmed.strip_prefix("--") else {
        return Ok(None);
    };
    if line.text.contains("+goose") {
        return goose(line).map(Some);
    }
    let mut words = comment.split_whitespace();
    if words.next() != Some("+skep") {
        return Ok(None);
    }
    match (words.next(), words.next()) {
        (Some(word), None) if word.eq_ignore_ascii_case("contract") => Ok(Some(Annotation::Contract)),
        _ => Err(at(line, Problem::UnknownSkep { found: comment.trim().into() })),
    }
}

fn goose(line: Line<'_>) -> Result<Annotation, ParseError> {
    if line.text.starts_with([' ', '\t']) {
        return Err(at(line, Problem::Indented));
    }
    let command = line.text.replace("--", "").replacen("+goose", "", 1);
    let command = command.trim();
    if command.is_empty() {
        return Err(at(line, Problem::Empty));
    }
    GOOSE
        .iter()
        .find(|(spelling, _)| spelling.eq_ignore_ascii_case(command))
        .map(|(_, annotation)| *annotation)
        .ok_or_else(|| at(line, Problem::Unknown { found: command.into(), meant: nearest(command) }))
}

/// The annotation that was probably meant: same letters, or a beginning of it.
fn nearest(command: &str) -> Option<&'static str> {
    let letters = |text: &str| {
        text.chars().filter(|letter| letter.is_ascii_alphabetic()).collect::<String>().to_ascii_lowercase()
    };
    let found = letters(command);
    GOOSE.iter().map(|(spelling, _)| *spelling).find(|spelling| {
        let known = letters(spelling);
        known == found || (found.len() > 1 && (known.starts_with(&found) || found.starts_with(&known)))
    })
}

fn at(line: Line<'_>, problem: Problem) -> ParseError {
    let column = line.text.len() - line.text.trim_start().len();
    ParseError { place: line.place(column), problem }
}
