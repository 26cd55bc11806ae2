use std::{collections::BTreeMap, io, path::Path};

use skep_project::{AgeKeys, LoadRequest, Outside, Reads, load, targets};

use crate::{MARKER, lines};

const ROOT: &str = "/home/ann/shop";

/// A skep.yaml is read for each of its targets, or refused; a place that an error names is in the file; and no error holds what is in an
/// env file, in the environment, or in what a command prints.
pub fn project(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(MARKER) {
        return;
    }
    let path = Path::new(ROOT).join("skep.yaml");
    let read = |wanted: &Path| {
        if wanted == path {
            return Ok(text.to_owned());
        }
        match wanted.extension().and_then(|extension| extension.to_str()) {
            Some("env") => Ok(format!("TOKEN={MARKER}\nOTHER='{MARKER}'\n")),
            Some("yaml" | "json") => {
                Ok(format!("{{\"TOKEN\": \"{MARKER}\", \"deep\": {{\"TOKEN\": [\"{MARKER}\"]}}}}"))
            }
            Some("pem") => Ok(MARKER.to_owned()),
            Some(_) => Err(io::ErrorKind::NotFound.into()),
            None => Err(io::ErrorKind::IsADirectory.into()),
        }
    };
    let run = |_: &str, _: &Path, _: &[String]| Ok(format!("{MARKER}\n"));
    let mut names = vec!["local".to_owned()];
    names.extend(targets(&path, &read).unwrap_or_default().into_iter().take(4));
    for target in names {
        let request = LoadRequest {
            root: ROOT.into(),
            file: "skep.yaml".to_owned(),
            target,
            home: Some("/home/ann".into()),
            environment: BTreeMap::from([("TOKEN".to_owned(), MARKER.to_owned())]),
            keys: AgeKeys::default(),
            reads: Reads::Everything,
        };
        let Err(error) = load(&request, &Outside { read: &read, run: &run }) else { continue };
        if let Some(location) = error.location().filter(|location| location.file == path) {
            assert!((1..=lines(text) + 1).contains(&location.line) && location.column >= 1, "{error}");
        }
        let shown = format!("{error}\n{error:?}\n{}", error.hint().unwrap_or_default());
        assert!(!shown.contains(MARKER), "an error holds a secret: {shown}");
    }
}
