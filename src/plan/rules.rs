//! The rules of a plan: everything that decides it beside the rows.

use super::compare::{CompareRules, Keys};
use super::filter::Filter;
use super::history::History;
use crate::config::Policy;
use crate::live::Live;
use crate::name::ConnectionName;
use crate::rules::UserRules;

/// The rules of a plan. The same rows and rules give the same plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) run: &'a RunRules,
    pub(crate) compare: CompareRules<'a>,
    pub(crate) live: &'a Live,
    pub(crate) commit: &'a CommitFacts<'a>,
    /// Judges changes by the rules of the user.
    pub(crate) judge: Judge<'a>,
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
}

/// Judges changes by the rules of the user, see [`super::judge`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) user: &'a UserRules,
    /// `--allow RULE`.
    pub(crate) allow: &'a [String],
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
}

/// The requests of a run.
#[derive(Clone, Debug, Default)]
pub struct RunRules {
    /// `--name` and `--type`.
    pub filter: Filter,
    /// `--allow-deletes`: consent to changes that a limit or a lost path holds.
    pub allow_deletes: bool,
    /// `--allow-delete NAME`: consent to the delete of these names, which no commit asked for.
    pub allow_delete: Vec<ConnectionName>,
    /// `--allow RULE`: consent to changes that these rules of the user hold.
    pub allow: Vec<String>,
    /// Whether degraded connections are written again before their pause is over.
    pub degraded_at_once: bool,
}

/// The facts about the commit that is looked at.
#[derive(Debug)]
pub(crate) struct CommitFacts<'a> {
    /// Whether it loaded whole.
    pub(crate) loaded_whole: bool,
    /// Files that were not read below the paths, and why: they may declare connections that seem
    /// removed.
    pub(crate) not_read: &'a [String],
    /// The declarations and consents of earlier commits.
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

    /// Whether the run or the tip consents to changes that a lost path holds.
    pub(crate) fn consents_to_lost_paths(&self) -> bool {
        self.run.allow_deletes || self.commit.history.consents.by_tip
    }
}
