//! Desired, live and what is remembered become a plan.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::compare::{
    Comparison, Context, LiveView, Treatment, compare, is_as_declared, show_desired,
};
use super::deletes::{self, Group};
use super::filter::Filter;
use super::renames::{self, Renames};
use super::state::{ConnectionState, State};
use super::{Action, Change, FieldChange, Origin, TargetPlan};
use crate::config::{Adopt, MaxDeletes};
use crate::desired::{Desired, DesiredConnection};
use crate::inventory::{BaseField, Owned, Record};
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

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

/// Makes the plan of one target.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Planned {
    let renames = renames::arrange(situation.desired, situation.live, situation.context.record);
    let mut planner = Planner {
        situation,
        record: situation.context.record.clone(),
        plan: TargetPlan::default(),
        states: Vec::new(),
        renames,
        freed: BTreeSet::new(),
        locked: BTreeMap::new(),
        replaces: BTreeSet::new(),
        canaries: BTreeMap::new(),
    };
    planner.renames();
    for desired in situation.desired.values() {
        planner.desired(desired);
    }
    planner.invalid();
    planner.removed();
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
}

impl<'a> Planner<'a> {
    fn admits(&self, type_name: &str, name: &ConnectionName) -> bool {
        self.situation.filter.admits(type_name, name)
    }

    fn renames(&mut self) {
        let refused = std::mem::take(&mut self.renames.refused);
        for (new, (old, reason)) in refused {
            self.locked.insert(old, new.clone());
            if let Some(desired) = self.situation.desired.get(&new)
                && self.admits(desired.connection_type.name, &new)
            {
                self.block(desired, reason, None);
            }
        }
        for (new, old) in std::mem::take(&mut self.renames.due) {
            let Some(desired) = self.situation.desired.get(&new) else { continue };
            let live = self.situation.live;
            let waits_for = (live.connections.contains_key(&new) && !self.freed.contains(&new))
                || self.locked.contains_key(&new);
            let admitted = self.admits(desired.connection_type.name, &new);
            let planned = if desired.options.suspend || !admitted {
                if admitted {
                    self.state(desired, State::Suspended, None);
                }
                false
            } else if waits_for {
                let reason = format!("waits for the name `{new}`, which is not free");
                self.block(desired, reason, None);
                false
            } else {
                self.rename(desired, &old)
            };
            if planned {
                self.freed.insert(old);
            } else {
                self.locked.insert(old, new);
            }
        }
    }

    /// Plans one rename; whether it will be made.
    fn rename(&mut self, desired: &'a DesiredConnection, old: &ConnectionName) -> bool {
        let Some(view) = self.view(old) else { return false };
        if let Some(reason) = self.cannot_be_written(desired) {
            self.block(desired, reason, None);
            return false;
        }
        if view.entry.type_name != desired.connection_type.name {
            let reason = format!(
                "cannot be renamed from `{}`: that is of type {}",
                view.entry.name, view.entry.type_name
            );
            self.block(desired, reason, None);
            return false;
        }
        let owned = self.owned(old, view.entry);
        let comparison =
            compare(desired, &view, owned.as_ref().map(|o| &o.base), &self.situation.context);
        if owned.is_none() && !self.may_take_over(desired, &comparison) {
            return false;
        }
        self.learn(desired, &comparison);
        let fields = written_fields(&comparison);
        self.push(Change {
            action: Action::Rename,
            previous_name: Some(view.entry.name.clone()),
            reason: owned.is_none().then(|| TAKEN_OVER.to_owned()),
            fields,
            ..change(desired)
        });
        self.state(desired, State::Pending, None);
        true
    }

    fn desired(&mut self, desired: &'a DesiredConnection) {
        let name = &desired.name;
        let type_name = desired.connection_type.name;
        let settled = self.states.iter().any(|s| s.name == *name);
        if settled || !self.admits(type_name, name) {
            return;
        }
        if let Some(owned) = self.record.inventory.get_mut(name) {
            owned.protect = desired.options.protect;
        }
        if desired.options.suspend {
            self.state(desired, State::Suspended, None);
            return;
        }
        if let Some(new) = self.locked.get(name) {
            let reason = format!("waits until `{new}` has been renamed from it");
            self.block(desired, reason, None);
            return;
        }
        if let Some(reason) = self.cannot_be_written(desired) {
            self.block(desired, reason, None);
            return;
        }
        match self.view(name).filter(|_| !self.freed.contains(name)) {
            None => self.absent(desired),
            Some(view) if view.entry.type_name == type_name => self.present(desired, &view),
            Some(view) => self.other_type(desired, &view),
        }
    }

