//! A delete or a replace that is due: who asked for it, and what held it (rule 3).

use serde::{Deserialize, Serialize};

use crate::name::{CommitId, ConnectionName};

/// A delete or a replace that is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// The step that is due.
    pub to: DueStep,
    /// Who asked for it.
    pub asked_by: AskedBy,
    /// The commit that was the last good one when this became due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_in: Option<CommitId>,
    /// The commit whose trailer consented to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<CommitId>,
    /// The limit that held it, kept so that a later, larger inventory does not free it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_limit: Option<OverLimit>,
    /// A path that was missing or empty when this became due; kept although the path may be back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_path: Option<String>,
    /// The name that was to be renamed from this one by the same commit: while that rename is
    /// declared and not done, since both names are live, nothing is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<ConnectionName>,
    /// A limit or a lost path held it until somebody consented: for the rules of the user it stays held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_held: bool,
}

/// The step that is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DueStep {
    /// The connection is deleted.
    #[default]
    Delete,
    /// It is replaced by one of this type. A consent to one replace is none to another.
    Replace(String),
}

/// Who asked for a delete or replace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// No commit is known to have asked for it; only the reason that held it is remembered.
    #[default]
    NoCommit,
    /// The repository did not have the commit that tells.
    NotKnown,
    /// The commit in which the name, or its old type, was gone.
    Commit(CommitId),
    /// The working tree lacks it.
    WorkingTree,
    /// That commit removed the connection, and a later one declares another type under the name:
    /// neither asked for a replace.
    RemovedBy(CommitId),
}

impl AskedBy {
    /// The one that is looked at: a commit, or the working tree.
    pub fn this(commit: Option<&CommitId>) -> Self {
        commit.map_or(Self::WorkingTree, |commit| Self::Commit(commit.clone()))
    }
}

impl Due {
    /// Whether a commit (or the working tree) asked for it.
    pub fn is_asked_for(&self) -> bool {
        matches!(self.asked_by, AskedBy::Commit(_) | AskedBy::WorkingTree)
    }

    /// Whether a commit (or the working tree) asked for its delete.
    pub fn asks_for_a_delete(&self) -> bool {
        self.is_asked_for() && self.to == DueStep::Delete
    }

    /// The type that a replace gives.
    pub fn replaces_by(&self) -> Option<&str> {
        match &self.to {
            DueStep::Delete => None,
            DueStep::Replace(type_name) => Some(type_name),
        }
    }
}

/// More deletes were due than a run may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverLimit {
    /// How many were due; of a whole inventory, all that it held.
    pub due: usize,
    /// How many were allowed.
    pub allowed: usize,
    /// How many connections the inventory held.
    pub inventory: usize,
}

impl OverLimit {
    /// Whether the whole inventory was due at once.
    pub(crate) fn is_whole(&self) -> bool {
        self.inventory >= 2 && self.due >= self.inventory
    }
}
