//! What a migration does that the code which runs now can't live with. Pure: a script in, dangers out.
//!
//! Between the migration and the last old pod both the old code and the new schema are there. Whatever takes something away from the
//! old code is half of a change in two deploys: the danger says which half goes first.

use std::collections::BTreeSet;

use crate::parse::{Script, Statement};

/// Something that old code can't live with, or that stops it while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Danger {
    /// The line in the file, from 1.
    pub line: usize,
    /// What is done.
    pub what: String,
    /// Which deploy goes first.
    pub advice: &'static str,
}

const CONTRACT: &str =
    "first deploy code that does without it, then drop it in a later deploy, marked `-- +skep contract`";
const RENAME: &str = "first add the new name and deploy code that knows both, then drop the old one in a later deploy, marked `-- +skep contract`";
const NOT_NULL: &str = "first deploy code that always writes it, then forbid NULL in a later deploy";
const TYPE: &str = "first add a column of the new type and deploy code that writes both, then drop the old one in a later deploy";
const EMPTIES: &str = "what it held is gone, for the old code too, and no rollback brings it back";
const ALONE: &str =
    "Postgres refuses it inside a transaction: put it into a file of its own with `-- +goose NO TRANSACTION`";
const LOCK: &str = "writes wait while it is built: `CREATE INDEX CONCURRENTLY`, in a file of its own with `-- +goose NO TRANSACTION`";

/// The dangers of one direction. What is marked `-- +skep contract` has been thought about; what concerns a table that the same script
/// creates is nobody's danger.
#[must_use]
pub fn dangers(script: &Script) -> Vec<Danger> {
    let mut new = BTreeSet::new();
    let mut found = Vec::new();
    for statement in &script.statements {
        for words in clauses(statement) {
            look(&words, script.transaction, &mut new, &mut found);
        }
    }
    found.retain(|danger| !script.contract || danger.advice == LOCK || danger.advice == ALONE);
    found
}

/// A word in lower case, and its line.
type Word = (String, usize);

fn look(words: &[Word], transaction: bool, new: &mut BTreeSet<String>, found: &mut Vec<Danger>) {
    let text: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
    let line = words.first().map_or(1, |(_, line)| *line);
    let mut tell = |line, what: String, advice| found.push(Danger { line, what, advice });
    match text[..] {
        // One that may be there already is not known to be new.
        ["create", "table", "if", ..] | ["create", _, "table", "if", ..] => {}
        ["create", "table", ref rest @ ..] | ["create", _, "table", ref rest @ ..] => {
            new.extend(named(rest).map(str::to_owned));
        }
        ["drop", "table", ref rest @ ..] => {
            for table in names(rest).filter(|table| !new.contains(*table)) {
                tell(line, format!("drops the table {table}"), CONTRACT);
            }
        }
        ["drop", "materialized", "view", ref rest @ ..] => {
            for view in names(rest) {
                tell(line, format!("drops the view {view}"), CONTRACT);
            }
        }
        ["drop", kind @ ("view" | "schema" | "type" | "sequence" | "domain"), ref rest @ ..] => {
            for name in names(rest) {
                tell(line, format!("drops the {kind} {name}"), CONTRACT);
            }
        }
        ["drop", "owned", ..] => tell(line, "drops all that a role owns".to_owned(), CONTRACT),
        ["truncate", ref rest @ ..] => {
            for table in names(rest).filter(|table| *table != "table" && !new.contains(*table)) {
                tell(line, format!("empties the table {table}"), EMPTIES);
            }
        }
        ["alter", kind @ ("view" | "type" | "sequence" | "domain" | "schema"), ref rest @ ..] => {
            let renames = rest.contains(&"rename") || rest.windows(2).any(|two| two == ["set", "schema"]);
            if let Some(name) = named(rest).filter(|_| renames) {
                tell(line, format!("renames the {kind} {name}, or a part of it"), RENAME);
            }
        }
        ["create", "index", ref rest @ ..] | ["create", "unique", "index", ref rest @ ..] => {
            let on = rest.iter().position(|word| *word == "on").and_then(|at| named(&rest[at + 1..]));
            let is_new = on.is_some_and(|table| new.contains(table));
            if rest.first() == Some(&"concurrently") && transaction {
                tell(line, "makes an index concurrently inside a transaction".to_owned(), ALONE);
            } else if rest.first() != Some(&"concurrently") && !is_new {
                tell(
                    line,
                    format!("makes an index on {} that is not concurrent", on.unwrap_or("a table")),
                    LOCK,
                );
            }
        }
        ["alter", "table", ref rest @ ..] => {
            let Some(table) = named(rest).filter(|table| !new.contains(*table)) else { return };
            let at = text.iter().position(|word| *word == table).unwrap_or(2) + 1;
            for action in split(&words[at..]) {
                if let Some((what, advice)) = alters(table, action) {
                    tell(action.first().map_or(line, |(_, line)| *line), what, advice);
                }
            }
        }
        _ => {}
    }
}

