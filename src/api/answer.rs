//! One HTTP answer, as a success or as a failure: both dialects put one JSON object around it.
//!
//! The servers in the field use one status for several things and several for one, so the words
//! decide where the status does not: which is missing, the connection or the project; whether a
//! type is unknown or a parameter wrong.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{CallError, ENDING, ErrorKind, clean, one_line};
use crate::profile::Dialect;
use crate::secret::Redactor;

/// An answer over HTTP, whole or not.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) says_html: bool,
    pub(super) redirects_to: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Result<Bytes, Failure>,
}

impl Answer {
    /// The text of an answer that may be a success.
    pub(super) fn into_body(self) -> Result<Bytes, Failure> {
        if !self.status.is_success() {
            return Err(self.into_failure());
        }
        let status = self.status;
        let says_html = self.says_html;
        let body = self.body?;
        if says_html || looks_like_html(&body) {
            return Err(broken("the server answered with an HTML page (a proxy in between?)"));
        }
        if body.trim_ascii().is_empty() {
            return Err(broken(&format!("the server answered {status} with nothing in it")));
        }
        Ok(body)
    }

    /// The failure that a status other than 2xx means.
    fn into_failure(self) -> Failure {
        let Self { status, says_html, redirects_to, retry_after, body } = self;
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let to = redirects_to.unwrap_or_else(|| "another address".to_owned());
            let message = format!(
                "the server answered {} and points to {to}; redirects are not followed: \
                 put the final address into the target's `url`",
                status.as_u16()
            );
            return Failure::new(ErrorKind::Refused, message);
        }
        let body = match body {
            Ok(body) => body,
            // Only the words could say what these statuses mean.
            Err(lost) if WORDS_DECIDE.contains(&status) => return lost,
            Err(_) => Bytes::new(),
        };
        Failure::of_status(status, says_html, &body, retry_after)
    }
}

/// The form of an answer, be it a success or a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// Whether the call was carried out.
    pub(crate) is_success: bool,
    /// The dialect that it is written in.
    pub(crate) dialect: Dialect,
}

/// Reads the form of an answer; one that decides nothing is a failure.
pub(super) fn reply(answer: Answer) -> Result<Reply, Failure> {
    let status = answer.status;
    let is_refusal = WORDS_DECIDE.contains(&status);
    let body = match &answer.body {
        Ok(body) if is_refusal || status.is_success() => body,
        _ => return Err(answer.into_failure()),
    };
    let Ok(envelope) = parse::<Envelope<IgnoredAny>>(body) else {
        return Err(if is_refusal {
            answer.into_failure()
        } else {
            broken("the answer is no JSON of the API")
        });
    };
    Ok(Reply {
        status: status.as_u16(),
        is_success: !is_refusal && envelope.success() == Some(true),
        dialect: envelope.dialect(),
    })
}

/// Reads the text of an answer as a success of either dialect, with the list read as `L`.
pub(super) fn success<'b, L: Deserialize<'b>>(body: &'b [u8]) -> Result<Envelope<L>, Failure> {
    // A failure may carry a list of another shape; its words count, not its list.
    let envelope = match parse::<Envelope<L>>(body) {
        Ok(envelope) => envelope,
        Err(error) => {
            return Err(match parse::<Envelope<IgnoredAny>>(body) {
                Ok(said) if said.success() == Some(false) => Failure::inside_success(&said),
                _ => unreadable(&error),
            });
        }
    };
    match envelope.success() {
        Some(true) => Ok(envelope),
        Some(false) => Err(Failure::inside_success(&envelope)),
        None => Err(broken("the answer says neither `success` nor `status` as the API does")),
    }
}

pub(super) fn broken(message: &str) -> Failure {
    Failure::new(ErrorKind::BrokenAnswer, message)
}

/// Says where an answer stops being one. What serde says quotes the answer, so it is not used.
pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    broken(&match error.classify() {
        serde_json::error::Category::Eof => {
            format!("the answer is cut short: its JSON ends at line {line}, column {column}")
        }
        serde_json::error::Category::Data => {
            format!("the answer is not of the API's form at line {line}, column {column}")
        }
        _ => format!("the answer is no JSON at line {line}, column {column}"),
    })
}

