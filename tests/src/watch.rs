//! kubectl's own watch, with the moment at which each state came.

use std::{
    io::BufReader,
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Deserializer, Value};

use crate::World;

/// A watch. It ends with the value.
#[derive(Debug)]
pub struct Watch {
    kubectl: Child,
    seen: Receiver<(Instant, Value)>,
}

impl Watch {
    /// Watches all objects of a kind.
    pub(crate) fn begin(world: &World, kind: &str) -> Self {
        let mut kubectl = world
            .kubectl_command()
            .args(["get", kind, "--watch", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("kubectl starts");
        let lines = BufReader::new(kubectl.stdout.take().expect("piped"));
        let (tell, seen) = mpsc::channel();
        thread::spawn(move || {
            for object in Deserializer::from_reader(lines).into_iter::<Value>() {
                let Ok(object) = object else { return };
                if tell.send((Instant::now(), object)).is_err() {
                    return;
                }
            }
        });
        Self { kubectl, seen }
    }

    /// The next state of an object, and when it came; `None` when none comes within `patience`.
    pub fn next(&self, patience: Duration) -> Option<(Instant, Value)> {
        self.seen.recv_timeout(patience).ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.kubectl.kill());
        drop(self.kubectl.wait());
    }
}
