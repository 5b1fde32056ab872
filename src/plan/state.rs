//! How each connection stands, as status and metrics tell it.

use serde::Serialize;

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Live is as git wants it.
    InSync,
    /// It is about to be written.
    Pending,
    /// Something is wrong with it, and nothing is sent.
    Blocked,
    /// A rule holds its delete or replace back.
    Held,
    /// It drifted, and the target only reports drift.
    Drifted,
    /// It was saved, and the workers did not get it.
    Degraded,
    /// The server rewrites what is written.
    NotConverging,
    /// Its document says to leave it alone.
    Suspended,
    /// Git neither declares nor owns it.
    Unmanaged,
    /// The last write of it failed.
    Failed,
}

impl State {
    /// All states, in the order in which they are counted and offered.
    pub const ALL: [Self; 10] = [
        Self::InSync,
        Self::Pending,
        Self::Blocked,
        Self::Held,
        Self::Drifted,
        Self::Degraded,
        Self::NotConverging,
        Self::Suspended,
        Self::Unmanaged,
        Self::Failed,
    ];

    /// The word for it in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Drifted => "drifted",
            Self::Degraded => "degraded",
            Self::NotConverging => "not_converging",
            Self::Suspended => "suspended",
            Self::Unmanaged => "unmanaged",
            Self::Failed => "failed",
        }
    }
}

/// How something stands with its reason, which may say the last word of that itself: `is held` and
/// `held by max_deletes: ...` are `is held by max_deletes: ...`.
#[must_use]
pub(crate) fn with_reason(stands: &str, reason: &str) -> String {
    let last = stands.rsplit(' ').next().unwrap_or_default();
    match reason.strip_prefix(last) {
        Some(rest) if rest.starts_with([' ', ':']) => format!("{stands}{rest}"),
        _ => format!("{stands}: {reason}"),
    }
}