/// The name that follows `IF NOT EXISTS`, `ONLY` and the like.
fn named<'w>(words: &[&'w str]) -> Option<&'w str> {
    words.iter().copied().find(|word| !matches!(*word, "if" | "not" | "exists" | "only"))
}

/// The names of a list, up to what follows it.
fn names<'w>(words: &'w [&'w str]) -> impl Iterator<Item = &'w str> {
    let ends = |word: &&str| matches!(*word, "cascade" | "restrict" | "restart" | "continue");
    let skipped = |word: &&str| matches!(*word, "if" | "not" | "exists" | "only" | ",");
    words.iter().copied().take_while(move |word| !ends(word)).filter(move |word| !skipped(word))
}

/// One action of an ALTER TABLE.
fn alters(table: &str, action: &[Word]) -> Option<(String, &'static str)> {
    let text: Vec<&str> = action.iter().map(|(word, _)| word.as_str()).collect();
    let has = |words: &[&str]| text.windows(words.len()).any(|window| window == words);
    match text[..] {
        ["drop", "constraint" | "default" | "not" | "expression" | "identity", ..] => None,
        ["drop", "column", ref rest @ ..] | ["drop", ref rest @ ..] => {
            Some((format!("drops the column {}.{}", table, named(rest)?), CONTRACT))
        }
        ["set", "schema", to, ..] => Some((format!("moves the table {table} to the schema {to}"), RENAME)),
        ["add", "unique" | "primary", ..] => {
            Some((format!("makes an index on {table} that is not concurrent"), LOCK))
        }
        ["rename", "to", to, ..] => Some((format!("renames the table {table} to {to}"), RENAME)),
        ["rename", "constraint", ..] => None,
        ["rename", "column", from, ..] | ["rename", from, ..] => {
            Some((format!("renames the column {table}.{from}"), RENAME))
        }
        ["alter", "column", column, ref rest @ ..] | ["alter", column, ref rest @ ..] => match rest {
            ["set", "not", "null", ..] => Some((format!("forbids NULL in {table}.{column}"), NOT_NULL)),
            ["type", ..] | ["set", "data", "type", ..] => {
                Some((format!("changes the type of {table}.{column}"), TYPE))
            }
            _ => None,
        },
        ["add", "constraint" | "check" | "foreign", ..] => None,
        ["add", "column", ref rest @ ..] | ["add", ref rest @ ..] => {
            let filled =
                text.iter().any(|word| matches!(*word, "default" | "generated") || word.ends_with("serial"));
            (has(&["not", "null"]) && !filled)
                .then(|| {
                    Some((
                        format!("adds the column {}.{} without a default, NOT NULL", table, named(rest)?),
                        NOT_NULL,
                    ))
                })
                .flatten()
        }
        _ => None,
    }
}

/// The parts between commas that are in no parentheses.
fn split(words: &[Word]) -> Vec<&[Word]> {
    let mut depth = 0;
    let parts = words.split(|(word, _)| {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0 && word == ","
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// The words of each SQL statement in a block, without comments, strings, and what a function's body says.
fn clauses(statement: &Statement) -> Vec<Vec<Word>> {
    let mut all = vec![Vec::new()];
    let mut quoted: Option<String> = None;
    let mut commented = 0_usize;
    for (number, line) in statement.numbered_lines() {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            if let Some(end) = &quoted {
                match rest.strip_prefix(end.as_str()) {
                    Some(after) => (quoted, rest) = (None, after),
                    None => rest = after,
                }
            } else if commented > 0 || rest.starts_with("/*") {
                match (rest.strip_prefix("*/"), rest.strip_prefix("/*")) {
                    (Some(after), _) => (commented, rest) = (commented.saturating_sub(1), after),
                    (_, Some(after)) => (commented, rest) = (commented + 1, after),
                    _ => rest = after,
                }
            } else if rest.starts_with("--") {
                break;
            } else if first == '\'' {
                (quoted, rest) = (Some("'".to_owned()), after);
            } else if let Some(tag) = dollar_tag(rest) {
                rest = &rest[tag.len()..];
                quoted = Some(tag.to_owned());
            } else if first == ';' {
                all.push(Vec::new());
                rest = after;
            } else if first.is_alphanumeric() || first == '_' || first == '"' {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || "_.\"$".contains(c))).unwrap_or(rest.len());
                let word = rest[..end].replace('"', "").to_lowercase();
                if let Some(words) = all.last_mut() {
                    words.push((word, number));
                }
                rest = &rest[end..];
            } else {
                if let (false, Some(words)) = (first.is_whitespace(), all.last_mut()) {
                    words.push((first.to_string(), number));
                }
                rest = after;
            }
        }
    }
    all.retain(|words| !words.is_empty());
    all
}

/// `$$` or `$body$` at the start of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let end = name.find('$')?;
    name[..end].chars().all(|c| c.is_alphanumeric() || c == '_').then(|| &text[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Direction, parse};

    fn of(sql: &str) -> Vec<(usize, String)> {
        let text = format!("-- +goose Up\n-- +goose StatementBegin\n{sql}\n-- +goose StatementEnd\n");
        let script = parse(&text, Direction::Up, &|_| None).expect("a migration");
        dangers(&script).into_iter().map(|danger| (danger.line - 2, danger.what)).collect()
    }

    #[test]
    fn what_old_code_can_not_live_with() {
        for (sql, expected) in [
            ("DROP TABLE IF EXISTS old_tasks;", "drops the table old_tasks"),
            ("ALTER TABLE tasks DROP COLUMN title;", "drops the column tasks.title"),
            ("alter table only public.tasks drop title cascade;", "drops the column public.tasks.title"),
            ("ALTER TABLE tasks RENAME COLUMN a TO b;", "renames the column tasks.a"),
            ("ALTER TABLE tasks RENAME TO chores;", "renames the table tasks to chores"),
            ("ALTER TABLE tasks ALTER COLUMN a SET NOT NULL;", "forbids NULL in tasks.a"),
            ("ALTER TABLE tasks ALTER a TYPE bigint USING a::bigint;", "changes the type of tasks.a"),
            (
                "ALTER TABLE tasks ADD COLUMN a int NOT NULL;",
                "adds the column tasks.a without a default, NOT NULL",
            ),
            ("CREATE UNIQUE INDEX i ON tasks (a);", "makes an index on tasks that is not concurrent"),
            ("ALTER TABLE tasks ADD UNIQUE (a);", "makes an index on tasks that is not concurrent"),
            ("CREATE INDEX CONCURRENTLY i ON tasks (a);", "makes an index concurrently inside a transaction"),
            ("DROP MATERIALIZED VIEW IF EXISTS sums CASCADE;", "drops the view sums"),
            ("DROP TYPE mood;", "drops the type mood"),
            ("ALTER TYPE mood RENAME VALUE 'a' TO 'b';", "renames the type mood, or a part of it"),
            ("ALTER TABLE tasks SET SCHEMA old;", "moves the table tasks to the schema old"),
            ("TRUNCATE TABLE tasks RESTART IDENTITY;", "empties the table tasks"),
            ("CREATE TABLE IF NOT EXISTS a (b int); ALTER TABLE a DROP COLUMN c;", "drops the column a.c"),
        ] {
            assert_eq!(of(sql), [(1, expected.to_owned())], "{sql}");
        }
        let two = of("DROP TABLE a, b;");
        assert_eq!(
            two.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>(),
            ["drops the table a", "drops the table b"]
        );
        let several = "ALTER TABLE tasks\n  ADD COLUMN n numeric(10, 2) DEFAULT 0 NOT NULL,\n  DROP COLUMN title,\n  DROP CONSTRAINT c;";
        assert_eq!(of(several), [(3, "drops the column tasks.title".to_owned())]);
    }

    #[test]
    fn what_it_can() {
        for sql in [
            "CREATE TABLE t (id int NOT NULL);\nCREATE INDEX i ON t (id);\nALTER TABLE t DROP COLUMN id;",
            "ALTER TABLE tasks ADD COLUMN a int;",
            "ALTER TABLE tasks ADD COLUMN a int NOT NULL DEFAULT 0;",
            "ALTER TABLE tasks ADD a bigserial NOT NULL;",
            "ALTER TABLE tasks ALTER COLUMN a DROP NOT NULL;",
            "-- DROP TABLE tasks;\n/* ALTER TABLE tasks DROP a; */ SELECT 'DROP TABLE tasks;';",
            "CREATE FUNCTION f() RETURNS void AS $body$ BEGIN DROP TABLE tasks; END $body$ LANGUAGE plpgsql;",
            "INSERT INTO tasks (a) VALUES ('it''s; DROP TABLE tasks');",
        ] {
            assert_eq!(of(sql), [], "{sql}");
        }
    }

    #[test]
    fn what_was_thought_about_is_no_danger_but_a_lock_is() {
        let text = "-- +goose Up\n-- +skep contract\nDROP TABLE a;\nCREATE INDEX i ON b (c);\n";
        let script = parse(text, Direction::Up, &|_| None).expect("a migration");
        let found: Vec<usize> = dangers(&script).iter().map(|danger| danger.line).collect();
        assert_eq!(found, [4]);
    }
}
