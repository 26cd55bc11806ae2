use super::super::payload::PayloadFile;
use super::*;

fn payload(files: &[(&str, &str)]) -> Payload {
    files
        .iter()
        .map(|(path, text)| {
            ((*path).to_owned(), PayloadFile { content: text.as_bytes().to_vec(), mode: 0o400 })
        })
        .collect()
}

#[test]
fn configuration_is_swapped_in_whole() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = Volumes { folder: folder.path().to_owned(), memory: None, group: None };
    let place = folder.path().join("config");
    volumes.write(&place, &payload(&[("a", "1"), ("d/b", "2")])).unwrap();
    assert_eq!(fs::read_to_string(place.join("d/b")).unwrap(), "2");
    assert_eq!(fs::read_link(place.join("a")).unwrap(), Path::new("..data/a"));
    assert_eq!(place.join("a").metadata().unwrap().permissions().mode() & 0o777, 0o400);
    let before = fs::read_link(place.join("..data")).unwrap();
    volumes.write(&place, &payload(&[("a", "1"), ("d/b", "2")])).unwrap();
    assert_eq!(fs::read_link(place.join("..data")).unwrap(), before, "nothing changed");
    volumes.write(&place, &payload(&[("a", "3"), ("c", "4")])).unwrap();
    assert_eq!(fs::read_to_string(place.join("a")).unwrap(), "3");
    assert_eq!(fs::read_to_string(place.join("c")).unwrap(), "4");
    assert!(!place.join("d").exists());
}

#[test]
fn a_sub_path_stays_inside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(below(&root, "data/x"), Ok(root.join("data/x")));
    assert!(below(&root, "../x").is_err());
    assert!(below(&root, "/etc").is_err());
    symlink("/etc", root.join("out")).unwrap();
    assert!(below(&root, "out").is_err());
}
