//! The control surface over HTTP: `/sandbox/`, for demos, drills and tests in other processes.
//!
//! | call | |
//! |---|---|
//! | `GET /sandbox/connections` | every stored connection; secrets are shown as `(sensitive)` |
//! | `PATCH /sandbox/connections/{project}/{name}` | merges a JSON object into a connection, or makes one, as a user would in the console; `?by=USER` names that user |
//! | `DELETE /sandbox/connections/{project}/{name}` | removes a connection |
//! | `GET /sandbox/calls` | the calls that were made |
//! | `DELETE /sandbox/calls` | forgets them |
//! | `PUT /sandbox/fault` | takes a fault as `--fault` spells it; an empty body ends it |
//!
//! It asks for no token, so it answers callers on this machine only, and no web page: a
//! request that a browser sends for one carries an `Origin`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::ORIGIN;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, patch, put};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::Control;
use super::options::Fault;
use crate::catalog;
use crate::pointer::merge_patch;

/// The routes below `/sandbox`.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(control: Control) -> Router<S> {
    Router::new()
        .route("/connections", get(connections))
        .route("/connections/{project}/{name}", patch(edit).delete(remove))
        .route("/calls", get(calls).delete(forget_calls))
        .route("/fault", put(set_fault))
        .layer(middleware::from_fn(only_from_here))
        .with_state(control)
}

async fn only_from_here(
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if caller.ip().to_canonical().is_loopback() && !request.headers().contains_key(ORIGIN) {
        next.run(request).await
    } else {
        let text = "the sandbox is controlled from its own machine, and by no web page\n";
        (StatusCode::FORBIDDEN, text).into_response()
    }
}

async fn connections(State(control): State<Control>) -> Json<Value> {
    let all = control.all().into_iter().map(|(project, id, body)| {
        json!({"project": project, "id": id, "connection": without_secrets(body)})
    });
    Json(all.collect())
}

fn without_secrets(body: Map<String, Value>) -> Map<String, Value> {
    let type_name = body.get("type").and_then(Value::as_str).unwrap_or_default();
    match catalog::find(type_name) {
        Some(known) => catalog::hidden::mask(known, &body),
        // Where a secret may stand in it is not known.
        None => body.into_iter().filter(|(name, _)| name == "type" || name == "name").collect(),
    }
}

/// Who edits.
#[derive(Deserialize)]
struct Editor {
    by: Option<String>,
}

async fn edit(
    State(control): State<Control>,
    Path((project, name)): Path<(String, String)>,
    Query(Editor { by }): Query<Editor>,
    body: String,
) -> Response {
    let Ok(Value::Object(patch)) = serde_json::from_str(&body) else {
        return (StatusCode::BAD_REQUEST, "the body has to be one JSON object\n").into_response();
    };
    let merge = |body: &mut Map<String, Value>| merge_patch(body, &patch);
    let is_there = match by {
        Some(user) => control.edit_as(&user, &project, &name, merge),
        None => control.edit(&project, &name, merge),
    };
    if is_there {
        return StatusCode::NO_CONTENT.into_response();
    }
    let mut body = Map::from_iter([("name".to_owned(), Value::from(name))]);
    body.extend(patch);
    match control.put(&project, Value::Object(body)) {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn remove(
    State(control): State<Control>,
    Path((project, name)): Path<(String, String)>,
) -> StatusCode {
    if control.remove(&project, &name) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn calls(State(control): State<Control>) -> Json<Value> {
    Json(json!({"count": control.call_count(), "calls": control.calls()}))
}

async fn forget_calls(State(control): State<Control>) -> StatusCode {
    drop(control.take_calls());
    StatusCode::NO_CONTENT
}

async fn set_fault(State(control): State<Control>, body: String) -> Response {
    let fault = match body.trim() {
        "" => None,
        name => match Fault::from_str(name, false) {
            Ok(fault) => Some(fault),
            Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        },
    };
    control.alter(|options| options.fault = fault);
    StatusCode::NO_CONTENT.into_response()
}
