//! What a person or a program sees while a deploy runs. Each view subscribes to the one event stream.

mod actions;
mod json;
mod live;
mod plain;
mod screen;
mod words;

use std::sync::Arc;

use skep_model::Emit;

use crate::settings::{Settings, Show};
pub(crate) use actions::{error as annotate, summarize};
pub(crate) use json::{line as json_line, print as json_event};
pub(crate) use words::duration;

/// A view that is being shown. Drop it to leave the terminal as it was.
#[derive(Debug)]
pub(crate) struct View {
    emit: Emit,
    live: Option<live::Live>,
    actions: Option<(Arc<actions::Actions>, String)>,
}

impl View {
    /// The view that the settings ask for. `title` says what is being done: `honeydue → local`.
    pub(crate) fn open(settings: &Settings, title: &str) -> Self {
        let view = |emit: Emit| Self { emit, live: None, actions: None };
        match settings.show {
            Show::Quiet => view(Emit::nowhere()),
            Show::Json => view(Emit::new(json::print)),
            Show::Plain => {
                errln!("{title}");
                let screen = plain::Plain::default();
                view(Emit::new(move |event| screen.print(&event)))
            }
            Show::Actions => {
                errln!("{title}");
                let actions = Arc::new(actions::Actions::default());
                let shown = Arc::clone(&actions);
                Self {
                    actions: Some((actions, title.to_owned())),
                    ..view(Emit::new(move |event| shown.print(&event)))
                }
            }
            Show::Live => {
                let live = live::Live::start(title);
                let emit = live.emit();
                Self { live: Some(live), ..view(emit) }
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
        if let Some((actions, title)) = self.actions {
            actions.close(&title);
        }
    }
}