    /// Why nothing can be written, whatever live has.
    fn cannot_be_written(&self, desired: &DesiredConnection) -> Option<String> {
        if let Some(problem) = desired.unresolved.first() {
            let more = desired.unresolved.len() - 1;
            let and = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            return Some(format!("unresolved: {problem}{and}"));
        }
        if let Some(problem) = self.situation.unread.get(&desired.name) {
            return Some(format!("could not be read: {problem}"));
        }
        let type_name = desired.connection_type.name;
        self.situation
            .live
            .unsupported
            .iter()
            .any(|t| t == type_name)
            .then(|| format!("this version of the server does not know the type {type_name}"))
    }

    fn absent(&mut self, desired: &'a DesiredConnection) {
        let live = self.situation.live;
        if let Some((type_name, problem)) = live.incomplete.iter().next() {
            let reason = format!(
                "not created: whether it exists is not known, since the list of {type_name} failed \
                 ({problem})"
            );
            self.block(desired, reason, None);
            return;
        }
        let freed = self.freed.contains(&desired.name);
        let owned = self.situation.context.record.inventory.get(&desired.name).filter(|_| !freed);
        let reason = owned.map(|_| "deleted outside git".to_owned());
        let origin = match owned {
            None => Origin::Git,
            Some(owned) if git_moved(desired, owned, &self.situation.context) => Origin::Both,
            Some(_) => Origin::Drift,
        };
        let fields = created_fields(desired, origin);
        let keeps = origin == Origin::Drift && !self.situation.context.corrects_drift;
        let action = if keeps { Action::Drift } else { Action::Create };
        self.push(Change { action, reason: reason.clone(), fields, ..change(desired) });
        let state = if keeps { State::Drifted } else { State::Pending };
        self.state(desired, state, reason);
    }

    fn present(&mut self, desired: &'a DesiredConnection, view: &LiveView<'_>) {
        let owned = self.owned(&desired.name, view.entry);
        let context = &self.situation.context;
        let comparison = compare(desired, view, owned.as_ref().map(|o| &o.base), context);
        self.learn(desired, &comparison);
        let taken_over = owned.is_none();
        if taken_over && !self.may_take_over(desired, &comparison) {
            return;
        }
        let unverified = comparison.unverified;
        self.remember_agreement(desired, view, &comparison);
        if comparison.writes() {
            let differing = desired.connection_type.name;
            if comparison.differences.iter().any(|d| d.read_back) {
                self.canaries.entry(differing).or_default().push(desired.name.clone());
            }
            let reason = taken_over.then(|| TAKEN_OVER.to_owned());
            self.push(Change {
                action: Action::Update,
                reason: reason.clone(),
                fields: written_fields(&comparison),
                ..change(desired)
            });
            self.state_with(desired, State::Pending, reason, unverified);
        } else if let Some(reason) = self.degraded(&desired.name) {
            self.push(Change {
                action: Action::Update,
                reason: Some(reason.clone()),
                ..change(desired)
            });
            self.state_with(desired, State::Degraded, Some(reason), unverified);
        } else {
            if taken_over {
                self.plan.summary.adopt += 1;
            } else if comparison.differences.is_empty() {
                self.plan.summary.unchanged += 1;
            }
            let waiting = self.record.degraded.get(&desired.name).map(|d| d.reason.clone());
            let state = if waiting.is_some() { State::Degraded } else { State::InSync };
            if comparison.differences.is_empty() {
                self.state_with(desired, state, waiting, unverified);
            }
        }
        self.report_kept(desired, &comparison);
    }

