//! What a person or a program sees while a deploy runs. Each view subscribes to the one event stream.

mod json;
mod live;
mod plain;
mod screen;
mod words;

use skep_model::Emit;

use crate::settings::{Settings, Show};
pub(crate) use json::line as json_line;
pub(crate) use words::duration;

/// A view that is being shown. Drop it to leave the terminal as it was.
#[derive(Debug)]
pub(crate) struct View {
    emit: Emit,
    live: Option<live::Live>,
}

impl View {
    /// The view that the settings ask for. `title` says what is being done: `honeydue → local`.
    pub(crate) fn open(settings: &Settings, title: &str) -> Self {
        match settings.show {
            Show::Quiet => Self { emit: Emit::nowhere(), live: None },
            Show::Json => Self { emit: Emit::new(json::print), live: None },
            Show::Plain => {
                anstream::eprintln!("{title}");
                let screen = plain::Plain::default();
                Self { emit: Emit::new(move |event| screen.print(&event)), live: None }
            }
            Show::Live => {
                let live = live::Live::start(title);
                Self { emit: live.emit(), live: Some(live) }
            }
        }
    }

    /// Where events go.
    pub(crate) fn emit(&self) -> Emit {
        self.emit.clone()
    }

    /// Draws the last state and stops moving.
    pub(crate) fn close(self) {
        if let Some(live) = self.live {
            live.close();
        }
    }
}
