//! The daemon's HTTP listener: probes, metrics, the status as JSON and as a page, webhooks, and
//! the calls that change something. Everything shown is drawn from the [`Board`], which holds no secret.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::daemon::{Board, Cause, Trigger};
use crate::secret::Sensitive;

mod events;
mod guard;
mod hooks;
pub mod metrics;
mod page;

pub use hooks::Hooks;

/// How long answers in flight may take at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// What the listener serves.
#[derive(Clone)]
pub struct Site {
    /// What is shown.
    pub board: Board,
    /// What a request may wake.
    pub trigger: Trigger,
    /// For the calls that change something; they are off without it.
    pub token: Option<Sensitive>,
    /// For webhooks; they are off without it.
    pub hooks: Option<Hooks>,
    /// Whether only this machine can reach the listener.
    pub is_loopback: bool,
    /// Draws the metrics.
    pub metrics: Option<PrometheusHandle>,
}

/// Serves until the shutdown.
///
/// # Errors
/// The listener breaks.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let ended = shutdown.clone();
    let server = axum::serve(listener, routes(site).layer(Extension(shutdown.clone())))
        .with_graceful_shutdown(async move { ended.cancelled().await })
        .into_future();
    tokio::select! {
        result = server => result,
        () = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

fn routes(site: Site) -> Router {
    let site = Arc::new(site);
    let guarded = Router::new()
        .route("/", get(page::page))
        .route("/fragment", get(page::fragment))
        .route("/events", get(events::events))
        .route("/api/v1/status", get(status))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&site), guard::readers));
    let changing = Router::new()
        .route("/api/v1/reconcile", post(reconcile))
        .route("/api/v1/suspend", post(suspend))
        .route("/api/v1/resume", post(resume))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&site), guard::changers));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(draw_metrics))
        .route(concat!("/static/", env!("CARGO_PKG_VERSION"), "/page.css"), get(page::style))
        .route(concat!("/static/", env!("CARGO_PKG_VERSION"), "/page.js"), get(page::script))
        .route("/hooks/{host}", post(hooks::receive))
        .merge(guarded)
        .merge(changing)
        .layer(DefaultBodyLimit::max(hooks::LARGEST))
        .layer(middleware::from_fn(guard::deadline))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard::hosts))
        .layer(middleware::map_response(guard::headers))
        .with_state(site)
}

type Shared = State<Arc<Site>>;

async fn healthz(State(site): Shared) -> Response {
    match site.board.heartbeat() {
        Ok(()) => "ok\n".into_response(),
        Err(late) => {
            let text = format!("no progress: {}\n", late.join(", "));
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn readyz(State(site): Shared) -> Response {
    let status = site.board.status();
    if status.is_ready() {
        return "ready\n".into_response();
    }
    let text = format!("not reconciled yet: {}\n", status.not_ready().join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn status(State(site): Shared) -> Json<serde_json::Value> {
    Json(site.board.to_json())
}

async fn draw_metrics(State(site): Shared) -> Response {
    match &site.metrics {
        Some(metrics) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Which {
    target: Option<String>,
}

async fn reconcile(State(site): Shared) -> StatusCode {
    site.trigger.fetch_and_reconcile(Cause::Request);
    StatusCode::ACCEPTED
}

async fn suspend(State(site): Shared, Query(which): Query<Which>) -> Response {
    accepted(site.trigger.suspend(which.target.as_deref()))
}

async fn resume(State(site): Shared, Query(which): Query<Which>) -> Response {
    accepted(site.trigger.resume(which.target.as_deref()))
}

fn accepted(result: Result<(), crate::daemon::trigger::UnknownTarget>) -> Response {
    match result {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(unknown) => (StatusCode::NOT_FOUND, format!("{unknown}\n")).into_response(),
    }
}

/// The bearer token of a request, or the password of HTTP basic.
fn credential(headers: &HeaderMap) -> Option<Sensitive> {
    use base64::Engine as _;
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, value) = text.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Sensitive::new(value.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(Sensitive::new(password.to_owned()))
}

#[cfg(test)]
mod tests;
