//! check: what can be known without asking anybody.

use skep_model::{Outcome, Step};

use super::{Clock, load::Manifests};
use crate::{
    App, DeployRequest, Failure,
    checks::{self, Severity},
};

pub(crate) fn check(
    app: &App,
    manifests: &Manifests,
    request: &DeployRequest,
    clock: &mut Clock,
) -> Result<(), Failure> {
    clock.start(Step::Check);
    let findings = checks::offline(app, manifests, request);
    let advice = findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    let checked = checks::refuse(app, &findings, request.hotfix);
    clock.settle(Step::Check, checked, |()| {
        let detail = match advice {
            0 => String::new(),
            1 => "1 warning, which `skep check` shows".to_owned(),
            more => format!("{more} warnings, which `skep check` shows"),
        };
        (Outcome::Done, detail)
    })
}
