//! The Management API's connection endpoints: five calls, two dialects, one way of failing.
//!
//! [`Client`] is one target. A call gets an address (`http`) and becomes one HTTP exchange with a
//! deadline and a bound (`exchange`, over the TLS of `http`); `route` chooses the proxy and tells what
//! fails below HTTP. An answer is read without being told the server's dialect (`answer`); `contents`
//! says what a success holds. `token` keeps the bearer token, and `retry` says whether and when a call
//! is made again and keeps back a write that could still be under way when another process may write.
//! Whatever a server says reaches an error only through
//! `error::clean`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::secret::{Redactor, SensitiveValue};
use answer::{Answer, Envelope, Failure, Reply, reply, success};
use error::one_line;
use exchange::{Call, Exchange, Pace, Payload};
use http::Addresses;
use route::Route;
use token::{Token, Tokens};

mod answer;
mod contents;
mod error;
mod exchange;
mod http;
mod retry;
mod route;
mod token;

#[cfg(test)]
mod tests;

pub(crate) use contents::Deployment;
pub(crate) use error::{CallError, ENDING, ErrorKind, before_the_end, clean};
pub(crate) use exchange::{read_at_most, retry_after};
pub(crate) use http::{ClientError, ClientSettings, SharedClients, USER_AGENT};
pub use retry::{LimitMover, RetryPolicy, WriteLimit};
pub(crate) use retry::{Retries, Tries};
pub(crate) use route::{Proxy, reason};
pub(crate) use token::ResolvedCredentials;

/// The answer to the list of one type.
#[derive(Debug)]
pub(crate) enum Listed {
    /// The whole list.
    Complete(Vec<LiveConnection>),
    /// This version of the server does not know the type.
    Unsupported,
}

/// Answers beyond this are parsed off the threads that drive the other calls.
const LARGE: usize = 256 * 1024;

/// The client of one target; clones share its connections, its token and its pace.
#[derive(Clone)]
pub(crate) struct Client {
    inner: Arc<Inner>,
    retries: Retries,
}

struct Inner {
    addresses: Addresses,
    exchange: Exchange,
    tokens: Tokens,
    redactor: Redactor,
}

impl Client {
    /// Prepares the calls of one target; nothing is sent yet.
    ///
    /// Calls are retried as one run of a command does it; whoever runs for longer gives each
    /// reconcile its own retries with [`Client::with_retries`].
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn new(
        settings: ClientSettings,
        redactor: Redactor,
        shared: &SharedClients,
    ) -> Result<Self, ClientError> {
        let addresses =
            Addresses::new(&settings.url, &settings.project).map_err(ClientError::Address)?;
        let tokens =
            Tokens::new(&settings.target, &settings.credentials, addresses.token(), &redactor)
                .ok_or(ClientError::Token)?;
        if let Some(password) = settings.proxy.as_ref().and_then(Proxy::password) {
            redactor.learn(password.expose());
        }
        let slots = settings.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let slots_to_come = if settings.proxy.is_some() { slots - 1 } else { 0 };
        let exchange = Exchange {
            http: shared.http(&settings, addresses.is_plain())?,
            target: settings.target,
            route: Route {
                host: addresses.host().to_owned(),
                is_plain: addresses.is_plain(),
                proxy: settings.proxy,
                timeout: settings.timeout,
            },
            max_response: settings.max_response,
            slots: Semaphore::new(slots - slots_to_come),
            slots_at_host: shared.slots(addresses.host(), slots),
            slots_to_come: AtomicUsize::new(slots_to_come),
            pace: Pace::default(),
        };
        let retries = Retries::new(RetryPolicy::command(), CancellationToken::new());
        let inner = Arc::new(Inner { addresses, exchange, tokens, redactor });
        Ok(Self { inner, retries })
    }

    /// The same client for one reconcile with its own retries.
    pub(crate) fn with_retries(&self, retries: Retries) -> Self {
        Self { inner: Arc::clone(&self.inner), retries }
    }

    /// The same client for what must not stay half done: the end of the run does not end its
    /// calls, but its retries are few.
    pub(crate) fn finishing(&self) -> Self {
        let retries = Retries::new(RetryPolicy::finishing(), CancellationToken::new());
        self.with_retries(retries.within(self.retries.limit().clone()))
    }

    /// The retries of this reconcile, for the loops around writes.
    pub(crate) fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Lists the connections of one type: the whole list, or an error.
    ///
    /// # Errors
    /// The call failed, or the list cannot be believed to be complete.
    pub(crate) async fn list(&self, type_name: &str) -> Result<Listed, CallError> {
        let name = format!("list of type `{type_name}`");
        let url = self.inner.addresses.list(type_name);
        let call = self.prepare(name, Method::GET, url, None)?;
        let asked = type_name.to_owned();
        self.call(&call, move |answer| contents::list(answer, &asked)).await
    }

    /// The names of the project's environment variables, which are Apinizer's own. Nothing depends
    /// on them: the call is tried twice at most, and how it fails counts for no other call.
    ///
    /// # Errors
    /// The call failed.
    pub(crate) async fn variables(&self) -> Result<BTreeSet<String>, CallError> {
        let alone = self.with_retries(self.retries.aside());
        let name = "list of environment variables".to_owned();
        let url = self.inner.addresses.variables();
        let call = self.prepare(name, Method::GET, url, None)?;
        alone.call(&call, contents::variables).await
    }

