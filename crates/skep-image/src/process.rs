//! Programs that builds run: their output line by line, their end, and the end of all that they started.

use std::{
    collections::VecDeque,
    io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use skep_model::Redactor;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

/// How many of a failed command's last lines its error shows.
const TAIL: usize = 20;
/// How long output may still come once the command has ended: something that it left running may hold the pipe for ever.
const LINGER: Duration = Duration::from_millis(300);

/// How a program ended that did not end well.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `ended with exit code 2`, `was killed by signal 9`.
    pub(crate) how: String,
    /// Its last lines.
    pub(crate) tail: Vec<String>,
}

/// Runs a program to its end, in a process group of its own, and hands on each line that it prints, redacted.
pub(crate) async fn run(
    command: &mut Command,
    redactor: &Redactor,
    mut on_line: impl FnMut(String),
) -> io::Result<Result<(), Ended>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let mut tail = VecDeque::with_capacity(TAIL);
    let status = attend(&mut child, |line| {
        let line = redactor.redact(&line).into_owned();
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line.clone());
        on_line(line);
    })
    .await?;
    group.ended();
    if status.success() {
        return Ok(Ok(()));
    }
    Ok(Err(Ended { how: ended(status), tail: tail.into() }))
}

/// Hands on every line until the command has ended and its output too.
async fn attend(child: &mut Child, mut on_line: impl FnMut(String)) -> io::Result<ExitStatus> {
    let (lines, mut arriving) = mpsc::channel(64);
    let readers = [
        child.stdout.take().map(|pipe| tokio::spawn(forward(pipe, lines.clone()))),
        child.stderr.take().map(|pipe| tokio::spawn(forward(pipe, lines.clone()))),
    ];
    drop(lines);
    let mut status = None;
    loop {
        tokio::select! {
            line = arriving.recv() => match line {
                Some(line) => on_line(line),
                None => break,
            },
            exit = child.wait(), if status.is_none() => status = Some(exit?),
            () = tokio::time::sleep(LINGER), if status.is_some() => break,
        }
    }
    readers.iter().flatten().for_each(tokio::task::JoinHandle::abort);
    match status {
        Some(status) => Ok(status),
        None => child.wait().await,
    }
}

async fn forward(pipe: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        if lines.send(text.trim_end_matches(['\n', '\r']).to_owned()).await.is_err() {
            return;
        }
        line.clear();
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended badly".to_owned(),
    }
}

/// The command and all it started, which are told to stop when nobody waits for them any more.
struct Group(Option<Pid>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself; there is nobody to tell if it can't be signalled.
            let _ = killpg(group, Signal::SIGTERM);
        }
    }
}
