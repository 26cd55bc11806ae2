//! The parser's state machine: one step a line.

use super::annotation::{self, Annotation};
use super::error::{ParseError, Place, Problem};
use super::expand;
use super::statement::{Draft, Statement};
use super::{Direction, Line, Script};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Section(Direction),
    /// Between StatementBegin (its place is kept for the error) and StatementEnd.
    Block(Direction, Place),
}

pub(super) struct Machine<'a> {
    wanted: Direction,
    variable: &'a dyn Fn(&str) -> Option<String>,
    state: State,
    up_line: usize,
    expanding: bool,
    draft: Draft,
    /// Where the draft began.
    began: Place,
    statements: Vec<Statement>,
    transaction: bool,
    contract: bool,
}

impl<'a> Machine<'a> {
    pub(super) fn new(wanted: Direction, variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            wanted,
            variable,
            state: State::Start,
            up_line: 0,
            expanding: false,
            draft: Draft::default(),
            began: Place { offset: 0, line: 1, column: 1 },
            statements: Vec::new(),
            transaction: true,
            contract: false,
        }
    }

    pub(super) fn step(&mut self, line: Line<'_>) -> Result<(), ParseError> {
        match annotation::read(line)? {
            // To goose a comment, so it stays one inside a statement.
            Some(Annotation::Contract) => {
                self.contract = true;
                self.sql(line)
            }
            Some(annotation) => self.annotation(annotation, line),
            None => self.sql(line),
        }
    }

    fn annotation(&mut self, annotation: Annotation, line: Line<'_>) -> Result<(), ParseError> {
        let refuse = |problem| Err(ParseError { place: line.place(0), problem });
        match annotation {
            Annotation::NoTransaction => self.transaction = false,
            Annotation::EnvsubOn => self.expanding = true,
            Annotation::EnvsubOff => self.expanding = false,
            Annotation::Contract => self.contract = true,
            Annotation::Up => match self.state {
                State::Start => {
                    self.state = State::Section(Direction::Up);
                    self.up_line = line.number;
                }
                _ => return refuse(Problem::SecondUp { first: self.up_line }),
            },
            Annotation::Down => match self.state {
                State::Section(Direction::Up) => {
                    self.statement_is_finished()?;
                    self.state = State::Section(Direction::Down);
                }
                State::Start => return refuse(Problem::NotYetUp { found: "Down" }),
                State::Block(_, begin) => return refuse(Problem::Unclosed { begin: begin.line }),
                State::Section(Direction::Down) => return refuse(Problem::SecondDown),
            },
            Annotation::StatementBegin => match self.state {
                State::Section(direction) => self.state = State::Block(direction, line.place(0)),
                State::Start => {
                    return refuse(Problem::NotYetUp { found: "StatementBegin" });
                }
                State::Block(_, begin) => return refuse(Problem::Unclosed { begin: begin.line }),
            },
            Annotation::StatementEnd => match self.state {
                State::Block(direction, _) => {
                    let blank = self.draft.is_blank();
                    let statement = self.draft.take();
                    if !blank {
                        self.statements.push(statement);
                    }
                    self.state = State::Section(direction);
                }
                _ => return refuse(Problem::NotBegun),
            },
        }
        Ok(())
    }

    fn sql(&mut self, line: Line<'_>) -> Result<(), ParseError> {
        let trimmed = line.text.trim();
        if self.state == State::Start && !trimmed.is_empty() && !trimmed.starts_with("--") {
            return Err(ParseError {
                place: line.place(0),
                problem: Problem::BeforeUp { found: trimmed.into() },
            });
        }
        let (direction, in_block) = match self.state {
            State::Start => return Ok(()),
            State::Section(direction) => (direction, false),
            State::Block(direction, _) => (direction, true),
        };
        let before_statement = self.draft.is_empty() && (trimmed.starts_with("--") || line.text.is_empty());
        if direction != self.wanted || before_statement {
            return Ok(());
        }
        let text = self.expanded(line)?;
        if self.draft.is_blank() {
            self.began = line.place(line.text.len() - line.text.trim_start().len());
        }
        self.draft.push(&text, line.number);
        if !in_block && ends_with_semicolon(&text) {
            self.statements.push(self.draft.take());
        }
        Ok(())
    }

    fn expanded(&self, line: Line<'_>) -> Result<String, ParseError> {
        if !self.expanding {
            return Ok(line.text.into());
        }
        expand::expand(line.text, self.variable).map_err(|error| ParseError {
            place: line.place(error.at),
            problem: Problem::Expansion { why: error.why },
        })
    }

    fn statement_is_finished(&self) -> Result<(), ParseError> {
        if self.draft.is_blank() {
            return Ok(());
        }
        let end = self.draft.last_line().into();
        Err(ParseError { place: self.began, problem: Problem::MissingSemicolon { end } })
    }

    pub(super) fn finish(self) -> Result<Script, ParseError> {
        match self.state {
            State::Start => {
                let place = Place { offset: 0, line: 1, column: 1 };
                return Err(ParseError { place, problem: Problem::NoUp });
            }
            State::Block(_, place) => {
                return Err(ParseError { place, problem: Problem::Unclosed { begin: place.line } });
            }
            State::Section(_) => self.statement_is_finished()?,
        }
        Ok(Script { statements: self.statements, transaction: self.transaction, contract: self.contract })
    }
}

/// Whether the last word before a `--` word ends with `;`.
fn ends_with_semicolon(line: &str) -> bool {
    line.split_whitespace()
        .take_while(|word| !word.starts_with("--"))
        .last()
        .is_some_and(|word| word.ends_with(';'))
}

#[cfg(test)]
mod tests {
    use super::ends_with_semicolon;

    #[test]
    fn a_statement_ends_where_its_line_does() {
        for (line, ends) in [
            ("END;", true),
            ("END; -- why", true),
            ("END   ; -- why", true),
            ("END ; --;", true),
            ("END -- why", false),
            ("END -- why ;", false),
            ("SELECT \" ; \" -- why", false),
            ("SELECT 1; SELECT 2", false),
            ("END;--why", false),
            ("", false),
        ] {
            assert_eq!(ends_with_semicolon(line), ends, "{line}");
        }
    }
}