    /// Shows what live keeps: drift that is only reported, and fields that the server rewrites.
    fn report_kept(&mut self, desired: &'a DesiredConnection, comparison: &Comparison) {
        for (treatment, state) in
            [(Treatment::Keep, State::Drifted), (Treatment::GiveUp, State::NotConverging)]
        {
            let fields: Vec<FieldChange> = comparison
                .differences
                .iter()
                .filter(|d| d.treatment == treatment)
                .map(|d| d.change.clone())
                .collect();
            if fields.is_empty() {
                continue;
            }
            let reason = (treatment == Treatment::GiveUp).then(|| {
                let names: Vec<&str> = fields.iter().map(|f| f.path.as_str()).collect();
                format!(
                    "not converging: the server rewrites {} after every write",
                    names.join(", ")
                )
            });
            self.push(Change {
                action: Action::Drift,
                reason: reason.clone(),
                fields,
                ..change(desired)
            });
            if !comparison.writes() {
                self.state_with(desired, state, reason, comparison.unverified);
            }
        }
    }

    fn other_type(&mut self, desired: &'a DesiredConnection, view: &LiveView<'_>) {
        let live_type = &view.entry.type_name;
        let wanted = desired.connection_type.name;
        let owned = self.owned(&desired.name, view.entry);
        let git_changed_it =
            owned.as_ref().is_some_and(|o| o.type_name == *live_type && o.type_name != wanted);
        if !git_changed_it {
            let reason = format!("is of type {live_type} on the server, and git declares {wanted}");
            let advice = "give it another name in git, or delete it in the console".to_owned();
            self.block(desired, reason, Some(advice));
            return;
        }
        if self.was_refused(desired) {
            let reason = format!(
                "the server refused to replace the {live_type} connection by a {wanted} one, and the \
                 document has not changed since"
            );
            self.block(desired, reason, None);
            return;
        }
        self.replaces.insert(desired.name.clone());
        self.push(Change {
            action: Action::Replace,
            reason: Some(format!("the type changes from {live_type} to {wanted}")),
            fields: created_fields(desired, Origin::Git),
            ..change(desired)
        });
        self.state(desired, State::Pending, None);
    }

    fn was_refused(&self, desired: &DesiredConnection) -> bool {
        let context = &self.situation.context;
        let refused = context.record.unstable.get(&desired.name).and_then(|f| f.get(REPLACE));
        refused.is_some_and(|refused| {
            context.key.matches(&refused.print, REPLACE, &replace_digest(desired))
        })
    }

    /// The entry of the inventory, if it is of the very connection that is live: another id
    /// means that somebody deleted ours and made their own.
    pub(super) fn owned(&self, name: &ConnectionName, live: &LiveConnection) -> Option<Owned> {
        self.record.inventory.get(name).filter(|owned| same_id(owned, live)).cloned()
    }

    fn may_take_over(&mut self, desired: &'a DesiredConnection, found: &Comparison) -> bool {
        let differs = !found.differences.is_empty();
        let (blocked, advice) = match self.situation.adopt {
            Adopt::Always => return true,
            Adopt::Equal if !differs => return true,
            Adopt::Equal => ("it differs from git", "make git equal to it, or set `adopt: always`"),
            Adopt::Never => ("`adopt` is `never`", "set `adopt: equal` or `adopt: always`"),
        };
        let reason = format!("not taken over: it was made outside git, and {blocked}");
        let fields = found.differences.iter().map(|d| d.change.clone()).collect();
        self.plan.summary.blocked += 1;
        self.plan.changes.push(Change {
            action: Action::Blocked,
            reason: Some(reason.clone()),
            advice: Some(advice.to_owned()),
            fields,
            ..change(desired)
        });
        self.state(desired, State::Blocked, Some(reason));
        false
    }

    fn learn(&mut self, desired: &DesiredConnection, comparison: &Comparison) {
        let type_name = desired.connection_type.name;
        for path in &comparison.proven_readable {
            self.record.readable.entry(type_name.to_owned()).or_default().insert(path.clone());
        }
        if let Some(unstable) = self.record.unstable.get_mut(&desired.name) {
            for path in &comparison.settled {
                unstable.remove(path);
            }
            if unstable.is_empty() {
                self.record.unstable.remove(&desired.name);
            }
        }
    }

