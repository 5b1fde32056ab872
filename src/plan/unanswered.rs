//! Settles the calls whose answers no run saw: each was noted before it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Action;
use super::compare::{Keys, LiveView};
use super::row::Observed;
use crate::name::ConnectionName;
use crate::record::{Base, BaseField, Intent, Memory, NotedCall, Owned, Record};
use crate::secret::Fingerprint;

/// A call of an earlier run that was found done.
#[derive(Debug)]
pub(crate) struct FoundDone {
    pub(crate) name: ConnectionName,
    pub(crate) action: Action,
    /// Its note.
    pub(crate) intent: Intent,
}

/// Settles the notes of earlier runs. A connection that live shows as it was sent is owned, one that is not
/// there is forgotten, and one that differs is not ours. An update arrived as a whole if one field shows it,
/// and a connection that was to be deleted and is not there was deleted by us.
pub(crate) fn settle(record: &mut Record, observed: &Observed, keys: Keys<'_>) -> Vec<FoundDone> {
    if noted(record).next().is_none() {
        return Vec::new();
    }
    let before = record.clone();
    let (taken, done) = (BTreeSet::new(), Vec::new());
    let mut settling = Settling { record, before: &before, observed, keys, taken, done };
    settling.settle_made();
    for (name, intent) in noted(&before).filter(|(name, _)| is_known(observed, name)) {
        match intent.call {
            NotedCall::Make | NotedCall::WayBack => {}
            NotedCall::Update => {
                if settling.settle_put(name, intent) {
                    settling.tell(name, intent);
                }
            }
            NotedCall::Delete => {
                let is_gone = settling.is_gone(name, intent);
                settling.drop_note(name, is_gone);
                // Without an id, what is there now may be ours, edited since.
                if is_gone && observed.shown(name).is_none_or(|view| view.id().is_some()) {
                    settling.tell(name, intent);
                }
            }
        }
    }
    settling.done
}

fn noted(record: &Record) -> impl Iterator<Item = (&ConnectionName, &Intent)> {
    let all = record.connections.iter();
    all.filter_map(|(name, memory)| Some((name, memory.intent.as_ref()?)))
}

/// The fields in which two bases differ.
fn changed_paths<'b>(then: &'b Base, sent: &'b Base) -> impl Iterator<Item = &'b String> {
    let paths: BTreeSet<&String> = then.keys().chain(sent.keys()).collect();
    paths.into_iter().filter(|path| then.get(*path) != sent.get(*path))
}

/// Whether what was read tells how a name stands.
fn is_known(observed: &Observed, name: &ConnectionName) -> bool {
    let is_told = observed.shown(name).is_some() || observed.live.is_complete();
    is_told && !has_failed(observed, name)
}

/// A list that shows a part of a connection, or its name twice, proves nothing.
fn has_failed(observed: &Observed, name: &ConnectionName) -> bool {
    observed.failed.contains_key(name) || observed.live.repeated.contains_key(name)
}

/// The end of a call that was to make a connection.
enum Outcome<'o> {
    /// It arrived, and made what live shows.
    Arrived(LiveView<'o>),
    NotMade,
    NotKnown,
}

struct Settling<'a> {
    record: &'a mut Record,
    /// The record as it was read.
    before: &'a Record,
    observed: &'a Observed,
    keys: Keys<'a>,
    /// The new names of renames that arrived.
    taken: BTreeSet<&'a ConnectionName>,
    done: Vec<FoundDone>,
}

