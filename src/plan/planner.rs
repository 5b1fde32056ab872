//! Desired, live and what is remembered become a plan.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter::repeat;

use serde_json::Value;

mod change;
mod declared;
mod removed;
mod renames;

pub use change::whole_digest;
pub(crate) use change::{CREATE, RENAME, REPLACE};

use removed::forget_command;

use super::agreement::Agreement;
use super::compare::{Context, LiveView};
use super::filter::Filter;
use super::renames::{Renames, arrange};
use super::same::is_the_same;
use super::state::{ConnectionState, State};
use super::{Action, Change, TargetPlan};
use crate::config::{Adopt, MaxDeletes};
use crate::desired::{Desired, DesiredConnection};
use crate::inventory::{Owned, Record};
use crate::live::{Live, LiveConnection};
use crate::name::{ConnectionName, missing};
use crate::secret::{Redactor, SENSITIVE};

/// All that decides a plan. Nothing in it is asked for again: the same situation gives the same
/// plan.
#[derive(Debug)]
pub struct Situation<'a> {
    /// What git wants.
    pub desired: &'a Desired,
    /// Names whose documents are not valid, and why: they are blocked in all paths.
    pub invalid: &'a BTreeMap<ConnectionName, String>,
    /// What live has.
    pub live: &'a Live,
    /// The own answers of connections that were read one by one.
    pub singles: &'a BTreeMap<ConnectionName, LiveConnection>,
    /// What the comparison looks at, the record among it.
    pub context: Context<'a>,
    /// What may be taken over.
    pub adopt: Adopt,
    /// Whether what git no longer declares is deleted.
    pub prune: bool,
    /// How many deletes a run may make.
    pub max_deletes: MaxDeletes,
    /// `--allow-deletes`.
    pub allow_deletes: bool,
    /// Whether the working tree was read, which is no decision to delete anything.
    pub worktree: bool,
    /// Whether the commit loaded whole.
    pub loaded_whole: bool,
    /// What was passed over below the paths and why: it may declare what seems to be removed.
    pub skipped: &'a [String],
    /// Whether the repository no longer has the last good commit, so that what a commit removed
    /// cannot be known.
    pub last_good_unavailable: bool,
    /// Paths that declared something in the last good commit and are missing or empty now.
    pub emptied: &'a [String],
    /// `--name` and `--type`.
    pub filter: &'a Filter,
    /// Whether connections that were saved but not deployed are written again before their pause
    /// is over.
    pub degraded_at_once: bool,
    /// Why the own answer of a connection, which is needed, could not be had.
    pub unread: &'a BTreeMap<ConnectionName, String>,
    /// What the texts say of each desired connection, in their order; none: nothing.
    pub agreements: &'a [Agreement],
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// A plan, and what else follows from the situation without any call.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: TargetPlan,
    /// The record with what needs no call: adoptions, agreements, names that left, holds.
    pub record: Record,
    /// How each connection stands, before anything is applied.
    pub states: Vec<ConnectionState>,
    /// By type, the connections that differ in a secret that was read back.
    pub canaries: BTreeMap<&'static str, Vec<ConnectionName>>,
}

impl Planned {
    /// Hides what live shows of secrets where none belong: somebody typed them there. Names that
    /// git declares are its own.
    pub fn hide(&mut self, redactor: &Redactor) {
        for field in self.plan.changes.iter_mut().flat_map(|change| &mut change.fields) {
            if field.before.as_ref().is_some_and(|value| redactor.is_shown_by(value)) {
                field.before = Some(Value::from(SENSITIVE));
                field.sensitive = true;
            }
        }
        let unmanaged = self.states.iter_mut().filter(|known| known.state == State::Unmanaged);
        let names = unmanaged.map(|known| &mut known.name);
        for name in names.chain(self.plan.unmanaged.iter_mut().map(|(_, name)| name)) {
            if redactor.is_shown_in_name(name.as_str()) {
                *name = ConnectionName::new(SENSITIVE);
            }
        }
    }
}

