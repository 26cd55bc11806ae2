//! `skep init`: looks at a repository and writes a skep.yaml that works, saying what it found.

mod ci;
mod draft;
mod look;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{args, report, settings::Settings};

pub(crate) fn run(settings: &Settings, init: &args::Init) -> Result<()> {
    let mut written = Vec::new();
    let mut notes = Vec::new();
    let file = settings.dir.join("skep.yaml");
    if !file.exists() {
        let found = look::Found::below(&settings.dir);
        let name = settings.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let draft = draft::draft(&found, &name);
        write(&file, &draft.yaml)?;
        written.push("skep.yaml".to_owned());
        notes = draft.notes;
        notes.insert(
            0,
            format!(
                "found {} in {}, {}, {}",
                count(found.objects.len(), "object"),
                count(found.manifests.len(), "place"),
                count(found.dockerfiles.len(), "Dockerfile"),
                count(found.env_files.len(), "env file")
            ),
        );
    } else if init.ci.is_none() {
        bail!("{} is there already\nhint: `skep check` looks at it; remove it to begin anew", file.display());
    }
    if let Some(forge) = init.ci {
        let (path, text) = ci::workflow(forge);
        let full = settings.dir.join(&path);
        if full.exists() {
            bail!("{} is there already\nhint: remove it to have it written anew", full.display());
        }
        write(&full, &text)?;
        written.push(path.display().to_string());
        notes.push("the workflow needs the variables SKEP_URL and SKEP_SHA256 and the secrets REGISTRY_TOKEN, SKEP_AGE_KEY and KUBECONFIG; skep.yaml needs the targets `staging` and `production`, both with `kubeconfig: ~/.kube/skep.yaml`".to_owned());
    }
    if settings.json {
        report::json_line(json!({"type": "initialized", "written": written, "notes": notes}));
        return Ok(());
    }
    for path in &written {
        outln!("wrote {path}");
    }
    for note in &notes {
        outln!("  {note}");
    }
    outln!("next: `skep check`, then `skep up` on this machine");
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}
