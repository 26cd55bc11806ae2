//! `skep bucket lifecycle|cors show|plan|apply|verify`: what the app's bucket does by itself.

mod copying;
mod guard;

use std::{fmt::Display, process::ExitCode};

use anyhow::{Result, anyhow};
use serde::Serialize;
use serde_json::json;
use skep_model::Bucket;
use skep_project::Reads;
use skep_storage::{
    Admin, B2_API, Difference, LifecycleRule, StoreError, cors_differences, lifecycle_differences,
};

use crate::{
    args::{self, BucketRules, LifecycleRules},
    bucket, compose, exit, report,
    settings::Settings,
};

pub(crate) async fn run(settings: &Settings, arguments: args::Bucket) -> Result<ExitCode> {
    let composed = compose::load(settings, Reads::Bucket)?;
    let project = composed.project();
    let Some(described) = project.bucket.clone() else {
        let (app, target) = (&project.app, &project.target);
        return Err(match composed.bucket_elsewhere() {
            Some(endpoint) => anyhow!(
                "the bucket of {app} is at {endpoint}, and {target}, which is this machine, leaves it alone\nhint: name the target that it belongs to: `-t production`"
            ),
            None => anyhow!(
                "{app} has no bucket on {target}\nhint: name a target that has one with `-t`, or say where it is: `bucket: {{ endpoint: https://…, name: …, key-id: {{…}}, key: {{…}}, lifecycle: [{{ prefix: uploads/, days-to-hide: 7, days-to-delete: 1 }}] }}`"
            ),
        });
    };
    let target = project.target.clone();
    let owner = bucket::owner(project.app.as_str(), &target);
    let admin = bucket::admin(&described)?;
    let failed = |error: StoreError| {
        let hint = bucket::hint(&described, &error);
        let at = bucket::asked(&described);
        anyhow!("bucket {} at {at}: {error}\nhint: {hint}", described.name)
    };
    let place = Place { settings, described: &described, target: &target };
    match arguments {
        args::Bucket::Copy(copy) => copying::run(&place, &admin, &copy).await.map_err(failed)?,
        args::Bucket::Lifecycle(asked) => {
            let what = asked.plain();
            let (wanted, found) = (bucket::lifecycle(&described), admin.lifecycle().await.map_err(failed)?);
            let differences = lifecycle_differences(&wanted, &found);
            let reaching = bucket::reaching(&described, &found);
            match what {
                BucketRules::Show => {
                    place.show("lifecycle", &found);
                    if let Some(rules) = admin.b2_rules(&wanted).await.map_err(failed)? {
                        place.by_hand(&rules);
                    }
                    Ok(ExitCode::SUCCESS)
                }
                BucketRules::Apply if !differences.is_empty() => {
                    let agreed = match asked {
                        LifecycleRules::Apply { delete_existing } => delete_existing,
                        _ => None,
                    };
                    if let Some(existing) =
                        guard::count(&place, &admin, &differences).await.map_err(failed)?
                    {
                        guard::agree(&place, &existing, agreed)?;
                    }
                    admin.set_lifecycle(&wanted).await.map_err(failed)?;
                    let applied =
                        place.applied("lifecycle", &differences, || lifecycle_again(&admin, &wanted));
                    let code = applied.await.map_err(failed)?;
                    if code != ExitCode::SUCCESS {
                        return Ok(code);
                    }
                    // Of rules that others have set: none of skep.yaml does.
                    Ok(place.told::<LifecycleRule>("lifecycle", what, &[], &reaching))
                }
                _ => {
                    let code = place.told("lifecycle", what, &differences, &reaching);
                    if what == BucketRules::Plan
                        && let Some(existing) =
                            guard::count(&place, &admin, &differences).await.map_err(failed)?
                    {
                        guard::show(&place, &existing);
                    }
                    Ok(code)
                }
            }
        }
        args::Bucket::Cors(what) => {
            let (wanted, found) = (bucket::cors(&described), admin.cors().await.map_err(failed)?);
            let differences = cors_differences(&owner, &wanted, &found);
            match what {
                BucketRules::Show => {
                    place.show("cors", &found.into_iter().map(|one| one.rule).collect::<Vec<_>>());
                    Ok(ExitCode::SUCCESS)
                }
                BucketRules::Apply if !differences.is_empty() => {
                    admin.set_cors(&owner, &wanted).await.map_err(failed)?;
                    let again =
                        || async { Ok(cors_differences(&owner, &wanted, &admin.cors().await?).is_empty()) };
                    place.applied("cors", &differences, again).await.map_err(failed)
                }
                _ => Ok(place.told("cors", what, &differences, &[])),
            }
        }
    }
}

