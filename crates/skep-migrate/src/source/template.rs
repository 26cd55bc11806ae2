//! What a new migration begins with.

pub(super) const SQL: &str = "\
-- +goose Up
SELECT 'up SQL query';

-- +goose Down
SELECT 'down SQL query';
";

/// `Add some tasks!` → `add_some_tasks`: letters and digits in lower case, anything else becomes one `_`.
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_end_matches('_').into()
}
