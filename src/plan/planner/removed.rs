//! What git stopped declaring, and the group rules over all that would be deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{delete, held_delete};
use super::{Planner, State};
use crate::desired::DesiredConnection;
use crate::inventory::{DeleteNote, Owned};
use crate::live::LiveConnection;
use crate::name::{ConnectionName, missing};
use crate::plan::compare::{LiveView, is_as_declared};
use crate::plan::deletes::{self, Group};
use crate::plan::same::is_the_same;
use crate::plan::{Action, Change, ConnectionState};

impl Planner<'_> {
    /// Names that git stopped declaring.
    pub(super) fn removed(&mut self) {
        let live = self.situation.live;
        // While a rename is not done, its commit counts as declaring the old name.
        let is_declared = |name: &&ConnectionName| {
            self.situation.invalid.contains_key(*name)
                || self.freed.contains(*name)
                || self.locked.contains_key(*name)
        };
        let names: Vec<ConnectionName> =
            missing(self.record.inventory.keys(), self.situation.desired.keys())
                .filter(|name| !is_declared(name))
                .cloned()
                .collect();
        let mut held: Vec<(Change, State)> = Vec::new();
        let mut candidates = BTreeSet::new();
        let mut gone = BTreeSet::new();
        let mut outside = 0;
        for name in names {
            let Some(owned) = self.record.inventory.get(&name).cloned() else { continue };
            let admitted = self.admits(&owned.type_name, &name);
            match live.connections.get(&name) {
                None if live.is_complete() && !self.situation.unread.contains_key(&name) => {
                    self.forget_if(admitted, &name);
                    gone.insert(name);
                }
                None => {}
                Some(_) if !self.situation.prune => self.forget_if(admitted, &name),
                Some(entry) if !admitted => {
                    outside += usize::from(self.held_alone(&name, &owned, entry).is_none());
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
        outside += self.replaces_outside();
        self.decide_deletes(&candidates, held, &gone, outside);
    }

    /// How many replaces a narrowed run leaves out that nothing but the limit would hold.
    fn replaces_outside(&self) -> usize {
        if !self.situation.filter.is_narrow() {
            return 0;
        }
        let is_due = |desired: &DesiredConnection| {
            let name = &desired.name;
            let is_left_alone = desired.options.suspend
                || self.admits(desired.connection_type.name, name)
                || self.situation.invalid.contains_key(name)
                || self.freed.contains(name)
                || self.locked.contains_key(name)
                || self.cannot_be_written(desired).is_some();
            let view = self.view(name).filter(|_| !is_left_alone);
            let owned = view.and_then(|view| self.replaces(desired, &view));
            owned.is_some_and(|owned| self.replace_held_alone(name, &owned).is_none())
        };
        self.situation.desired.values().filter(|desired| is_due(desired)).count()
    }

    fn forget_if(&mut self, admitted: bool, name: &ConnectionName) {
        if admitted {
            self.record.forget(name);
        }
    }

    /// Deletes that the workers did not get. There is nothing left to send, so they are shown until
    /// somebody makes the connection again or says that it is well.
    pub(super) fn undeployed_deletes(&mut self) {
        let live = self.situation.live;
        self.record.degraded.retain(|name, d| !d.deleted || !live.connections.contains_key(name));
        for (name, degraded) in self.record.degraded.iter().filter(|(_, d)| d.deleted) {
            if !self.situation.filter.admits(&degraded.type_name, name) {
                continue;
            }
            let reason = format!("deleted, but not deployed: {}", degraded.reason);
            self.states.push(ConnectionState {
                type_name: degraded.type_name.clone(),
                name: name.clone(),
                state: State::Degraded,
                reason: Some(reason),
                unverified: false,
                last_change: None,
            });
        }
    }

    /// Why one delete is held, whatever the others are.
    pub(super) fn held_alone(
        &self,
        name: &ConnectionName,
        owned: &Owned,
        live: &LiveConnection,
    ) -> Option<(String, Option<String>)> {
        let situation = self.situation;
        let word = for_the_shell(name.as_str());
        let forget = forget_command(name);
        if let Some((type_name, problem)) = situation.live.incomplete.iter().next() {
            let reason = format!("held: the list of {type_name} is not complete ({problem})");
            return Some((reason, None));
        }
        if !situation.loaded_whole {
            return Some(("held: the commit did not load whole".to_owned(), None));
        }
        if !is_the_same(owned, live) {
            let reason = "held: what is live under that name is not what the tool made".to_owned();
            return Some((reason, Some(format!("`{forget}` takes it out of the inventory"))));
        }
        if let Some(held) =
            self.held_by_the_base(owned, &LiveView::new(live, situation.singles.get(name)))
        {
            return Some(held);
        }
        let moved_to = self.record.deletes.get(name).and_then(|note| note.moved_to.as_ref());
        if let Some(new) = moved_to.filter(|new| self.renames.inert.get(name) == Some(*new)) {
            let reason = format!("held: `{new}` has it as `renamedFrom`, and both are live");
            let advice = format!("take `renamedFrom` out of `{new}`, and it is deleted");
            return Some((reason, Some(advice)));
        }
        let asks = self.record.deletes.get(name).is_some_and(DeleteNote::asks_for_a_delete);
        if !asks && !self.is_exact(name) {
            let reason = if self.is_not_known(name) {
                "held: the repository no longer has the last good commit, so whether a commit \
                 removed it is not known"
            } else {
                "held: no commit removed it since the last good one; paths, target or config \
                 changed, or a narrowed run made it"
            };
            let advice = format!(
                "`apinizer-gitops apply --allow-deletes --name={word}` deletes it, \
                 `{forget}` leaves it alone"
            );
            return Some((reason.to_owned(), Some(advice)));
        }
        let consents = self.record.deletes.get(name).is_some_and(|note| note.consent);
        if let Some(skipped) = situation.skipped.first()
            && !consents
            && !situation.allow_deletes
        {
            let reason = format!("held: what is not read may declare it; {skipped}");
            let advice = format!(
                "make it a file that is read or move it elsewhere, or \
                 `apinizer-gitops apply --allow-deletes --name={word}` deletes the connection"
            );
            return Some((reason, Some(advice)));
        }
        if owned.protect {
            let reason = "held: it is protected; taking the document out is no consent".to_owned();
            let advice =
                "declare it again without `protect`, apply that, then remove it".to_owned();
            return Some((reason, Some(advice)));
        }
        if situation.worktree && !situation.allow_deletes {
            let reason = "held: a working tree is no decision to delete".to_owned();
            let advice = "commit, or run `apinizer-gitops apply --worktree --allow-deletes`";
            return Some((reason, Some(advice.to_owned())));
        }
        None
    }

    /// Whether the repository did not have the commit that tells.
    fn is_not_known(&self, name: &ConnectionName) -> bool {
        let note = self.record.deletes.get(name);
        self.situation.last_good_unavailable
            || note.is_some_and(|note| {
                note.undue && note.declared_in.is_some() && note.commit.is_none()
            })
    }

    /// Whether somebody asks for a delete or replace by the exact name.
    pub(super) fn is_exact(&self, name: &ConnectionName) -> bool {
        self.situation.allow_deletes && self.situation.filter.names(name)
    }

    pub(super) fn decide_deletes(
        &mut self,
        candidates: &BTreeSet<ConnectionName>,
        mut held: Vec<(Change, State)>,
        gone: &BTreeSet<ConnectionName>,
        outside: usize,
    ) {
        let mut all = candidates.clone();
        let mut held_replaces = BTreeMap::new();
        for name in self.replaces.clone() {
            let Some(owned) = self.record.inventory.get(&name) else { continue };
            match self.replace_held_alone(&name, owned) {
                Some(words) => _ = held_replaces.insert(name, words),
                None => {
                    all.insert(name);
                }
            }
        }
        // What this plan takes over was not held before, and what is gone counts no more.
        let before = &self.situation.context.record.inventory;
        let is_left = |name: &&ConnectionName| before.contains_key(name) && !gone.contains(name);
        let inventory = self.record.inventory.keys().filter(is_left).count();
        let group = Group {
            max: self.situation.max_deletes,
            inventory,
            gone: gone.len(),
            outside,
            emptied: self.situation.emptied,
            allow: self.situation.allow_deletes,
        };
        let holds = group.hold(&all, &mut self.record.deletes);
        for name in &all {
            let due_now = all.len() + outside;
            let words = holds.get(name).map(|hold| deletes::in_words(hold, due_now));
            if self.replaces.contains(name) {
                if let Some((reason, advice)) = words {
                    held_replaces.insert(name.clone(), (reason, Some(advice)));
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
        self.hold_replaces(&held_replaces);
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

    pub(super) fn why_deleted(&self, name: &ConnectionName) -> String {
        match self.record.deletes.get(name).and_then(|note| note.commit.as_ref()) {
            Some(commit) => format!("no longer in git since commit {}", commit.short()),
            None => "no longer in git".to_owned(),
        }
    }

    /// Without a state only what live shows as the base revision declared it may go.
    fn held_by_the_base(
        &self,
        owned: &Owned,
        view: &LiveView<'_>,
    ) -> Option<(String, Option<String>)> {
        let context = &self.situation.context;
        if !context.stateless || is_as_declared(owned, view, context.key, context.key_is_known) {
            return None;
        }
        let reason = "held: live is not what the base revision declared".to_owned();
        Some((reason, Some("compare it in the console, then delete it there".to_owned())))
    }

    fn replace_held_alone(
        &self,
        name: &ConnectionName,
        owned: &Owned,
    ) -> Option<(String, Option<String>)> {
        let situation = self.situation;
        if owned.protect {
            let advice = format!(
                "lift `protect` first: declare the {} connection without it in a commit of its own",
                owned.type_name
            );
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
        if let Some(held) = self.held_by_the_base(owned, &self.view(name)?) {
            return Some(held);
        }
        let note = self.record.deletes.get(name);
        let wanted = situation.desired.get(name).map_or("", |wanted| wanted.connection_type.name);
        let asks = note.is_some_and(|note| note.asks_for_a_replace(wanted));
        if !asks && !self.is_exact(name) {
            let reason = if self.is_not_known(name) {
                "held: the repository no longer has the last good commit, so whether a commit \
                 changed its type is not known"
            } else {
                "held: no commit changed its type since the last good one; paths, target or config \
                 changed, or a narrowed run made it"
            };
            let word = for_the_shell(name.as_str());
            let advice =
                format!("`apinizer-gitops apply --allow-deletes --name={word}` replaces it");
            return Some((reason.to_owned(), Some(advice)));
        }
        (!situation.prune).then(|| {
            let advice = "set `prune: true`, or give it another name in git".to_owned();
            ("held: another type takes a delete, and `prune` is off".to_owned(), Some(advice))
        })
    }

    /// Holds replaces that are planned, with the reason of each and the way past it.
    fn hold_replaces(&mut self, held: &BTreeMap<ConnectionName, (String, Option<String>)>) {
        let planned = self.plan.changes.iter_mut().filter(|c| c.action == Action::Replace);
        for change in planned {
            let Some((reason, advice)) = held.get(&change.name) else { continue };
            change.held = true;
            change.advice.clone_from(advice);
            let type_change = change.reason.take().unwrap_or_default();
            change.reason = Some(format!("{type_change}; {reason}"));
        }
        self.plan.summary.held += held.len();
        for state in &mut self.states {
            let Some((reason, _)) = held.get(&state.name) else { continue };
            state.state = State::Held;
            state.reason = Some(reason.clone());
        }
    }
}

/// The command that takes a name out of the inventory.
pub(super) fn forget_command(name: &ConnectionName) -> String {
    let dashes = if name.as_str().starts_with('-') { "-- " } else { "" };
    format!("apinizer-gitops forget {dashes}{}", for_the_shell(name.as_str()))
}

/// A name as one word of a command line, which no shell takes apart.
pub(super) fn for_the_shell(name: &str) -> String {
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_command_line() {
        for (name, word) in [("a b", "'a b'"), ("it's", r"'it'\''s'"), ("-x", "'-x'")] {
            assert_eq!(for_the_shell(name), word);
        }
    }
}
