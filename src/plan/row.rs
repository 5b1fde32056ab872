//! Everything about one connection in one reconcile lies in one row: git's side, live's side and the
//! memory. Beside the rows, `Settings` is all that deciding looks at.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{CompareSettings, LiveView};
use super::earlier_commits::EarlierCommits;
use super::run::RunRequests;
use crate::config::Policy;
use crate::desired::{Desired, DesiredConnection};
use crate::document::Invalid;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;
use crate::record::{Memory, Owned, ReadableSecrets, Record};
use crate::rules::UserRules;

/// The rows of one target, by name.
pub(crate) type Rows<'a> = BTreeMap<&'a ConnectionName, Row<'a>>;

/// One connection in one reconcile.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a ConnectionName,
    /// Git's side.
    pub(crate) declared: Declared<'a>,
    /// Live's side.
    pub(crate) sight: Sight<'a>,
    /// The memory of it.
    pub(crate) memory: Option<&'a Memory>,
    /// A path that had a say in it, or in the one that it is renamed from, and is missing, empty or not read now.
    pub(crate) absent_path: Option<&'a str>,
    /// The meaning of the rename from this name, if a document declares one.
    pub(crate) claim: Option<Claim<'a>>,
}

/// Git's side of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Declared<'a> {
    /// A valid document.
    Wanted(&'a DesiredConnection),
    /// A document that is not valid, or a name that one blocks, and why.
    Invalid(&'a Invalid),
    /// Nothing.
    Nothing,
}

/// Live's side of a name.
#[derive(Clone, Debug)]
pub(crate) enum Sight<'a> {
    /// It is there.
    Shown(LiveView<'a>),
    /// Complete lists do not show it, nor does its own answer where it was asked for.
    Gone,
    /// A list failed, so whether it is there is not known.
    NotKnown,
    /// Its own answer could not be had, or lists contradict each other about it.
    Unclear(String),
}

/// The meaning of a rename for its old name in this plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// A rename of this plan frees the name for another connection.
    Frees(&'a ConnectionName),
    /// The rename is not made now, and the name is kept from everything else.
    Locks(&'a ConnectionName),
    /// The rename is done, and a connection of ours that git does not declare still has the old name.
    Inert(&'a ConnectionName),
}

/// The answers that were read of live.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The lists.
    pub(crate) live: Live,
    /// The own answers of connections that were read one by one.
    pub(crate) singles: BTreeMap<ConnectionName, LiveConnection>,
    /// Why the own answer of a connection, which is needed, could not be had.
    pub(crate) failed: BTreeMap<ConnectionName, String>,
    /// The names that were read one by one since the lists do not say enough.
    pub(crate) read_alone: BTreeSet<ConnectionName>,
}

impl Observed {
    /// The connection that lists show under a name, with its own answer where that was read.
    pub(crate) fn listed(&self, name: &ConnectionName) -> Option<LiveView<'_>> {
        let listed = self.live.connections.get(name)?;
        Some(LiveView { listed, own: self.singles.get(name) })
    }

    /// The connection of a name, also where only its own answer shows it.
    pub(crate) fn shown(&self, name: &ConnectionName) -> Option<LiveView<'_>> {
        self.listed(name).or_else(|| self.singles.get(name).map(LiveView::of))
    }

    /// Live's side of a name.
    pub(crate) fn sight(&self, name: &ConnectionName) -> Sight<'_> {
        if let Some(problem) = self.failed.get(name) {
            return Sight::Unclear(format!("could not be read: {problem}"));
        }
        if let Some(lists) = self.live.repeated.get(name) {
            return Sight::Unclear(format!("{lists}, and names are unique in a project"));
        }
        match self.shown(name) {
            Some(view) => Sight::Shown(view),
            None if self.live.incomplete.is_empty() => Sight::Gone,
            None => Sight::NotKnown,
        }
    }
}

/// Joins git's side, live's side and the memory of each name, once. `invalid` are the names whose
/// documents are not valid, or that one blocks, and why.
pub(crate) fn join<'a>(
    desired: &'a Desired,
    invalid: &'a BTreeMap<ConnectionName, Invalid>,
    earlier: &'a EarlierCommits,
    observed: &'a Observed,
    record: &'a Record,
) -> Rows<'a> {
    let declared = desired.keys().chain(invalid.keys());
    let known = observed.live.connections.keys().chain(record.connections.keys());
    let row = |name: &'a ConnectionName| {
        let declared = match (invalid.get(name), desired.get(name)) {
            (Some(invalid), _) => Declared::Invalid(invalid),
            (None, Some(desired)) => Declared::Wanted(desired),
            (None, None) => Declared::Nothing,
        };
        Row {
            name,
            declared,
            sight: observed.sight(name),
            memory: record.memory(name),
            absent_path: earlier.absent_path_of(name, desired.get(name)),
            claim: None,
        }
    };
    let names: BTreeSet<&ConnectionName> = declared.chain(known).collect();
    names.into_iter().map(|name| (name, row(name))).collect()
}

