//! A command that must end with 0.

use std::time::Duration;

use skep_model::{Check, Event, RunCheck};
use tokio::time::{Instant, sleep};

use super::FailedCheck;
use crate::{
    App,
    operate::{RunRequest, run_within},
};

/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs it until it ends well, or its time is up.
pub(super) async fn check(app: &App, check: &RunCheck) -> Result<(), FailedCheck> {
    let name = Check::Run(check.clone()).to_string();
    let request = RunRequest { service: check.service.clone(), command: check.command.clone() };
    let began = Instant::now();
    let deadline = began + check.within;
    let mut ended_badly = None;
    loop {
        let since = Instant::now();
        let mut last = String::new();
        let left = deadline.saturating_duration_since(since);
        let ended = run_within(app, &request, left, |line| {
            if !line.trim().is_empty() {
                last = line;
            }
        })
        .await;
        let said = if last.is_empty() { String::new() } else { format!(": {}", last.trim()) };
        let (ok, answer) = match ended {
            Ok(Some(0)) => (true, format!("ended well in {} ms", since.elapsed().as_millis())),
            Ok(Some(code)) => {
                let answer = format!("ended with {code}{said}");
                ended_badly = Some(answer.clone());
                (false, answer)
            }
            Ok(None) => (false, format!("had not ended{said}")),
            Err(failure) => (false, failure.to_string()),
        };
        app.emit.emit(Event::Verified { check: name.clone(), ok, answer: answer.clone() });
        if ok {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(FailedCheck {
                hint: format!(
                    "`skep run {} -- {}` runs it again, with all that it prints",
                    check.service,
                    check.command.join(" ")
                ),
                check: name,
                // A last try that had no time left says less than the one before.
                answer: format!("{}, for {} s", ended_badly.unwrap_or(answer), began.elapsed().as_secs()),
                path: Vec::new(),
            });
        }
        sleep(PAUSE).await;
    }
}