async fn lifecycle_again(admin: &Admin, wanted: &[LifecycleRule]) -> Result<bool, StoreError> {
    Ok(lifecycle_differences(wanted, &admin.lifecycle().await?).is_empty())
}

/// Whose rules are told, and how.
struct Place<'a> {
    settings: &'a Settings,
    described: &'a Bucket,
    target: &'a str,
}

impl Place<'_> {
    fn show<Rule: Display + Serialize>(&self, kind: &str, found: &[Rule]) {
        let Bucket { name, endpoint, .. } = self.described;
        if self.settings.json {
            report::json_line(
                json!({ "type": "bucket-rules", "bucket": name, "kind": kind, "rules": found }),
            );
            return;
        }
        outln!("{name} at {endpoint}");
        for rule in found {
            outln!("  {rule}");
        }
        if found.is_empty() {
            outln!("  no {kind} rules");
        }
    }

    /// The same without Skep. Both ways replace the whole list, so what others have set is in them.
    fn by_hand(&self, rules: &[String]) {
        if self.settings.json || rules.is_empty() {
            return;
        }
        let name = &self.described.name;
        let api = self.described.native_api.as_deref().unwrap_or(B2_API).trim_end_matches('/');
        outln!("\nEither of these replaces all of the bucket's rules, so the others are in it.");
        let flags: Vec<String> = rules.iter().map(|rule| format!("--lifecycle-rule '{rule}'")).collect();
        outln!("by hand, with Backblaze's program:\n  b2 bucket update {} {name}", flags.join(" "));
        outln!(
            "\nor with curl (token, accountId and apiUrl are in the first answer, bucketId in the second):"
        );
        outln!("  curl -sS -u \"$B2_KEY_ID:$B2_APP_KEY\" {api}/b2api/v4/b2_authorize_account");
        outln!(
            "  curl -sS -H \"Authorization: $TOKEN\" $API_URL/b2api/v4/b2_list_buckets -d \"{{\\\"accountId\\\":\\\"$ACCOUNT_ID\\\",\\\"bucketName\\\":\\\"{name}\\\"}}\""
        );
        outln!(
            "  curl -sS -H \"Authorization: $TOKEN\" $API_URL/b2api/v4/b2_update_bucket -d '{{\"accountId\":\"'$ACCOUNT_ID'\",\"bucketId\":\"'$BUCKET_ID'\",\"lifecycleRules\":[{}]}}'",
            rules.join(",")
        );
    }

    /// Says what was set, once the store says so too.
    async fn applied<Rule: Display, F>(
        &self,
        kind: &str,
        differences: &[Difference<Rule>],
        again: impl FnOnce() -> F,
    ) -> Result<ExitCode, StoreError>
    where
        F: Future<Output = Result<bool, StoreError>>,
    {
        let is_set = again().await?;
        let name = &self.described.name;
        for difference in differences {
            let said = bucket::said(difference);
            match self.settings.json {
                true => report::json_line(
                    json!({ "type": "bucket-rule-set", "bucket": name, "kind": kind, "change": said }),
                ),
                false => outln!("{name}: {said}"),
            }
        }
        if is_set {
            return Ok(ExitCode::SUCCESS);
        }
        errln!(
            "error: {name} took the {kind} rules and does not have them\nhint: look at `skep bucket {kind} show -t {}`",
            self.target
        );
        Ok(ExitCode::from(exit::CHECK))
    }

    /// `plan`, `verify`, and an `apply` with nothing to do.
    fn told<Rule: Display>(
        &self,
        kind: &str,
        what: BucketRules,
        differences: &[Difference<Rule>],
        reaching: &[String],
    ) -> ExitCode {
        let name = &self.described.name;
        let lines = differences.iter().map(bucket::said).chain(reaching.iter().map(|one| format!("! {one}")));
        let lines: Vec<String> = lines.collect();
        if self.settings.json {
            report::json_line(
                json!({ "type": "bucket-differences", "bucket": name, "kind": kind, "differences": lines }),
            );
        } else if lines.is_empty() {
            outln!("{name}: the {kind} rules are as skep.yaml has them");
        } else {
            for line in &lines {
                outln!("{name}: {line}");
            }
            if !differences.is_empty() {
                errln!("hint: `skep bucket {kind} apply -t {}`", self.target);
            } else {
                errln!("hint: that rule is somebody else's: whoever has set it should take it out");
            }
        }
        match what {
            BucketRules::Plan if differences.is_empty() => ExitCode::SUCCESS,
            BucketRules::Plan => ExitCode::from(exit::CHANGES),
            _ if lines.is_empty() => ExitCode::SUCCESS,
            _ => ExitCode::from(exit::CHECK),
        }
    }
}
