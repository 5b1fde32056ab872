//! How a call fails, and what may be done then.

use std::time::Duration;

/// A call that did not succeed. Its text names the call, the connection or type, and what the
/// server said with every known secret replaced.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call}: {message}")]
pub struct CallError {
    /// The call in words: ``PUT connection `orders` ``, ``list of type `email` ``, `token request`.
    pub call: String,
    /// What class of failure it is.
    pub kind: ErrorKind,
    /// What happened, one sentence.
    pub message: String,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

/// The classes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request never reached the server: DNS, refused, TLS handshake.
    Unreachable,
    /// The deadline passed, or the connection broke, after the request may have been read.
    AnswerLost,
    /// The answer is no JSON of the API: HTML of a proxy, cut short, too large, an incomplete list.
    BrokenAnswer,
    /// 5xx.
    ServerError,
    /// 429, or 503 with `Retry-After`.
    RateLimited,
    /// 401, after the one renewal.
    Unauthorized,
    /// 403.
    Forbidden,
    /// The connection or the project does not exist.
    NotFound,
    /// A create on a name that exists.
    AlreadyExists,
    /// Any other 4xx, or a failure inside HTTP 200: final.
    Refused,
}

impl CallError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable
                | ErrorKind::AnswerLost
                | ErrorKind::BrokenAnswer
                | ErrorKind::ServerError
                | ErrorKind::RateLimited
        )
    }

    /// Whether a write that ended so may have been carried out all the same.
    #[must_use]
    pub fn may_have_been_done(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::AnswerLost | ErrorKind::BrokenAnswer | ErrorKind::ServerError
        )
    }
}
