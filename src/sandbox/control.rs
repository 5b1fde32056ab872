//! The hold that tests and drills have on a sandbox besides calling it.

use std::net::SocketAddr;
use std::sync::Arc;

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

use super::options::{Fault, Options};
use super::server::{LoggedCall, Server};
use super::store::Stored;
use crate::catalog;
use crate::name::ConnectionName;
use crate::pointer::merge_patch;

/// Who edits where nobody is named.
const CONSOLE: &str = "console";

/// A hold on a running sandbox: it edits connections as a user would in the Manager's
/// console, watches the calls, and changes how the server behaves. Nothing of it is logged as a call.
#[derive(Clone, Debug)]
pub struct Control {
    server: Arc<Server>,
}

impl Control {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// Stores a connection as it stands; `None`: it is no object with the texts `type` and `name`.
    pub fn put(&self, project: &str, body: Value) -> Option<()> {
        let Value::Object(body) = body else { return None };
        let new = Stored::new(body, CONSOLE)?;
        let mut store = self.server.store.lock();
        let old = store.get(project, &new.name).map(Stored::key);
        store.put(project, old.as_ref(), new);
        Some(())
    }

    /// Changes a stored connection; `false`: there is none of that name, or the changed body
    /// has no `type` or no `name`, or the name of another one of its type. Another name renames it.
    pub fn edit(
        &self,
        project: &str,
        name: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> bool {
        self.edit_as(CONSOLE, project, name, change)
    }

    /// [`Control::edit`] as a user of that name.
    pub fn edit_as(
        &self,
        user: &str,
        project: &str,
        name: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> bool {
        let name = ConnectionName::new(name);
        let mut store = self.server.store.lock();
        let Some(stored) = store.get(project, &name) else { return false };
        let (key, mut body) = (stored.key(), stored.body());
        change(&mut body);
        let Some(new) = Stored::new(body, user) else { return false };
        let is_taken = store.named(project, &new.name).any(|other| other.key() == new.key());
        if is_taken && new.key() != key {
            return false;
        }
        store.put(project, Some(&key), new);
        true
    }

    /// Removes a connection; `false`: there is none of that name.
    pub fn remove(&self, project: &str, name: &str) -> bool {
        let mut store = self.server.store.lock();
        let key = store.get(project, &ConnectionName::new(name)).map(Stored::key);
        key.and_then(|key| store.take(project, &key)).is_some()
    }

    /// The stored body with its secrets, less the fields that the server fills.
    pub fn get(&self, project: &str, name: &str) -> Option<Value> {
        let store = self.server.store.lock();
        store.get(project, &ConnectionName::new(name)).map(|stored| Value::Object(stored.body()))
    }

    /// The server's own id of a connection.
    pub fn id(&self, project: &str, name: &str) -> Option<String> {
        let store = self.server.store.lock();
        store.get(project, &ConnectionName::new(name)).map(|stored| stored.id.clone())
    }

    /// The names of a project's connections, sorted without regard to case.
    pub fn names(&self, project: &str) -> Vec<String> {
        let store = self.server.store.lock();
        let of_project = store.all().filter(|(name, _)| *name == project);
        of_project.map(|(_, stored)| stored.name.as_str().to_owned()).collect()
    }

    /// All projects and bodies with their secrets, for a dump.
    pub(super) fn all(&self) -> Vec<(String, String, Map<String, Value>)> {
        let store = self.server.store.lock();
        store
            .all()
            .map(|(project, stored)| (project.to_owned(), stored.id.clone(), stored.body()))
            .collect()
    }

    /// The calls since the start, or since they were last taken; the newest 50,000.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.server.log.lock().calls.iter().cloned().collect()
    }

    /// Takes the calls out, so that the next look shows only newer ones.
    pub fn take_calls(&self) -> Vec<LoggedCall> {
        std::mem::take(&mut self.server.log.lock().calls).into()
    }

    /// How many calls have arrived since the start, taken or not.
    pub fn call_count(&self) -> u64 {
        self.server.log.lock().count
    }

    /// Changes the options of the running server. A change of the address has no effect.
    pub fn alter(&self, change: impl FnOnce(&mut Options)) {
        self.server.alter(change);
    }

    /// Lets every token expire that the server issued.
    pub fn expire_tokens(&self) {
        self.server.tokens.lock().expire();
    }
}

// The control surface over HTTP: `/sandbox/`, for demos, drills and tests in other processes.
//
// | call | |
// |---|---|
// | `GET /sandbox/connections` | every stored connection; secrets are shown as `(sensitive)` |
// | `PATCH /sandbox/connections/{project}/{name}` | merges a JSON object into a connection, or makes one, as a user would in the console; `?by=USER` names that user |
// | `DELETE /sandbox/connections/{project}/{name}` | removes a connection |
// | `GET /sandbox/calls` | the calls that were made |
// | `DELETE /sandbox/calls` | forgets them |
// | `PUT /sandbox/fault` | takes a fault as `--fault` spells it; an empty body ends it |
//
// It asks for no token, so it answers callers on this machine only, and no web page: a
// request that a browser sends for one carries an `Origin`.

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
        Some(known) => catalog::hidden::conceal(known, &body),
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
    if control.edit_as(by.as_deref().unwrap_or(CONSOLE), &project, &name, merge) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let mut body = Map::from_iter([("name".to_owned(), Value::from(name))]);
    body.extend(patch);
    match control.put(&project, Value::Object(body)) {
        Some(()) => StatusCode::CREATED.into_response(),
        None => {
            let text = "a connection is an object with the texts `type` and `name`\n";
            (StatusCode::BAD_REQUEST, text).into_response()
        }
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