impl<'a> Settling<'a> {
    /// Settles creates, replaces and renames against each other: renames first, since what they free may have
    /// been taken anew.
    fn settle_made(&mut self) {
        let made = noted(self.before)
            .filter(|(_, intent)| matches!(intent.call, NotedCall::Make | NotedCall::WayBack));
        let (renames, creates): (Vec<_>, Vec<_>) =
            made.partition(|(_, intent)| intent.from.is_some());
        // One that took a name tells that the name's former owner has left it.
        while let Some((name, _)) = renames.iter().find(|(name, intent)| {
            !self.taken.contains(name) && matches!(self.outcome(name, intent), Outcome::Arrived(_))
        }) {
            self.taken.insert(name);
        }
        let (mut arrived, mut not_freed, mut not_known) =
            (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for (name, intent) in renames {
            match self.outcome(name, intent) {
                Outcome::Arrived(view) => arrived.push((name, intent, view)),
                Outcome::NotMade => {
                    not_freed.extend(&intent.from);
                    self.drop_note(name, false);
                    // The server may have kept the name, and taken the rest.
                    intent.from.iter().for_each(|old| _ = self.settle_put(old, intent));
                }
                Outcome::NotKnown => not_known.extend(&intent.from),
            }
        }
        // All old names are freed before a new one is owned: in a chain one name is both.
        for (name, intent, _) in &arrived {
            intent.from.iter().for_each(|old| self.free(name, old));
        }
        for (name, intent, view) in arrived {
            self.own(name, intent, &view);
        }
        for (name, intent) in creates.into_iter().filter(|(name, _)| !not_known.contains(name)) {
            let is_freed = !not_freed.contains(name);
            let known_id = self.record.owned(name).and_then(|owned| owned.id.as_ref());
            match self.outcome(name, intent) {
                // With the id that is known it is what was there before the call.
                Outcome::Arrived(view)
                    if is_freed && (view.id().is_none() || view.id() != known_id) =>
                {
                    self.own(name, intent, &view);
                }
                Outcome::Arrived(_) | Outcome::NotMade => {
                    let is_gone =
                        is_freed && self.replaces(name, intent) && self.is_gone(name, intent);
                    if is_gone && self.is_declared(name, intent) {
                        // The name did not leave the inventory: the commit's own is still to be made.
                        self.record.set(name, Memory::default());
                    } else {
                        self.drop_note(name, is_gone);
                    }
                }
                Outcome::NotKnown => {}
            }
        }
    }

    /// Whether a call that makes a connection is the second half of a replace.
    fn replaces(&self, name: &ConnectionName, intent: &Intent) -> bool {
        let owned = self.before.owned(name);
        owned.is_some_and(|owned| owned.type_name != intent.type_name)
    }

    /// Whether the last good commit declares the connection that a call was to make.
    fn is_declared(&self, name: &ConnectionName, intent: &Intent) -> bool {
        let good = self.record.last_good.as_ref().and_then(|good| good.declared.get(name));
        good.is_some_and(|then| then.type_name == intent.type_name)
    }

    fn outcome(&self, name: &ConnectionName, intent: &Intent) -> Outcome<'a> {
        let observed = self.observed;
        let is_from_known = intent.from.as_ref().is_none_or(|old| !has_failed(observed, old));
        match observed.shown(name) {
            _ if !is_from_known || !is_known(observed, name) => Outcome::NotKnown,
            Some(view) if self.is_ours(intent, &view) => Outcome::Arrived(view),
            _ if intent.from.is_some() && !observed.live.is_complete() => Outcome::NotKnown,
            _ => Outcome::NotMade,
        }
    }

    fn is_ours(&self, intent: &Intent, view: &LiveView<'_>) -> bool {
        let is_way_back = intent.call == NotedCall::WayBack;
        // A replace has noted the drift of the connection that it deletes, and a rename also the drift that it corrects.
        let mut drifted = intent.shown.clone();
        let stays = is_way_back || intent.from.is_some();
        drifted.retain(|path, _| stays && intent.proves_nothing.contains(path));
        // Values of the environment that today's key does not tell may be those of somebody else's connection.
        let can_tell = |print| self.keys.can_tell(print);
        let is_told = intent.base.values().all(|field| field.print.as_ref().is_none_or(can_tell));
        let is_as_sent = || is_told && self.is_as(view, &intent.type_name, &intent.base, &drifted);
        let Some(from) = &intent.from else {
            // A way back also carries what git did not declare.
            return is_as_sent() && (is_way_back || view.has_nothing_beside(&intent.base));
        };
        let known = self.before.owned(from);
        // The id tells, although somebody took the old name since or changed what was sent.
        if let Some((known, shown)) = known.and_then(|owned| owned.id.as_ref()).zip(view.id()) {
            return known == shown;
        }
        let there = self.observed.listed(from).filter(|_| !self.taken.contains(from));
        let is_still_there = there.is_some_and(|there| {
            known.is_none_or(|owned| {
                self.is_as(&there, &owned.type_name, &owned.base, &intent.shown)
            })
        });
        is_as_sent() && !is_still_there && self.observed.live.is_complete()
    }

    /// Settles a PUT to the connection that still has the name, and returns whether it arrived. One field proves
    /// that the whole PUT arrived: one that live shows as it was sent and did not show so before. The base of the
    /// note counts from then on. Of a secret that live masks it is not known which of the two is live: neither
    /// counts as sent.
    fn settle_put(&mut self, name: &ConnectionName, intent: &Intent) -> bool {
        let view = self.observed.shown(name);
        let owned = self.record.owned(name).zip(view);
        let Some((owned, view)) = owned.filter(|(owned, view)| owned.may_be(view.listed)) else {
            self.drop_note(name, false);
            return false;
        };
        let (then, sent): (&Base, &Base) = (&owned.base, &intent.base);
        let (masked, told): (Vec<&String>, Vec<&String>) =
            changed_paths(then, sent).partition(|path| view.masks(path, self.keys));
        let is_as_sent = |path: &&String| view.shows_or_default(path, sent.get(*path), self.keys);
        let has_arrived = match intent.call {
            NotedCall::Update => {
                told.iter().any(|path| is_as_sent(path) && !intent.proves_nothing.contains(*path))
            }
            // Of a rename it is not known how live stood before.
            _ => !told.is_empty() && told.iter().all(is_as_sent),
        };
        let mut base = if has_arrived { sent.clone() } else { then.clone() };
        self.keep_unwritten(&view, then, sent, &mut base);
        for path in masked {
            let is_shown = |field: &&BaseField| view.shows_secret(path, field, self.keys);
            let shown = [then, sent].into_iter().filter_map(|base| base.get(path)).find(is_shown);
            match (shown, base.get_mut(path)) {
                (Some(shown), Some(field)) => field.clone_from(shown),
                (None, Some(field)) => field.print = Some(self.keys.of_no_value()),
                (_, None) => {}
            }
        }
        self.record.edit(name, |memory| {
            memory.intent = None;
            memory.owned.iter_mut().for_each(|owned| owned.base = Arc::new(base.clone()));
        });
        has_arrived
    }

