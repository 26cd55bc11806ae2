//! Being asked to stop, with the exit codes that shells give it.

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Ctrl-C.
    Interrupt,
    /// What Kubernetes sends before it kills.
    #[cfg(unix)]
    Terminate,
}

impl Asked {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            #[cfg(unix)]
            Self::Terminate => "terminated",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            #[cfg(unix)]
            Self::Terminate => 143,
        }
    }
}

#[cfg(unix)]
pub(crate) use self::unix::Signals;

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Asked;

    pub(crate) struct Signals {
        interrupt: Option<Signal>,
        terminate: Option<Signal>,
    }

    impl Signals {
        /// A signal that can't be listened to keeps its default, which ends the process.
        pub(crate) fn listen() -> Self {
            Self {
                interrupt: signal(SignalKind::interrupt()).ok(),
                terminate: signal(SignalKind::terminate()).ok(),
            }
        }

        pub(crate) async fn next(&mut self) -> Asked {
            tokio::select! {
                () = received(&mut self.interrupt) => Asked::Interrupt,
                () = received(&mut self.terminate) => Asked::Terminate,
            }
        }
    }

    async fn received(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Self {
        Self
    }

    pub(crate) async fn next(&mut self) -> Asked {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Asked::Interrupt
    }
}