/// Makes the plan of one target.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Planned {
    let renames = arrange(situation);
    let mut planner = Planner {
        situation,
        record: situation.context.record.clone(),
        plan: TargetPlan::default(),
        states: Vec::with_capacity(situation.desired.len()),
        renames,
        freed: BTreeSet::new(),
        locked: BTreeMap::new(),
        replaces: BTreeSet::new(),
        canaries: BTreeMap::new(),
        told: HashSet::with_capacity(situation.desired.len()),
    };
    planner.learn_ids();
    planner.renames();
    let agreements = situation.agreements.iter().copied().chain(repeat(Agreement::Doubtful));
    for (desired, agreement) in situation.desired.values().zip(agreements) {
        planner.desired(desired, agreement);
    }
    planner.invalid();
    planner.removed();
    planner.undeployed_deletes();
    planner.unmanaged();
    planner.finish()
}

pub(super) struct Planner<'a> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) record: Record,
    pub(super) plan: TargetPlan,
    pub(super) states: Vec<ConnectionState>,
    renames: Renames,
    /// Names that a rename of this plan frees.
    pub(super) freed: BTreeSet<ConnectionName>,
    /// Old names of renames that cannot be made now, by the new name that waits for them.
    pub(super) locked: BTreeMap<ConnectionName, ConnectionName>,
    pub(super) replaces: BTreeSet<ConnectionName>,
    canaries: BTreeMap<&'static str, Vec<ConnectionName>>,
    /// The declared names of which `states` says how they stand.
    told: HashSet<ConnectionName>,
}
impl<'a> Planner<'a> {
    pub(super) fn admits(&self, type_name: &str, name: &ConnectionName) -> bool {
        self.situation.filter.admits(type_name, name)
    }

    /// The entry of the inventory, if it is of the very connection that is live: another id or
    /// type means that somebody deleted ours and made their own.
    pub(super) fn owned(&self, name: &ConnectionName, live: &LiveConnection) -> Option<Owned> {
        self.record.inventory.get(name).filter(|owned| is_the_same(owned, live)).cloned()
    }

    /// A create tells no id, so the first reading after it does.
    fn learn_ids(&mut self) {
        let live = &self.situation.live.connections;
        let learns = |(name, owned): (&ConnectionName, &Owned)| {
            let live = live.get(name).filter(|live| live.type_name == owned.type_name)?;
            Some((name.clone(), live.id.clone()?))
        };
        let learnt: Vec<_> = self
            .record
            .inventory
            .iter()
            .filter(|(_, owned)| owned.id.is_none())
            .filter_map(learns)
            .collect();
        for (name, id) in learnt {
            self.edit_owned(&name, |owned| owned.id = Some(id));
        }
    }

    /// Changes an entry of the inventory. Only where something changes: see [`Shared`].
    ///
    /// [`Shared`]: crate::inventory::Shared
    pub(super) fn edit_owned(&mut self, name: &ConnectionName, change: impl FnOnce(&mut Owned)) {
        if let Some(owned) = self.record.inventory.get_mut(name) {
            change(owned);
        }
    }

    fn invalid(&mut self) {
        for (name, reason) in self.situation.invalid {
            let entry = self.situation.live.connections.get(name);
            let type_name = entry.map_or("", |live| &live.type_name).to_owned();
            if !self.admits(&type_name, name) {
                continue;
            }
            self.plan.summary.blocked += 1;
            self.plan.changes.push(Change {
                action: Action::Blocked,
                type_name: type_name.clone(),
                name: name.clone(),
                previous_name: None,
                reason: Some(reason.clone()),
                advice: None,
                fields: Vec::new(),
                held: false,
                place: None,
            });
            self.states.push(ConnectionState {
                type_name,
                name: name.clone(),
                state: State::Blocked,
                reason: Some(reason.clone()),
                unverified: false,
                last_change: None,
            });
        }
    }

