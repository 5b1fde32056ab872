//! The task that fetches the url of the source.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span, info, warn};

use super::cause::Cause;
use super::follow::Source;
use super::schedule::spread;
use super::status::Board;
use super::trigger::Trigger;

/// Fetches a url: at the start, every `poll` with some jitter, and when somebody asks.
pub(super) async fn fetch(
    source: Source,
    poll: Duration,
    trigger: Trigger,
    board: Board,
    ending: CancellationToken,
) {
    let Some(mirror) = source.mirror().cloned() else { return };
    loop {
        let mut causes = trigger.take_fetch_causes();
        let before = mirror.status().error;
        let fetched = mirror.fetch(&ending).instrument(debug_span!("git fetch")).await;
        if ending.is_cancelled() {
            break;
        }
        match &fetched {
            Err(error) if before != mirror.status().error => {
                warn!("the source cannot be fetched: {error}");
            }
            Ok(_) if before.is_some() => info!("the source can be fetched again"),
            _ => {}
        }
        let status = mirror.status();
        board.edit_source(|shown| {
            shown.fetched_at = status.fetched_at;
            shown.error.clone_from(&status.error);
            shown.branch = status.branch.or_else(|| shown.branch.clone());
        });
        causes.insert(Cause::Fetch);
        trigger.fetched(causes);
        tokio::select! {
            () = ending.cancelled() => break,
            () = trigger.fetch_wanted() => {}
            () = tokio::time::sleep(spread(poll, 0.2, fastrand::f64())) => {}
        }
    }
    tracing::debug!("fetching ends with the daemon");
}
