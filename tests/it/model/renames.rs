//! Which names are freed, in which order, and which wait.

use std::collections::BTreeSet;

use super::document::{Document, Kind, SECRET};
use super::fields;
use super::memory::{Live, SecretKnown};
use super::rules::Run;

impl Run<'_> {
    pub(crate) fn renames(&mut self) {
        let live = self.sight.live;
        let mut open: Vec<(String, String)> = self
            .loaded
            .documents
            .iter()
            .filter_map(|(new, d)| Some((new.clone(), d.renamed_from.clone()?)))
            .filter(|(new, old)| live.contains_key(old) && !self.was_renamed(new, old))
            .collect();
        let mut chain = Vec::new();
        let mut frees: BTreeSet<String> = BTreeSet::new();
        while let Some(at) =
            open.iter().position(|(new, _)| !live.contains_key(new) || frees.contains(new))
        {
            let (new, old) = open.remove(at);
            frees.insert(old.clone());
            chain.push((new, old));
        }
        for (new, old) in open {
            // What is declared as the new name of another one that waits is to be renamed on.
            let document = self.loaded.documents.get(&old);
            let moves_on = document
                .and_then(|document| document.renamed_from.as_ref())
                .is_some_and(|older| self.is_to_be_renamed(older));
            let is_declared = document.is_some() && !moves_on;
            let inert = self.before.owned.contains_key(&new) || is_declared;
            if !inert {
                self.waiting.insert(old);
                let document = self.loaded.documents[&new].clone();
                if self.sight.flags.admits(document.kind, &new) {
                    self.block(&new);
                }
            }
        }
        for (new, old) in chain {
            if self.rename(&new, &old) {
                self.freed.insert(old);
            } else {
                self.waiting.insert(old);
            }
        }
    }

    /// Of the renames those that are not done: the new name is not ours and live, or what has it is itself
    /// to be renamed.
    pub(crate) fn open_renames<'n>(
        &self,
        renames: impl Iterator<Item = (&'n String, &'n String)>,
    ) -> BTreeSet<(String, String)> {
        let renames: Vec<(&String, &String)> = renames.collect();
        let mut open = BTreeSet::new();
        for _ in 0..=renames.len() {
            for (new, old) in &renames {
                let is_there =
                    self.before.owned.contains_key(*new) && self.sight.live.contains_key(*new);
                if !is_there || open.iter().any(|(_, other)| other == *new) {
                    open.insert(((*new).clone(), (*old).clone()));
                }
            }
        }
        open
    }

    /// Whether a connection of ours has a name that git has for none of its own.
    fn is_to_be_renamed(&self, name: &str) -> bool {
        let live = self.sight.live.get(name);
        let is_ours = live.is_some_and(|live| self.ours(name, live).is_some());
        is_ours && !self.loaded.documents.contains_key(name)
    }

    /// Whether the rename is done, and the new name is known as a connection that is not what has the old
    /// name now.
    fn was_renamed(&self, new: &str, old: &str) -> bool {
        let Some(live) = self.sight.live.get(old) else { return false };
        let known = self.before.owned.get(new);
        let known = known.filter(|owned| owned.renamed_from.as_deref() == Some(old));
        known.and_then(|owned| owned.id.as_ref()).is_some_and(|id| *id != live.id)
            && !self.is_to_be_renamed(old)
    }

    /// Whether the rename is planned.
    fn rename(&mut self, new: &str, old: &str) -> bool {
        let document = self.loaded.documents[new].clone();
        if !self.sight.flags.admits(document.kind, new) || document.suspend {
            return false;
        }
        let old_live = self.sight.live[old].clone();
        let is_suspended = |old: &Document| old.suspend;
        let blocked_old = self.blocked_names().contains(old)
            || self.loaded.documents.get(old).is_some_and(is_suspended);
        let takes = self.sight.live.contains_key(new) && !self.freed.contains(new);
        let ours = self.ours(old, &old_live);
        if takes
            || blocked_old
            || self.waiting.contains(new)
            || !self.is_resolved(&document)
            || Kind::of(&old_live.body) != document.kind
        {
            self.block(new);
            return false;
        }
        let fate = fields::compare(self, &document, &old_live, ours.as_ref());
        if ours.is_none() && !self.may_take_over(&fate) {
            self.block(new);
            return false;
        }
        let again = fields::compare_again(self, &document, &old_live, ours.as_ref());
        let body = fields::put(self, &document, &old_live, &again, ours.as_ref());
        if body.is_none() && !self.may_be_readable(document.kind, &old_live) {
            self.block(new);
            return false;
        }
        self.learn(document.kind, &fate);
        if fate.differences.keys().any(|field| fate.keep(field)) {
            self.plan("drift", new);
        }
        if self.is_lost(new, &document) {
            self.hold_for_lost_path("rename", new);
            return false;
        }
        let fate = again;
        self.plan("rename", new);
        let is_free = !self.not_freed.contains(new);
        match body {
            Some(mut body) if self.sight.renames && is_free => {
                body.insert("name".to_owned(), new.into());
                self.written.extend([new.to_owned(), old.to_owned()]);
                self.live.remove(old);
                self.memory.owned.remove(old);
                self.memory.notes.remove(old);
                let id = Some(old_live.id.clone());
                self.live.insert(new.to_owned(), Live { id: old_live.id, body });
                let base = fields::base_after_put(self, &document, &fate);
                // What was shown under the old name is not known of the new one.
                let unverified = !document.fields.contains_key(SECRET) && fate.unverified;
                let secret = SecretKnown { unverified, shown: None };
                self.own(new, &document, id, base, secret);
            }
            _ => {
                // A server that refuses is asked, and so is the inventory left as it was.
                self.fails = true;
                self.not_freed.insert(old.to_owned());
            }
        }
        true
    }
}
