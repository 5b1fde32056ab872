//! The daemon's HTTP listener: probes, metrics, the status as JSON and as a page, webhooks, and
//! the calls that change something. Page and status are drawn from the [`Board`], which holds no
//! secret.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use futures_util::stream;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::daemon::{Board, RequestError, Trigger};

use listen::MOST_CONNECTIONS;

pub(crate) use guard::{AccessKey, AccessKeys};
pub(crate) use listen::Listener;

mod guard;
mod hooks;
mod listen;
pub(crate) mod metrics;
mod page;

/// The values that requests are served from.
#[derive(Clone)]
pub(crate) struct Site {
    /// The status that is shown.
    pub board: Board,
    /// The trigger that a request may wake.
    pub trigger: Trigger,
    /// Draws the metrics.
    pub metrics: Option<PrometheusHandle>,
}

/// The site as one listener serves it, and who may ask.
struct Served {
    site: Site,
    keys: AccessKeys,
    /// Whether only this machine can reach the listener.
    is_loopback: bool,
    /// The slots of those who follow the events.
    events: Arc<Semaphore>,
}

fn routes(site: Site, keys: AccessKeys, is_loopback: bool, ending: CancellationToken) -> Router {
    let slots = Arc::new(Semaphore::new(MOST_FOLLOWERS));
    let served = Arc::new(Served { site, keys, is_loopback, events: slots });
    let guarded = Router::new()
        .route("/", get(page::page))
        .route("/fragment", get(page::fragment))
        .route("/events", get(follow))
        .route("/api/v1/status", get(status))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&served), guard::readers));
    let changing = Router::new()
        .route("/api/v1/reconcile", post(reconcile))
        .route("/api/v1/suspend", post(suspend::<true>))
        .route("/api/v1/resume", post(suspend::<false>))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&served), guard::changers));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(draw_metrics))
        .route("/hooks/{host}", post(hooks::receive))
        .merge(page::files())
        .merge(guarded)
        .merge(changing)
        .layer(middleware::from_fn(guard::deadline))
        .layer(middleware::from_fn_with_state(Arc::clone(&served), guard::hosts))
        .layer(middleware::map_response(guard::headers))
        .layer(Extension(ending))
        .with_state(served)
}

type Shared = State<Arc<Served>>;

/// Where a request came from.
type Caller = Extension<Peer>;

/// The answer of a daemon that makes progress.
pub(crate) const HEALTHY: &str = "ok\n";

/// Whether the source loop and the loop of each target made progress recently.
async fn healthz(State(served): Shared) -> Response {
    let late = served.site.board.watchdog().late();
    probe(late.is_empty(), HEALTHY, format!("no progress: {}\n", late.join(", ")))
}

async fn readyz(State(served): Shared) -> Response {
    let status = served.site.board.status();
    let not_ready = format!("not reconciled yet: {}\n", status.not_ready().join(", "));
    probe(status.is_ready(), "ready\n", not_ready)
}

fn probe(is_well: bool, well: &'static str, problem: String) -> Response {
    if is_well {
        return well.into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, problem).into_response()
}

async fn status(State(served): Shared) -> Response {
    Json(&*served.site.board.status()).into_response()
}

async fn draw_metrics(State(served): Shared) -> Response {
    match &served.site.metrics {
        Some(metrics) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            let status = served.site.board.status();
            ([(header::CONTENT_TYPE, kind)], metrics::render(metrics, &status)).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The parameters of a call for all targets or for one. A mistyped key must not mean all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    target: Option<String>,
}

/// The address that a request came from, as the connection has it.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

async fn reconcile(
    State(served): Shared,
    Extension(Peer(from)): Caller,
    Query(which): Query<Which>,
) -> Result<(StatusCode, Json<Value>), RequestError> {
    let (request, targets) = served.site.trigger.reconcile(which.target.as_deref(), from)?;
    let started = served.site.board.status().started;
    let answer = json!({"request": request, "started": started, "targets": targets});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn suspend<const SUSPENDED: bool>(
    State(served): Shared,
    Extension(Peer(from)): Caller,
    Query(which): Query<Which>,
) -> Result<(StatusCode, Json<Value>), RequestError> {
    served.site.trigger.suspend(which.target.as_deref(), SUSPENDED, from)?;
    let started = served.site.board.status().started;
    Ok((StatusCode::ACCEPTED, Json(json!({"started": started}))))
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownTarget(_) => StatusCode::NOT_FOUND,
            Self::Ending => StatusCode::SERVICE_UNAVAILABLE,
            Self::DryRun => StatusCode::CONFLICT,
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// The least time between two events: a reconcile changes the board many times a second.
const PAUSE: Duration = Duration::from_millis(500);

/// How many may follow at once: each holds a connection for up to 15 minutes.
const MOST_FOLLOWERS: usize = MOST_CONNECTIONS / 4;

/// Answers `GET /events` until the listener ends.
async fn follow(
    State(served): Shared,
    Extension(ending): Extension<CancellationToken>,
) -> Response {
    let Ok(slot) = Arc::clone(&served.events).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many clients follow the events already\n")
            .into_response();
    };
    let mut changes = served.site.board.subscribe();
    // The page may have been drawn before it follows.
    changes.mark_changed();
    let following = (changes, ending, slot);
    let stream = stream::unfold(following, |(mut changes, ending, slot)| async move {
        tokio::select! {
            () = ending.cancelled() => return None,
            changed = changes.changed() => changed.ok()?,
        }
        tokio::select! {
            () = ending.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
        changes.mark_unchanged();
        let event: Result<Event, Infallible> = Ok(Event::default().event("changed").data("status"));
        Some((event, (changes, ending, slot)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}

#[cfg(test)]
mod tests;
