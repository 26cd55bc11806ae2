//! A migration's text → the statements of one direction. Pure: text and a table of variables in, a value out.
//!
//! The rules are goose v3's (`internal/sqlparser`): annotations are `--` comments in the first column that contain
//! `+goose`; outside a `StatementBegin`/`StatementEnd` block a statement ends with the line whose last word before a
//! comment ends with `;`; comments and empty lines before a statement are dropped, those inside it are kept. Only the
//! asked direction is held to the semicolon rule, as in goose, so that a sloppy Down never blocks an Up.
//!
//! Two things differ, both so that nothing written is lost: the line after an empty block is kept (goose swallows
//! it), and variables of the direction that isn't asked for are not expanded. `-- +skep contract` is Skep's own.
//!
//! Start at [`parse`].

mod annotation;
mod error;
mod expand;
mod machine;
mod statement;

pub use error::{ParseError, Place, Problem};
pub use statement::Statement;

/// Which half of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `-- +goose Up`: towards the newest version.
    Up,
    /// `-- +goose Down`: back by one version.
    Down,
}

impl Direction {
    /// `up` or `down`, as goose prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One direction of a migration, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// In the order they run; may be empty.
    pub statements: Vec<Statement>,
    /// False when the file says `-- +goose NO TRANSACTION`, which counts for both directions.
    pub transaction: bool,
    /// True when the file says `-- +skep contract`: it takes away what the previous release still uses, so going back
    /// to that release automatically is not safe.
    pub contract: bool,
}

/// Reads one direction of a migration. `variable` answers the environment for sections under `-- +goose ENVSUB ON`.
///
/// ```
/// use skep_migrate::{Direction, parse};
///
/// let text = "\
/// -- +goose Up
/// CREATE TABLE task (id int);
/// -- +goose StatementBegin
/// CREATE FUNCTION one() RETURNS int AS 'BEGIN RETURN 1; END;' LANGUAGE plpgsql;
/// -- +goose StatementEnd
/// -- +goose Down
/// DROP TABLE task;
/// ";
/// let up = parse(text, Direction::Up, &|_| None)?;
/// assert_eq!(up.statements.len(), 2);
/// assert_eq!(up.statements[1].line(), 4);
///
/// let error = parse("-- +goose Up\nSELECT 1\n", Direction::Up, &|_| None).unwrap_err();
/// assert_eq!(error.place.line, 2);
/// # Ok::<(), skep_migrate::ParseError>(())
/// ```
///
/// # Errors
/// When an annotation is unknown or out of place, a statement has no `;`, a block is not closed, or a variable can't
/// be expanded: always with the place in the text.
pub fn parse(
    text: &str,
    direction: Direction,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Script, ParseError> {
    // A byte order mark would make the first annotation an unknown word.
    let bom = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut machine = machine::Machine::new(direction, variable);
    for line in lines(text, bom) {
        machine.step(line)?;
    }
    machine.finish()
}

/// One line of the source, without its line break (`\n` or `\r\n`).
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    number: usize,
    offset: usize,
}

impl Line<'_> {
    /// The place of a byte of this line.
    fn place(&self, byte: usize) -> Place {
        let before = self.text.get(..byte).unwrap_or(self.text);
        Place { offset: self.offset + before.len(), line: self.number, column: before.chars().count() + 1 }
    }
}

fn lines(text: &str, start: usize) -> impl Iterator<Item = Line<'_>> {
    let mut offset = start;
    text[start..].split_inclusive('\n').enumerate().map(move |(index, raw)| {
        let line = Line { text: without_break(raw), number: index + 1, offset };
        offset += raw.len();
        line
    })
}

fn without_break(raw: &str) -> &str {
    let line = raw.strip_suffix('\n').unwrap_or(raw);
    line.strip_suffix('\r').unwrap_or(line)
}
