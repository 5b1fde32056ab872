//! The cause of a reconcile.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::audit::Asked;

/// Why there is something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The daemon started.
    Start,
    /// The repository changed.
    Repository,
    /// A file of the working tree changed.
    Files,
    /// The source can be read again after a failure.
    Return,
    /// The daemon looked by itself, in case the system missed a change.
    Look,
    /// A fetch ended.
    Fetch,
    /// A git host reported a push, from this address.
    Webhook(IpAddr),
    /// A request to `POST /api/v1/reconcile`, from this address.
    Request(IpAddr),
    /// SIGHUP: the config is read again too.
    Reload,
    /// The target was suspended or resumed.
    Suspension,
    /// The target failed before.
    Retry,
    /// A connection that was saved but not deployed is due to be written again.
    Degraded,
    /// A commit has stood applied whole for long enough for a target that comes after.
    After,
    /// It is time to compare.
    Resync,
}

impl Cause {
    /// Whether it only says that there may be another commit.
    pub(super) fn is_a_hint(self) -> bool {
        matches!(self, Self::Repository | Self::Fetch | Self::Look)
    }

    /// The cause that is named of several: one that somebody asked for before the others.
    pub(super) fn of(causes: &BTreeSet<Self>) -> Self {
        let asked_for = |cause: &&Self| matches!(cause, Self::Webhook(_) | Self::Request(_));
        let cause = causes.iter().find(asked_for).or(causes.first());
        cause.copied().unwrap_or(Self::Resync)
    }

    /// Why a reconcile is made, and who asked for it.
    pub(super) fn asked(self) -> Asked {
        let by = match self {
            Self::Webhook(address) => Some(format!("a webhook from {address}")),
            Self::Request(address) => Some(request_from(address)),
            _ => None,
        };
        Asked { cause: self.as_str().to_owned(), by }
    }

    /// The word for it in JSON and logs.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Repository => "repository",
            Self::Files => "files",
            Self::Return => "return",
            Self::Look => "look",
            Self::Fetch => "fetch",
            Self::Webhook(_) => "webhook",
            Self::Request(_) => "request",
            Self::Reload => "reload",
            Self::Suspension => "suspension",
            Self::Retry => "retry",
            Self::Degraded => "degraded",
            Self::After => "after",
            Self::Resync => "resync",
        }
    }
}

/// A request with the token, for the audit trail.
pub(super) fn request_from(address: IpAddr) -> String {
    format!("a request from {address}")
}