    /// Keeps what agrees now. A connection that is taken over enters the inventory here if
    /// nothing has to be written for it; otherwise its write does that.
    fn remember_agreement(
        &mut self,
        desired: &DesiredConnection,
        view: &LiveView<'_>,
        comparison: &Comparison,
    ) {
        let was_read = view.single.is_some();
        match self.record.inventory.get_mut(&desired.name).filter(|o| same_id(o, view.entry)) {
            Some(owned) => {
                owned.base.clone_from(&comparison.base);
                if owned.id.is_none() {
                    owned.id.clone_from(&view.entry.id);
                }
            }
            None if !comparison.writes() => {
                self.record.forget(&desired.name);
                self.record.inventory.insert(
                    desired.name.clone(),
                    Owned {
                        type_name: view.entry.type_name.clone(),
                        id: view.entry.id.clone(),
                        base: comparison.base.clone(),
                        protect: desired.options.protect,
                        secrets_checked: None,
                        last_change: None,
                    },
                );
            }
            None => return,
        }
        if was_read
            && desired.declares_secret()
            && let Some(owned) = self.record.inventory.get_mut(&desired.name)
        {
            owned.secrets_checked = Some(self.situation.now);
        }
    }

    fn degraded(&self, name: &ConnectionName) -> Option<String> {
        let degraded = self.record.degraded.get(name).filter(|d| !d.deleted)?;
        let due = self.situation.degraded_at_once || degraded.next <= self.situation.now;
        due.then(|| format!("saved but not deployed: {}", degraded.reason))
    }

    /// Names that git stopped declaring.
    fn removed(&mut self) {
        let live = self.situation.live;
        let names: Vec<ConnectionName> = self.record.inventory.keys().cloned().collect();
        let mut held: Vec<(Change, State)> = Vec::new();
        let mut candidates = BTreeSet::new();
        for name in names {
            let declared = self.situation.desired.contains_key(&name)
                || self.situation.invalid.contains_key(&name)
                || self.freed.contains(&name);
            let Some(owned) = self.record.inventory.get(&name).cloned() else { continue };
            if declared || !self.admits(&owned.type_name, &name) {
                continue;
            }
            match live.connections.get(&name) {
                None if live.is_complete() => {
                    self.record.forget(&name);
                }
                None => {}
                Some(_) if !self.situation.prune => {
                    self.record.forget(&name);
                }
                Some(entry) => match self.held_alone(&name, &owned, entry) {
                    Some((reason, advice)) => {
                        held.push((held_delete(&owned, entry, reason, advice), State::Held));
                    }
                    None => {
                        candidates.insert(name);
                    }
                },
            }
        }
        self.decide_deletes(&candidates, held);
    }

    /// Why one delete is held, whatever the others are.
    fn held_alone(
        &self,
        name: &ConnectionName,
        owned: &Owned,
        live: &LiveConnection,
    ) -> Option<(String, Option<String>)> {
        let situation = self.situation;
        let forget = format!("`apinizer-gitops forget {name}` takes it out of the inventory");
        if let Some(new) = self.locked.get(name) {
            return Some((format!("held: `{new}` has not been renamed from it yet"), None));
        }
        if let Some((type_name, problem)) = situation.live.incomplete.iter().next() {
            let reason = format!("held: the list of {type_name} is not complete ({problem})");
            return Some((reason, None));
        }
        if !situation.loaded_whole {
            return Some(("held: the commit did not load whole".to_owned(), None));
        }
        if owned.type_name != live.type_name || !same_id(owned, live) {
            let reason = "held: what is live under that name is not what the tool made".to_owned();
            return Some((reason, Some(forget)));
        }
        let view = LiveView { entry: live, single: situation.singles.get(name) };
        let context = &situation.context;
        if context.stateless && !is_as_declared(owned, &view, context.key, context.key_is_known) {
            let reason = "held: live is not what the base revision declared".to_owned();
            return Some((
                reason,
                Some("compare it in the console, then delete it there".to_owned()),
            ));
        }
        let exact = situation.allow_deletes && situation.filter.names(name);
        if !self.record.deletes.contains_key(name) && !exact {
            let reason = if situation.last_good_unavailable {
                "held: the repository no longer has the last good commit, so whether a commit \
                 removed it is not known"
            } else {
                "held: no commit removed it; it is only no longer read (paths, target or config \
                 changed)"
            };
            let advice = format!(
                "`apinizer-gitops apply --allow-deletes --name '{name}'` deletes it, \
                 `apinizer-gitops forget '{name}'` leaves it alone"
            );
            return Some((reason.to_owned(), Some(advice)));
        }
        if owned.protect {
            let reason = "held: it is protected; taking the document out is no consent".to_owned();
            let advice = "declare it again without `protect`, then remove it".to_owned();
            return Some((reason, Some(advice)));
        }
        if situation.worktree && !situation.allow_deletes {
            let reason = "held: a working tree is no decision to delete".to_owned();
            let advice = "commit, or run `apinizer-gitops apply --worktree --allow-deletes`";
            return Some((reason, Some(advice.to_owned())));
        }
        None
    }

