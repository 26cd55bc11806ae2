//! A statement, and where each of its lines stands in the source.

/// One statement (or, from a block, several that are sent together).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    sql: String,
    /// The source line of each line of `sql`.
    lines: Vec<usize>,
}

impl Statement {
    /// The text that is sent, variables expanded, without surrounding white space.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The source line on which it begins, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.lines.first().copied().unwrap_or(1)
    }

    /// Its lines with their line numbers in the source.
    pub fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().copied().zip(self.sql.lines())
    }

    /// Source line and column (both from 1) of a character of [`sql`](Self::sql), counted from 1 as Postgres does.
    #[must_use]
    pub fn line_and_column(&self, position: usize) -> (usize, usize) {
        let before: Vec<char> = self.sql.chars().take(position.saturating_sub(1)).collect();
        let row = before.iter().filter(|letter| **letter == '\n').count();
        let column = before.iter().rev().take_while(|letter| **letter != '\n').count() + 1;
        (self.lines.get(row).copied().unwrap_or_else(|| self.line()), column)
    }
}

/// A statement being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    sql: String,
    /// The source line of each line of `sql`, which ends with a line break.
    lines: Vec<usize>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.sql.is_empty()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.sql.trim().is_empty()
    }

    /// The last line that is not blank, trimmed.
    pub(super) fn last_line(&self) -> &str {
        self.sql.trim_end().lines().last().unwrap_or_default().trim()
    }

    /// Adds a source line. An expanded variable can make several lines of it.
    pub(super) fn push(&mut self, line: &str, number: usize) {
        self.lines.extend(std::iter::repeat_n(number, line.matches('\n').count() + 1));
        self.sql.push_str(line);
        self.sql.push('\n');
    }

    /// The finished statement; the draft is empty afterwards.
    pub(super) fn take(&mut self) -> Statement {
        let Self { sql, lines } = std::mem::take(self);
        let start = sql.len() - sql.trim_start().len();
        let skipped = sql[..start].matches('\n').count();
        let text = sql.trim();
        let count = text.matches('\n').count() + 1;
        Statement { sql: text.into(), lines: lines.into_iter().skip(skipped).take(count).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_back_to_the_source() {
        let mut draft = Draft::default();
        draft.push("  ", 3);
        draft.push("  SELECT ü,", 4);
        // Line 5 was an annotation.
        draft.push("    nope;", 6);
        let statement = draft.take();
        assert!(draft.is_empty());
        assert_eq!(statement.sql(), "SELECT ü,\n    nope;");
        assert_eq!(statement.line(), 4);
        assert_eq!(statement.line_and_column(1), (4, 1));
        assert_eq!(statement.line_and_column(8), (4, 8));
        assert_eq!(statement.line_and_column(15), (6, 5));
        assert_eq!(statement.line_and_column(999), (6, 10));
    }

    #[test]
    fn a_value_of_several_lines_belongs_to_the_line_that_names_it() {
        let mut draft = Draft::default();
        draft.push("SELECT 'a\nb',", 7);
        draft.push("c;", 8);
        let statement = draft.take();
        assert_eq!(statement.line_and_column(12), (7, 2));
        assert_eq!(statement.line_and_column(15), (8, 1));
    }
}
