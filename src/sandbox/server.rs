//! The parts of a sandbox, and the way of a request through them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::call::Call;
use super::connections;
use super::data;
use super::dialect::Answer;
use super::log::Log;
use super::options::{Fault, Options};
use super::refusal::Refusal;
use super::store::Store;
use super::tokens::Tokens;

/// The largest body of a request.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// The time in which a rate limit counts calls.
const WINDOW: Duration = Duration::from_secs(1);

/// One sandbox: the parts that calls, control and data file share.
#[derive(Debug)]
pub(super) struct Server {
    options: RwLock<Arc<Options>>,
    store: Mutex<Store>,
    pub(super) tokens: Tokens,
    /// Since when the calls of the current second are counted.
    window: Mutex<(Instant, u32)>,
    pub(super) log: Log,
}

impl Server {
    /// Puts a sandbox together.
    pub(super) fn new(options: Options, store: Store) -> Self {
        Self {
            options: RwLock::new(Arc::new(options)),
            store: Mutex::new(store),
            tokens: Tokens::default(),
            window: Mutex::new((Instant::now(), 0)),
            log: Log::default(),
        }
    }

    /// The options as they are now.
    pub(super) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the options, and draws every list anew.
    pub(super) fn alter(&self, change: impl FnOnce(&mut Options)) {
        let mut store = self.store();
        let mut options = self.options.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut options));
        store.redraw();
    }

    /// The connections. Where both are held, this lock is taken before that of the options.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the data file, if there is one; `false`: it could not be written.
    pub(super) fn save(&self, store: &Store) -> bool {
        let Some(path) = &self.options().data else { return true };
        let saved = data::save(path, store);
        if let Err(error) = &saved {
            tracing::error!(path = %path.display(), %error, "sandbox data not saved");
        }
        saved.is_ok()
    }

    /// Counts a call; `true`: it is one too many in this second.
    fn is_over(&self, limit: Option<u32>) -> bool {
        let Some(limit) = limit else { return false };
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= WINDOW {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        window.1 > limit
    }
}

/// Notes every request of the API and how it ended.
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
    let is_token = Call::of(&parts.method, parts.uri.path(), None) == Call::Token;
    // The form of a token request is a secret that no test has to see.
    let seen = if is_token { Bytes::new() } else { body.clone() };
    let number = server.log.arrived(&parts.method, &target, seen);
    let request = Request::from_parts(parts, Body::from(body));
    let answered = tokio::spawn(async move {
        let response = next.run(request).await;
        server.log.ended(number, response.status().as_u16());
        response
    });
    answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Answers every request of the API.
pub(super) async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    let call = Call::of(&parts.method, parts.uri.path(), parts.uri.query());
    let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    wait(server.options().latency).await;
    let answer = server.take(&call, token, &body);
    answer.unwrap_or_else(|refusal| server.options().refused(&refusal)).into_response()
}

impl Server {
    fn take(&self, call: &Call, token: Option<&str>, body: &[u8]) -> Result<Answer, Refusal> {
        let options = self.options();
        if self.is_over(options.access.rate_limit) {
            return Err(Refusal::Other(StatusCode::TOO_MANY_REQUESTS));
        }
        match options.fault {
            Some(Fault::Error) => return Err(Refusal::Other(StatusCode::INTERNAL_SERVER_ERROR)),
            Some(Fault::Unavailable) => {
                return Err(Refusal::Other(StatusCode::SERVICE_UNAVAILABLE));
            }
            Some(Fault::Unauthorized) => return Err(Refusal::BadToken),
            Some(Fault::Undeployed) | None => {}
        }
        match call {
            Call::NoSuchPath => return Err(Refusal::Other(StatusCode::NOT_FOUND)),
            Call::NoSuchMethod => return Err(Refusal::Other(StatusCode::METHOD_NOT_ALLOWED)),
            Call::Token => return self.tokens.issue(&options.access, body),
            _ => self.tokens.check(&options.access, token)?,
        }
        let mut store = self.store();
        // Read again under the lock: an answer that is drawn now has to fit the lists that are kept.
        let answer = connections::carry_out(&mut store, &self.options(), call, body)?;
        if call.is_write() && !self.save(&store) {
            return Err(Refusal::Other(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Ok(answer)
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
