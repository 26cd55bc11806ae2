//! A context to build in, a cache of its own, and ways to look into what was built.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use skep_image::{BuildError, BuildRequest, Built, BuiltImage, Compression, Layer, Runs, build};
use skep_model::{Build, BuildSecrets, Emit, Event, Image, LaidPath, NativeBuild};
use skep_registry::{Client, ClientConfig, MediaType};

pub(crate) struct Workshop {
    context: tempfile::TempDir,
    cache: tempfile::TempDir,
    events: Arc<Mutex<Vec<Event>>>,
    pub(crate) client: Client,
    pub(crate) compression: Compression,
}

/// A file of this machine, laid as it is.
pub(crate) fn laid(from: impl Into<PathBuf>) -> LaidPath {
    LaidPath { from: from.into(), mode: None, owner: None }
}

impl Workshop {
    pub(crate) fn new() -> Self {
        super::support::install_crypto();
        Self {
            context: tempfile::tempdir().expect("a folder"),
            cache: tempfile::tempdir().expect("a folder"),
            events: Arc::default(),
            client: Client::new(ClientConfig::default()).expect("a client"),
            compression: Compression::Zstd,
        }
    }

    pub(crate) fn context(&self) -> &Path {
        self.context.path()
    }

    pub(crate) fn laid(&self, path: &str) -> LaidPath {
        laid(self.context().join(path))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().expect("below the context")).expect("folders");
        fs::write(path, bytes).expect("written");
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().expect("not poisoned").clone()
    }

    pub(crate) async fn build(&self, spec: NativeBuild) -> Result<BuiltImage, BuildError> {
        self.build_with(spec, &Runs::new()).await
    }

    pub(crate) async fn build_with(&self, spec: NativeBuild, runs: &Runs) -> Result<BuiltImage, BuildError> {
        self.build_any(Build::Native(spec), runs).await
    }

    pub(crate) async fn build_any(&self, how: Build, runs: &Runs) -> Result<BuiltImage, BuildError> {
        let events = self.events.clone();
        let emit = Emit::new(move |event| events.lock().expect("not poisoned").push(event));
        let image =
            Image { context: self.context().to_owned(), build: how, secrets: BuildSecrets::default() };
        let platform: skep_model::Platform = "linux/amd64".parse().expect("a platform");
        let request = BuildRequest {
            name: "app",
            image: &image,
            platforms: &[platform],
            repository: &"127.0.0.1:1/app".parse().expect("a reference"),
            revision: None,
            builder: None,
            keep_cache: false,
            compression: self.compression,
            cache_dir: self.cache.path(),
            epoch: 0,
            client: &self.client,
            runs,
        };
        match build(request, &emit).await? {
            Built::Native(image) => Ok(image),
            Built::Dockerfile(image) => panic!("{} was to be native", image.name),
        }
    }

    /// The image's files, as a runtime would lay them out.
    pub(crate) fn unpack(&self, built: &BuiltImage) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for layer in &built.layers {
            let mut archive = tar::Archive::new(open(layer));
            archive.set_preserve_permissions(true);
            archive.set_preserve_ownerships(true);
            archive.set_overwrite(true);
            archive.unpack(root.path()).expect("unpacked");
        }
        root
    }

    /// The paths in a layer.
    pub(crate) fn names(&self, layer: &Layer) -> Vec<String> {
        tar::Archive::new(open(layer))
            .entries()
            .expect("a tar")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect()
    }
}

fn open(layer: &Layer) -> Box<dyn Read> {
    let file = File::open(&layer.path).expect("a layer");
    match layer.descriptor.media_type.as_str() {
        MediaType::LAYER_ZSTD => Box::new(zstd::Decoder::new(file).expect("zstd")),
        _ => Box::new(flate2::read::GzDecoder::new(file)),
    }
}

/// Runs a program of an unpacked image there; it must succeed. Answers what it said.
pub(crate) fn chroot(root: &tempfile::TempDir, command: &[&str]) -> String {
    chroot_as(root, "0:0", command)
}

/// The same as another user.
pub(crate) fn chroot_as(root: &tempfile::TempDir, user: &str, command: &[&str]) -> String {
    let output = Command::new("chroot")
        .arg(format!("--userspec={user}"))
        .arg(root.path())
        .args(command)
        // Without /proc, glibc's linker can't find out by itself where the program lies.
        .env("LD_ORIGIN_PATH", Path::new(command[0]).parent().expect("absolute"))
        .output()
        .expect("chroot (Debian package `coreutils`)");
    assert!(
        output.status.success(),
        "chroot {command:?} (it needs root): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}
