//! Embeds the newest migration's version, so that a binary knows which schema it was written for.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../migrations");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let newest = skep_migrate::newest_version(&names)
        .ok_or_else(|| format!("{}: no migration in this folder", folder.display()))?;
    let out = Path::new(&env::var("OUT_DIR")?).join("newest_migration");
    fs::write(out, newest.to_string())?;
    Ok(())
}