    /// Takes fields that a call was to change back to their base of before where live still shows that: they are
    /// still to be written.
    fn keep_unwritten(&self, view: &LiveView<'_>, then: &Base, sent: &Base, base: &mut Base) {
        let shows = |of: &Base, path: &str| view.shows_or_default(path, of.get(path), self.keys);
        for path in changed_paths(then, sent) {
            if view.masks(path, self.keys) || shows(sent, path) || !shows(then, path) {
                continue;
            }
            match then.get(path) {
                Some(field) => base.insert(path.clone(), field.clone()),
                None => base.remove(path),
            };
        }
    }

    /// Whether the connection of the inventory, which was to be deleted, is not there any more.
    fn is_gone(&self, name: &ConnectionName, intent: &Intent) -> bool {
        let Some((owned, view)) = self.record.owned(name).zip(self.observed.shown(name)) else {
            return true;
        };
        if let Some((known, shown)) = owned.id.as_ref().zip(view.id()) {
            return known != shown;
        }
        // Where no ids are shown, ours is gone if what is there is not as ours was.
        !self.is_as(&view, &owned.type_name, &owned.base, &intent.shown)
    }

    /// Whether live shows a connection as a base has it, as far as today's key tells, and the fields that had
    /// drifted as they were then.
    fn is_as(
        &self,
        view: &LiveView<'_>,
        type_name: &str,
        base: &Base,
        drifted: &BTreeMap<String, Fingerprint>,
    ) -> bool {
        let mut base = base.clone();
        base.retain(|path, field| {
            let print = field.print.as_ref();
            !drifted.contains_key(path) && print.is_none_or(|print| self.keys.can_tell(print))
        });
        view.shows(type_name, &base, self.keys) && view.stands(drifted, self.keys)
    }

    /// Frees the old name of a rename that was made.
    fn free(&mut self, new: &ConnectionName, old: &ConnectionName) {
        self.record.free(old);
        // The connection that the last good commit declares under the old name of its own rename is another one.
        let good = self.record.last_good.as_ref().and_then(|good| good.declared.get(new));
        if good.and_then(|then| then.renamed_from.as_ref()) != Some(old) {
            self.record.leave(old);
        }
    }

    fn own(&mut self, name: &ConnectionName, intent: &Intent, view: &LiveView<'_>) {
        let previous = intent.from.as_ref().and_then(|from| self.before.owned(from)).cloned();
        let Intent { type_name, from, mut base, protect, .. } = intent.clone();
        // Whether what live masks arrived is not known.
        view.forget_masked(&mut base, self.keys);
        if let Some(previous) = &previous {
            self.keep_unwritten(view, &previous.base, &intent.base, &mut base);
        }
        let owned = Owned {
            type_name,
            id: view.id().cloned(),
            base: Arc::new(base),
            protect,
            renamed_from: from,
            shown_secrets: previous.as_ref().map(Owned::known_secrets).unwrap_or_default(),
            last_change: previous.as_ref().and_then(|owned| owned.last_change),
            last_commit: previous.and_then(|owned| owned.last_commit),
            ..Owned::default()
        };
        self.record.edit(name, |memory| {
            (memory.intent, memory.owned) = (None, Some(owned));
            if intent.from.is_some() {
                // Another connection had the name before.
                memory.protected_by = None;
            }
        });
        self.tell(name, intent);
    }

    fn drop_note(&mut self, name: &ConnectionName, is_gone: bool) {
        if is_gone {
            self.record.forget(name);
            return;
        }
        self.record.edit(name, |memory| {
            memory.intent = None;
            // A call that came to nothing leaves no delete that is due, and nothing to protect.
            if memory.owned.is_none() {
                (memory.due, memory.protected_by) = (None, None);
            }
        });
    }

    fn tell(&mut self, name: &ConnectionName, intent: &Intent) {
        let action = match intent.call {
            NotedCall::Update => Action::Update,
            NotedCall::Delete => Action::Delete,
            NotedCall::Make if intent.from.is_some() => Action::Rename,
            NotedCall::Make if self.replaces(name, intent) => Action::Replace,
            NotedCall::Make | NotedCall::WayBack => Action::Create,
        };
        // A consent is for one change.
        self.record.edit(name, |memory| memory.consents.clear());
        self.done.push(FoundDone { name: name.clone(), action, intent: intent.clone() });
    }
}
