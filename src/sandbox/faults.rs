//! Faults: what goes wrong between a client and a server, by chance or by script.

mod chance;
mod drawing;

use std::fmt;
use std::time::Duration;

use axum::http::StatusCode;

use super::call::Call;

pub use chance::{FaultError, Faults};
pub(super) use drawing::Drawing;

/// One thing that goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500, and nothing was done.
    Error,
    /// 500, and all was done.
    LateError,
    /// 503, and nothing was done.
    Unavailable {
        /// How many seconds the client is asked to wait, if it is asked.
        after: Option<u64>,
    },
    /// 429 with the seconds to wait, and nothing was done.
    RateLimited {
        /// How many seconds the client is asked to wait.
        after: u64,
    },
    /// 401, and nothing was done.
    Unauthorized,
    /// 403, and nothing was done.
    Forbidden,
    /// 200 with a failure inside, and nothing was done.
    Failure,
    /// Any answer that a test can think of, and nothing was done.
    Answer {
        /// The HTTP status.
        status: StatusCode,
        /// The body, which is said to be JSON.
        body: String,
        /// The `Retry-After` header.
        retry_after: Option<String>,
    },
    /// The connection breaks before anything was done.
    Reset,
    /// All was done, and the connection breaks without an answer.
    Lost,
    /// All was done, and the connection breaks in the middle of the answer.
    Truncated,
    /// A page of a proxy with this status, and nothing was done.
    Html(StatusCode),
    /// A page of a proxy with status 502, and all was done.
    LateHtml,
    /// The answer takes longer.
    Slow(Duration),
    /// A list lacks its last entry, and counts it all the same.
    ShortList,
    /// The last entry of a list has no name.
    NoName,
    /// A write is saved, and its deployment fails.
    Undeployed,
}

impl Fault {
    /// Whether the fault can strike this call.
    pub(super) fn strikes(&self, call: &Call) -> bool {
        match self {
            Self::ShortList | Self::NoName => call.is_list(),
            Self::Undeployed => call.is_write(),
            Self::Unauthorized | Self::Forbidden => *call != Call::Token,
            _ => true,
        }
    }

    /// Whether the call is not carried out at all.
    pub(super) fn strikes_before(&self) -> bool {
        matches!(
            self,
            Self::Error
                | Self::Unavailable { .. }
                | Self::RateLimited { .. }
                | Self::Unauthorized
                | Self::Forbidden
                | Self::Failure
                | Self::Answer { .. }
                | Self::Reset
                | Self::Html(_)
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::LateError => "late-error",
            Self::Unavailable { .. } => "unavailable",
            Self::RateLimited { .. } => "rate",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Failure => "failure",
            Self::Answer { .. } => "answer",
            Self::Reset => "reset",
            Self::Lost => "lost",
            Self::Truncated => "truncate",
            Self::Html(_) => "html",
            Self::LateHtml => "late-html",
            Self::Slow(_) => "slow",
            Self::ShortList => "shortlist",
            Self::NoName => "noname",
            Self::Undeployed => "undeployed",
        })
    }
}
