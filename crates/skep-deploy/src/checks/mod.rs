//! What is looked at before anything moves. `skep check` shows every finding; a deploy stops at an error and counts the rest.
//!
//! `values`, `manifests` and `names` need nobody; `cluster` and `registry` ask, and a deploy asks them only once there is something to
//! do. What concerns other crates (the migrations) is handed in as a value.

mod cluster;
mod manifests;
mod names;
mod registry;
mod values;

use std::sync::Arc;

use futures::future::BoxFuture;

use skep_model::{Event, Outcome, Step};

use crate::{
    App, DeployRequest, Failure, Plan,
    error::Problem,
    steps::{Clock, load::Manifests},
};

/// Something that a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What.
    pub what: String,
    /// Where, `k8s/api.yaml:12` or a key.
    pub place: String,
    /// What to do.
    pub hint: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A deploy would fail, or break what runs.
    Error,
    /// A deploy stops, unless it is a hotfix.
    Objection,
    /// It works, and could be better.
    Warning,
}

/// As people read it.
impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Warning { "warning" } else { "error" })
    }
}

/// `k8s/api.yaml:12: …`.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.what)
    }
}

impl Finding {
    fn new(
        severity: Severity,
        place: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { severity, what: what.into(), place: place.into(), hint: hint.into() }
    }

    /// Something of another crate's that would fail.
    pub fn error(place: String, what: String, hint: String) -> Self {
        Self { severity: Severity::Error, what, place, hint }
    }

    /// A danger that another crate has found.
    pub fn warning(place: String, what: String, hint: String) -> Self {
        Self { severity: Severity::Warning, what, place, hint }
    }
}

/// A check that this crate can't make itself: it is told the commit of the last good release.
#[derive(Clone)]
pub struct ExtraCheck(Arc<Look>);

type Look = dyn Fn(Option<&str>) -> Vec<Finding> + Send + Sync;

impl ExtraCheck {
    /// Runs `check` when a plan has something to do.
    pub fn new(check: impl Fn(Option<&str>) -> Vec<Finding> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

/// A check that asks somebody else than the cluster and the registry: the store of the app's files, say.
#[derive(Clone)]
pub struct AskingCheck(Arc<Ask>);

type Ask = dyn Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync;

impl AskingCheck {
    /// Runs `check` when a plan has something to do. What takes too long is told as that.
    pub fn new(check: impl Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

impl std::fmt::Debug for AskingCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskingCheck")
    }
}

impl std::fmt::Debug for ExtraCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExtraCheck")
    }
}

/// `skep check`: everything, errors first.
///
/// # Errors
/// When the project can't be read; what is wrong with it is no error of this function.
pub async fn check(app: &App) -> Result<Vec<Finding>, Failure> {
    let mut clock = Clock::new(&app.emit);
    let manifests = crate::steps::load::load(app, &mut clock)?;
    clock.start(Step::Check);
    let mut findings = offline(app, &manifests, &DeployRequest::default());
    let (cluster, registry, asked) =
        tokio::join!(cluster::findings(app, &manifests), registry::findings(app, &manifests), asked(app));
    findings.extend(cluster.into_iter().chain(registry).chain(asked));
    findings.extend(extra(app, crate::history::last_good_commit(app).await.as_deref()));
    settled(findings, &mut clock)
}

/// `skep check` where no cluster runs: all that can be known without one and its registry.
///
/// # Errors
/// When the project can't be read.
pub async fn check_without_cluster(app: &App) -> Result<Vec<Finding>, Failure> {
    let mut clock = Clock::new(&app.emit);
    let manifests = crate::steps::load::load(app, &mut clock)?;
    clock.start(Step::Check);
    let mut findings = offline(app, &manifests, &DeployRequest::default());
    findings.extend(asked(app).await);
    findings.extend(extra(app, None));
    settled(findings, &mut clock)
}

/// Errors first, and how many there are of each.
fn settled(mut findings: Vec<Finding>, clock: &mut Clock) -> Result<Vec<Finding>, Failure> {
    findings.sort_by(|one, other| (one.severity, &one.place).cmp(&(other.severity, &other.place)));
    let errors = findings.iter().filter(|finding| finding.severity != Severity::Warning).count();
    let counted =
        |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let detail = format!("{}, {}", counted(errors, "error"), counted(findings.len() - errors, "warning"));
    let outcome = if errors > 0 { Outcome::Failed } else { Outcome::Done };
    clock.settle(Step::Check, Ok(()), |()| (outcome, detail))?;
    Ok(findings)
}

/// What needs nobody: the first step of a deploy.
pub(crate) fn offline(app: &App, manifests: &Manifests, request: &DeployRequest) -> Vec<Finding> {
    let mut findings = names::findings(app, manifests);
    findings.extend(values::findings(&app.project));
    findings.extend(manifests::findings(app, manifests, request));
    findings
}

/// What has to be asked, once a plan has something to do.
pub(crate) async fn online(app: &App, plan: &Plan, manifests: &Manifests) -> Result<(), Failure> {
    let (mut findings, asked) = tokio::join!(cluster::findings(app, manifests), asked(app));
    findings.extend(asked);
    // Before the first release there is no old code.
    if plan.migration().is_some() && plan.newest_release() > 0 {
        findings.extend(extra(app, plan.last_commit.as_deref()));
    }
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Warning) {
        app.emit.emit(Event::Warning { message: format!("{finding}; {}", finding.hint) });
    }
    refuse(app, &findings, false)
}

async fn asked(app: &App) -> Vec<Finding> {
    let all = app.asking_checks.iter().map(|check| (check.0)());
    futures::future::join_all(all).await.into_iter().flatten().collect()
}

fn extra(app: &App, last: Option<&str>) -> Vec<Finding> {
    app.extra_checks.iter().flat_map(|check| (check.0)(last)).collect()
}

/// Stops at errors, all of them told; counts what is only advice.
pub(crate) fn refuse(app: &App, findings: &[Finding], hotfix: bool) -> Result<(), Failure> {
    let stops = |finding: &&Finding| match finding.severity {
        Severity::Error => true,
        Severity::Objection => !hotfix,
        Severity::Warning => false,
    };
    let errors: Vec<&Finding> = findings.iter().filter(stops).collect();
    if let Some(first) = errors.first() {
        let what = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
        return Err(Failure::at(Step::Check, Problem::Project { what, hint: first.hint.clone() }));
    }
    for objection in findings.iter().filter(|finding| finding.severity == Severity::Objection) {
        app.emit.emit(Event::Warning { message: format!("{objection}; {}", objection.hint) });
    }
    Ok(())
}
