//! One HTTP exchange: sent when the server may be called, bounded in time and size, counted. While the
//! server asks for a slow-down, every call of a client waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url, header};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::answer::{Answer, Failure};
use super::error::{CallError, ErrorKind};
use super::retry::Retries;
use super::route::Route;

/// The most that is reserved for an announced length. Room that is never written to takes no
/// memory, and a list that grows step by step takes twice its size.
const LARGEST_RESERVE: u64 = 16 * 1024 * 1024;

/// One call as it is sent.
pub(super) struct Call {
    /// The call in words.
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) payload: Payload,
}

impl Call {
    /// Whether it may change something on the server.
    pub(super) fn is_write(&self) -> bool {
        self.method != Method::GET && !matches!(self.payload, Payload::Form(_))
    }
}

/// The body of a call. It may hold secrets.
pub(super) enum Payload {
    Nothing,
    Json(Bytes),
    /// The form of a token request.
    Form(Bytes),
}

/// The way to one server, shared by all calls of a client.
pub(super) struct Exchange {
    pub(super) http: reqwest::Client,
    pub(super) target: String,
    pub(super) route: Route,
    pub(super) max_response: u64,
    pub(super) slots: Semaphore,
    /// Those of all targets at the host.
    pub(super) slots_at_host: Arc<Semaphore>,
    /// Slots that the first answer opens: a proxy that refuses is asked once, since more calls
    /// could lock an account.
    pub(super) slots_to_come: AtomicUsize,
    pub(super) pace: Pace,
}

impl Exchange {
    /// Sends a call once and reads what comes back.
    pub(super) async fn send(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
        retries: &Retries,
    ) -> Result<Answer, Failure> {
        // The slot is held while the server asks for a pause, so that those who queue for one
        // wait too.
        let _slot = slot(&self.slots, retries).await?;
        self.pace.ready(retries.longest_pause(), retries.ending()).await?;
        // The slot at the host comes last: a target that waits for its own pause blocks no other.
        let _slot_at_host = slot(&self.slots_at_host, retries).await?;
        // As late as can be: other calls may have failed for good meanwhile, and time has passed.
        if let Some(cause) = retries.stopped() {
            let kind = if cause.is_transient() { ErrorKind::Unreachable } else { cause.kind };
            let not_sent = if call.is_write() { "not sent: " } else { "" };
            return Err(Failure::new(kind, format!("{not_sent}{}", cause.message)));
        }
        if call.is_write() {
            let has_room = tokio::select! {
                biased;
                () = retries.ending().cancelled() => return Err(Failure::run_ends()),
                has_room = retries.limit().has_room_for(self.route.timeout) => has_room,
            };
            if !has_room {
                let why = "not sent: this process may not act for the target for long enough";
                return Err(Failure::new(ErrorKind::Unreachable, why));
            }
        }

        let started = std::time::Instant::now();
        let span = tracing::debug_span!(
            "API call",
            otel.kind = "client",
            target_name = self.target,
            http.request.method = call.method.as_str(),
            call = call.name,
            http.response.status_code = tracing::field::Empty,
        );
        let unanswered =
            Unanswered(call.is_write().then_some((self.target.as_str(), call.name.as_str())));
        let answer = self.exchange(call, authorization).instrument(span.clone()).await;
        unanswered.ends();
        let lost = matches!(&answer, Err(_) | Ok(Answer { body: Err(_), .. }));
        let status = match &answer {
            Ok(answer) if !lost => answer.status.as_str().to_owned(),
            _ => "error".to_owned(),
        };
        if answer.is_ok() {
            self.slots.add_permits(self.slots_to_come.swap(0, Ordering::Relaxed));
        }
        span.record("http.response.status_code", &status);
        self.note(call, &status, started.elapsed());
        answer
    }

    /// Makes all calls wait where a server is asked too much, not only the one that was told so.
    pub(super) fn slow_down(&self, failed: u32, error: &CallError, retries: &Retries) {
        let own = || match error.kind {
            ErrorKind::RateLimited => retries.longest_backoff(failed),
            _ => Duration::ZERO,
        };
        let named = error.retry_after.filter(|named| !named.is_zero());
        self.pace.slow_down(named.unwrap_or_else(own));
    }

