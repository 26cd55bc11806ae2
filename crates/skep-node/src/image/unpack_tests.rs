use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use tar::{Builder, Header};

use super::*;

struct Layer(Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, path: &str, kind: EntryType, mode: u32, content: &str, link: Option<&str>) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_uid(1234);
        header.set_gid(1234);
        // As an attacker would: past the builder's own checks.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        if let Some(link) = link {
            header.set_link_name_literal(link).unwrap();
        }
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).unwrap();
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.add(path, EntryType::Regular, 0o640, content, None)
    }

    fn unpack(self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (blob, into) = (folder.path().join("blob"), folder.path().join("into"));
        fs::write(&blob, self.0.into_inner().unwrap()).unwrap();
        fs::create_dir(&into).unwrap();
        let root = nix::unistd::geteuid().is_root();
        // An escape may be refused as an error or left out; what counts is where files end up.
        let _ = unpack(&blob, &into, root);
        folder
    }
}

#[test]
fn files_keep_mode_and_owner() {
    let folder = Layer::new().add("d/", EntryType::Directory, 0o555, "", None).file("d/f", "hello").unpack();
    let file = folder.path().join("into/d/f");
    assert_eq!(fs::read_to_string(&file).unwrap(), "hello");
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
    assert_eq!(folder.path().join("into/d").metadata().unwrap().mode() & 0o7777, 0o555);
    if nix::unistd::geteuid().is_root() {
        assert_eq!(file.metadata().unwrap().uid(), 1234);
    }
}

#[test]
fn compressed_archives_are_told_by_their_bytes() {
    let plain = Layer::new().file("f", "hello").0.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    for bytes in [gzip.finish().unwrap(), zstd::encode_all(plain.as_slice(), 1).unwrap(), plain] {
        let folder = tempfile::tempdir().unwrap();
        let (blob, into) = (folder.path().join("blob"), folder.path().join("into"));
        fs::write(&blob, bytes).unwrap();
        fs::create_dir(&into).unwrap();
        unpack(&blob, &into, false).unwrap();
        assert_eq!(fs::read_to_string(into.join("f")).unwrap(), "hello");
    }
}

#[test]
fn an_archive_cannot_write_outside() {
    let folder = Layer::new()
        .file("../escaped", "x")
        .add("out", EntryType::Symlink, 0o777, "", Some(".."))
        .file("out/escaped", "x")
        .add("out/folder/", EntryType::Directory, 0o755, "", None)
        .file("out/.wh.blob", "")
        .file("ok", "fine")
        .unpack();
    assert!(!folder.path().join("escaped").exists());
    assert!(!folder.path().join("folder").exists());
    assert!(folder.path().join("blob").exists());
}

#[test]
fn whiteouts_become_the_kernels() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: overlay whiteouts need root here");
        return;
    }
    let folder = Layer::new().file("d/.wh.gone", "").file("e/.wh..wh..opq", "").file("e/kept", "k").unpack();
    let gone = folder.path().join("into/d/gone").symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device());
    assert_eq!(gone.rdev(), 0);
    assert_eq!(
        sys::attribute(&folder.path().join("into/e"), c"trusted.overlay.opaque").as_deref(),
        Some(b"y".as_slice())
    );
    assert!(folder.path().join("into/e/kept").exists());
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let folder =
        Layer::new().add("a", EntryType::Symlink, 0o777, "", Some("/etc/passwd")).file("a", "plain").unpack();
    let a = folder.path().join("into/a");
    assert!(a.symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read_to_string(a).unwrap(), "plain");
}
