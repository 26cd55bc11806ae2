//! Draws the screen on a terminal, ten times a second, and leaves its last state standing.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use skep_model::Emit;

use super::screen::Screen;
use crate::terminal::styled;

const FRAME: Duration = Duration::from_millis(100);

/// The live view.
#[derive(Debug)]
pub(crate) struct Live {
    screen: Arc<Mutex<Screen>>,
    stop: mpsc::Sender<()>,
    drawer: thread::JoinHandle<()>,
}

impl Live {
    pub(crate) fn start(title: &str) -> Self {
        let screen = Arc::new(Mutex::new(Screen::new(title, Instant::now())));
        let (stop, stopped) = mpsc::channel();
        let drawn = Arc::clone(&screen);
        let drawer = thread::spawn(move || draw(&drawn, &stopped));
        Self { screen, stop, drawer }
    }

    pub(crate) fn emit(&self) -> Emit {
        let screen = Arc::clone(&self.screen);
        Emit::new(move |event| {
            screen.lock().unwrap_or_else(PoisonError::into_inner).take(event, Instant::now());
        })
    }

    pub(crate) fn close(self) {
        let _ = self.stop.send(());
        let _ = self.drawer.join();
    }
}

fn draw(screen: &Mutex<Screen>, stopped: &mpsc::Receiver<()>) {
    let terminal = MultiProgress::new();
    let mut bars: Vec<ProgressBar> = Vec::new();
    loop {
        let over = !matches!(stopped.recv_timeout(FRAME), Err(mpsc::RecvTimeoutError::Timeout));
        let lines = screen.lock().unwrap_or_else(PoisonError::into_inner).lines(Instant::now());
        while bars.len() < lines.len() {
            bars.push(terminal.add(ProgressBar::new_spinner().with_style(line_style())));
        }
        for surplus in bars.drain(lines.len()..) {
            surplus.finish_and_clear();
            terminal.remove(&surplus);
        }
        for (bar, line) in bars.iter().zip(lines.iter().map(|line| styled(line))) {
            if bar.message() != line {
                bar.set_message(line);
            }
        }
        if over {
            bars.iter().for_each(ProgressBar::abandon);
            return;
        }
    }
}

/// The line and nothing else: no bar, no spinner of indicatif's own.
fn line_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}
