//! Server-sent events: they only say that something changed; the reader asks for what.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Served;
use super::listen::MOST_CONNECTIONS;

/// The least time between two events: a reconcile changes the board many times a second.
const PAUSE: Duration = Duration::from_millis(500);

/// How many may follow at once: each holds its connection for as long as it likes.
const MOST_READERS: usize = MOST_CONNECTIONS / 4;

/// The places of those who follow.
#[derive(Clone, Debug)]
pub(super) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_READERS)))
    }
}

/// Answers `GET /events` until the listener ends.
pub(super) async fn events(
    State(served): State<Arc<Served>>,
    Extension(ending): Extension<CancellationToken>,
) -> Response {
    let Ok(place) = Arc::clone(&served.events.0).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many clients follow the events already\n")
            .into_response();
    };
    let mut reader = served.site.board.subscribe();
    // The page may have been drawn before this reader was there.
    reader.mark_changed();
    let following = (reader, ending, place);
    let stream = stream::unfold(following, |(mut reader, ending, place)| async move {
        tokio::select! {
            () = ending.cancelled() => return None,
            changed = reader.changed() => changed.ok()?,
        }
        tokio::select! {
            () = ending.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
        reader.mark_unchanged();
        let event: Result<Event, Infallible> = Ok(Event::default().event("changed").data("status"));
        Some((event, (reader, ending, place)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}
