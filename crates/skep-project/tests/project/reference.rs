//! docs/reference/skep-yaml.md says only what loads.

use std::path::Path;

use crate::folder::Folder;

/// What the examples name beside skep.yaml.
fn folder(skep_yaml: &str) -> Folder {
    Folder::with(skep_yaml)
        .folder("k8s")
        .folder("k8s-local")
        .file("k8s/migrate.yaml", "kind: Job")
        .file("prod.env", "TOKEN=t0\nPORT=8000\n")
}

/// The page's whole files: blocks of YAML that begin with `app:`, each with the line that it begins on.
fn files(page: &str) -> Vec<(usize, String)> {
    let mut files = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line == "```yaml" {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            if block.first().is_some_and(|first| first.starts_with("app:")) {
                files.push((number + 2, block.join("\n")));
            }
        }
    }
    files
}

#[test]
fn every_whole_file_of_the_reference_loads_for_its_targets() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/skep-yaml.md");
    let page = std::fs::read_to_string(&path).expect("the reference is there");
    let files = files(&page);
    assert!(files.len() >= 3, "the reference shows {} whole files", files.len());
    for (line, text) in files {
        let targets = if text.contains("  production:") { &["local", "production"][..] } else { &["local"] };
        for target in targets {
            if let Err(error) = folder(&text).load(target) {
                panic!("the file on line {line} of skep-yaml.md, for {target}: {error}");
            }
        }
    }
}
