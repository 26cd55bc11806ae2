//! verify: what proves that the release works: URLs that answer well, commands that end well, and pods that stay as they are. All of it at
//! once.

mod command;
mod path;
mod soak;
mod url;

use std::fmt;

use futures::future::join_all;
use skep_model::{Check, Outcome, Step};

use super::Clock;
use crate::{App, Failure, Plan, error::Problem, session::Session};

/// A check that did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    /// The URL as it was asked, or the command.
    pub check: String,
    /// The last answer, and for how long it was such.
    pub answer: String,
    /// What stands between the URL and the pods, sentence by sentence.
    pub path: Vec<String>,
    /// What to do.
    pub hint: String,
}

/// `https://…/health/ does not answer well: 404 in 3 ms, for 60 s`
impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not answer well: {}", self.check, self.answer)?;
        self.path.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// After a rollout: the checks, and the soak.
pub(crate) async fn verify(app: &App, plan: &Plan, session: &mut Session) -> Result<(), Failure> {
    let checks = plan.checks(app);
    let soak = app.project.rollout.soak;
    if checks.is_empty() && soak.is_zero() {
        return Ok(());
    }
    session.clock.start(Step::Verify);
    let both = async {
        let (checked, soaked) = tokio::join!(all(app, plan, checks), soak::soak(app, plan, session));
        soaked.and(checked)
    };
    let verified = both.await;
    session.clock.settle(Step::Verify, verified, |()| (Outcome::Done, summary(checks, soak.as_secs())))
}

/// The same where nothing was changed: the checks alone.
pub(crate) async fn check(app: &App, plan: &Plan, clock: &mut Clock) -> Result<(), Failure> {
    let checks = plan.checks(app);
    if checks.is_empty() {
        return Ok(());
    }
    clock.start(Step::Verify);
    let verified = all(app, plan, checks).await;
    clock.settle(Step::Verify, verified, |()| (Outcome::Done, summary(checks, 0)))
}

/// Each is given its time, and all that fail are told: one answer alone often misleads.
async fn all(app: &App, plan: &Plan, checks: &[Check]) -> Result<(), Failure> {
    let each = checks.iter().map(|check| async move {
        match check {
            Check::Url(check) => url::check(app, plan, check).await,
            Check::Run(check) => command::check(app, check).await,
        }
    });
    let failed: Vec<FailedCheck> = join_all(each).await.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(Failure::at(Step::Verify, Problem::Verify(failed))) }
}

fn summary(checks: &[Check], soak: u64) -> String {
    let urls = checks.iter().filter(|check| matches!(check, Check::Url(_))).count();
    let mut parts = Vec::new();
    match (urls, checks.len() - urls) {
        (0, 0) => {}
        (1, 0) => parts.push("1 URL answers".to_owned()),
        (urls, 0) => parts.push(format!("{urls} URLs answer")),
        (_, _) if checks.len() == 1 => parts.push("1 check passes".to_owned()),
        (_, _) => parts.push(format!("{} checks pass", checks.len())),
    }
    if soak > 0 {
        parts.push(format!("steady for {soak} s"));
    }
    parts.join(", ")
}
