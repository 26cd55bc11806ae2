//! load: manifest folders → objects. skep.yaml and its env files were read before, by the binary.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use skep_manifest::{ImageUse, ManifestError, Object, Place, SourceFile};
use skep_model::{Event, ObjectKey, Outcome, Step};

use super::Clock;
use crate::{
    App, Failure,
    error::{InStep, Problem},
    values::{self, Values},
};

/// What the project's manifests say, merged, in the app's namespace.
#[derive(Debug, Clone)]
pub(crate) struct Manifests {
    /// Everything but the migration.
    pub(crate) objects: Vec<Object>,
    /// The migration's Job.
    pub(crate) migration: Option<Object>,
    /// Objects of files that were left out: what is there of them stays.
    pub(crate) skipped: Vec<ObjectKey>,
    /// What stands for the placeholders of objects that are no Secrets.
    pub(crate) placeholders: Values,
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
    let mut skipped = Vec::new();
    let mut placeholders = BTreeMap::new();
    let values_in = values::plain_name(app);
    for (index, path) in project.manifests.iter().enumerate() {
        let mut files = source_files(&project.root, path, "manifests")?;
        if let Some(migrate) = &project.migrate {
            // The Job may lie among the manifests or apart from them; it is read once and applied by the gate alone.
            files.retain(|file| project.root.join(&file.path) != migrate.manifest);
            if index == 0 {
                files.extend(source_files(&project.root, &migrate.manifest, "migrate.manifest")?);
            }
        }
        let (files, left_out) = without_missing_values(app, files)?;
        let mut objects = skep_manifest::read(files).in_step(Step::Load)?.objects;
        let left = skep_manifest::substitute(&mut objects, &values(app), &values_in).in_step(Step::Load)?;
        placeholders.extend(left);
        layers.push(objects);
        let mut left_out = skep_manifest::read(left_out).in_step(Step::Load)?.objects;
        skep_manifest::settle(&mut left_out, &project.namespace).in_step(Step::Load)?;
        skipped.extend(left_out.iter().filter_map(Object::key));
    }
    let mut objects = skep_manifest::merge(layers).in_step(Step::Load)?;
    skep_manifest::settle(&mut objects, &project.namespace).in_step(Step::Load)?;
    let placeholders = Values(placeholders);
    let Some(migrate) = &project.migrate else {
        return Ok(Manifests { objects, migration: None, skipped, placeholders });
    };
    let of_the_gate = |place: &Place| project.root.join(place.file()) == migrate.manifest;
    let (mut gate, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| of_the_gate(&object.origin));
    let job = gate.iter().position(|object| object.value["kind"] == "Job").map(|index| gate.remove(index));
    match (job, gate.first()) {
        (Some(job), None) => Ok(Manifests { objects, migration: Some(job), skipped, placeholders }),
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

/// What stands for each placeholder. One that has no value is in no file that is read.
fn values(app: &App) -> BTreeMap<String, String> {
    let known = app.project.substitute.iter();
    known.filter_map(|(name, substitute)| Some((name.clone(), substitute.value.clone()?))).collect()
}

/// The files, and those that are left out because a placeholder of theirs has no value.
fn without_missing_values(
    app: &App,
    files: Vec<SourceFile>,
) -> Result<(Vec<SourceFile>, Vec<SourceFile>), Failure> {
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for file in files {
        let mut missing = app.project.substitute.iter();
        let missing = missing.find(|(name, one)| one.value.is_none() && file.text.contains(name.as_str()));
        let Some((name, substitute)) = missing else {
            kept.push(file);
            continue;
        };
        let path = file.path.display();
        if !substitute.may_be_missing {
            let line = file.text.lines().position(|line| line.contains(name.as_str())).unwrap_or(0) + 1;
            return Err(Failure::at(
                Step::Load,
                Problem::File {
                    path: format!("{path}:{line}"),
                    why: format!("{name} stands for {}, which is missing", substitute.source),
                    hint: "add it there, or let `substitute` in skep.yaml leave the file out: `when-missing: skip-file`"
                        .to_owned(),
                },
            ));
        }
        let message =
            format!("{path} is left out: {name} stands for {}, which is missing", substitute.source);
        app.emit.emit(Event::Warning { message });
        left_out.push(file);
    }
    Ok((kept, left_out))
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
