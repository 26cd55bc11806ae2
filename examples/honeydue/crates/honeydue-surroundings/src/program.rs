//! One of honeyDue's programs while it runs.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

use honeydue_pages::ApiClient;
use nix::sys::signal::{Signal, kill};

use crate::servers::{DEADLINE, pid};

/// A running program, and what it says.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Speaks to it as honeyDue's services speak to each other.
    pub client: ApiClient,
    /// Where it listens.
    pub address: String,
    hear: mpsc::Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Running {
    /// Starts a program and waits until it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (say, hear) = mpsc::channel();
        let said: Arc<Mutex<String>> = Arc::default();
        let kept = said.clone();
        // Ends at the program's end of file; the lines are kept for the test to look at.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
                let _ = say.send(line);
            }
        });
        let address = loop {
            let line = hear.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                panic!("it does not listen:\n{}", said.lock().unwrap_or_else(PoisonError::into_inner))
            });
            if let Some((_, address)) = line.split_once("address=") {
                break address.trim().to_owned();
            }
        };
        Self { child, client: ApiClient::new(&format!("http://{address}")), address, hear, said }
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it serves what is for its own cluster.
    pub fn metrics_address(&self) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("metrics are served"));
        line.and_then(|line| line.split_once("at=")).expect("it serves metrics").1.trim().to_owned()
    }

    /// The most memory that it has had so far, in bytes: as its cgroup's limit would have counted it.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Asks it to leave.
    pub fn terminate(&self) {
        kill(pid(&self.child), Signal::SIGTERM).unwrap();
    }

    /// Ends it as a machine that loses its power does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for a log line that contains `text`.
    pub fn says(&self, text: &str) {
        loop {
            let line = self
                .hear
                .recv_timeout(DEADLINE)
                .unwrap_or_else(|_| panic!("it never said {text:?}:\n{}", self.log()));
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits for its exit code.
    pub fn ends(mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::yield_now();
        }
        panic!("it does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
