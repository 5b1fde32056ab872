//! The parts of a sandbox, and the way of a request through them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::time::Instant;

use super::control::Log;
use super::dialect::{Answer, Refusal};
use super::options::{Access, Fault, Options};
use super::store::Store;
use super::{connections, store};
use crate::secret::Sensitive;

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
        let saved = store::save(path, store);
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

// Which call a request makes: the paths are exact, to the last slash.

/// One call of the connection API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `POST .../auth/token`.
    Token,
    /// `GET .../connections/?type=T`.
    List { project: String, type_name: Option<String> },
    /// `GET .../environmentVariables/`.
    Variables { project: String },
    /// `GET .../connections/{name}/`.
    Get(Path),
    /// `POST .../connections/{name}/`.
    Create(Path),
    /// `PUT .../connections/{name}/`.
    Update(Path),
    /// `DELETE .../connections/{name}/`.
    Delete(Path),
    /// A path of the API with a method that it does not take.
    NoSuchMethod,
    /// No path of the API.
    NoSuchPath,
}

/// The path of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) project: String,
    pub(super) name: String,
}

impl Call {
    /// Reads method, path and query.
    pub(super) fn of(method: &Method, path: &str, query: Option<&str>) -> Self {
        if path == "/apiops/auth/token" {
            return if method == Method::POST { Self::Token } else { Self::NoSuchMethod };
        }
        let Some(rest) = path.strip_prefix("/apiops/projects/") else { return Self::NoSuchPath };
        let segments: Option<Vec<String>> = rest.split('/').map(decoded).collect();
        let Some(segments) = segments else { return Self::NoSuchPath };
        match segments.as_slice() {
            [project, list, end]
                if ["connections", "environmentVariables"].contains(&list.as_str())
                    && end.is_empty()
                    && !project.is_empty() =>
            {
                let project = project.clone();
                match list.as_str() {
                    _ if method != Method::GET => Self::NoSuchMethod,
                    "connections" => Self::List { project, type_name: type_of(query) },
                    _ => Self::Variables { project },
                }
            }
            [project, connections, name, end]
                if connections == "connections"
                    && end.is_empty()
                    && !project.is_empty()
                    && !name.is_empty() =>
            {
                let path = Path { project: project.clone(), name: name.clone() };
                match *method {
                    Method::GET => Self::Get(path),
                    Method::POST => Self::Create(path),
                    Method::PUT => Self::Update(path),
                    Method::DELETE => Self::Delete(path),
                    _ => Self::NoSuchMethod,
                }
            }
            _ => Self::NoSuchPath,
        }
    }

    /// Whether it changes a connection.
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Update(_) | Self::Delete(_))
    }
}

fn decoded(segment: &str) -> Option<String> {
    Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned())
}

fn type_of(query: Option<&str>) -> Option<String> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == "type")?;
    decoded(&value.replace('+', " ")).filter(|name| !name.is_empty())
}

// Who may call: bearer tokens that were given, and those that were asked for.

/// How many issued tokens are remembered.
const REMEMBERED: usize = 1000;

/// The tokens that this server issued.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: Mutex<Vec<Issued>>,
}

#[derive(Debug)]
struct Issued {
    token: Sensitive,
    until: Instant,
}

impl Tokens {
    /// Checks the `Authorization` header of a call.
    pub(super) fn check(&self, access: &Access, header: Option<&str>) -> Result<(), Refusal> {
        let token = header.and_then(bearer).ok_or(Refusal::NoToken)?;
        if access.tokens.iter().any(|known| known.is(token)) {
            return Ok(());
        }
        let now = Instant::now();
        match self.lock().iter().find(|issued| issued.token.is(token)) {
            Some(issued) if issued.until > now => Ok(()),
            Some(_) => Err(Refusal::ExpiredToken),
            None if access.tokens.is_empty() && access.client.is_none() => Ok(()),
            None => Err(Refusal::BadToken),
        }
    }

    /// Answers a form that asks for a token.
    pub(super) fn issue(&self, access: &Access, form: &[u8]) -> Result<Answer, Refusal> {
        let fields: BTreeMap<_, _> = ::url::form_urlencoded::parse(form).collect();
        let field = |name: &str| fields.get(name).map(AsRef::as_ref);
        if field("grant_type") != Some("client_credentials") {
            return Err(Refusal::BadGrant);
        }
        let (Some(id), Some(secret)) = (field("client_id"), field("client_secret")) else {
            return Err(Refusal::BadClient);
        };
        if let Some(client) = &access.client
            && !(client.id == id && client.secret.is(secret))
        {
            return Err(Refusal::BadClient);
        }
        let token = format!("sandbox-{:032x}", fastrand::u128(..));
        let until = Instant::now() + access.token_ttl;
        let mut issued = self.lock();
        if issued.len() >= REMEMBERED {
            issued.remove(0);
        }
        issued.push(Issued { token: Sensitive::new(token.clone()), until });
        Ok(Answer::json(
            StatusCode::OK,
            &json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": access.token_ttl.as_secs(),
            }),
        ))
    }

    /// Lets every issued token expire now.
    pub(super) fn expire(&self) {
        self.lock().iter_mut().for_each(|issued| issued.until = Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &Method, path: &str) -> Call {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        Call::of(method, path, query)
    }

    #[test]
    fn paths_are_exact() {
        let path = Path { project: "My Project".to_owned(), name: "a/b".to_owned() };
        let text = "/apiops/projects/My%20Project/connections/a%2Fb/";
        assert_eq!(call(&Method::GET, text), Call::Get(path.clone()));
        assert_eq!(call(&Method::POST, text), Call::Create(path.clone()));
        assert_eq!(call(&Method::PUT, text), Call::Update(path.clone()));
        assert_eq!(call(&Method::DELETE, text), Call::Delete(path));
        assert_eq!(call(&Method::PATCH, text), Call::NoSuchMethod);
        for wrong in [
            "/apiops/projects/p/connections/a",
            "/apiops/projects/p/connections",
            "/apiops/projects/p/connections//",
            "/apiops/projects//connections/a/",
            "/apiops/projects/p/connections/a/b/",
            "/apiops/projects/p/connections/%ff/",
            "/apiops/auth/token/",
            "/",
        ] {
            assert_eq!(call(&Method::GET, wrong), Call::NoSuchPath, "{wrong}");
        }
    }

    #[test]
    fn lists_name_a_type() {
        let project = "p".to_owned();
        let list = "/apiops/projects/p/connections/";
        let of = |type_name: Option<&str>| Call::List {
            project: project.clone(),
            type_name: type_name.map(str::to_owned),
        };
        assert_eq!(call(&Method::GET, list), of(None));
        assert_eq!(call(&Method::GET, &format!("{list}?type=")), of(None));
        assert_eq!(call(&Method::GET, &format!("{list}?a=b&type=email")), of(Some("email")));
        assert_eq!(
            call(&Method::GET, &format!("{list}?type=linux%2Dscript")),
            of(Some("linux-script"))
        );
        assert_eq!(call(&Method::POST, list), Call::NoSuchMethod);
        let variables = "/apiops/projects/p/environmentVariables/";
        assert_eq!(call(&Method::GET, variables), Call::Variables { project: project.clone() });
        assert_eq!(call(&Method::POST, variables), Call::NoSuchMethod);
    }
}
