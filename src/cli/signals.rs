//! The signals that end a command.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, from now on: none that comes between two waits is missed.
#[derive(Debug)]
pub struct Ending {
    signals: Option<(Signal, Signal)>,
}

impl Ending {
    /// Takes the signals over. Where they cannot be had, the system's own handling stays in force.
    #[must_use]
    pub fn listen() -> Self {
        let both = (signal(SignalKind::interrupt()).ok()).zip(signal(SignalKind::terminate()).ok());
        Self { signals: both }
    }

    /// Waits for the next of them.
    pub async fn asked_for(&mut self) {
        match &mut self.signals {
            Some((interrupt, terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// Waits for SIGINT or SIGTERM, once.
pub async fn terminated() {
    Ending::listen().asked_for().await;
}

/// Ends the process without waiting for anything; the state on disk is whole at every moment.
#[expect(clippy::exit, reason = "a second signal asks for just this")]
pub fn end_at_once() -> ! {
    std::process::exit(1)
}
