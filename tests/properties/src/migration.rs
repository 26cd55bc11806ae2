use skep_migrate::{Direction, parse};

use crate::lines;

/// A migration is read, or refused with a place in it; and its statements are the lines of its Up section, without comments.
pub fn migration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for direction in [Direction::Up, Direction::Down] {
        let script = match parse(text, direction, &|_| None) {
            Ok(script) => script,
            Err(error) => {
                let place = error.place;
                assert!(place.offset <= text.len() && text.is_char_boundary(place.offset), "{error:?}");
                assert!((1..=lines(text)).contains(&place.line) && place.column >= 1, "{error:?}");
                continue;
            }
        };
        // Variables are replaced there. goose drops every `--` of an annotation.
        if text.replace("--", "").to_ascii_uppercase().contains("ENVSUB") {
            continue;
        }
        let read = script.statements.iter().flat_map(|statement| statement.sql().split('\n'));
        let read: Vec<&str> = read.map(str::trim).filter(|line| is_sql(line)).collect();
        assert_eq!(read, section(text, direction), "{direction:?}");
    }
}

fn is_sql(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("--")
}

/// The lines between the annotations of one direction.
fn section(text: &str, direction: Direction) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.trim_start_matches('\u{feff}').split('\n').map(str::trim) {
        if line.starts_with("--") && line.contains("+goose") {
            let word = line.replace("--", "").replacen("+goose", "", 1);
            match word.trim().to_ascii_lowercase().as_str() {
                "up" => inside = direction == Direction::Up,
                "down" => inside = direction == Direction::Down,
                _ => {}
            }
        } else if inside && is_sql(line) {
            found.push(line);
        }
    }
    found
}
