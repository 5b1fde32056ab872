//! The hold that tests and drills have on a sandbox besides calling it.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::header::ORIGIN;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, patch, put};
use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::options::{Fault, Options};
use super::server::Server;
use super::store::{Storable, Stored};
use crate::catalog;
use crate::name::ConnectionName;
use crate::pointer::merge_patch;
use crate::secret::SensitiveValue;

/// Who edits where nobody is named.
const CONSOLE: &str = "console";

/// A hold on a running sandbox: it edits connections as a user would in the Manager's
/// console, watches the calls, and changes how the server behaves. Nothing of it is logged as a call.
#[derive(Clone, Debug)]
pub struct Control {
    server: Arc<Server>,
}

/// A body that cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("a connection is an object with the texts `type` and `name`")]
pub struct NotAConnection;

impl Control {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// Stores a connection as it stands, without any check but a `type` and a `name`.
    ///
    /// # Errors
    /// Where the body has no `type` or no `name`.
    pub fn put(&self, project: &str, body: Value) -> Result<(), NotAConnection> {
        let Value::Object(body) = body else { return Err(NotAConnection) };
        let new = Storable::new(body, CONSOLE).ok_or(NotAConnection)?;
        let mut store = self.server.store();
        let old = store.get(project, &new.name).map(Stored::key);
        store.put(self.server.options().seed, project, old.as_ref(), new);
        self.server.save(&store);
        Ok(())
    }

    /// Changes a stored connection; `false`: there is none of that name, or the changed body
    /// has no `type` or no `name`. Another name renames it.
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
        let mut store = self.server.store();
        let Some(stored) = store.get(project, &name) else { return false };
        let (key, mut body) = (stored.key(), stored.body());
        change(&mut body);
        let Some(new) = Storable::new(body, user) else { return false };
        store.put(self.server.options().seed, project, Some(&key), new);
        self.server.save(&store);
        true
    }

    /// Removes a connection; `false`: there is none of that name.
    pub fn remove(&self, project: &str, name: &str) -> bool {
        let mut store = self.server.store();
        let key = store.get(project, &ConnectionName::new(name)).map(Stored::key);
        let removed = key.and_then(|key| store.take(project, &key)).is_some();
        self.server.save(&store);
        removed
    }

    /// The stored body with its secrets, less the fields that the server fills.
    pub fn get(&self, project: &str, name: &str) -> Option<Value> {
        let store = self.server.store();
        store.get(project, &ConnectionName::new(name)).map(|stored| Value::Object(stored.body()))
    }

    /// The server's own id of a connection.
    pub fn id(&self, project: &str, name: &str) -> Option<String> {
        let store = self.server.store();
        store.get(project, &ConnectionName::new(name)).map(|stored| stored.id.clone())
    }

    /// The names of a project's connections, sorted without regard to case.
    pub fn names(&self, project: &str) -> Vec<String> {
        let store = self.server.store();
        let of_project = store.all().filter(|(name, _)| *name == project);
        of_project.map(|(_, stored)| stored.name.as_str().to_owned()).collect()
    }

    /// All projects and bodies with their secrets, for a dump.
    pub(super) fn all(&self) -> Vec<(String, String, Map<String, Value>)> {
        let store = self.server.store();
        store
            .all()
            .map(|(project, stored)| (project.to_owned(), stored.id.clone(), stored.body()))
            .collect()
    }

    /// The calls since the start, or since they were last taken; the newest 50,000.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.server.log.calls()
    }

    /// Takes the calls out, so that the next look shows only newer ones.
    pub fn take_calls(&self) -> Vec<LoggedCall> {
        self.server.log.take()
    }

    /// How many calls have arrived since the start, taken or not.
    pub fn call_count(&self) -> u64 {
        self.server.log.count()
    }

    /// Changes the options of the running server. A change of address, data file or seed has
    /// no effect.
    pub fn alter(&self, change: impl FnOnce(&mut Options)) {
        self.server.alter(change);
    }

    /// Lets every token expire that the server issued.
    pub fn expire_tokens(&self) {
        self.server.tokens.expire();
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

// The calls that were made, for tests and drills that have to know.

/// How many calls are kept; older ones are only counted.
const KEPT: usize = 50_000;

/// One call that a sandbox was sent, in the order in which they arrived.
#[derive(Clone, Serialize)]
pub struct LoggedCall {
    /// Its place among all calls since the start, from 1.
    pub number: u64,
    /// Its method.
    pub method: String,
    /// Its path and query, as they were sent.
    pub path: String,
    /// The status that it was answered with; `None`: not yet.
    pub status: Option<u16>,
    /// When it arrived, in milliseconds since the sandbox started.
    pub after_ms: f64,
    /// How many calls were being answered then, this one included.
    pub at_once: usize,
    #[serde(skip)]
    body: Bytes,
}

impl LoggedCall {
    /// The JSON body that came with it. It may hold secrets: never print it.
    pub fn body(&self) -> Option<SensitiveValue> {
        serde_json::from_slice(&self.body).ok().map(SensitiveValue::new)
    }

    /// Method and path, as tests like to compare them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl fmt::Display for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> ", self.method, self.path)?;
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("no answer"),
        }
    }
}

impl fmt::Debug for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {self}", self.number)
    }
}

/// The calls since the start, or since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Log {
    state: Mutex<LogState>,
}

#[derive(Debug)]
struct LogState {
    started: Instant,
    calls: VecDeque<LoggedCall>,
    count: u64,
    at_once: usize,
}

impl Default for LogState {
    fn default() -> Self {
        Self { started: Instant::now(), calls: VecDeque::new(), count: 0, at_once: 0 }
    }
}

impl Log {
    /// Notes a call that has arrived, and gives its number.
    pub(super) fn arrived(&self, method: &Method, path: &str, body: Bytes) -> u64 {
        let mut state = self.lock();
        state.count += 1;
        state.at_once += 1;
        let number = state.count;
        if state.calls.len() >= KEPT {
            state.calls.pop_front();
        }
        let call = LoggedCall {
            number,
            method: method.to_string(),
            path: path.to_owned(),
            status: None,
            after_ms: state.started.elapsed().as_secs_f64() * 1000.0,
            at_once: state.at_once,
            body,
        };
        state.calls.push_back(call);
        number
    }

    /// Notes how a call ended, if it is still kept.
    pub(super) fn ended(&self, number: u64, status: u16) {
        let mut state = self.lock();
        state.at_once = state.at_once.saturating_sub(1);
        let found = state.calls.binary_search_by_key(&number, |call| call.number);
        if let Some(call) = found.ok().and_then(|index| state.calls.get_mut(index)) {
            call.status = Some(status);
        }
    }

    /// The calls that are kept.
    pub(super) fn calls(&self) -> Vec<LoggedCall> {
        self.lock().calls.iter().cloned().collect()
    }

    /// Takes the calls out.
    pub(super) fn take(&self) -> Vec<LoggedCall> {
        std::mem::take(&mut self.lock().calls).into()
    }

    /// How many calls have arrived since the start.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
