//! `skep init --ci`: a workflow that uses the commands a person uses.

use std::path::PathBuf;

use crate::args::Forge;

/// Where the workflow goes, and its text. Skep is pinned by version and checksum; who runs it fills in where it is fetched from.
pub(super) fn workflow(forge: Forge) -> (PathBuf, String) {
    let (path, secrets) = match forge {
        Forge::Github => (".github/workflows/skep.yaml", "secrets"),
        Forge::Gitea => (".gitea/workflows/skep.yaml", "secrets"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        r#"# A push is checked, a tag goes to staging, production gets by hand what runs in staging.
name: skep
on:
  push:
    branches: ["**"]
    tags: ["v*"]
  workflow_dispatch:
    inputs:
      promote:
        description: ship what runs in staging to production
        type: boolean
        default: true
# One deploy at a time; skep's own lock would refuse the second.
concurrency: {{ group: skep-${{{{ github.ref }}}}, cancel-in-progress: false }}
env:
  SKEP_VERSION: "{version}"
  # Of the file that SKEP_URL names: `sha256sum skep`.
  SKEP_SHA256: ${{{{ vars.SKEP_SHA256 }}}}
  SKEP_URL: ${{{{ vars.SKEP_URL }}}}
  # Secrets reach skep by its environment alone; it prints none.
  REGISTRY_TOKEN: ${{{{ {secrets}.REGISTRY_TOKEN }}}}
  SKEP_AGE_KEY: ${{{{ {secrets}.SKEP_AGE_KEY }}}}
jobs:
  skep:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {{ fetch-depth: 0 }}
      - name: install skep
        run: |
          curl --fail --silent --show-error --location --output skep "$SKEP_URL"
          echo "$SKEP_SHA256  skep" | sha256sum --check
          install skep /usr/local/bin/skep
          skep --version | grep --fixed-strings "$SKEP_VERSION"
      - name: kubeconfig
        if: github.ref_type == 'tag' || github.event_name == 'workflow_dispatch'
        env: {{ KUBECONFIG_TEXT: "${{{{ {secrets}.KUBECONFIG }}}}" }}
        run: mkdir -p ~/.kube && printf '%s' "$KUBECONFIG_TEXT" >~/.kube/skep.yaml && chmod 600 ~/.kube/skep.yaml
      - name: check
        if: github.ref_type == 'branch' && github.event_name == 'push'
        run: skep check -t staging
      - name: deploy to staging
        if: github.ref_type == 'tag'
        run: skep deploy -t staging
      - name: promote to production
        if: github.event_name == 'workflow_dispatch' && inputs.promote
        run: skep promote staging production
"#
    );
    (PathBuf::from(path), text)
}