/// The outermost object of an answer. New fields may appear in it, and those that only say
/// something to people may hold anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<L> {
    success: Option<Value>,
    status: Option<Value>,
    pub(super) result_list: Option<L>,
    pub(super) result_count: Option<Value>,
    pub(super) deployment_result: Option<Value>,
    result_message: Option<Value>,
    message: Option<Value>,
    error: Option<Value>,
    #[serde(rename = "error_description")]
    error_description: Option<Value>,
    #[serde(rename = "validation_errors")]
    validation_errors: Option<Value>,
    #[serde(rename = "retry_after")]
    retry_after: Option<Value>,
}

impl<L> Envelope<L> {
    /// The dialect: only current servers answer with a `status`.
    fn dialect(&self) -> Dialect {
        if self.status.is_some() { Dialect::Current } else { Dialect::Older }
    }

    /// Whether the call was carried out; `None`: the answer does not say.
    fn success(&self) -> Option<bool> {
        let success = match &self.success {
            Some(Value::Bool(success)) => Some(*success),
            _ => None,
        };
        let status = match &self.status {
            Some(Value::String(s)) if s.eq_ignore_ascii_case("success") => Some(true),
            Some(Value::String(s)) if s.eq_ignore_ascii_case("failure") => Some(false),
            _ => None,
        };
        match (success, status) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, None) => self.error.as_ref().is_some_and(|e| !e.is_null()).then_some(false),
        }
    }
}

/// Parses JSON; a byte order mark before it is no error.
pub(super) fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// A failure as it came: its message may still repeat a secret, so it has no way to be shown
/// but [`Failure::into_error`].
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) retry_after: Option<Duration>,
    /// The server does not know the type that was asked for.
    pub(super) unknown_type: bool,
    message: String,
}

/// The failing half of an answer, in the words of either dialect.
struct Said {
    code: String,
    text: String,
}

/// The statuses that mean one thing or another by the words that come with them.
const WORDS_DECIDE: [StatusCode; 3] =
    [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT];

impl Failure {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, retry_after: None, unknown_type: false, message: message.into() }
    }

    pub(super) fn run_ends() -> Self {
        Self::new(ErrorKind::Ending, format!("not sent: {ENDING}"))
    }

    pub(super) fn into_error(self, call: &str, redactor: &Redactor) -> CallError {
        CallError {
            // Names are git's, never secret, and what makes the error of use.
            call: one_line(call),
            kind: self.kind,
            message: clean(redactor, &self.message),
            retry_after: self.retry_after,
            gave_up: None,
        }
    }

    /// The failure that a status other than 2xx means, with the words of its body.
    fn of_status(
        status: StatusCode,
        says_html: bool,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let is_html = says_html || looks_like_html(body);
        let envelope = if is_html { None } else { parse::<Envelope<IgnoredAny>>(body).ok() };
        let said = envelope.as_ref().map(Said::of);
        let mut failure = Self::new(kind_of_status(status, said.as_ref()), String::new());
        failure.unknown_type =
            status == StatusCode::BAD_REQUEST && said.as_ref().is_some_and(Said::is_unknown_type);
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let in_body = envelope.as_ref().and_then(|e| seconds(e.retry_after.as_ref()?));
            failure.retry_after = retry_after.max(in_body);
        }
        failure.message = match said {
            None if status == StatusCode::BAD_REQUEST && plain(body).contains("HTTPS") => {
                "the server answered 400: that port speaks TLS, should its URL be https?".to_owned()
            }
            _ if is_html => {
                format!(
                    "the server answered {} with an HTML page (a proxy in between?)",
                    status.as_u16()
                )
            }
            Some(said) => said.told(status),
            None => Said { code: String::new(), text: plain(body) }.told(status),
        };
        if status == StatusCode::NOT_FOUND && failure.kind == ErrorKind::Refused {
            failure.message.push_str("; is the target's `url` right?");
        }
        failure
    }

    /// A failure inside HTTP 200.
    fn inside_success<L>(envelope: &Envelope<L>) -> Self {
        let said = Said::of(envelope);
        let message = said.told(StatusCode::OK);
        let unknown_type = said.is_unknown_type();
        let kind = said.kind().unwrap_or(ErrorKind::Refused);
        Self { unknown_type, ..Self::new(kind, message) }
    }
}

