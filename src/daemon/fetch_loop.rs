//! The task that fetches the url of the source.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span, info, warn};

use super::event::Trigger;
use super::log::{LogThrottle, more_than_0};
use super::outcome::Cause;
use super::source_report::{count_failures, fetched_now};
use super::status::Board;
use super::target_loop::spread;
use crate::source::{FetchStatus, Mirror, SourceError};

/// Fetches the url of the source: at the start, every `poll` with some jitter, and when asked.
pub(super) struct FetchLoop {
    pub(super) mirror: Mirror,
    pub(super) poll: Duration,
    /// Why a fetch is wanted. One that is asked for during a fetch is made after it, since that one
    /// may have missed the commit.
    pub(super) wanted: UnboundedReceiver<Cause>,
    pub(super) trigger: Trigger,
    pub(super) board: Board,
    pub(super) throttle: Arc<LogThrottle<()>>,
    pub(super) ending: CancellationToken,
}

impl FetchLoop {
    /// Fetches until the task is to end.
    pub(super) async fn run(mut self) {
        let mut causes = BTreeSet::from([Cause::Fetch]);
        loop {
            while let Ok(cause) = self.wanted.try_recv() {
                causes.insert(cause);
            }
            let fetching = self.mirror.fetch(&self.ending).instrument(debug_span!("git fetch"));
            let fetched = fetching.await;
            if self.ending.is_cancelled() {
                break;
            }
            match &fetched {
                Ok(_) => fetched_now(),
                Err(_) => count_failures(1),
            }
            log_fetch(fetched.err(), &self.throttle);
            let FetchStatus { fetched_at, error, branch, .. } = self.mirror.status();
            self.board.edit_source(|shown| {
                shown.fetched_at = fetched_at;
                shown.error = error;
                shown.branch = branch.or_else(|| shown.branch.clone());
            });
            let served = std::mem::replace(&mut causes, [Cause::Fetch].into());
            served.into_iter().for_each(|cause| self.trigger.wake(cause));
            tokio::select! {
                () = self.ending.cancelled() => break,
                cause = self.wanted.recv() => match cause {
                    Some(cause) => causes.extend([cause]),
                    None => break,
                },
                () = tokio::time::sleep(spread(self.poll, 0.2, fastrand::f64())) => {}
            }
        }
        tracing::debug!("fetching ends");
    }
}

fn log_fetch(failure: Option<SourceError>, throttle: &LogThrottle<()>) {
    let now = Instant::now();
    match failure {
        Some(error) => {
            if let Some(repeated) = throttle.count((), now).map(more_than_0) {
                warn!(repeated, "the source cannot be fetched: {error}");
            }
        }
        None if throttle.is_over(now) => info!("the source can be fetched again"),
        None => {}
    }
}
