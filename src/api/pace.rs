//! The shared slow-down: while the server asks for it, every call of a client waits.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::ErrorKind;
use super::failure::Failure;

/// No server may silence a client for longer, whatever date it names.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// The moment before which no call is sent.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    /// Holds all calls back for a time; a moment that was named before and is later stays.
    pub(super) fn slow_down(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_HOLD);
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if not_before.is_none_or(|known| known < until) {
            *not_before = Some(until);
        }
    }

    /// Waits until calls may be sent, unless that takes longer than `longest` or the run ends.
    pub(super) async fn ready(
        &self,
        longest: Duration,
        ending: &CancellationToken,
    ) -> Result<(), Failure> {
        // The moment may move while we wait for it.
        while let Some(wait) = self.remaining() {
            if wait > longest {
                let seconds = wait.as_secs();
                let message =
                    format!("not sent: the server asks for a pause of another {seconds}s");
                let mut failure = Failure::new(ErrorKind::RateLimited, message);
                failure.retry_after = Some(wait);
                return Err(failure);
            }
            tokio::select! {
                biased;
                () = ending.cancelled() => return Err(Failure::run_ends()),
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    fn remaining(&self) -> Option<Duration> {
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = (*not_before)?.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            *not_before = None;
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_for_the_latest_moment() {
        let pace = Pace::default();
        let ending = CancellationToken::new();
        let start = Instant::now();
        pace.slow_down(Duration::from_secs(7));
        pace.slow_down(Duration::from_secs(3));
        pace.ready(Duration::from_secs(60), &ending).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(7));
        pace.ready(Duration::ZERO, &ending).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_or_the_end_is_not_waited_for() {
        let pace = Pace::default();
        let ending = CancellationToken::new();
        pace.slow_down(Duration::from_secs(86_400));
        let held = pace.ready(Duration::from_secs(60), &ending).await.unwrap_err();
        assert_eq!((held.kind, held.retry_after), (ErrorKind::RateLimited, Some(LONGEST_HOLD)));
        ending.cancel();
        let held = pace.ready(LONGEST_HOLD, &ending).await.unwrap_err();
        assert_eq!(held.kind, ErrorKind::NotSent);
    }
}
