//! load: manifest folders → objects. skep.yaml and its env files were read before, by the binary.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use skep_manifest::{Ignored, ImageUse, ManifestError, Object, Place, SourceFile};
use skep_model::{Emit, Event, ObjectKey, Outcome, Step};

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
    let mut ignored = Vec::new();
    let loaded = read(app, &mut ignored);
    clock.settle(Step::Load, loaded, |loaded| (Outcome::Done, summary(loaded.objects.len(), &ignored)))
}

/// `14 objects; ignored k8s/README.md`: what lies among the manifests and isn't one is reported each time.
fn summary(objects: usize, ignored: &[String]) -> String {
    const SHOWN: usize = 3;
    let objects = match objects {
        1 => "1 object".to_owned(),
        objects => format!("{objects} objects"),
    };
    match ignored.len() {
        0 => objects,
        count if count > SHOWN => {
            format!("{objects}; ignored {} and {} more", ignored[..SHOWN].join(", "), count - SHOWN)
        }
        _ => format!("{objects}; ignored {}", ignored.join(", ")),
    }
}

fn read(app: &App, ignored: &mut Vec<String>) -> Result<Manifests, Failure> {
    let project = &app.project;
    let mut layers = Vec::new();
    let mut skipped = Vec::new();
    let mut placeholders = BTreeMap::new();
    let values_in = values::plain_name(app);
    for (index, path) in project.manifests.iter().enumerate() {
        let Sources { mut files, ignored: others } = sources(&project.root, path, "manifests")?;
        ignored.extend(others);
        if let Some(migrate) = &project.migrate {
            // The Job may lie among the manifests or apart from them; it is read once and applied by the gate alone.
            files.retain(|file| project.root.join(&file.path) != migrate.manifest);
            if index == 0 {
                files.extend(sources(&project.root, &migrate.manifest, "migrate.manifest")?.files);
            }
        }
        let (files, left_out) = without_missing_values(app, files)?;
        let skep_manifest::Manifests { mut objects, ignored: documents } =
            skep_manifest::read(files).in_step(Step::Load)?;
        for Ignored { file, line, why } in documents {
            let message = format!("{}:{line} is ignored: {why}", file.display());
            app.emit.emit(Event::Warning { message });
        }
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

/// The objects that the manifests have now, for comparison; none where they can't be read.
pub(crate) fn keys(app: &App) -> Vec<ObjectKey> {
    let silent = App { emit: Emit::nowhere(), ..app.clone() };
    let loaded = read(&silent, &mut Vec::new());
    let objects = loaded.map(|loaded| loaded.objects).unwrap_or_default();
    objects.iter().filter_map(Object::key).collect()
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

/// Manifest files, in the order of their names, and what was found beside them.
#[derive(Debug, Default)]
struct Sources {
    files: Vec<SourceFile>,
    /// Files without a manifest's extension, and hidden folders.
    ignored: Vec<String>,
}

/// The manifests of a folder and what is below it; or the one file, whatever its extension.
fn sources(root: &Path, path: &Path, key: &str) -> Result<Sources, Failure> {
    let mut found = Found::default();
    collect(path, true, &mut found).map_err(|(path, error)| unreadable(root, &path, key, &error))?;
    found.files.sort();
    let mut sources = Sources::default();
    for path in found.files {
        let bytes = fs::read(&path).map_err(|error| unreadable(root, &path, key, &error))?;
        let name = PathBuf::from(shown(root, &path));
        sources.files.push(SourceFile::decode(name, bytes).in_step(Step::Load)?);
    }
    sources.ignored.extend(found.ignored.iter().map(|path| shown(root, path)));
    Ok(sources)
}

#[derive(Debug, Default)]
struct Found {
    files: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
}

/// An error names the path that it is about: of a folder, often a link that leads nowhere.
fn collect(path: &Path, named: bool, found: &mut Found) -> Result<(), (PathBuf, io::Error)> {
    let at = |error| (path.to_owned(), error);
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    // What isn't a manifest is left alone, even a link that leads nowhere.
    let is_manifest = named || skep_manifest::is_manifest_file(path);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Err(error) if is_manifest => return Err(at(error)),
        Ok(_) | Err(_) => {
            match (is_manifest, is_hidden) {
                (true, _) => found.files.push(path.to_owned()),
                (false, false) => found.ignored.push(path.to_owned()),
                (false, true) => {}
            }
            return Ok(());
        }
    }
    if is_hidden && !named {
        found.ignored.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(at)? {
        collect(&entry.map_err(at)?.path(), false, found)?;
    }
    Ok(())
}

fn unreadable(root: &Path, path: &Path, key: &str, error: &io::Error) -> Failure {
    let (why, hint) = match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => {
            let to = fs::read_link(path).unwrap_or_default();
            let why = format!("broken symbolic link to {}", to.display());
            (why, "restore the file that it points to, or remove the link".to_owned())
        }
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
