//! Where the dynamic linker looks for libraries on this machine (ld.so(8)), and where the image's one will.

use std::path::{Path, PathBuf};

/// A folder that is searched, here and in the image. They differ for what is relative to a program's own place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SearchDir {
    pub(crate) here: PathBuf,
    pub(crate) image: PathBuf,
}

/// The folders that every program's search ends with.
#[derive(Debug)]
pub(crate) struct Loader {
    pub(crate) dirs: Vec<SearchDir>,
}

impl Loader {
    /// Reads this machine's settings. `LD_LIBRARY_PATH` doesn't count: an image is the same whoever builds it.
    pub(crate) fn of_this_machine(architecture: &str) -> Self {
        let triplet = match architecture {
            "amd64" => "x86_64-linux-gnu",
            "arm64" => "aarch64-linux-gnu",
            "arm" => "arm-linux-gnueabihf",
            "386" => "i386-linux-gnu",
            "riscv64" => "riscv64-linux-gnu",
            "ppc64le" => "powerpc64le-linux-gnu",
            "s390x" => "s390x-linux-gnu",
            _ => "linux-gnu",
        };
        let known: Vec<PathBuf> = ["/lib", "/usr/lib"]
            .iter()
            .map(|dir| Path::new(dir).join(triplet))
            .chain(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from))
            .collect();
        // The image has no linker cache. What only a configuration file leads to goes where the linker looks by itself.
        let home = known
            .iter()
            .find(|dir| dir.starts_with("/usr") && dir.is_dir())
            .cloned()
            .unwrap_or_else(|| PathBuf::from("/usr/lib"));
        let configured = conf(Path::new("/etc/ld.so.conf"), 0).into_iter();
        let mut dirs: Vec<SearchDir> = Vec::new();
        for here in known.iter().cloned().chain(configured) {
            let image = if known.contains(&here) { here.clone() } else { home.clone() };
            if dirs.iter().all(|dir| dir.here != here) {
                dirs.push(SearchDir { here, image });
            }
        }
        Self { dirs }
    }
}

/// The folders of an ld.so.conf file and of those that it includes.
fn conf(path: &Path, depth: u8) -> Vec<PathBuf> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Vec::new();
    };
    let mut dirs = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix("include ") {
            Some(pattern) if depth < 4 => {
                for file in matching(&path.with_file_name("").join(pattern.trim())) {
                    dirs.extend(conf(&file, depth + 1));
                }
            }
            Some(_) => {}
            None if line.starts_with('/') => dirs.push(PathBuf::from(line)),
            None => {}
        }
    }
    dirs
}

/// The files that `folder/*.conf` stands for, sorted; the only kind of pattern that distributions use.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let (Some(folder), Some((before, after))) = (pattern.parent(), name.split_once('*')) else {
        return vec![pattern.to_owned()];
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let fits = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        name.starts_with(before) && name.ends_with(after)
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(fits).collect();
    files.sort();
    files
}

/// A program's RPATH or RUNPATH: `$ORIGIN` is its folder, here and there.
pub(crate) fn expanded(paths: &[String], here: &Path, image: &Path) -> Vec<SearchDir> {
    let origin = |path: &str, file: &Path| {
        let folder = file.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        PathBuf::from(path.replace("${ORIGIN}", &folder).replace("$ORIGIN", &folder))
    };
    paths
        .iter()
        .map(|path| SearchDir { here: origin(path, here), image: origin(path, image) })
        .filter(|dir| dir.here.is_absolute() && dir.image.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_the_program_s_own_folder() {
        let dirs = expanded(
            &["$ORIGIN/../lib".to_owned(), "/opt/lib".to_owned(), "lib".to_owned()],
            Path::new("/src/target/app"),
            Path::new("/usr/bin/app"),
        );
        let pairs: Vec<(&str, &str)> =
            dirs.iter().filter_map(|dir| Some((dir.here.to_str()?, dir.image.to_str()?))).collect();
        assert_eq!(pairs, [("/src/target/../lib", "/usr/bin/../lib"), ("/opt/lib", "/opt/lib")]);
    }

    #[test]
    fn included_configuration() {
        let dir = tempfile::tempdir().expect("a folder");
        let main = dir.path().join("ld.so.conf");
        std::fs::create_dir(dir.path().join("d")).expect("made");
        std::fs::write(&main, "include d/*.conf\n/last # why\n").expect("written");
        std::fs::write(dir.path().join("d/b.conf"), "/b\n").expect("written");
        std::fs::write(dir.path().join("d/a.conf"), "# a\n/a\n").expect("written");
        std::fs::write(dir.path().join("d/c.txt"), "/c\n").expect("written");
        assert_eq!(conf(&main, 0), ["/a", "/b", "/last"].map(PathBuf::from));
    }
}
