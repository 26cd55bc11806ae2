//! load: manifest folders → objects. skep.yaml and its env files were read before, by the binary.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use skep_manifest::{ImageUse, ManifestError, Object, Place, SourceFile};
use skep_model::{Outcome, Step};

use super::Clock;
use crate::{
    App, Failure,
    error::{InStep, Problem},
};

/// What the project's manifests say, merged, in the app's namespace.
#[derive(Debug, Clone)]
pub(crate) struct Manifests {
    /// Everything but the migration.
    pub(crate) objects: Vec<Object>,
    /// The migration's Job.
    pub(crate) migration: Option<Object>,
}

impl Manifests {
    /// What every container runs, the migration's included.
    pub(crate) fn image_uses(&self) -> Vec<ImageUse> {
        let mut uses = skep_manifest::image_uses(&self.objects);
        uses.extend(
            self.migration.iter().flat_map(|job| skep_manifest::image_uses(std::slice::from_ref(job))),
        );
        uses
    }
}

pub(crate) fn load(app: &App, clock: &mut Clock) -> Result<Manifests, Failure> {
    clock.start(Step::Load);
    let loaded = read(app);
    clock.settle(Step::Load, loaded, |loaded| match loaded.objects.len() {
        1 => (Outcome::Done, "1 object".to_owned()),
        objects => (Outcome::Done, format!("{objects} objects")),
    })
}

fn read(app: &App) -> Result<Manifests, Failure> {
    let project = &app.project;
    let mut layers = Vec::new();
    for (index, path) in project.manifests.iter().enumerate() {
        let mut files = source_files(&project.root, path, "manifests")?;
        if let Some(migrate) = &project.migrate {
            // The Job may lie among the manifests or apart from them; it is read once and applied by the gate alone.
            files.retain(|file| project.root.join(&file.path) != migrate.manifest);
            if index == 0 {
                files.extend(source_files(&project.root, &migrate.manifest, "migrate.manifest")?);
            }
        }
        layers.push(skep_manifest::read(files).in_step(Step::Load)?.objects);
    }
    let mut objects = skep_manifest::merge(layers).in_step(Step::Load)?;
    skep_manifest::settle(&mut objects, &project.namespace).in_step(Step::Load)?;
    let Some(migrate) = &project.migrate else {
        return Ok(Manifests { objects, migration: None });
    };
    let of_the_gate = |place: &Place| project.root.join(place.file()) == migrate.manifest;
    let (mut gate, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| of_the_gate(&object.origin));
    let job = gate.iter().position(|object| object.value["kind"] == "Job").map(|index| gate.remove(index));
    match (job, gate.first()) {
        (Some(job), None) => Ok(Manifests { objects, migration: Some(job) }),
        (None, _) => Err(Failure::at(
            Step::Load,
            Problem::File {
                path: shown(&project.root, &migrate.manifest),
                why: "it holds no Job".to_owned(),
                hint: "`migrate.manifest` names a file with the Job that runs the migration".to_owned(),
            },
        )),
        (Some(_), Some(other)) => {
            let hint = "keep the migration's Job in a file of its own";
            Err(Failure::at(
                Step::Load,
                ManifestError::unusable(
                    &other.origin,
                    &other.name(),
                    "it stands beside the migration's Job",
                    hint,
                ),
            ))
        }
    }
}

/// Every file of a folder and what is below it, in the order of their names; or the one file.
fn source_files(root: &Path, path: &Path, key: &str) -> Result<Vec<SourceFile>, Failure> {
    let mut paths = Vec::new();
    collect(path, &mut paths).map_err(|error| unreadable(root, path, key, &error))?;
    paths.sort();
    let read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(SourceFile { path: PathBuf::from(shown(root, &path)), text })),
        // A picture among the manifests is no manifest.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(unreadable(root, &path, key, &error)),
    };
    paths.into_iter().filter_map(|path| read(path).transpose()).collect()
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

fn unreadable(root: &Path, path: &Path, key: &str, error: &io::Error) -> Failure {
    let (why, hint) = match error.kind() {
        io::ErrorKind::NotFound => (
            "it does not exist".to_owned(),
            format!("`{key}` in skep.yaml names it: make it, or correct the path"),
        ),
        _ => (error.to_string(), "check its permissions".to_owned()),
    };
    Failure::at(Step::Load, Problem::File { path: shown(root, path), why, hint })
}

/// The path as the user wrote it, below the project's folder.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
