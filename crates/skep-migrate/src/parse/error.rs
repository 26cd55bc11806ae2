//! What can be wrong with a migration's text, and where.

use thiserror::Error;

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start of the text.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A migration that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {}: {problem}", place.line)]
pub struct ParseError {
    /// Where to look.
    pub place: Place,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a migration's text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The whole file has no Up.
    #[error("expected a `-- +goose Up` line, found none in the file")]
    NoUp,
    /// SQL, or any text that is no comment, above the Up.
    #[error("expected `-- +goose Up` before any statement, found `{found}`")]
    BeforeUp {
        /// The line.
        found: String,
    },
    /// A second Up.
    #[error(
        "a second `-- +goose Up`: a file holds one Up and at most one Down after it; the first is on line {first}"
    )]
    SecondUp {
        /// Line of the first.
        first: usize,
    },
    /// A second Down.
    #[error("a second `-- +goose Down`: a file holds at most one")]
    SecondDown,
    /// Down, or a block, above the Up.
    #[error("`-- +goose {found}` must come after `-- +goose Up`")]
    NotYetUp {
        /// The annotation's name.
        found: &'static str,
    },
    /// A block that is still open where something else begins, or at the end of the file.
    #[error("the `-- +goose StatementBegin` of line {begin} has no `-- +goose StatementEnd`")]
    Unclosed {
        /// Line of the StatementBegin.
        begin: usize,
    },
    /// An end without a beginning.
    #[error("`-- +goose StatementEnd` without a `-- +goose StatementBegin` before it")]
    NotBegun,
    /// A statement that the direction's end cut off.
    #[error("this statement has no `;` at the end of its last line (`{end}`)")]
    MissingSemicolon {
        /// The last line of the statement.
        end: String,
    },
    /// An annotation that doesn't start in the first column.
    #[error("a `+goose` annotation must start in the first column")]
    Indented,
    /// `-- +goose` alone.
    #[error(
        "`-- +goose` must be followed by Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON or ENVSUB OFF"
    )]
    Empty,
    /// A word goose doesn't know.
    #[error("unknown annotation `+goose {found}`{}", meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default())]
    Unknown {
        /// What stands there.
        found: String,
        /// The nearest that exists.
        meant: Option<&'static str>,
    },
    /// A word Skep doesn't know; refused, because a misspelt `contract` would leave automatic restore on.
    #[error("unknown annotation `{found}`: Skep knows `-- +skep contract` only")]
    UnknownSkep {
        /// What stands there.
        found: String,
    },
    /// `ENVSUB ON`, and the variable can't be put in.
    #[error("variable substitution failed: {why}")]
    Expansion {
        /// The reason, with the variable's name where there is one.
        why: String,
    },
}