// It would show the message.
impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Failure({:?})", self.kind)
    }
}

fn kind_of_status(status: StatusCode, said: Option<&Said>) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::CONFLICT => said.and_then(Said::kind).unwrap_or(ErrorKind::AlreadyExists),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
            said.and_then(Said::kind).unwrap_or(ErrorKind::Refused)
        }
        _ if status.is_server_error() => ErrorKind::ServerError,
        _ => ErrorKind::Refused,
    }
}

impl Said {
    fn of<L>(envelope: &Envelope<L>) -> Self {
        let text = |value: &Option<Value>| match value {
            Some(Value::String(text)) => text.trim().to_owned(),
            _ => String::new(),
        };
        let mut parts = [&envelope.error_description, &envelope.result_message, &envelope.message]
            .map(text)
            .to_vec();
        if let Some(Value::Array(problems)) = &envelope.validation_errors {
            parts.extend(problems.iter().map(validation_error));
        }
        parts.retain(|part| !part.is_empty());
        parts.dedup();
        Self { code: text(&envelope.error), text: parts.join("; ") }
    }

    fn told(&self, status: StatusCode) -> String {
        let answered = if status.is_success() {
            "the server answered with a failure".to_owned()
        } else {
            format!("the server answered {}", status.as_u16())
        };
        match (self.code.as_str(), self.text.as_str()) {
            ("", "") => format!("{answered} and does not say why"),
            ("", said) | (said, "") => format!("{answered}: {said}"),
            (code, text) => format!("{answered}: {text} ({code})"),
        }
    }

    /// The kind of failure that the words alone tell.
    fn kind(&self) -> Option<ErrorKind> {
        let words = format!("{} {}", self.code, self.text).to_lowercase().replace('_', " ");
        if words.contains("already exist") {
            return Some(ErrorKind::AlreadyExists);
        }
        if words.contains("not have required permission") {
            return Some(ErrorKind::Forbidden);
        }
        if !words.contains("not found") {
            return None;
        }
        // `Project (X) is not found!`, `Connection (name: X) was not found!`: the text begins with
        // what is missing, whatever the name in the brackets holds. A key store of a connection
        // may be missing too, or a route: that proves nothing about the connection.
        let text = self.text.to_lowercase();
        let subject = ["the ", "requested ", "no "]
            .iter()
            .fold(text.as_str(), |text, article| text.strip_prefix(article).unwrap_or(text));
        let code = self.code.to_lowercase().replace('_', " ");
        // Of what a connection has or needs, and of one that somebody may not see, it says nothing.
        let rest = subject.strip_prefix("connection").map(str::trim_start);
        let is_its_own = |rest: &str| {
            ["(", "not ", "was ", "is ", "with name", "named ", "'", "\"", "`", ":"]
                .iter()
                .any(|word| rest.starts_with(word))
        };
        // The name in the brackets may be any word.
        let is_forbidden =
            ["not have privilege", "not have permission"].iter().any(|w| words.contains(w));
        if rest.is_some() && is_forbidden {
            Some(ErrorKind::Forbidden)
        } else if rest.is_some_and(is_its_own) || code.starts_with("connection not found") {
            Some(ErrorKind::NotFound)
        } else if words.contains("project") {
            Some(ErrorKind::NoProject)
        } else {
            None
        }
    }

    fn is_unknown_type(&self) -> bool {
        let text = self.text.to_lowercase();
        let by_words = text.starts_with("connection type (") && text.contains("is not valid");
        by_words || self.code.eq_ignore_ascii_case("invalid_parameter") && !text.contains("project")
    }
}

fn validation_error(problem: &Value) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("field"), text("message")) {
        ("", message) => message.to_owned(),
        (field, "") => format!("{field} is not valid"),
        (field, message) => format!("{field}: {message}"),
    }
}

/// A number of seconds, as a number or as its text.
pub(super) fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// The text of an answer that is neither JSON of the API nor HTML.
fn plain(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().to_owned()
}
