//! The bearer token: given, or asked for with client credentials and kept until shortly before
//! it expires.
//!
//! One task renews while the others wait for what comes of it, a refusal included: a hundred
//! calls that meet an expired token make one request.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answer::{Answer, Failure, broken, parse, seconds, unreadable};
use super::error::{CallError, ErrorKind};
use super::exchange::{Call, Exchange, Payload};
use super::retry::{Retries, Tries};
use crate::secret::{Redactor, Sensitive};

/// How long a token is used when the server does not say when it expires.
const UNSAID_LIFETIME: Duration = Duration::from_secs(300);
/// A token is renewed this long before it expires, or a tenth of its life before, if that is less.
const AHEAD: Duration = Duration::from_secs(60);

/// How a target's calls prove who makes them.
#[derive(Clone, Debug)]
pub(crate) enum ResolvedCredentials {
    /// A bearer token.
    Token(Sensitive),
    /// The credentials that a bearer token is asked for with.
    ClientCredentials {
        /// The user.
        username: Sensitive,
        /// The password.
        password: Sensitive,
    },
}

/// The header of every call, and the means to get a new one.
pub(super) enum Tokens {
    Given(HeaderValue),
    Asked { request: Box<Call>, current: Box<Mutex<Current>> },
}

#[derive(Default)]
pub(super) struct Current {
    token: Option<Token>,
    failed: Option<(Instant, CallError)>,
    generation: u64,
}

impl Current {
    /// The token at hand, unless it was refused or is soon to expire; or the failure of another
    /// task that asked for one since then.
    fn known(&self, refused: Option<&Token>, since: Instant) -> Option<Result<Token, CallError>> {
        let is_good = |token: &&Token| {
            let is_other = refused.is_none_or(|refused| refused.generation != token.generation);
            is_other && token.renew_at.is_none_or(|at| Instant::now() < at)
        };
        if let Some(token) = self.token.as_ref().filter(is_good) {
            return Some(Ok(token.clone()));
        }
        let (failed_at, error) = self.failed.as_ref()?;
        (*failed_at >= since).then(|| Err(error.clone()))
    }
}

/// A token as it goes into a call; the generation tells a later 401 which one was refused.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    generation: u64,
    renew_at: Option<Instant>,
    expires_at: Option<Instant>,
}

impl Tokens {
    /// Learns the secrets and prepares the header or the request; `None` for a token that no
    /// header can carry.
    pub(super) fn new(
        target: &str,
        credentials: &ResolvedCredentials,
        url: &Url,
        redactor: &Redactor,
    ) -> Option<Self> {
        match credentials {
            ResolvedCredentials::Token(token) => {
                bearer(token.expose(), target, redactor).map(Self::Given)
            }
            ResolvedCredentials::ClientCredentials { username, password } => {
                redactor.learn_next((target, "password"), password.expose());
                let request = Call {
                    name: "token request".to_owned(),
                    method: Method::POST,
                    url: url.clone(),
                    payload: Payload::Form(form(username, password).into()),
                };
                Some(Self::Asked { request: Box::new(request), current: Box::default() })
            }
        }
    }

    /// Whether there can be another token than the one at hand.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }

    /// The token to call with: another one than was refused, asked for where none is at hand or
    /// it is soon to expire.
    pub(super) async fn token(
        &self,
        refused: Option<&Token>,
        exchange: &Exchange,
        redactor: &Redactor,
        retries: &Retries,
    ) -> Result<Token, CallError> {
        let (request, current) = match self {
            Self::Given(header) => {
                let header = header.clone();
                return Ok(Token { header, generation: 0, renew_at: None, expires_at: None });
            }
            Self::Asked { request, current } => (request, current),
        };
        let asked_at = Instant::now();
        let mut current = current.lock().await;
        if let Some(known) = current.known(refused, asked_at) {
            return known;
        }
        let older = current.token.take();
        match ask(request, exchange, redactor, retries).await {
            Ok((header, lifetime)) => {
                current.generation += 1;
                let ahead = AHEAD.min(lifetime / 10);
                let now = Instant::now();
                let (renew_at, expires_at) =
                    (now.checked_add(lifetime - ahead), now.checked_add(lifetime));
                let generation = current.generation;
                let token = Token { header, generation, renew_at, expires_at };
                current.token = Some(token.clone());
                current.failed = None;
                Ok(token)
            }
            Err(error) => {
                let now = Instant::now();
                // Renewed ahead of its end, the one at hand is good for a while yet.
                if let Some(older) = older
                    && refused.is_none_or(|refused| refused.generation != older.generation)
                    && error.is_transient()
                    && older.expires_at.is_none_or(|at| now < at)
                {
                    current.token = Some(older.clone());
                    return Ok(older);
                }
                current.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }
}

async fn ask(
    request: &Call,
    exchange: &Exchange,
    redactor: &Redactor,
    retries: &Retries,
) -> Result<(HeaderValue, Duration), CallError> {
    let mut tries = Tries::default();
    loop {
        let answer = exchange.send(request, None, retries).await;
        let error = match answer.and_then(|answer| read(answer, &exchange.target, redactor)) {
            Ok(token) => {
                retries.answered();
                return Ok(token);
            }
            Err(failure) => failure.into_error(&request.name, redactor),
        };
        exchange.slow_down(tries.failed() + 1, &error, retries);
        if retries.pause(&mut tries, &error).await.is_err() {
            return Err(error);
        }
    }
}

/// Reads a token; nothing of a success is ever repeated in an error.
fn read(
    answer: Answer,
    target: &str,
    redactor: &Redactor,
) -> Result<(HeaderValue, Duration), Failure> {
    let refused = answer.status == reqwest::StatusCode::BAD_REQUEST;
    let body = answer.into_body().map_err(|mut failure| {
        // OAuth servers answer 400 to wrong credentials.
        if refused && !matches!(failure.kind, ErrorKind::AnswerLost | ErrorKind::BrokenAnswer) {
            failure.kind = ErrorKind::Unauthorized;
        }
        failure
    })?;
    let said: Value = parse(&body).map_err(|error| unreadable(&error))?;
    let text = said.get("access_token").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| broken("the answer holds no `access_token`"))?;
    let header = bearer(text, target, redactor)
        .ok_or_else(|| broken("the token holds characters that no HTTP header can carry"))?;
    let lifetime = said.get("expires_in").and_then(seconds).filter(|lifetime| !lifetime.is_zero());
    Ok((header, lifetime.unwrap_or(UNSAID_LIFETIME)))
}

fn bearer(token: &str, target: &str, redactor: &Redactor) -> Option<HeaderValue> {
    redactor.learn_next((target, "bearer"), token);
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn form(username: &Sensitive, password: &Sensitive) -> Vec<u8> {
    let encoded =
        |text: &Sensitive| utf8_percent_encode(text.expose(), NON_ALPHANUMERIC).to_string();
    format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        encoded(username),
        encoded(password)
    )
    .into_bytes()
}
