//! A project folder in memory.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use miette::{GraphicalReportHandler, GraphicalTheme};
use skep_project::{AgeKeys, LoadRequest, Loaded, Outside, ProjectError, Reads, load};

pub(crate) const ROOT: &str = "/home/ann/honeydue";

/// Files by path relative to [`ROOT`], and folders by a trailing `/`.
pub(crate) struct Folder(BTreeMap<PathBuf, Option<String>>);

impl Folder {
    /// A folder with skep.yaml and what the honeyDue project has.
    pub(crate) fn with(skep_yaml: &str) -> Self {
        let folder = Self(BTreeMap::new());
        folder
            .file("skep.yaml", skep_yaml)
            .folder("deploy-k3s/manifests")
            .folder("deploy-k3s/local")
            .folder("../honeydue-web")
            .file("../honeydue-web/Dockerfile", "FROM node")
            .file("Dockerfile", "FROM scratch")
            .file("migrate/job.yaml", "kind: Job")
    }

    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.0.insert(Path::new(ROOT).join(path), Some(text.to_owned()));
        self
    }

    pub(crate) fn folder(mut self, path: &str) -> Self {
        self.0.insert(Path::new(ROOT).join(path), None);
        self
    }

    pub(crate) fn load(&self, target: &str) -> Result<Loaded, ProjectError> {
        self.load_as(target, |_| {})
    }

    pub(crate) fn load_as(
        &self,
        target: &str,
        change: impl FnOnce(&mut LoadRequest),
    ) -> Result<Loaded, ProjectError> {
        let mut request = LoadRequest {
            root: ROOT.into(),
            file: "skep.yaml".to_owned(),
            target: target.to_owned(),
            home: Some("/home/ann".into()),
            environment: BTreeMap::from([
                ("APNS_KEY".to_owned(), "from the environment".to_owned()),
                ("REGISTRY_TOKEN".to_owned(), "the registry's".to_owned()),
            ]),
            keys: AgeKeys::default(),
            reads: Reads::Everything,
        };
        change(&mut request);
        let read = |path: &Path| match self.0.get(path) {
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let run = |command: &str, _: &Path, _: &[String]| match command.strip_prefix("print ") {
            Some(text) => Ok(format!("{text}\n")),
            None => Err("it ended with exit status 1".to_owned()),
        };
        load(&request, &Outside { read: &read, run: &run })
    }
}

/// The error's one line, and the report as a terminal without colour shows it.
pub(crate) fn rendered(error: &ProjectError) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(110)
        .render_report(&mut report, error)
        .expect("renders");
    format!("{error}\n\n{report}")
}