    fn unmanaged(&mut self) {
        let connections = &self.situation.live.connections;
        for name in missing(connections.keys(), self.situation.desired.keys()) {
            let Some(live) = connections.get(name) else { continue };
            let known = self.situation.invalid.contains_key(name)
                || self.record.inventory.contains_key(name)
                || self.freed.contains(name);
            if known || !self.admits(&live.type_name, name) {
                continue;
            }
            self.plan.summary.unmanaged += 1;
            self.plan.unmanaged.push((live.type_name.clone(), live.name.clone()));
            self.states.push(ConnectionState {
                type_name: live.type_name.clone(),
                name: live.name.clone(),
                state: State::Unmanaged,
                reason: None,
                unverified: false,
                last_change: None,
            });
        }
    }

    pub(super) fn view(&self, name: &ConnectionName) -> Option<LiveView<'a>> {
        let single = self.situation.singles.get(name);
        let entry = self.situation.live.connections.get(name).or(single)?;
        Some(LiveView::new(entry, single))
    }

    pub(super) fn block(
        &mut self,
        desired: &DesiredConnection,
        reason: String,
        advice: Option<String>,
    ) {
        self.push(Change {
            action: Action::Blocked,
            reason: Some(reason.clone()),
            advice,
            ..change::change(desired)
        });
        self.state(desired, State::Blocked, Some(reason));
    }

    pub(super) fn push(&mut self, mut change: Change) {
        let summary = &mut self.plan.summary;
        match change.action {
            Action::Create => summary.create += 1,
            Action::Update => summary.update += 1,
            Action::Replace => summary.replace += 1,
            Action::Rename => summary.rename += 1,
            Action::Delete => summary.delete += 1,
            Action::Blocked => summary.blocked += 1,
            Action::Drift => {}
        }
        if change.held {
            summary.held += 1;
        }
        if let Some(live) = self.situation.live.connections.get(&change.name)
            && !self.freed.contains(&change.name)
        {
            change.name = live.name.clone();
        }
        self.plan.changes.push(change);
    }

    pub(super) fn state(
        &mut self,
        desired: &DesiredConnection,
        state: State,
        reason: Option<String>,
    ) {
        self.state_with(desired, state, reason, false);
    }

    pub(super) fn state_with(
        &mut self,
        desired: &DesiredConnection,
        state: State,
        reason: Option<String>,
        unverified: bool,
    ) {
        if unverified {
            self.plan.summary.unverified += 1;
        }
        self.told.insert(desired.name.clone());
        self.states.push(ConnectionState {
            type_name: desired.connection_type.name.to_owned(),
            name: desired.name.clone(),
            state,
            reason,
            unverified,
            last_change: self.record.inventory.get(&desired.name).and_then(|o| o.last_change),
        });
    }

    fn finish(mut self) -> Planned {
        self.plan.changes.sort_by_key(|change| match change.action {
            Action::Rename => 0,
            Action::Replace => 1,
            Action::Create => 2,
            Action::Update => 3,
            Action::Drift => 4,
            Action::Blocked => 5,
            Action::Delete => 6,
        });
        for type_name in &self.situation.live.unsupported {
            self.plan.notices.push(format!(
                "this version of the server does not know the type {type_name}: its documents are blocked"
            ));
        }
        for (name, gone) in self.record.degraded.iter().filter(|(_, degraded)| degraded.deleted) {
            self.plan.notices.push(format!(
                "the delete of `{name}` was saved but not deployed, and is not sent again: {}; once the \
                 workers have it, `{}` ends this note",
                gone.reason,
                forget_command(name)
            ));
        }
        for (type_name, problem) in &self.situation.live.incomplete {
            self.plan.errors.push(format!("the list of {type_name} is not complete: {problem}"));
        }
        Planned {
            plan: self.plan,
            record: self.record,
            states: self.states,
            canaries: self.canaries,
        }
    }
}