    /// Reads one connection; `None` when the server says that it does not exist.
    ///
    /// # Errors
    /// The call failed; a missing project is an error too.
    pub(crate) async fn get(
        &self,
        name: &ConnectionName,
    ) -> Result<Option<LiveConnection>, CallError> {
        let call = self.connection(Method::GET, name, None)?;
        let asked = name.clone();
        self.call(&call, move |answer| contents::single(answer, &asked)).await
    }

    /// Reads all connections of a name: servers may let one name exist in several types.
    ///
    /// # Errors
    /// The call failed; a missing project is an error too.
    pub(crate) async fn named(
        &self,
        name: &ConnectionName,
    ) -> Result<Vec<LiveConnection>, CallError> {
        let call = self.connection(Method::GET, name, None)?;
        self.call(&call, contents::named).await
    }

    /// Makes a call on a connection, for the form of the answer alone.
    ///
    /// # Errors
    /// No answer of the API came.
    pub(crate) async fn reply(
        &self,
        method: Method,
        name: &ConnectionName,
        body: Option<&SensitiveValue>,
    ) -> Result<Reply, CallError> {
        let call = self.connection(method, name, body)?;
        self.call(&call, reply).await
    }

    /// Creates a connection.
    ///
    /// # Errors
    /// The call failed; see [`CallError::may_have_been_done`].
    pub(crate) async fn create(
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
    pub(crate) async fn update(
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
    pub(crate) async fn delete(&self, name: &ConnectionName) -> Result<Deployment, CallError> {
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
        self.call(&call, move |answer| written(answer, &redactor)).await
    }

    fn connection(
        &self,
        method: Method,
        name: &ConnectionName,
        body: Option<&SensitiveValue>,
    ) -> Result<Call, CallError> {
        let call = format!("{method} connection `{name}`");
        self.prepare(call, method, self.inner.addresses.connection(name.as_str()), body)
    }

    fn prepare(
        &self,
        name: String,
        method: Method,
        url: Result<Url, &'static str>,
        body: Option<&SensitiveValue>,
    ) -> Result<Call, CallError> {
        let payload = match body {
            Some(body) => Payload::Json(Bytes::from(body.expose().to_string())),
            None => Payload::Nothing,
        };
        match url {
            Ok(url) => Ok(Call { name, method, url, payload }),
            Err(problem) => {
                Err(Failure::new(ErrorKind::Refused, problem)
                    .into_error(&name, &self.inner.redactor))
            }
        }
    }

    /// Makes a call until it succeeds, fails for good, or the retries end.
    async fn call<T, R>(&self, call: &Call, read: R) -> Result<T, CallError>
    where
        T: Send + 'static,
        R: Fn(Answer) -> Result<T, Failure> + Clone + Send + 'static,
    {
        let Inner { exchange, tokens, redactor, .. } = &*self.inner;
        let mut may_renew = tokens.can_renew();
        let mut tries = Tries::default();
        loop {
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
            let mut error = failure.into_error(&call.name, redactor);
            if self.retries.stopped().is_some() {
                return Err(error);
            }
            if !error.is_transient() {
                return Err(self.concluded(error));
            }
            exchange.slow_down(tries.failed() + 1, &error, &self.retries);
            if call.is_write() && !error.may_be_sent_again() {
                return Err(error);
            }
            if let Err(why) = self.retries.pause(&mut tries, &error).await {
                error.gave_up = Some(why);
                return Err(error);
            }
        }
    }

    /// The token for a call, another one than was refused. It has had its own retries.
    async fn token(&self, call: &Call, refused: Option<&Token>) -> Result<Token, CallError> {
        let Inner { exchange, tokens, redactor, .. } = &*self.inner;
        let was_stopped = self.retries.stopped().is_some();
        tokens.token(refused, exchange, redactor, &self.retries).await.map_err(|error| {
            // Whatever became of the token request, this call was not sent.
            let kind = if error.may_have_been_done() { ErrorKind::Unreachable } else { error.kind };
            // Where no server is reached, it does not matter which call found out.
            let is_told = was_stopped
                || matches!(
                    error.kind,
                    ErrorKind::NoServer | ErrorKind::Untrusted | ErrorKind::ProxyRefused
                );
            let message =
                if is_told { error.message } else { format!("{}: {}", error.call, error.message) };
            let error = CallError { call: one_line(&call.name), kind, message, ..error };
            if error.is_transient() { error } else { self.concluded(error) }
        })
    }

    /// Draws from a final failure what it means for the other calls of this run.
    fn concluded(&self, mut error: CallError) -> CallError {
        if self.retries.stopped().is_some() {
            return error;
        }
        error.message.push_str(match error.kind {
            ErrorKind::Unauthorized => "; check the target's credentials",
            ErrorKind::Forbidden => "; check the permissions of the token's user",
            ErrorKind::NoProject => "; check the target's `project` and what the token may see",
            _ => "",
        });
        match error.kind {
            // More calls would only be more refusals, and may lock an account.
            ErrorKind::Unauthorized | ErrorKind::Untrusted | ErrorKind::ProxyRefused => {
                self.retries.stop(&error);
            }
            // Nothing was asked.
            ErrorKind::Ending => {}
            _ => self.retries.answered(),
        }
        error
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
    Ok(Deployment::read(result, |text| clean(redactor, text)))
}
