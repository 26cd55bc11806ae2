//! Migrations that the next deploy will run, looked at before they do.

use std::{collections::BTreeSet, fs, path::Path};

use skep_deploy::{ExtraCheck, Finding};
use skep_migrate::{Direction, dangers, parse};
use skep_model::Project;

use crate::git;

/// The check, where skep.yaml says where the migrations are.
pub(crate) fn check(project: &Project) -> Option<ExtraCheck> {
    let files = project.migrate.as_ref()?.files.clone()?;
    let root = project.root.clone();
    Some(ExtraCheck::new(move |last| findings(&root, &files, last)))
}

/// The dangers of the migrations that the commit of the last release has not: all of them when there is no such commit here.
fn findings(root: &Path, files: &Path, last: Option<&str>) -> Vec<Finding> {
    let known: BTreeSet<String> = last.map(|commit| git::files_at(files, commit)).unwrap_or_default();
    let mut names: Vec<_> =
        fs::read_dir(files).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    let is_sql = |path: &&std::path::PathBuf| path.extension().is_some_and(|extension| extension == "sql");
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let new = names.iter().filter(is_sql).filter(|path| !known.contains(&name(path)));
    new.flat_map(|path| of_file(root, path)).collect()
}

fn of_file(root: &Path, path: &Path) -> Vec<Finding> {
    let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let hint = "the migration would fail with this".to_owned();
            return vec![Finding::error(shown, format!("can't be read: {error}"), hint)];
        }
    };
    match parse(&text, Direction::Up, &|name| std::env::var(name).ok()) {
        Ok(script) => dangers(&script)
            .into_iter()
            .map(|danger| {
                Finding::warning(format!("{shown}:{}", danger.line), danger.what, danger.advice.to_owned())
            })
            .collect(),
        Err(error) => {
            let place = format!("{shown}:{}:{}", error.place.line, error.place.column);
            let hint = "the migration would fail with this".to_owned();
            vec![Finding::error(place, error.problem.to_string(), hint)]
        }
    }
}
