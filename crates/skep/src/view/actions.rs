//! GitHub's and Gitea's runners: a step's lines fold into a group with its outcome below it, what is wrong becomes an annotation, and the run's
//! page gets a summary.

use std::{
    fs::OpenOptions,
    io::Write,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use skep_model::{Event, Outcome, Step};

use super::{plain::Plain, words::duration};

/// The view.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    plain: Plain,
    rows: Mutex<Vec<String>>,
}

impl Actions {
    pub(crate) fn print(&self, event: &Event) {
        match event {
            Event::StepStarted { step } => errln!("::group::{step}"),
            Event::StepFinished { step, outcome, summary, millis } => {
                errln!("::endgroup::");
                self.plain.print(event);
                let row = row(*step, *outcome, summary, *millis);
                self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            }
            Event::Warning { message } => errln!("::warning::{}", escaped(message)),
            _ => self.plain.print(event),
        }
    }

    /// Writes the steps to the run's page.
    pub(crate) fn close(&self, title: &str) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).concat();
        summarize(&format!("### {title}\n\n| step | | | took |\n|---|---|---|---|\n{rows}\n"));
    }
}

fn row(step: Step, outcome: Outcome, summary: &str, millis: u64) -> String {
    let mark = match outcome {
        Outcome::Done => "✅",
        Outcome::Unchanged => "➖",
        Outcome::Failed => "❌",
    };
    format!("| {step} | {mark} | {} | {} |\n", cell(summary), duration(millis))
}

/// A line of a table: what would end the cell is written so that it doesn't.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// An annotation of the run: what failed, and why.
pub(crate) fn error(title: &str, message: &str) {
    let title = escaped(title).replace(':', "%3A").replace(',', "%2C");
    errln!("::error title={title}::{}", escaped(message));
}

/// A command is a line: its own signs are written as the runners want them.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Adds Markdown to the run's page. A runner that has none, or whose file can't be written, is not worth a word.
pub(crate) fn summarize(markdown: &str) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else { return };
    let file = OpenOptions::new().create(true).append(true).open(path);
    if let Ok(mut file) = file {
        let _ = file.write_all(markdown.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_several_lines_stays_one_row() {
        let row = row(Step::Roll, Outcome::Failed, "api: it ended\n| 3 times", 1_500);
        assert_eq!(row, "| roll | ❌ | api: it ended \\| 3 times | 1.5 s |\n");
        assert_eq!(escaped("50% done\nnext"), "50%25 done%0Anext");
    }
}
