//! Who may ask for what, and how a request proves it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use url::Url;

use super::{Served, Shared};
use crate::config::SecretText;
use crate::environment::{Environment, Unset};
use crate::host;
use crate::secret::Sensitive;

/// Nothing may be loaded from another server, and nobody may frame an answer.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// How long a request may take, its body included; events that follow an answer are not counted.
const DEADLINE: Duration = Duration::from_secs(20);

/// The page and the API: open on this machine, behind the token elsewhere.
pub(super) async fn readers(State(served): Shared, request: Request, next: Next) -> Response {
    if served.is_loopback || is_right(&served, request.headers()) {
        return next.run(request).await;
    }
    // A browser asks its user for a password then.
    unauthorized(&served, "Basic realm=\"apinizer-gitops\"")
}

/// The calls that change something: always behind the token. A browser never sends a bearer
/// token by itself, so another site cannot make it call.
pub(super) async fn changers(State(served): Shared, request: Request, next: Next) -> Response {
    if is_bearer(request.headers()) && is_right(&served, request.headers()) {
        return next.run(request).await;
    }
    // A browser must not ask for a password then: the page does.
    unauthorized(&served, "Bearer realm=\"apinizer-gitops\"")
}

fn is_right(served: &Served, headers: &HeaderMap) -> bool {
    let token = served.keys.token.as_ref();
    token.zip(credential(headers)).is_some_and(|(token, given)| token.is(given.expose()))
}

fn unauthorized(served: &Served, ask: &'static str) -> Response {
    if served.keys.token.is_none() {
        let text = "this needs `server.token` in the config\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let ask = [(header::WWW_AUTHENTICATE, ask)];
    (StatusCode::UNAUTHORIZED, ask, "the token is missing or wrong\n").into_response()
}

/// On loopback only names of this machine are served, so that a foreign name that resolves to
/// this machine cannot make a browser read the status.
pub(super) async fn hosts(State(served): Shared, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().host());
    if served.is_loopback && !host.is_some_and(is_this_machine) {
        let text = "this listener serves this machine only\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    next.run(request).await
}

fn is_this_machine(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else { return false };
    let own = rustix::system::uname();
    let own = own.nodename().to_string_lossy();
    url.host().is_some_and(|host| host::is_this_machine(&host))
        || url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&own))
}

/// Ends a request whose body does not come.
pub(super) async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// The headers of every answer.
pub(super) async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The secrets of a listener.
#[derive(Clone, Default)]
pub(crate) struct AccessKeys {
    /// For the calls that change something; they are off without it.
    pub token: Option<AccessKey>,
    /// For webhooks; they are off without it.
    pub webhook: Option<AccessKey>,
    /// The url whose pushes count; `None`: those of every repository.
    pub repository: Option<String>,
}

/// A secret that is looked up for every request, so that a mounted one can rotate.
#[derive(Clone)]
pub(crate) struct AccessKey {
    text: SecretText,
    environment: Arc<Environment>,
}

impl AccessKey {
    /// Names a secret.
    ///
    /// # Errors
    /// It has no value now.
    pub(crate) fn new(text: SecretText, environment: &Environment) -> Result<Self, Unset> {
        text.resolve(environment)?;
        Ok(Self { text, environment: Arc::new(environment.clone()) })
    }

    /// The value that it has now; `None`: its file is gone or empty, and nothing is right.
    pub(super) fn value(&self) -> Option<Sensitive> {
        self.text.resolve(&self.environment).ok().filter(|value| !value.expose().is_empty())
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(super) fn is(&self, given: &str) -> bool {
        self.value().is_some_and(|value| value.is(given))
    }
}

/// Whether a request holds a bearer token.
fn is_bearer(headers: &HeaderMap) -> bool {
    authorization(headers).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

/// The bearer token of a request, or the password of HTTP basic.
fn credential(headers: &HeaderMap) -> Option<Sensitive> {
    let (scheme, value) = authorization(headers)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Sensitive::new(value.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(Sensitive::new(password.to_owned()))
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_of_this_machine_are_taken() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]", "[::1]:8080"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil",
            "[::1].evil",
            "[::1]:8.evil",
            "localhost:80.evil",
            "[::1",
            "127.0.0.1.evil",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
