//! Backblaze, as far as it can be had on one machine: its own simulator of its native API, and its own program.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{Outcome, World, not_run};

/// Backblaze's simulator. It ends with the value.
#[derive(Debug)]
pub struct Backblaze {
    child: Child,
    bin: PathBuf,
    keys: Value,
    home: tempfile::TempDir,
}

impl Drop for Backblaze {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Backblaze {
    /// Starts it, where `make test` has put it. `None`, and noted, elsewhere.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let place = root.join("target/python");
        if !place.join("wanted").exists() {
            not_run("target/python is missing: see scripts/python-peers");
            return None;
        }
        let bin = place.join("bin");
        let mut child = Command::new(bin.join("python"))
            .arg(root.join("tests/python/b2_server.py"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let keys = serde_json::from_str(&line).expect("JSON");
        Some(Self { child, bin, keys, home: tempfile::tempdir().expect("a folder") })
    }

    /// `url`, `keyId` and `key` (which may do all), `readerId` and `reader` (which may read).
    ///
    /// # Panics
    /// When there is no such name.
    pub fn text(&self, name: &str) -> &str {
        self.keys[name].as_str().expect("a text")
    }

    /// Backblaze's own program, as whoever has the master key; `command` as a shell reads it.
    ///
    /// # Panics
    /// When there is no shell.
    pub fn b2(&self, command: &str) -> Outcome {
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        Outcome::of(
            Command::new("sh")
                .args(["-c", command])
                .env("PATH", path)
                .env("HOME", self.home.path())
                .env("B2_APPLICATION_KEY_ID", self.text("keyId"))
                .env("B2_APPLICATION_KEY", self.text("key"))
                .env("B2_ENVIRONMENT", self.text("url")),
        )
    }

    /// Puts an object with this text, old or of this time (milliseconds since 1970), or as `more` says: `"hidden"`, `"unfinished"`.
    ///
    /// # Panics
    /// When the simulator refuses.
    pub fn put(&self, name: &str, text: &str, timestamp: Option<i64>, more: &str) {
        let mut body = serde_json::json!({ "name": name, "text": text, "timestamp": timestamp });
        if !more.is_empty() {
            body[more] = true.into();
        }
        let url = format!("{}/b2api/v4/test_put", self.text("url"));
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "-H", "authorization: none", "-d", &body.to_string(), &url]);
        Outcome::of(&mut curl).ok();
    }

    /// skep.yaml's `bucket`, with the key pair of these names.
    pub fn described(&self, world: &World, key_id: &str, key: &str) {
        let (url, key_id, key) = (self.text("url"), self.text(key_id), self.text(key));
        world.project.write("bucket.env", &format!("B2_KEY_ID={key_id}\nB2_APP_KEY={key}\n"));
        world.project.append(
            "skep.yaml",
            &format!(
                "bucket:\n  endpoint: {url}\n  native-api: {url}\n  name: honeyDueExample\n  key-id: {{ env-file: bucket.env, key: B2_KEY_ID }}\n  key: {{ env-file: bucket.env, key: B2_APP_KEY }}\n  lifecycle: [{{ prefix: uploads/, days-to-hide: 7, days-to-delete: 1 }}]\n  cors: [{{ origins: ['https://example.com'], methods: [POST, PUT, GET] }}]\n  keep: [files/]\n"
            ),
        );
    }
}
