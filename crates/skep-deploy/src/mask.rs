//! Secrets have no place in what is shown or kept: the namespace's Secrets, read when lines of others' logs are about to be told, are stars in
//! them.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use skep_cluster::{Route, Selector};

use crate::App;

/// Shorter values, such as `true` or a port, would make a log unreadable, and give nothing away.
const SHORTEST: usize = 6;
/// A log shows a key of several lines line by line.
const SHORTEST_LINE: usize = 16;
const STARS: &str = "***";

/// The values that are hidden, longest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// Of every Secret of the app's namespace but Skep's own records. Where they may not be read, there is nothing to hide by.
    pub(crate) async fn load(app: &App) -> Self {
        let Some(route) = Route::built_in("v1", "Secret") else { return Self::default() };
        let selector = Selector::labels("!skep.dev/record".to_owned());
        let secrets = app.cluster.list(&route, Some(app.namespace()), &selector).await;
        Self::of(secrets.unwrap_or_default().iter().flat_map(values))
    }

    fn of(values: impl Iterator<Item = String>) -> Self {
        let mut hidden = BTreeSet::new();
        for value in values {
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            hidden.extend(lines.map(str::to_owned));
            let value = value.trim();
            if value.len() >= SHORTEST {
                hidden.insert(value.to_owned());
            }
        }
        let mut hidden: Vec<String> = hidden.into_iter().collect();
        hidden.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(hidden)
    }

    /// The text without them.
    pub(crate) fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, value| match text.contains(value.as_str()) {
            true => text.replace(value.as_str(), STARS),
            false => text,
        })
    }
}

fn values(secret: &Value) -> Vec<String> {
    let data = secret["data"].as_object().into_iter().flat_map(|data| data.values());
    let decoded = data.filter_map(|value| STANDARD.decode(value.as_str()?).ok());
    decoded.filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_stars_whole_and_line_by_line_and_short_ones_stay() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";
        let mask = Mask::of(["hunter2", "hunter2-longer", "true", key].map(str::to_owned).into_iter());
        let hidden = |line: &str| mask.hide(line.to_owned());
        assert_eq!(hidden("login with hunter2 failed: true"), "login with *** failed: true");
        assert_eq!(hidden("redis://:hunter2-longer@cache"), "redis://:***@cache");
        assert_eq!(hidden("  MIGTAgEAMBMGByqGSM49"), "  ***");
        assert_eq!(hidden(key), "***\n");
    }
}
