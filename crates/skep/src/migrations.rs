//! Migrations that the next deploy will run, looked at before they do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use skep_deploy::{ExtraCheck, Finding, OneWay, Severity};
use skep_migrate::{Direction, dangers, parse};
use skep_model::Project;

use crate::git;

/// The check, where skep.yaml says where the migrations are.
pub(crate) fn check(project: &Project) -> Option<ExtraCheck> {
    let files = project.migrate.as_ref()?.files.clone()?;
    let root = project.root.clone();
    Some(ExtraCheck::new(move |last| findings(&root, &files, last)))
}

/// Which new migrations are marked `-- +skep contract`, where skep.yaml says where the migrations are.
pub(crate) fn one_way(project: &Project) -> Option<OneWay> {
    let files = project.migrate.as_ref()?.files.clone()?;
    Some(OneWay::new(move |last| contracts(&files, last)))
}

/// Where it can't be told which are new, all count: better no way back than a wrong one.
fn contracts(files: &Path, last: Option<&str>) -> Vec<String> {
    let known = last.and_then(|commit| git::files_at(files, commit)).unwrap_or_default();
    let marked = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        parse(&text, Direction::Up, &|name| std::env::var(name).ok()).is_ok_and(|script| script.contract)
    };
    let names = sql_files(files).into_iter().filter(marked);
    let names = names.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    names.filter(|name| !known.contains(name)).collect()
}

fn sql_files(files: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(files).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths
}

/// The dangers of the migrations that the commit of the last release has not. Without a release there is no old code to think of: what
/// can't be read is told all the same.
fn findings(root: &Path, files: &Path, last: Option<&str>) -> Vec<Finding> {
    let known = last.map(|commit| (commit, git::files_at(files, commit)));
    let mut found = Vec::new();
    if let Some((commit, None)) = &known {
        let place = files.strip_prefix(root).unwrap_or(files).display().to_string();
        let what = format!(
            "which migrations are new can't be told: the last release's commit {commit} is not in this clone"
        );
        found.push(Finding::warning(place, what, "`git fetch --unshallow`".to_owned()));
    }
    for path in sql_files(files) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_new = matches!(&known, Some((_, Some(known))) if !known.contains(&*name));
        found.extend(
            of_file(root, &path).into_iter().filter(|finding| is_new || finding.severity == Severity::Error),
        );
    }
    found
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
