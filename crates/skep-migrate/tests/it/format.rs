//! The format, case by case, on fixtures of our own.

use skep_migrate::{Direction, ParseError, Problem, Script, parse};

fn variable(name: &str) -> Option<String> {
    match name {
        "SCHEMA" => Some("shop".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str, direction: Direction) -> Script {
    parse(text, direction, &variable).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn up(text: &str) -> Vec<String> {
    read(text, Direction::Up).statements.iter().map(|statement| statement.sql().into()).collect()
}

fn down(text: &str) -> Vec<String> {
    read(text, Direction::Down).statements.iter().map(|statement| statement.sql().into()).collect()
}

fn refused(text: &str) -> ParseError {
    parse(text, Direction::Up, &variable).expect_err(text)
}

#[test]
fn statements_end_with_a_semicolon_at_the_end_of_a_line() {
    let text = "\
-- +goose Up
CREATE TABLE tool (
    id int, -- a comment; it ends nothing
    name text
);              -- first

-- between
SELECT 1;
SELECT 2; SELECT 3; -- two on a line are one
UPDATE tool SET name = 'a;
b';
-- +goose Down
-- before
DROP TABLE tool; -- only
";
    assert_eq!(
        up(text),
        [
            "CREATE TABLE tool (\n    id int, -- a comment; it ends nothing\n    name text\n);              -- first",
            "SELECT 1;",
            "SELECT 2; SELECT 3; -- two on a line are one",
            // goose's rule knows no quotes: this is why blocks exist.
            "UPDATE tool SET name = 'a;",
            "b';",
        ]
    );
    assert_eq!(down(text), ["DROP TABLE tool; -- only"]);
}

#[test]
fn blocks_keep_everything_but_what_is_before_and_around() {
    let text = "\
-- +goose Up
-- +goose StatementBegin

-- dropped
CREATE FUNCTION f() RETURNS int AS $$
BEGIN
    -- kept
    RETURN 1;

END;
$$ LANGUAGE plpgsql;
-- kept too

-- +goose StatementEnd
SELECT f();
-- +goose Down
-- +goose StatementBegin
DROP FUNCTION f()
-- +goose StatementEnd
";
    assert_eq!(
        up(text),
        [
            "CREATE FUNCTION f() RETURNS int AS $$\nBEGIN\n    -- kept\n    RETURN 1;\n\nEND;\n$$ LANGUAGE plpgsql;\n-- kept too",
            "SELECT f();"
        ]
    );
    // A block needs no semicolon.
    assert_eq!(down(text), ["DROP FUNCTION f()"]);
    assert_eq!(read(text, Direction::Up).statements[0].line(), 5);
}

#[test]
fn an_empty_block_swallows_nothing() {
    let text = "-- +goose Up\n-- +goose StatementBegin\n-- nothing\n-- +goose StatementEnd\nSELECT 1;\n";
    assert_eq!(up(text), ["SELECT 1;"]);
    assert_eq!(up("-- +goose Up\n-- +goose StatementBegin\n   \n-- +goose StatementEnd\n"), [""; 0]);
}

#[test]
fn comments_and_empty_lines_inside_a_statement_stay() {
    let text =
        "-- +goose Up\n\nINSERT INTO note VALUES ('first\n\n-- not a comment\n  -- nor this\nlast');\n";
    assert_eq!(up(text), ["INSERT INTO note VALUES ('first\n\n-- not a comment\n  -- nor this\nlast');"]);
    let key = "-- +goose Up\nINSERT INTO key VALUES ('-----BEGIN KEY-----\nabc\n-----END KEY-----\n');\n";
    assert_eq!(up(key).len(), 1);
}

#[test]
fn migrations_without_statements() {
    for text in [
        "-- +goose Up",
        "-- +goose Up\n-- only a comment",
        "\n\n-- comment\n-- +goose Up\n\n-- comment\n-- +goose Down\n\n",
        "   \n-- +goose Up\n",
    ] {
        assert_eq!(up(text).len(), 0, "{text}");
        assert_eq!(down(text).len(), 0, "{text}");
    }
}

#[test]
fn line_breaks_byte_order_marks_and_missing_ends() {
    let windows = "\u{feff}-- +goose Up\r\nSELECT\r\n  1;\r\n-- +goose Down\r\nSELECT 2;";
    assert_eq!(up(windows), ["SELECT\n  1;"]);
    assert_eq!(down(windows), ["SELECT 2;"]);
    assert_eq!(read(windows, Direction::Down).statements[0].line(), 5);
}

#[test]
fn annotations_are_read_as_goose_reads_them() {
    for line in ["-- +goose Up", "--+goose up", "--   +goose   UP  \t", "-- +goose Up --", "---- +goose Up"] {
        assert_eq!(up(&format!("{line}\nSELECT 1;\n")), ["SELECT 1;"], "{line}");
    }
    // Transactions are a matter of the whole file, wherever it is said.
    for text in [
        "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n",
        "-- +goose Up\nSELECT 1;\n-- +goose no transaction\n-- +goose Down\nSELECT 2;\n",
    ] {
        assert!(!read(text, Direction::Up).transaction, "{text}");
        assert!(!read(text, Direction::Down).transaction, "{text}");
    }
    assert!(read("-- +goose Up\n", Direction::Up).transaction);
}

#[test]
fn contract_is_skeps_own_flag() {
    for text in [
        "-- +skep contract\n-- +goose Up\nALTER TABLE a DROP b;\n",
        "-- +goose Up\n-- +skep contract\nALTER TABLE a DROP b;\n",
        "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2\n--   +skep  CONTRACT\n;\n",
    ] {
        assert!(read(text, Direction::Up).contract, "{text}");
        assert!(read(text, Direction::Down).contract, "{text}");
    }
    assert!(!read("-- +goose Up\n-- a +skep contract in a sentence\n", Direction::Up).contract);
    assert!(matches!(refused("-- +skep contrat\n-- +goose Up\n").problem, Problem::UnknownSkep { .. }));
}

#[test]
fn variables_are_put_in_between_on_and_off() {
    let text = "\
-- +goose Up
SELECT '$SCHEMA';
-- +goose ENVSUB ON
CREATE TABLE ${SCHEMA}.tool (id int, ${NONE:-name} text); -- $SCHEMA
-- +goose ENVSUB OFF
SELECT '${SCHEMA}';
-- +goose StatementBegin
DO $$
-- +goose ENVSUB ON
BEGIN RAISE NOTICE '$SCHEMA \\$SCHEMA';
-- +goose ENVSUB OFF
END $$;
-- +goose StatementEnd
";
    assert_eq!(
        up(text),
        [
            "SELECT '$SCHEMA';",
            "CREATE TABLE shop.tool (id int, name text); -- shop",
            "SELECT '${SCHEMA}';",
            "DO $$\nBEGIN RAISE NOTICE 'shop $SCHEMA';\nEND $$;",
        ]
    );
    // The annotation is gone from the statement; its lines still know where they stand.
    let block = &read(text, Direction::Up).statements[3];
    assert_eq!(block.line_and_column(block.sql().find("END").unwrap() + 1), (12, 1));
}

#[test]
fn a_variable_is_asked_for_only_where_it_is_used() {
    let text =
        "-- +goose ENVSUB ON\n-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE ${NONE?must be set};\n";
    assert_eq!(up(text), ["SELECT 1;"]);
    let error = parse(text, Direction::Down, &variable).unwrap_err();
    assert_eq!(error.to_string(), "line 5: variable substitution failed: $NONE: must be set");
    assert_eq!((error.place.column, &text[error.place.offset..][..6]), (12, "${NONE"));
}

#[test]
fn the_other_direction_may_be_sloppy() {
    let text = "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2\n";
    assert_eq!(up(text), ["SELECT 1;"]);
    assert!(parse(text, Direction::Down, &variable).is_err());
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (text, line, part) in [
        ("", 1, "found none"),
        ("-- comment\n\n", 1, "found none"),
        ("SELECT 1;\n", 1, "before any statement, found `SELECT 1;`"),
        ("-- +goose Down\nSELECT 1;\n", 1, "must come after"),
        ("\n-- +goose StatementBegin\n", 2, "must come after"),
        ("-- +goose Up\n\n-- +goose Up\n", 3, "the first is on line 1"),
        ("-- +goose Up\n-- +goose Down\n-- +goose Up\n", 3, "the first is on line 1"),
        ("-- +goose Up\n-- +goose Down\n-- +goose Down\n", 3, "a second `-- +goose Down`"),
        (
            "-- +goose Up\nSELECT 1;\n\n  SELECT\n 2\n-- +goose Down\n",
            4,
            "no `;` at the end of its last line (`2`)",
        ),
        ("-- +goose Up\nSELECT 1;\nSELECT 2\n", 3, "no `;`"),
        ("-- +goose Up\nSELECT 1; SELECT 2\n", 2, "no `;`"),
        ("-- +goose Up\nSELECT 1 -- ;\n", 2, "no `;`"),
        ("-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n", 2, "no `-- +goose StatementEnd`"),
        ("-- +goose Up\n-- +goose StatementBegin\n-- +goose Down\n", 3, "StatementBegin` of line 2"),
        ("-- +goose Up\n-- +goose StatementBegin\n-- +goose StatementBegin\n", 3, "of line 2"),
        ("-- +goose Up\n-- +goose StatementEnd\n", 2, "without a"),
        (" -- +goose Up\n", 1, "first column"),
        ("\t-- +goose Up\n", 1, "first column"),
        ("-- +goose\n", 1, "must be followed by"),
        ("-- +goose +goose Up\n", 1, "unknown annotation `+goose +goose Up`"),
        ("-- +goose Up\n-- +goose StatmentBegin\n", 2, "unknown annotation"),
        ("-- +goose Up\n-- +goose Statement Begin\n", 2, "did you mean `StatementBegin`?"),
        ("-- +goose Up\n-- +goose NO_TRANSACTION\n", 2, "did you mean `NO TRANSACTION`?"),
        ("-- +goose Up\n-- +goose ENVSUB\n", 2, "did you mean `ENVSUB ON`?"),
        ("-- +goose Up\n-- see +goose for more\nSELECT 1;\n", 2, "unknown annotation"),
        ("-- +goose ENVSUB ON\n-- +goose Up\nSELECT $1;\n", 3, "starts with a letter"),
    ] {
        let error = refused(text);
        assert_eq!(error.place.line, line, "{text:?}: {error}");
        assert!(error.to_string().contains(part), "{text:?}: {error}");
        assert_eq!(text[..error.place.offset].matches('\n').count() + 1, line, "{text:?}: {error:?}");
    }
}