    async fn exchange(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request = match &call.payload {
            Payload::Nothing => request,
            Payload::Json(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(body.clone())
            }
            Payload::Form(body) => request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body.clone()),
        };
        let response = request.send().await.map_err(|error| self.route.describe(&error))?;
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(self.route.proxy_refused());
        }
        let status = response.status();
        let says_html = says_html(response.headers());
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let redirects_to = status.is_redirection().then(|| redirects_to(&response)).flatten();
        let body = self.read(response).await;
        Ok(Answer { status, says_html, redirects_to, retry_after, body })
    }

    /// Reads a body up to the bound.
    async fn read(&self, response: Response) -> Result<Bytes, Failure> {
        let limit = self.max_response;
        let read = read_at_most(response, limit).await;
        let body = read.map_err(|error| self.route.describe(&error))?.ok_or_else(|| {
            let message =
                format!("the answer is larger than the target's `max_response` of {limit} bytes");
            Failure::new(ErrorKind::TooLarge, message)
        })?;
        // Connections keep parts of it: room that was made in vain would be kept too.
        let spare = body.capacity() - body.len();
        Ok(if spare > body.len() / 8 { Bytes::copy_from_slice(&body) } else { body.freeze() })
    }

    fn note(&self, call: &Call, status: &str, took: Duration) {
        let method = call.method.as_str().to_owned();
        metrics::counter!(
            "apinizer_gitops_api_requests_total",
            "target" => self.target.clone(), "method" => method.clone(), "status" => status.to_owned()
        )
        .increment(1);
        metrics::histogram!(
            "apinizer_gitops_api_request_duration_seconds",
            "target" => self.target.clone(), "method" => method
        )
        .record(took.as_secs_f64());
        tracing::debug!(
            target_name = self.target,
            method = call.method.as_str(),
            call = call.name,
            status,
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "API call"
        );
    }
}

/// A write that is on its way; a run that drops it without an answer tells so.
struct Unanswered<'a>(Option<(&'a str, &'a str)>);

impl Unanswered<'_> {
    fn ends(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some((target, call)) = self.0 {
            tracing::warn!(
                target,
                call,
                "the run ends before it is answered: whether it was carried out is not known"
            );
        }
    }
}

/// Waits for a slot; the end of the run ends the wait.
async fn slot<'p>(slots: &'p Semaphore, retries: &Retries) -> Result<SemaphorePermit<'p>, Failure> {
    tokio::select! {
        biased;
        () = retries.ending().cancelled() => Err(Failure::run_ends()),
        slot = slots.acquire() => slot.map_err(|_| Failure::run_ends()),
    }
}

fn says_html(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    content_type.is_some_and(|text| {
        let text = text.trim_start().to_ascii_lowercase();
        text.starts_with("text/html") || text.starts_with("application/xhtml")
    })
}

/// Where a redirect points, without what may be secret in it.
fn redirects_to(response: &Response) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let to = response.url().join(location).ok()?;
    Some(format!("{}://{}", to.scheme(), to.host_str()?))
}

/// Reads a body whole; `None`: it is larger than the bound, which counts what was unpacked.
pub(crate) async fn read_at_most(
    mut response: Response,
    most: u64,
) -> reqwest::Result<Option<BytesMut>> {
    let announced = response.content_length().unwrap_or(0);
    if announced > most {
        return Ok(None);
    }
    let mut body = BytesMut::with_capacity(announced.min(LARGEST_RESERVE) as usize);
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// `Retry-After`: seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// No server may silence a client for longer, whatever date it names.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// The moment before which no call is sent.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    /// Holds all calls back for a time; a moment that was named before and is later stays.
    pub(super) fn slow_down(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_HOLD);
        let mut not_before = self.not_before.lock();
        if not_before.is_none_or(|known| known < until) {
            *not_before = Some(until);
        }
    }

    /// Waits until calls may be sent, unless that takes longer than `longest` or the run ends.
    pub(super) async fn ready(
        &self,
        longest: Duration,
        ending: &CancellationToken,
    ) -> Result<(), Failure> {
        // The moment may move while we wait for it.
        while let Some(wait) = self.remaining() {
            if wait > longest {
                let seconds = wait.as_secs();
                let message = format!(
                    "not sent: the server asked for a pause, of which {seconds} s are left"
                );
                let mut failure = Failure::new(ErrorKind::RateLimited, message);
                failure.retry_after = Some(wait);
                return Err(failure);
            }
            tokio::select! {
                biased;
                () = ending.cancelled() => return Err(Failure::run_ends()),
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    fn remaining(&self) -> Option<Duration> {
        let mut not_before = self.not_before.lock();
        let wait = (*not_before)?.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            *not_before = None;
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 10:00:00 GMT").unwrap();
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("Tue, 24 Nov 2026 10:00:30 GMT"), Some(30));
        assert_eq!(read("Tue, 24 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-3"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_for_the_latest_moment() {
        let pace = Pace::default();
        let ending = CancellationToken::new();
        let start = Instant::now();
        pace.slow_down(Duration::from_secs(7));
        pace.slow_down(Duration::from_secs(3));
        pace.ready(Duration::from_secs(60), &ending).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(7));
        pace.ready(Duration::ZERO, &ending).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_or_the_end_is_not_waited_for() {
        let pace = Pace::default();
        let ending = CancellationToken::new();
        pace.slow_down(Duration::from_secs(86_400));
        let held = pace.ready(Duration::from_secs(60), &ending).await.unwrap_err();
        assert_eq!((held.kind, held.retry_after), (ErrorKind::RateLimited, Some(LONGEST_HOLD)));
        ending.cancel();
        let held = pace.ready(LONGEST_HOLD, &ending).await.unwrap_err();
        assert_eq!(held.kind, ErrorKind::Ending);
    }
}
