//! The client of one target: what can be called, and the loop around every call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::address::{AddressError, Addresses};
use super::answer::{Answer, success};
use super::envelope::Envelope;
use super::error::{CallError, ErrorKind};
use super::exchange::{Call, Exchange, Payload};
use super::failure::Failure;
use super::pace::Pace;
use super::retry::{Retries, RetryPolicy, Tries};
use super::settings::{ClientError, ClientSettings};
use super::token::{Token, Tokens};
use super::{Deployment, Listed, connector, listing, words};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::secret::{Redactor, SensitiveValue};

/// Answers beyond this are parsed off the threads that drive the other calls.
const LARGE: usize = 256 * 1024;

/// The client of one target; clones share its connections, its token and its pace.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    retries: Retries,
}

struct Inner {
    addresses: Addresses,
    exchange: Exchange,
    tokens: Tokens,
    redactor: Redactor,
}

/// Whether a failed call may be sent again without looking first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resend {
    /// It changes nothing.
    AfterAnyFailure,
    /// It changes something: only if it was not carried out.
    IfNotDone,
}

impl Client {
    /// Prepares the calls of one target; nothing is sent yet.
    ///
    /// Calls are retried as one run of a command does it; whoever runs for longer gives each
    /// reconcile its own retries with [`Client::with_retries`].
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: ClientSettings, redactor: Redactor) -> Result<Self, ClientError> {
        let addresses = Addresses::new(&settings.url, &settings.project)?;
        let tokens =
            Tokens::new(&settings.target, &settings.credentials, addresses.token(), &redactor)
                .ok_or(ClientError::Token)?;
        let http = connector::http_client(&settings, addresses.is_plain())?;
        let exchange = Exchange {
            http,
            target: settings.target,
            host: addresses.host().to_owned(),
            timeout: settings.timeout,
            max_response: settings.max_response,
            places: Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            pace: Pace::default(),
            calls: AtomicU64::new(0),
            token_requests: AtomicU64::new(0),
        };
        let retries = Retries::new(RetryPolicy::command(), CancellationToken::new());
        let inner = Arc::new(Inner { addresses, exchange, tokens, redactor });
        Ok(Self { inner, retries })
    }

    /// The same client for one reconcile with its own retries.
    #[must_use]
    pub fn with_retries(&self, retries: Retries) -> Self {
        Self { inner: Arc::clone(&self.inner), retries }
    }

    /// The same client for what must not stay half done: the end of the run does not end its
    /// calls, but its retries are few.
    #[must_use]
    pub fn finishing(&self) -> Self {
        let retries = Retries::new(RetryPolicy::finishing(), CancellationToken::new());
        self.with_retries(retries.within(self.retries.limit().clone()))
    }

    /// The retries of this reconcile, for the loops around writes.
    #[must_use]
    pub fn retries(&self) -> &Retries {
        &self.retries
    }

    /// How many requests were sent, those for tokens aside.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner.exchange.calls.load(Ordering::Relaxed)
    }

    /// How many requests for tokens were sent.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.inner.exchange.token_requests.load(Ordering::Relaxed)
    }

    /// Lists the connections of one type: the whole list, or an error.
    ///
    /// # Errors
    /// The call failed, or the list cannot be believed to be complete.
    pub async fn list(&self, type_name: &str) -> Result<Listed, CallError> {
        let asked = type_name.to_owned();
        let read = move |answer| listing::list(answer, &asked);
        self.call(&self.list_call(type_name)?, Resend::AfterAnyFailure, read).await
    }

    fn list_call(&self, type_name: &str) -> Result<Call, CallError> {
        let what = format!("list of type `{type_name}`");
        self.prepare(what, Method::GET, self.inner.addresses.list(type_name), None)
    }

    /// Reads one connection; `None` when the server says that it does not exist.
    ///
    /// # Errors
    /// The call failed; a missing project is an error too.
    pub async fn get(&self, name: &ConnectionName) -> Result<Option<LiveConnection>, CallError> {
        let call = self.connection(Method::GET, name, None)?;
        let asked = name.clone();
        self.call(&call, Resend::AfterAnyFailure, move |answer| listing::single(answer, &asked))
            .await
    }

    /// Creates a connection.
    ///
    /// # Errors
    /// The call failed; see [`CallError::may_have_been_done`].
    pub async fn create(
        &self,
        name: &ConnectionName,
        body: &SensitiveValue,
    ) -> Result<Deployment, CallError> {
        self.write(Method::POST, name, Some(body)).await
    }

    /// Replaces the connection at `path_name`; another name in the body renames it.
    ///
    /// # Errors
    /// The call failed; see [`CallError::may_have_been_done`].
    pub async fn update(
        &self,
        path_name: &ConnectionName,
        body: &SensitiveValue,
    ) -> Result<Deployment, CallError> {
        self.write(Method::PUT, path_name, Some(body)).await
    }

    /// Deletes a connection; one that is absent is [`ErrorKind::NotFound`].
    ///
    /// # Errors
    /// The call failed; see [`CallError::may_have_been_done`].
    pub async fn delete(&self, name: &ConnectionName) -> Result<Deployment, CallError> {
        self.write(Method::DELETE, name, None).await
    }

    async fn write(
        &self,
        method: Method,
        name: &ConnectionName,
        body: Option<&SensitiveValue>,
    ) -> Result<Deployment, CallError> {
        let call = self.connection(method, name, body)?;
        let redactor = self.inner.redactor.clone();
        self.call(&call, Resend::IfNotDone, move |answer| written(answer, &redactor)).await
    }

    fn connection(
        &self,
        method: Method,
        name: &ConnectionName,
        body: Option<&SensitiveValue>,
    ) -> Result<Call, CallError> {
        let what = format!("{method} connection `{name}`");
        let url = self.inner.addresses.connection(name.as_str());
        self.prepare(what, method, url, body)
    }

    fn prepare(
        &self,
        what: String,
        method: Method,
        url: Result<Url, AddressError>,
        body: Option<&SensitiveValue>,
    ) -> Result<Call, CallError> {
        let payload = match body {
            Some(body) => Payload::Json(Bytes::from(body.expose().to_string())),
            None => Payload::Nothing,
        };
        match url {
            Ok(url) => Ok(Call { what, method, url, payload }),
            Err(problem) => Err(Failure::new(ErrorKind::Refused, problem.to_string())
                .into_error(&what, &self.inner.redactor)),
        }
    }

    /// Makes a call until it succeeds, fails for good, or the retries end.
    async fn call<T, R>(&self, call: &Call, resend: Resend, read: R) -> Result<T, CallError>
    where
        T: Send + 'static,
        R: Fn(Answer) -> Result<T, Failure> + Clone + Send + 'static,
    {
        let Inner { exchange, tokens, redactor, .. } = &*self.inner;
        let mut may_renew = tokens.can_renew();
        let mut tries = Tries::default();
        loop {
            self.refuse_if_stopped(call)?;
            let token = self.token(call, None).await?;
            let failure = match exchange.send(call, Some(&token.header), &self.retries).await {
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED && may_renew => {
                    may_renew = false;
                    self.token(call, Some(&token)).await?;
                    continue;
                }
                Ok(answer) => match parsed(answer, read.clone()).await {
                    Ok(done) => {
                        self.retries.answered();
                        return Ok(done);
                    }
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let mut error = failure.into_error(&call.what, redactor);
            if !error.is_transient() {
                return Err(self.concluded(error));
            }
            exchange.slow_down(tries.failed() + 1, &error, &self.retries);
            if resend == Resend::IfNotDone && !error.was_not_sent_or_done() {
                return Err(error);
            }
            if let Err(why) = self.retries.pause(&mut tries, &error).await {
                error.message = format!("{}; {why}", error.message);
                return Err(error);
            }
        }
    }

    /// The token for a call, another one than was refused. It has had its own retries.
    async fn token(&self, call: &Call, refused: Option<&Token>) -> Result<Token, CallError> {
        let Inner { exchange, tokens, redactor, .. } = &*self.inner;
        tokens.token(refused, exchange, redactor, &self.retries).await.map_err(|error| {
            // Whatever became of the token request, this call was not sent.
            let kind = if error.may_have_been_done() { ErrorKind::Unreachable } else { error.kind };
            let message = format!("{}: {}", error.call, error.message);
            let call = words::one_line(&call.what);
            let error = CallError { call, kind, message, ..error };
            if error.is_transient() { error } else { self.concluded(error) }
        })
    }

    /// Draws from a final failure what it means for the other calls of this run.
    fn concluded(&self, mut error: CallError) -> CallError {
        error.message.push_str(match error.kind {
            ErrorKind::Unauthorized => "; check the target's credentials",
            ErrorKind::NoProject => "; check the target's `project` and what the token may see",
            _ => "",
        });
        match error.kind {
            // More calls would only be more refusals, and may lock an account.
            ErrorKind::Unauthorized | ErrorKind::Untrusted => self.retries.stop(&error),
            // Nothing was asked.
            ErrorKind::NotSent => {}
            _ => self.retries.answered(),
        }
        error
    }

    fn refuse_if_stopped(&self, call: &Call) -> Result<(), CallError> {
        let Some(cause) = self.retries.stopped() else { return Ok(()) };
        let kind = match cause.kind {
            ErrorKind::Unauthorized | ErrorKind::Untrusted => cause.kind,
            _ => ErrorKind::Unreachable,
        };
        Err(Failure::new(kind, format!("not sent: {cause}"))
            .into_error(&call.what, &self.inner.redactor))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.inner.exchange.target)
            .finish_non_exhaustive()
    }
}

/// Reads an answer, a large one where it holds no other call up.
async fn parsed<T, R>(answer: Answer, read: R) -> Result<T, Failure>
where
    T: Send + 'static,
    R: Fn(Answer) -> Result<T, Failure> + Send + 'static,
{
    if answer.body.as_ref().is_ok_and(|body| body.len() > LARGE) {
        return tokio::task::spawn_blocking(move || read(answer)).await.unwrap_or_else(|_| {
            Err(Failure::new(ErrorKind::BrokenAnswer, "reading the answer was interrupted"))
        });
    }
    read(answer)
}

fn written(answer: Answer, redactor: &Redactor) -> Result<Deployment, Failure> {
    if answer.status == StatusCode::NO_CONTENT {
        return Ok(Deployment::Done);
    }
    let envelope: Envelope<serde::de::IgnoredAny> = success(&answer.into_body()?)?;
    let result = envelope.deployment_result.as_ref();
    Ok(Deployment::read(result, |text| words::clean(redactor, text)))
}
