//! The words for how a reconcile ended and how a target stands.

use crate::plan::{Counts, TargetPlan};

/// How a reconcile ended: the label `outcome` of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconcileOutcome {
    /// Live was as git wants it.
    InSync,
    /// Live was made so.
    Applied,
    /// Something differs, and the daemon does not write.
    Pending,
    /// Drift is there and only reported.
    Drifted,
    /// A rule holds something back; nothing failed.
    Held,
    /// Something is wrong with a connection, and nothing was sent for it.
    Blocked,
    /// Something was saved and not deployed.
    Degraded,
    /// A call, the state, the source or the target as a whole failed.
    Failed,
    /// The commit is refused; the last good one is kept up.
    Refused,
    /// The target is suspended; it was only looked at.
    Suspended,
    /// A shutdown or a newer commit ended it.
    Interrupted,
}

impl ReconcileOutcome {
    /// How carrying a plan out ended, the worst first. `interrupted`: somebody asked it to end.
    #[must_use]
    pub(crate) fn of(plan: &TargetPlan, interrupted: bool) -> Self {
        let counts = Counts::of([plan]);
        // A failure of then was perhaps only not tried again.
        let is_cut_short = counts.not_started + counts.failed > 0 || !plan.errors.is_empty();
        if interrupted && is_cut_short {
            Self::Interrupted
        } else if !plan.errors.is_empty() || counts.failed + counts.not_started > 0 {
            Self::Failed
        } else if counts.blocked > 0 {
            Self::Blocked
        } else if counts.degraded > 0 {
            Self::Degraded
        } else if counts.held > 0 {
            Self::Held
        } else if counts.drifted > 0 {
            Self::Drifted
        } else if counts.done + counts.adopted > 0 {
            Self::Applied
        } else {
            Self::InSync
        }
    }

    /// The word for it in JSON, logs and metrics.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Suspended => "suspended",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nothing went wrong and nothing is left to be made.
    #[must_use]
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::InSync | Self::Applied | Self::Drifted)
    }
}

/// How a target stands as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TargetState {
    /// No reconcile has ended yet.
    #[default]
    Waiting,
    /// Another replica acts for it.
    Standby,
    /// As git wants it.
    InSync,
    /// Something differs, and the daemon does not write.
    Pending,
    /// Drift is there and only reported.
    Drifted,
    /// A rule holds something back.
    Held,
    /// Something is wrong with a connection.
    Blocked,
    /// Something was saved and not deployed.
    Degraded,
    /// The server rewrites what is written.
    NotConverging,
    /// The commit is refused; the last good one is kept up.
    Refused,
    /// The target is suspended.
    Suspended,
    /// A call, the state, the source or the target as a whole failed.
    Failing,
}

impl TargetState {
    /// The word for it in JSON and on the page.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Standby => "standby",
            Self::InSync => "in_sync",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Degraded => "degraded",
            Self::NotConverging => "not_converging",
            Self::Refused => "refused",
            Self::Suspended => "suspended",
            Self::Failing => "failing",
        }
    }
}
