//! Server-sent events: they only say that something changed; the reader asks for what.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use tokio_util::sync::CancellationToken;

use super::Site;

/// The least time between two events: a reconcile changes the board many times a second.
const PAUSE: Duration = Duration::from_millis(500);

/// Answers `GET /events` until the shutdown.
pub(super) async fn events(
    State(site): State<Arc<Site>>,
    Extension(shutdown): Extension<CancellationToken>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut reader = site.board.subscribe();
    // The page may have been drawn before this reader was there.
    reader.mark_changed();
    let stream = stream::unfold((reader, shutdown), |(mut reader, shutdown)| async move {
        tokio::select! {
            () = shutdown.cancelled() => return None,
            changed = reader.changed() => changed.ok()?,
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
        Some((Ok(Event::default().event("changed").data("status")), (reader, shutdown)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
