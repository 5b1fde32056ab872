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
    /// The request never left: DNS, refused, TLS handshake, or the run gave the target up.
    Unreachable,
    /// The run is ending, so nothing was sent.
    NotSent,
    /// The server's certificate is not trusted; nothing was sent.
    Untrusted,
    /// The deadline passed, or the connection broke, after the request may have been read.
    AnswerLost,
    /// The answer is no JSON of the API: HTML of a proxy, cut short, an incomplete list.
    BrokenAnswer,
    /// The answer is over the limit; the next one would be too.
    TooLarge,
    /// 5xx. A 503 with `Retry-After` is one too: it does not prove that a write was not done.
    ServerError,
    /// 429: the request was not carried out.
    RateLimited,
    /// 401, after the one renewal.
    Unauthorized,
    /// 403.
    Forbidden,
    /// The connection does not exist.
    NotFound,
    /// The project does not exist, or these credentials may not see it. Never a proof that a
    /// connection is gone.
    NoProject,
    /// A create on a name that exists.
    AlreadyExists,
    /// Any other 4xx, a redirect, or a failure inside HTTP 200: final.
    Refused,
}

impl CallError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.was_not_sent_or_done()
            || (self.may_have_been_done() && self.kind != ErrorKind::TooLarge)
    }

    /// Whether a write that ended so may have been carried out all the same.
    #[must_use]
    pub fn may_have_been_done(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::AnswerLost
                | ErrorKind::BrokenAnswer
                | ErrorKind::TooLarge
                | ErrorKind::ServerError
        )
    }

    /// Whether a write that ended so may be sent again without reading first.
    pub(super) fn was_not_sent_or_done(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable | ErrorKind::RateLimited)
    }
}
