//! How connections stand, as status and metrics tell it, and how many of a plan stand so.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::{Action, Change, ChangeResult, Entry, TargetPlan};

/// How a connection stands, in the order in which the ways are counted and offered.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ConnectionState {
    /// Live is as git wants it.
    InSync,
    /// It is about to be written.
    Pending,
    /// Something is wrong with it, and nothing is sent.
    Blocked,
    /// A change is due, and a rule or a suspension keeps it back until somebody consents.
    Held,
    /// It differs, and live is kept: the target only reports drift, or a layer is not there.
    Drifted,
    /// It was saved, and the workers did not get it.
    Degraded,
    /// Nothing comes of writing it: the server rewrites fields, or takes a create and does not list it.
    NotConverging,
    /// Its document says to leave it alone.
    Suspended,
    /// The last write of it failed.
    Failed,
    /// Git neither declares nor owns it.
    Unmanaged,
}

impl ConnectionState {
    /// The words for a state in which a connection is not as git declares it, and a person has to do
    /// something about it.
    pub(crate) fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Failed => Some("failed"),
            Self::Blocked => Some("is blocked"),
            Self::Held => Some("is held"),
            Self::Degraded => Some("is saved but not deployed"),
            Self::NotConverging => Some("does not converge"),
            Self::InSync | Self::Pending | Self::Drifted | Self::Suspended | Self::Unmanaged => {
                None
            }
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

/// The counts of a target's plan. A held change is counted under its action and under `held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Connections to create.
    pub create: usize,
    /// Connections to update.
    pub update: usize,
    /// Connections to replace.
    pub replace: usize,
    /// Connections to rename.
    pub rename: usize,
    /// Connections to delete.
    pub delete: usize,
    /// Connections that are adopted without a write.
    pub adopt: usize,
    /// Changes that a rule or a suspension keeps back.
    pub held: usize,
    /// Connections that are as git wants them.
    pub unchanged: usize,
    /// Connections that something is wrong with.
    pub blocked: usize,
    /// Live connections that git neither declares nor owns.
    pub unmanaged: usize,
    /// Connections with a secret that was never sent nor read back.
    pub unverified: usize,
    /// Changes in which drift is only reported.
    #[serde(skip)]
    pub drifted: usize,
}

impl Summary {
    /// Counts entries.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut summary = Self::default();
        entries.into_iter().for_each(|entry| summary.count(entry));
        summary
    }

    /// Counts the changes that a rule holds, and nothing else.
    pub fn of_held<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut summary = Self::default();
        let changes = entries.into_iter().flat_map(Entry::changes);
        changes.filter(|change| change.held).for_each(|change| summary.count_change(change));
        summary
    }

    fn count_change(&mut self, change: &Change) {
        *match change.action {
            Action::Create => &mut self.create,
            Action::Update => &mut self.update,
            Action::Replace => &mut self.replace,
            Action::Rename => &mut self.rename,
            Action::Delete => &mut self.delete,
            Action::Blocked => &mut self.blocked,
            Action::Drift => &mut self.drifted,
        } += 1;
        self.held += usize::from(change.held);
    }

    fn count(&mut self, entry: &Entry) {
        entry.changes().for_each(|change| self.count_change(change));
        let is_quiet = entry.changes().next().is_none() && !entry.adopted;
        let stands = matches!(entry.state, ConnectionState::InSync | ConnectionState::Degraded);
        self.unchanged += usize::from(is_quiet && stands);
        self.adopt += usize::from(entry.adopted);
        self.unmanaged += usize::from(entry.state == ConnectionState::Unmanaged);
        self.unverified += usize::from(entry.unverified);
    }
}

/// How many changes ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    /// Made.
    pub done: usize,
    /// Saved but not deployed.
    pub degraded: usize,
    /// Failed.
    pub failed: usize,
    /// Something is wrong with the connection.
    pub blocked: usize,
    /// Held by a rule or a suspension.
    pub held: usize,
    /// Drift that is only reported.
    pub drifted: usize,
    /// Not started.
    pub not_started: usize,
    /// Adopted without a write.
    pub adopted: usize,
    /// As git wants them.
    pub unchanged: usize,
}

impl Counts {
    /// Counts the results of some targets together.
    pub(crate) fn of<'a>(targets: impl IntoIterator<Item = &'a TargetPlan>) -> Self {
        let mut counts = Self::default();
        for target in targets {
            let Summary { adopt, unchanged, .. } = target.summary();
            counts.adopted += adopt;
            counts.unchanged += unchanged;
            for (_, result) in target.results() {
                *match result {
                    ChangeResult::Done => &mut counts.done,
                    ChangeResult::NotNeeded => &mut counts.unchanged,
                    ChangeResult::Degraded(_) => &mut counts.degraded,
                    ChangeResult::Failed(_) => &mut counts.failed,
                    ChangeResult::Blocked(_) => &mut counts.blocked,
                    ChangeResult::Held(_) => &mut counts.held,
                    ChangeResult::Reported => &mut counts.drifted,
                    ChangeResult::NotStarted => &mut counts.not_started,
                } += 1;
            }
        }
        counts
    }
}
