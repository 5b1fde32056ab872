//! Why a reconcile is made, how it ended, and how a target stands.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use strum::IntoStaticStr;

use crate::audit::Asked;

/// How a target stands as a whole, the most urgent first, and how a reconcile of it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum TargetState {
    /// A call, the state, the source or the target as a whole failed.
    Failing,
    /// The commit is refused; the last good one is kept up.
    Refused,
    /// Something is wrong with a connection, and nothing was sent for it.
    Blocked,
    /// A rule holds something back; nothing failed.
    Held,
    /// The server rewrites what is written.
    NotConverging,
    /// Something was saved and not deployed.
    Degraded,
    /// Drift is there and only reported.
    Drifted,
    /// Something differs and is not written, or the target has not been given a commit yet.
    Pending,
    /// The target is suspended; it was only looked at.
    Suspended,
    /// No reconcile has ended yet.
    #[default]
    Waiting,
    /// As git wants it.
    InSync,
    /// Another replica acts for it.
    Standby,
    /// Of a reconcile alone: live was made as git wants it.
    Applied,
    /// Of a reconcile alone: a shutdown, the loss of the right to act, or a newer commit ended it.
    Interrupted,
}

impl TargetState {
    /// Whether nothing went wrong and nothing is left to be made.
    #[must_use]
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::InSync | Self::Applied | Self::Drifted)
    }

    /// The word for a reconcile that ended so: the label `outcome` of the metrics.
    #[must_use]
    pub(crate) fn outcome(self) -> &'static str {
        if self == Self::Failing { "failed" } else { self.into_str() }
    }
}

/// Why there is something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum Cause {
    /// The daemon started.
    Start,
    /// SIGHUP: the config is read again too.
    Reload,
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
    /// The target was suspended or resumed, by a request from this address.
    Suspension(IpAddr),
    /// The target failed before; with who had asked for that reconcile.
    Retry(Option<Asker>),
    /// A connection that was saved but not deployed is due to be written again.
    Degraded,
    /// Whether a commit stands applied whole, or for how long, may be other than it was for a target that
    /// comes after another.
    After,
    /// It is time to compare.
    Resync,
}

/// Who asked for a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    /// A git host, from this address.
    Webhook(IpAddr),
    /// A request with the token, from this address.
    Request(IpAddr),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(address) => write!(f, "a webhook from {address}"),
            Self::Request(address) => write!(f, "a request from {address}"),
        }
    }
}

impl Cause {
    /// Whether it only says that there may be another commit.
    pub(super) fn is_a_hint(self) -> bool {
        matches!(self, Self::Repository | Self::Fetch | Self::Look)
    }

    /// The cause that is named of several: one that somebody asked for before the others.
    pub(super) fn of(causes: &BTreeSet<Self>) -> Self {
        let asked_for = causes.iter().find(|cause| cause.asker().is_some());
        let cause = asked_for.or(causes.first());
        cause.copied().unwrap_or(Self::Resync)
    }

    /// Who asked for it; `None`: nobody did.
    pub(super) fn asker(self) -> Option<Asker> {
        match self {
            Self::Webhook(address) => Some(Asker::Webhook(address)),
            Self::Request(address) | Self::Suspension(address) => Some(Asker::Request(address)),
            Self::Retry(asker) => asker,
            _ => None,
        }
    }

    /// Why a reconcile is made, and who asked for it.
    pub(super) fn asked(self) -> Asked {
        let by = self.asker().map(|asker| asker.to_string());
        Asked { cause: self.into_str().to_owned(), by }
    }
}