    fn decide_deletes(
        &mut self,
        candidates: &BTreeSet<ConnectionName>,
        mut held: Vec<(Change, State)>,
    ) {
        let mut all = candidates.clone();
        for name in self.replaces.clone() {
            let entry = self.situation.live.connections.get(&name);
            let owned = self.record.inventory.get(&name).cloned();
            let (Some(entry), Some(owned)) = (entry, owned) else { continue };
            match self.replace_held_alone(&owned) {
                Some((reason, advice)) => self.hold_replace(&name, reason, advice),
                None => {
                    let _ = entry;
                    all.insert(name);
                }
            }
        }
        let group = Group {
            max: self.situation.max_deletes,
            inventory: self.record.inventory.len(),
            emptied: self.situation.emptied,
            allow: self.situation.allow_deletes,
        };
        let holds = group.hold(&all, &mut self.record.deletes);
        for name in &all {
            let words = holds.get(name).map(deletes::in_words);
            if self.replaces.contains(name) {
                if let Some((reason, advice)) = words {
                    self.hold_replace(name, reason, Some(advice));
                }
                continue;
            }
            let Some(owned) = self.record.inventory.get(name) else { continue };
            let Some(entry) = self.situation.live.connections.get(name) else { continue };
            match words {
                Some((reason, advice)) => {
                    held.push((held_delete(owned, entry, reason, Some(advice)), State::Held));
                }
                None => {
                    let reason = self.why_deleted(name);
                    held.push((delete(entry, reason), State::Pending));
                }
            }
        }
        held.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        for (change, state) in held {
            self.states.push(ConnectionState {
                type_name: change.type_name.clone(),
                name: change.name.clone(),
                state,
                reason: change.reason.clone(),
                unverified: false,
                last_change: self.record.inventory.get(&change.name).and_then(|o| o.last_change),
            });
            self.push(change);
        }
    }

    fn why_deleted(&self, name: &ConnectionName) -> String {
        match self.record.deletes.get(name).and_then(|note| note.commit.as_ref()) {
            Some(commit) => format!("no longer in git since commit {}", commit.short()),
            None => "no longer in git".to_owned(),
        }
    }

    fn replace_held_alone(&self, owned: &Owned) -> Option<(String, Option<String>)> {
        let situation = self.situation;
        if owned.protect {
            let advice = "lift `protect` in a commit of its own first".to_owned();
            return Some(("held: it is protected".to_owned(), Some(advice)));
        }
        if let Some((type_name, problem)) = situation.live.incomplete.iter().next() {
            let reason = format!("held: the list of {type_name} is not complete ({problem})");
            return Some((reason, None));
        }
        if !situation.loaded_whole {
            return Some(("held: the commit did not load whole".to_owned(), None));
        }
        if situation.worktree && !situation.allow_deletes {
            let advice = "commit, or run `apinizer-gitops apply --worktree --allow-deletes`";
            let reason = "held: a working tree is no decision to replace".to_owned();
            return Some((reason, Some(advice.to_owned())));
        }
        None
    }

