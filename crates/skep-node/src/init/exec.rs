//! Becoming the container's program.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::execve;

use super::process::plain;
use super::wire::ContainerSpec;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Replaces this process. Returns only when it could not, with the reason in the words that container runtimes use.
pub(super) fn replace(spec: &ContainerSpec) -> String {
    let Some(name) = spec.argv.first() else { return "no command specified".to_owned() };
    let search = spec.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let path = match find(name, search) {
        Ok(path) => path,
        Err(message) => return message,
    };
    let text = |text: &str| CString::new(text);
    let argv: Result<Vec<_>, _> = spec.argv.iter().map(|word| text(word)).collect();
    let env: Result<Vec<_>, _> =
        spec.env.iter().map(|(name, value)| text(&format!("{name}={value}"))).collect();
    let (Ok(program), Ok(argv), Ok(env)) = (text(&path.to_string_lossy()), argv, env) else {
        return "a zero byte in the command or its environment".to_owned();
    };
    let Err(error) = execve(&program, &argv, &env);
    match error {
        // The file is there, so it is its interpreter or loader that is not.
        Errno::ENOENT => format!(
            "exec {}: no such file or directory (its interpreter or loader is missing)",
            path.display()
        ),
        Errno::ENOEXEC => format!("exec {}: exec format error", path.display()),
        other => format!("exec {}: {}", path.display(), plain(&io::Error::from(other))),
    }
}

/// Looks the program up as a shell would, inside the container.
fn find(name: &str, search: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return match Path::new(name).metadata() {
            Ok(found) if found.is_dir() => Err(format!("exec: {name:?}: is a directory")),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => {
                Err(format!("exec: {name:?}: permission denied"))
            }
            Ok(_) => Ok(PathBuf::from(name)),
            Err(error) => Err(format!("exec: {name:?}: stat {name}: {}", plain(&error))),
        };
    }
    search
        .split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(name))
        .find(|path| {
            path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| format!("exec: {name:?}: executable file not found in $PATH"))
}
