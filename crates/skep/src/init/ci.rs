//! `skep init --ci`: a workflow that uses the commands a person uses.

use std::path::PathBuf;

use crate::args::Forge;

/// A commit of actions/checkout, and the release that it is. A tag could be moved to other code.
const CHECKOUT: (&str, &str) = ("34e114876b0b11c390a56381ad16ebd13914f8d5", "v4.3.1");

/// Returns where the workflow goes, and its text. Skep is pinned by version and checksum; the user says in variables where it is
/// downloaded from.
pub(super) fn workflow(forge: Forge) -> (PathBuf, String) {
    let path = match forge {
        Forge::Github => ".github/workflows/skep.yaml",
        Forge::Gitea => ".gitea/workflows/skep.yaml",
    };
    let (commit, release) = CHECKOUT;
    let text = TEMPLATE
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@COMMIT@", commit)
        .replace("@RELEASE@", release);
    (PathBuf::from(path), text)
}

const TEMPLATE: &str = r#"# A push of a branch is checked, a tag is deployed to staging, production gets by hand what runs in staging.
name: skep
on:
  push:
    branches: ["**"]
    tags: ["v*"]
  workflow_dispatch:
    inputs:
      promote:
        description: Deploy what runs in staging to production
        type: boolean
        default: true
permissions:
  contents: read
# One deploy of a target at a time; checks of branches wait for none. A deploy is never cancelled halfway.
concurrency:
  group: skep-${{ github.event_name == 'workflow_dispatch' && 'production' || github.ref_type == 'tag' && 'staging' || github.ref }}
  cancel-in-progress: false
jobs:
  skep:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@@COMMIT@ # @RELEASE@
        with:
          fetch-depth: 0
          persist-credentials: false
      - name: install skep
        env:
          SKEP_VERSION: "@VERSION@"
          SKEP_URL: ${{ vars.SKEP_URL }}
          # The checksum of the file at SKEP_URL, as `sha256sum skep` prints it.
          SKEP_SHA256: ${{ vars.SKEP_SHA256 }}
        run: |
          mkdir -p "$HOME/.local/bin"
          curl --fail --silent --show-error --location --output skep "$SKEP_URL"
          echo "$SKEP_SHA256  skep" | sha256sum --check
          install skep "$HOME/.local/bin/skep" && rm skep
          "$HOME/.local/bin/skep" --version | grep --fixed-strings "$SKEP_VERSION"
          echo "$HOME/.local/bin" >>"$GITHUB_PATH"
      - name: write the kubeconfig
        env:
          KUBECONFIG_TEXT: ${{ secrets.KUBECONFIG }}
        run: |
          umask 077
          mkdir -p ~/.kube
          printf '%s' "$KUBECONFIG_TEXT" >~/.kube/skep.yaml
      - name: check
        if: github.event_name == 'push' && github.ref_type == 'branch'
        env:
          REGISTRY_TOKEN: ${{ secrets.REGISTRY_TOKEN }}
          SKEP_AGE_KEY: ${{ secrets.SKEP_AGE_KEY }}
        run: skep check -t staging
      - name: deploy to staging
        if: github.event_name == 'push' && github.ref_type == 'tag'
        env:
          REGISTRY_TOKEN: ${{ secrets.REGISTRY_TOKEN }}
          SKEP_AGE_KEY: ${{ secrets.SKEP_AGE_KEY }}
        run: skep deploy -t staging
      - name: promote to production
        if: github.event_name == 'workflow_dispatch' && inputs.promote
        env:
          REGISTRY_TOKEN: ${{ secrets.REGISTRY_TOKEN }}
          SKEP_AGE_KEY: ${{ secrets.SKEP_AGE_KEY }}
        run: skep promote staging production
      # A runner of your own keeps its home folder.
      - name: remove the kubeconfig
        if: always()
        run: rm -f ~/.kube/skep.yaml
"#;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn workflows() -> impl Iterator<Item = (String, Value)> {
        [Forge::Github, Forge::Gitea].into_iter().map(|forge| {
            let (_, text) = workflow(forge);
            let value = serde_saphyr::from_str(&text).expect("a workflow is YAML");
            (text, value)
        })
    }

    fn steps(workflow: &Value) -> Vec<Value> {
        let jobs = workflow["jobs"].as_object().expect("a workflow has jobs");
        jobs.values().flat_map(|job| job["steps"].as_array().expect("a job has steps").clone()).collect()
    }

    #[test]
    fn workflow_actions_are_pinned_by_commit() {
        for (text, workflow) in workflows() {
            let used: Vec<Value> =
                steps(&workflow).iter().filter_map(|step| step.get("uses").cloned()).collect();
            assert!(!used.is_empty());
            for action in used {
                let action = action.as_str().expect("an action is a string");
                let (_, commit) = action.split_once('@').expect("an action has a version");
                assert!(
                    commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{action}"
                );
                assert!(text.contains(&format!("{action} # v")), "{action} names its release");
            }
        }
    }

    #[test]
    fn workflow_has_minimal_permissions() {
        for (_, workflow) in workflows() {
            assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}));
            for job in workflow["jobs"].as_object().expect("a workflow has jobs").values() {
                assert_eq!(job.get("permissions"), None, "no job asks for more");
            }
        }
    }

    #[test]
    fn workflow_secrets_are_in_env_of_single_steps() {
        for (text, workflow) in workflows() {
            let mut without_steps = workflow.clone();
            for job in without_steps["jobs"].as_object_mut().expect("a workflow has jobs").values_mut() {
                job.as_object_mut().expect("a job is a mapping").remove("steps");
            }
            assert!(!without_steps.to_string().contains("secrets."), "a secret is in the env of all steps");
            let mut found = 0;
            for step in steps(&workflow) {
                found += step["env"].to_string().matches("secrets.").count();
                assert!(step.get("uses").is_none() || !step.to_string().contains("secrets."), "{step}");
            }
            assert_eq!(
                found,
                text.matches("secrets.").count(),
                "a secret is in a command, and so in the log"
            );
        }
    }

    #[test]
    fn workflow_check_step_has_a_kubeconfig() {
        for (_, workflow) in workflows() {
            let steps = steps(&workflow);
            let named = |name: &str| {
                let is = |step: &Value| step["name"] == name;
                steps.iter().position(is).expect("the step is there")
            };
            let kubeconfig = named("write the kubeconfig");
            assert_eq!(steps[kubeconfig].get("if"), None, "the check of a branch reads it too");
            assert!(kubeconfig < named("check") && named("check") < named("remove the kubeconfig"));
        }
    }

    #[test]
    fn workflow_deploys_of_a_target_are_serialized() {
        for (_, workflow) in workflows() {
            let group = workflow["concurrency"]["group"].as_str().expect("a group");
            assert!(group.contains("'production'") && group.contains("'staging'"), "{group}");
            assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
        }
    }
}