impl<'a> Row<'a> {
    /// Its entry in the inventory.
    pub(crate) fn owned(&self) -> Option<&'a Owned> {
        self.memory?.owned.as_ref()
    }

    /// Its entry in the inventory, where the connection that is live is the very one of it.
    pub(crate) fn ours(&self, settings: &CompareSettings<'_>) -> Option<&'a Owned> {
        let view = self.view()?;
        self.owned().filter(|owned| view.is_the_connection_of(owned, settings))
    }

    /// The view of the live connection, where there is one.
    pub(crate) fn view(&self) -> Option<LiveView<'a>> {
        match &self.sight {
            Sight::Shown(view) => Some(*view),
            Sight::Gone | Sight::NotKnown | Sight::Unclear(_) => None,
        }
    }

    /// The valid document of it.
    pub(crate) fn wanted(&self) -> Option<&'a DesiredConnection> {
        match self.declared {
            Declared::Wanted(desired) => Some(desired),
            Declared::Invalid(_) | Declared::Nothing => None,
        }
    }

    /// Its type: git's where the document is valid, live's first where it is not, and the inventory's
    /// first where git declares nothing.
    pub(crate) fn type_name(&self) -> &'a str {
        let owned = self.owned().map(|owned| owned.type_name.as_str());
        let live = self.view().map(|view| view.listed.type_name.as_str());
        match self.declared {
            Declared::Wanted(desired) => desired.connection_type.name,
            Declared::Invalid(invalid) => live.or(owned).unwrap_or(&invalid.type_name),
            Declared::Nothing => owned.or(live).unwrap_or_default(),
        }
    }
}

/// All that deciding looks at beside the rows. The same rows and settings give the same plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) run: &'a RunRequests,
    pub(crate) compare: CompareSettings<'a>,
    /// The secret fields of which the plan expects that an apply can send them back as `GET` shows them:
    /// those that were readable before, and those that this reconcile has seen to be. The apply looks again.
    pub(crate) sendable: &'a ReadableSecrets,
    pub(crate) live: &'a Live,
    /// Whether the commit loaded whole.
    pub(crate) loaded_whole: bool,
    /// The files and folders below the paths that are not read, and why: they may declare
    /// connections that seem removed.
    pub(crate) unread_files: &'a BTreeMap<String, String>,
    /// The declarations and consents of earlier commits.
    pub(crate) earlier: &'a EarlierCommits,
    /// Judges changes by the rules of the user.
    pub(crate) judge: Judge<'a>,
    /// Whether all consents count as not given.
    pub(crate) without_consents: bool,
}

/// The changes of a run without the rules of the user. Each part is empty, unless one of the rules asks
/// for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// How many there are, see [`super::judge::count`].
    pub(crate) count: usize,
    /// Those that a rule of the tool holds, or would hold without consent.
    pub(crate) held: BTreeSet<ConnectionName>,
}

/// Judges changes by the rules of the user, see [`super::judge`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) user: &'a UserRules,
    /// `--allow RULE`.
    pub(crate) allow: &'a [String],
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
    /// The changes of the run without the rules of the user.
    pub(crate) tally: &'a Tally,
}

impl Settings<'_> {
    /// Whether the run asks for the delete or replace of exactly this name.
    pub(crate) fn allows_delete_of(&self, name: &ConnectionName) -> bool {
        !self.without_consents && self.run.allow_delete.contains(name)
    }

    /// Whether the run consents to what a limit, an absent path or the working tree holds.
    pub(crate) fn allows_deletes(&self) -> bool {
        !self.without_consents && self.run.allow_deletes
    }

    /// Whether the working tree is read, which is no decision to delete anything.
    pub(crate) fn is_worktree(&self) -> bool {
        self.earlier.commit.is_none()
    }

    /// Whether the run or the tip consents to changes that an absent path (lost or unread) holds. A tip
    /// consents once, so it does not in a run that looks at a part, which does not remember that.
    pub(crate) fn consents_to_absent_paths(&self) -> bool {
        let is_whole = self.loaded_whole && !self.run.filter.is_narrow();
        let by_tip = is_whole && self.earlier.consents.by_tip;
        self.allows_deletes() || (!self.without_consents && by_tip)
    }
}