    fn hold_replace(&mut self, name: &ConnectionName, reason: String, advice: Option<String>) {
        let change =
            self.plan.changes.iter_mut().find(|c| c.action == Action::Replace && c.name == *name);
        if let Some(change) = change {
            change.held = true;
            change.advice = advice;
            let type_change = change.reason.take().unwrap_or_default();
            change.reason = Some(format!("{type_change}; {reason}"));
        }
        self.plan.summary.held += 1;
        if let Some(state) = self.states.iter_mut().find(|s| s.name == *name) {
            state.state = State::Held;
            state.reason = Some(reason);
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
        for (name, live) in &self.situation.live.connections {
            let known = self.situation.desired.contains_key(name)
                || self.situation.invalid.contains_key(name)
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

    fn view(&self, name: &ConnectionName) -> Option<LiveView<'a>> {
        let single = self.situation.singles.get(name);
        let entry = self.situation.live.connections.get(name).or(single)?;
        Some(LiveView { entry, single })
    }

    fn block(&mut self, desired: &DesiredConnection, reason: String, advice: Option<String>) {
        self.push(Change {
            action: Action::Blocked,
            reason: Some(reason.clone()),
            advice,
            ..change(desired)
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

    fn state(&mut self, desired: &DesiredConnection, state: State, reason: Option<String>) {
        self.state_with(desired, state, reason, false);
    }

    fn state_with(
        &mut self,
        desired: &DesiredConnection,
        state: State,
        reason: Option<String>,
        unverified: bool,
    ) {
        if unverified {
            self.plan.summary.unverified += 1;
        }
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

const TAKEN_OVER: &str = "taken over";

/// The pointer under which a refused replace is remembered.
pub(crate) const REPLACE: &str = "/type";

/// What decides whether a replace that was refused is tried again: all that is declared, with
/// the values of its references.
#[must_use]
pub fn replace_digest(desired: &DesiredConnection) -> Value {
    let fields = desired.fields.iter().map(|field| {
        let value = field.value().unwrap_or(&field.declared);
        (field.path.to_string(), value.clone())
    });
    let type_name = ("type".to_owned(), Value::from(desired.connection_type.name));
    Value::Object(fields.chain([type_name]).collect())
}

fn same_id(owned: &Owned, live: &LiveConnection) -> bool {
    match (&owned.id, &live.id) {
        (Some(known), Some(shown)) => known == shown,
        _ => true,
    }
}

fn change(desired: &DesiredConnection) -> Change {
    Change {
        action: Action::Update,
        type_name: desired.connection_type.name.to_owned(),
        name: desired.name.clone(),
        previous_name: None,
        reason: None,
        advice: None,
        fields: Vec::new(),
        held: false,
        place: Some(desired.place.clone()),
    }
}

fn delete(live: &LiveConnection, reason: String) -> Change {
    Change {
        action: Action::Delete,
        type_name: live.type_name.clone(),
        name: live.name.clone(),
        previous_name: None,
        reason: Some(reason),
        advice: None,
        fields: Vec::new(),
        held: false,
        place: None,
    }
}

fn held_delete(
    owned: &Owned,
    live: &LiveConnection,
    reason: String,
    advice: Option<String>,
) -> Change {
    Change { type_name: owned.type_name.clone(), advice, held: true, ..delete(live, reason) }
}

fn written_fields(comparison: &Comparison) -> Vec<FieldChange> {
    let written = comparison.differences.iter().filter(|d| d.treatment == Treatment::Write);
    written.map(|d| d.change.clone()).collect()
}

fn created_fields(desired: &DesiredConnection, origin: Origin) -> Vec<FieldChange> {
    desired
        .fields
        .iter()
        .map(|field| FieldChange {
            path: field.path.to_string(),
            before: None,
            after: Some(show_desired(desired, field, field.value().unwrap_or(&Value::Null)))
                .filter(|after| !after.is_null()),
            sensitive: field.is_sensitive(),
            origin,
        })
        .collect()
}

/// Whether git declares anything else than the base has.
fn git_moved(desired: &DesiredConnection, owned: &Owned, context: &Context<'_>) -> bool {
    let moved = |path: &str, older: Option<&BaseField>, declared: &Value, value: Option<&Value>| {
        let Some(older) = older else { return true };
        let other_value = match (&older.print, value) {
            (Some(print), Some(value)) if context.key_is_known => {
                !context.key.matches(print, path, value)
            }
            _ => false,
        };
        older.declared != *declared || other_value
    };
    desired
        .fields
        .iter()
        .filter(|f| !desired.ignores(&f.path))
        .any(|f| moved(&f.path, owned.base.get(&*f.path), &f.declared, f.value()))
        || owned.base.keys().any(|path| desired.field(path).is_none())
}
