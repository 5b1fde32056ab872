//! The parts of a sandbox, and the way of a request through them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::connections;
use super::dialect::{Refusal, SandboxAnswer};
use super::options::{Access, Fault, Options};
use super::store::Store;
use crate::secret::{Sensitive, SensitiveValue};

/// Where a token is asked for.
const TOKEN_PATH: &str = "/apiops/auth/token";

/// The largest body of a request.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// One sandbox: the parts that calls and control share.
#[derive(Debug)]
pub(super) struct Server {
    options: RwLock<Arc<Options>>,
    /// The connections. Where both are held, this lock is taken before that of the options.
    pub(super) store: Mutex<Store>,
    /// The tokens that were issued.
    pub(super) tokens: Mutex<IssuedTokens>,
    /// The calls that were made.
    pub(super) log: Mutex<Log>,
}

impl Server {
    /// Puts a sandbox together.
    pub(super) fn new(options: Options) -> Self {
        Self {
            options: RwLock::new(Arc::new(options)),
            store: Mutex::default(),
            tokens: Mutex::default(),
            log: Mutex::default(),
        }
    }

    /// The options as they are now.
    pub(super) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.read())
    }

    /// Changes the options, and draws every list anew.
    pub(super) fn alter(&self, change: impl FnOnce(&mut Options)) {
        let mut store = self.store.lock();
        let mut options = self.options.write();
        change(Arc::make_mut(&mut options));
        store.redraw();
    }
}

/// Notes every request of the API and how it ended, save one whose body is too large.
///
/// The rest is a task of its own: a server does not stop in the middle of a write because the
/// client has gone, so neither does this one.
pub(super) async fn log(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    // The form of a token request is a secret that no test has to see.
    let seen = if parts.uri.path() == TOKEN_PATH { Bytes::new() } else { body.clone() };
    let number = server.log.lock().arrived(&parts.method, &target, seen);
    let request = Request::from_parts(parts, Body::from(body));
    let answered = tokio::spawn(async move {
        let response = next.run(request).await;
        server.log.lock().ended(number, response.status().as_u16());
        response
    });
    answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Answers every request of the API.
pub(super) async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    wait(server.options().latency).await;
    let dialect = server.options().dialect();
    server.take(&parts, &body).unwrap_or_else(|refusal| dialect.refused(&refusal)).into_response()
}

impl Server {
    fn take(&self, call: &Parts, body: &[u8]) -> Result<SandboxAnswer, Refusal> {
        let options = self.options();
        match options.fault {
            Some(Fault::Error) => return Err(Refusal::by(StatusCode::INTERNAL_SERVER_ERROR)),
            Some(Fault::Unavailable) => return Err(Refusal::by(StatusCode::SERVICE_UNAVAILABLE)),
            Some(Fault::Unauthorized) => return Err(bad_token()),
            Some(Fault::Undeployed) | None => {}
        }
        if call.uri.path() == TOKEN_PATH {
            return match call.method {
                Method::POST => self.tokens.lock().issue(&options.access, body),
                _ => Err(Refusal::by(StatusCode::METHOD_NOT_ALLOWED)),
            };
        }
        let token = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.tokens.lock().check(&options.access, token)?;
        let mut store = self.store.lock();
        // Read again under the lock: an answer that is drawn now has to fit the lists that are kept.
        connections::carry_out(&mut store, &self.options(), &call.method, &call.uri, body)
    }
}

/// Waits, and not much longer than asked: the runtime's timer counts whole milliseconds, which
/// is too coarse for the few that a benchmark asks for.
async fn wait(pause: Duration) {
    const SHORT: Duration = Duration::from_millis(50);
    if pause.is_zero() {
        return;
    }
    let precise = pause < SHORT
        && tokio::task::spawn_blocking(move || std::thread::sleep(pause)).await.is_ok();
    if !precise {
        tokio::time::sleep(pause).await;
    }
}

// Who may call: bearer tokens that were given, and those that were asked for.

/// How many issued tokens are remembered.
const REMEMBERED: usize = 1000;

/// The tokens that this server issued, with the time until which each is good.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens(Vec<(Sensitive, Instant)>);

impl IssuedTokens {
    /// Checks the `Authorization` header of a call.
    pub(super) fn check(&self, access: &Access, header: Option<&str>) -> Result<(), Refusal> {
        let token = header
            .and_then(bearer)
            .ok_or_else(|| Refusal::unauthorized("invalid_token", "A bearer token is required!"))?;
        if access.tokens.iter().any(|known| known.is(token)) {
            return Ok(());
        }
        let now = Instant::now();
        match self.0.iter().find(|(issued, _)| issued.is(token)) {
            Some((_, until)) if *until > now => Ok(()),
            Some(_) => Err(Refusal::unauthorized("token_expired", "The token has expired!")),
            None if access.tokens.is_empty() && access.client.is_none() => Ok(()),
            None => Err(bad_token()),
        }
    }

    /// Answers a form that asks for a token.
    pub(super) fn issue(&mut self, access: &Access, form: &[u8]) -> Result<SandboxAnswer, Refusal> {
        let fields: BTreeMap<_, _> = ::url::form_urlencoded::parse(form).collect();
        let field = |name: &str| fields.get(name).map(AsRef::as_ref);
        if field("grant_type") != Some("client_credentials") {
            let text = "The grant type has to be client_credentials!";
            return Err(Refusal::bad("unsupported_grant_type", text));
        }
        let given = field("client_id").zip(field("client_secret"));
        let is_right = |(id, secret): (&str, &str)| {
            access.client.as_ref().is_none_or(|known| known.id == id && known.secret.is(secret))
        };
        if !given.is_some_and(is_right) {
            let text = "The client id or the client secret is not valid!";
            return Err(Refusal::unauthorized("unauthorized_client", text));
        }
        let token = format!("sandbox-{:032x}", fastrand::u128(..));
        let until = Instant::now() + access.token_ttl;
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push((Sensitive::new(token.clone()), until));
        Ok(SandboxAnswer::json(
            StatusCode::OK,
            &json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": access.token_ttl.as_secs(),
            }),
        ))
    }

    /// Lets every issued token expire now.
    pub(super) fn expire(&mut self) {
        self.0.iter_mut().for_each(|(_, until)| *until = Instant::now());
    }
}

fn bad_token() -> Refusal {
    Refusal::unauthorized("invalid_token", "The token is not valid!")
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
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
#[derive(Debug)]
pub(super) struct Log {
    started: Instant,
    pub(super) calls: VecDeque<LoggedCall>,
    /// How many have arrived since the start.
    pub(super) count: u64,
    at_once: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { started: Instant::now(), calls: VecDeque::new(), count: 0, at_once: 0 }
    }
}

impl Log {
    /// Notes a call that has arrived, and gives its number.
    pub(super) fn arrived(&mut self, method: &Method, path: &str, body: Bytes) -> u64 {
        self.count += 1;
        self.at_once += 1;
        if self.calls.len() >= KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(LoggedCall {
            number: self.count,
            method: method.to_string(),
            path: path.to_owned(),
            status: None,
            after_ms: self.started.elapsed().as_secs_f64() * 1000.0,
            at_once: self.at_once,
            body,
        });
        self.count
    }

    /// Notes how a call ended, if it is still kept.
    pub(super) fn ended(&mut self, number: u64, status: u16) {
        self.at_once = self.at_once.saturating_sub(1);
        let found = self.calls.binary_search_by_key(&number, |call| call.number);
        if let Some(call) = found.ok().and_then(|index| self.calls.get_mut(index)) {
            call.status = Some(status);
        }
    }
}
