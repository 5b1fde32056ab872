//! The signals that end a command.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT or SIGTERM. Where signals cannot be had, it waits for ever, and the system's
/// own handling stays in force.
pub async fn terminated() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// Ends the process without waiting for anything; the state on disk is whole at every moment.
#[expect(clippy::exit, reason = "a second signal asks for just this")]
pub fn end_at_once() -> ! {
    std::process::exit(1)
}
