//! What decides a plan beside the rows.

use super::compare::{CompareRules, Keys};
use super::filter::Filter;
use super::history::History;
use crate::config::{Adopt, MaxDeletes};
use crate::live::Live;
use crate::name::ConnectionName;

/// What decides a plan beside the rows. The same rows and rules give the same plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) policy: Policy,
    pub(crate) run: &'a RunRules,
    pub(crate) compare: CompareRules<'a>,
    pub(crate) live: &'a Live,
    pub(crate) commit: &'a CommitFacts<'a>,
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
}

/// What the config of a target allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// What may be adopted.
    pub(crate) adopt: Adopt,
    /// Whether what git no longer declares is deleted.
    pub(crate) prune: bool,
    /// How many deletes a run may make.
    pub(crate) max_deletes: MaxDeletes,
}

/// What a run was asked to do.
#[derive(Clone, Debug, Default)]
pub struct RunRules {
    /// `--name` and `--type`.
    pub filter: Filter,
    /// `--allow-deletes`: consent to what a limit or a lost path holds.
    pub allow_deletes: bool,
    /// `--allow-delete NAME`: consent to the delete of these names, which no commit asked for.
    pub allow_delete: Vec<ConnectionName>,
    /// Whether what was saved but not deployed is written again before its pause is over.
    pub degraded_at_once: bool,
}

/// What is known of the commit that is looked at.
#[derive(Debug)]
pub(crate) struct CommitFacts<'a> {
    /// Whether it loaded whole.
    pub(crate) loaded_whole: bool,
    /// What was not read below the paths and why: it may declare what seems to be removed.
    pub(crate) not_read: &'a [String],
    /// What earlier commits declared and consented to.
    pub(crate) history: &'a History,
}

impl Rules<'_> {
    pub(crate) fn keys(&self) -> Keys<'_> {
        self.compare.keys
    }

    /// Whether the run asks for the delete or replace of exactly this name.
    pub(crate) fn allows_delete_of(&self, name: &ConnectionName) -> bool {
        self.run.allow_delete.contains(name)
    }

    /// Whether the working tree is read, which is no decision to delete anything.
    pub(crate) fn is_worktree(&self) -> bool {
        self.commit.history.commit.is_none()
    }

    /// Whether somebody consented to what a lost path holds.
    pub(crate) fn consents_to_lost_paths(&self) -> bool {
        self.run.allow_deletes || self.commit.history.consents.by_tip
    }
}
