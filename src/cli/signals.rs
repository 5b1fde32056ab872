//! The signals that end a command, and what SIGHUP means.

use std::fs::File;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The terminal that controls the process, if one does.
const TERMINAL: &str = "/dev/tty";

/// How long the system may take to take a terminal away after it sent the signal for that.
const HANG_UP: Duration = Duration::from_millis(200);

/// Whether the process ends with the terminal that it was started at.
static ENDS_WITH_TERMINAL: OnceLock<bool> = OnceLock::new();

/// The signals that ask for an end, from now on: none that comes between two waits is missed.
#[derive(Debug)]
pub struct EndSignals {
    signals: Vec<Signal>,
    sighup: Option<Sighup>,
}

impl EndSignals {
    /// Handles SIGINT and SIGTERM, and a terminal that hangs up.
    pub fn of_daemon() -> Self {
        Self {
            sighup: Some(Sighup::listen()),
            ..Self::on(&[SignalKind::interrupt(), SignalKind::terminate()])
        }
    }

    /// Handles SIGINT, SIGTERM and SIGHUP; the last not under `nohup`.
    pub fn of_command() -> Self {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        kinds.extend((!is_ignored()).then(SignalKind::hangup));
        Self::on(&kinds)
    }

    /// Where that is not possible, the system's own handling stays in force.
    fn on(kinds: &[SignalKind]) -> Self {
        let signals = kinds.iter().filter_map(|kind| signal(*kind).ok()).collect();
        Self { signals, sighup: None }
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        let hung_up = async {
            match &mut self.sighup {
                Some(sighup) => sighup.hung_up().await,
                None => std::future::pending().await,
            }
        };
        let sent = async {
            if self.signals.is_empty() {
                return std::future::pending().await;
            }
            select_all(self.signals.iter_mut().map(|one| Box::pin(one.recv()))).await;
        };
        tokio::select! {
            () = sent => {}
            () = hung_up => {}
        }
    }
}

/// SIGHUP, from now on.
///
/// The system sends it when the terminal that controls the process goes away (an ssh session ends,
/// a window is closed), and people send it to have the config read again. It is a hang-up if the
/// process had a controlling terminal when it started and has none any more; `kill -HUP` from the
/// same terminal leaves the terminal there. A process that was started with SIGHUP ignored, as
/// `nohup` does, is to outlive its terminal.
#[derive(Debug)]
pub struct Sighup {
    signal: Option<Signal>,
    ends_with_terminal: bool,
}

/// The meaning of one SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The terminal is gone.
    HangUp,
    /// The config is to be read again.
    Reload,
}

impl Sighup {
    /// Handles the signal.
    pub fn listen() -> Self {
        // The first answer counts: a handler hides whether the signal was ignored at the start.
        let ends_with_terminal =
            *ENDS_WITH_TERMINAL.get_or_init(|| has_terminal() && !is_ignored());
        Self { signal: signal(SignalKind::hangup()).ok(), ends_with_terminal }
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Meaning {
        let Some(signal) = &mut self.signal else { return std::future::pending().await };
        signal.recv().await;
        if self.ends_with_terminal {
            tokio::time::sleep(HANG_UP).await;
            if !has_terminal() {
                return Meaning::HangUp;
            }
        }
        Meaning::Reload
    }

    async fn hung_up(&mut self) {
        while self.next().await != Meaning::HangUp {}
    }
}

fn has_terminal() -> bool {
    File::open(TERMINAL).is_ok()
}

/// Whether SIGHUP is ignored, as it is at the start under `nohup`.
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is signal 1, which is the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Cancels a token at the first signal, which `tell` says; the second one ends the process at once.
pub(super) fn cancel_on(
    mut ending: EndSignals,
    token: &CancellationToken,
    tell: impl FnOnce() + Send + 'static,
) {
    let token = token.clone();
    tokio::spawn(async move {
        ending.next().await;
        tell();
        token.cancel();
        ending.next().await;
        end_at_once();
    });
}

/// Ends the process without waiting for anything; the state on disk is whole at every moment.
#[expect(clippy::exit, reason = "a second signal asks for just this")]
fn end_at_once() -> ! {
    std::process::exit(1)
}
