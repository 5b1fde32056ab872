//! Settles the calls whose answers no run saw: each was noted before it was sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Action;
use super::compare::{Keys, LiveView};
use super::row::Observed;
use crate::name::ConnectionName;
use crate::record::{Base, Intent, NotedCall, Owned, Record};

/// A call of an earlier run that was found done.
#[derive(Debug)]
pub(crate) struct FoundDone {
    pub(crate) name: ConnectionName,
    pub(crate) type_name: String,
    pub(crate) action: Action,
    /// The name that a rename freed.
    pub(crate) from: Option<ConnectionName>,
}

/// The end of a call whose answer was never seen.
enum Outcome<'o> {
    /// It arrived, and made what live shows.
    Arrived(LiveView<'o>),
    NotMade,
    NotKnown,
}

/// Settles the notes of earlier runs. A connection that live shows as it was sent is owned, one that is not
/// there is forgotten, and one that differs is not ours. Of an update the fields count that live shows as
/// they were sent, and a connection that was to be deleted and is not there was deleted by us.
pub(crate) fn settle(record: &mut Record, observed: &Observed, keys: Keys<'_>) -> Vec<FoundDone> {
    let before = record.clone();
    let mut done = settle_made(record, &before, observed, keys);
    for (name, intent) in noted(&before) {
        let is_done = match intent.call {
            NotedCall::Make => continue,
            _ if !is_known(observed, name) => continue,
            NotedCall::Update => settle_update(record, observed, name, intent, keys),
            NotedCall::Delete => {
                let is_gone = is_gone(record, observed, name, intent, keys);
                drop_intent(record, name, is_gone);
                is_gone
            }
        };
        if is_done {
            done.push(intent.found_done(name, &before));
        }
    }
    done
}

fn noted(record: &Record) -> impl Iterator<Item = (&ConnectionName, &Intent)> {
    let all = record.connections.iter();
    all.filter_map(|(name, memory)| Some((name, memory.intent.as_ref()?)))
}

impl Intent {
    fn found_done(&self, name: &ConnectionName, before: &Record) -> FoundDone {
        let action = match self.call {
            NotedCall::Update => Action::Update,
            NotedCall::Delete => Action::Delete,
            NotedCall::Make if self.from.is_some() => Action::Rename,
            NotedCall::Make if before.owned(name).is_some() => Action::Replace,
            NotedCall::Make => Action::Create,
        };
        let (name, from) = (name.clone(), self.from.clone());
        FoundDone { name, type_name: self.type_name.clone(), action, from }
    }
}

/// Settles creates, replaces and renames against each other: renames first, since what they free may have
/// been taken anew.
fn settle_made(
    record: &mut Record,
    before: &Record,
    observed: &Observed,
    keys: Keys<'_>,
) -> Vec<FoundDone> {
    let made = noted(before).filter(|(_, intent)| intent.call == NotedCall::Make);
    let (renames, creates): (Vec<_>, Vec<_>) = made.partition(|(_, intent)| intent.from.is_some());
    let (mut arrived, mut not_freed, mut not_known) =
        (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (name, intent) in renames {
        match outcome(before, observed, name, intent, keys) {
            Outcome::Arrived(view) => arrived.push((name, intent, view)),
            Outcome::NotMade => {
                not_freed.extend(&intent.from);
                drop_intent(record, name, false);
                // The server may have kept the name, and taken the rest.
                intent.from.iter().for_each(|old| {
                    settle_update(record, observed, old, intent, keys);
                });
            }
            Outcome::NotKnown => not_known.extend(&intent.from),
        }
    }
    for (name, intent, _) in &arrived {
        let Some(old) = &intent.from else { continue };
        record.free(old);
        // The connection that the last good commit declares under the old name of its own rename is another one.
        let good = record.last_good.as_ref().and_then(|good| good.declared.get(*name));
        if good.and_then(|then| then.renamed_from.as_ref()) != Some(old) {
            record.leave(old);
        }
    }
    let mut done = Vec::new();
    for (name, intent, view) in arrived {
        own_it(record, name, intent, &view, before, keys);
        done.push(intent.found_done(name, before));
    }
    for (name, intent) in creates.into_iter().filter(|(name, _)| !not_known.contains(name)) {
        let is_freed = !not_freed.contains(name);
        let known_id = record.owned(name).and_then(|owned| owned.id.as_ref());
        match outcome(record, observed, name, intent, keys) {
            // With the id that is known it is what was there before the call.
            Outcome::Arrived(view)
                if is_freed && (view.id().is_none() || view.id() != known_id) =>
            {
                own_it(record, name, intent, &view, before, keys);
                done.push(intent.found_done(name, before));
            }
            Outcome::Arrived(_) | Outcome::NotMade => {
                let owned = record.owned(name);
                let is_replace = owned.is_some_and(|owned| owned.type_name != intent.type_name);
                let is_gone =
                    is_freed && is_replace && is_gone(record, observed, name, intent, keys);
                drop_intent(record, name, is_gone);
            }
            Outcome::NotKnown => {}
        }
    }
    done
}

/// Settles a PUT to the connection that has the name still; whether it arrived. Where live shows what it was
/// to change, its base counts from now on. Whether a secret that it carried arrived is not known, so neither
/// that value nor the one before counts as sent.
fn settle_update(
    record: &mut Record,
    observed: &Observed,
    name: &ConnectionName,
    intent: &Intent,
    keys: Keys<'_>,
) -> bool {
    let view = observed.shown(name);
    let owned = record.owned(name).zip(view).filter(|(owned, view)| owned.may_be(view.listed));
    let Some((owned, view)) = owned else {
        drop_intent(record, name, false);
        return false;
    };
    let (then, sent) = (&owned.base, &intent.base);
    let paths: BTreeSet<&String> = then.keys().chain(sent.keys()).collect();
    let is_changed =
        |path: &&String| then.get(*path) != sent.get(*path) && !intent.kept.contains(*path);
    let (masked, told): (Vec<&String>, Vec<&String>) =
        paths.into_iter().filter(is_changed).partition(|path| view.masks(path));
    let shows = |base: &Base, path: &String| {
        base.get(path).is_some_and(|field| view.shows_field(path, field, keys))
    };
    let is_as_sent = |path: &&String| shows(sent, path) || !sent.contains_key(*path);
    let has_arrived = !told.is_empty()
        && told.iter().all(is_as_sent)
        && !told.iter().any(|path| shows(then, path));
    let mut base = if has_arrived { sent.clone() } else { Base::clone(then) };
    for path in masked {
        base.entry(path.clone()).and_modify(|field| field.print = Some(keys.of_no_value()));
    }
    record.edit(name, |memory| {
        memory.intent = None;
        memory.owned.iter_mut().for_each(|owned| owned.base = Arc::new(base.clone()));
    });
    has_arrived
}

fn outcome<'o>(
    record: &Record,
    observed: &'o Observed,
    name: &ConnectionName,
    intent: &Intent,
    keys: Keys<'_>,
) -> Outcome<'o> {
    if !is_known(observed, name)
        || intent.from.as_ref().is_some_and(|old| has_failed(observed, old))
    {
        return Outcome::NotKnown;
    }
    match observed.shown(name) {
        Some(view) if is_ours(record, observed, intent, &view, keys) => Outcome::Arrived(view),
        _ => Outcome::NotMade,
    }
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

/// Whether the connection of the inventory, which a delete or a replace was to delete, is not there any more.
fn is_gone(
    record: &Record,
    observed: &Observed,
    name: &ConnectionName,
    intent: &Intent,
    keys: Keys<'_>,
) -> bool {
    let Some((owned, view)) = record.owned(name).zip(observed.shown(name)) else { return true };
    if let Some((known, shown)) = owned.id.as_ref().zip(view.id()) {
        return known != shown;
    }
    // Where no ids are shown, ours is gone if what is there is not as ours was.
    let mut base = Base::clone(&owned.base);
    if intent.call == NotedCall::Delete {
        base.retain(|path, _| !intent.kept.contains(path));
    }
    !view.shows(&owned.type_name, &base, keys)
}

fn is_ours(
    record: &Record,
    observed: &Observed,
    intent: &Intent,
    view: &LiveView<'_>,
    keys: Keys<'_>,
) -> bool {
    let mut sent: Base = intent.base.clone();
    sent.retain(|path, _| !intent.kept.contains(path));
    let is_as_sent = || view.shows(&intent.type_name, &sent, keys);
    let Some(from) = &intent.from else { return is_as_sent() };
    let known = record.owned(from);
    // The id tells, although somebody took the old name since or changed what was sent.
    if let Some((known, shown)) = known.and_then(|owned| owned.id.as_ref()).zip(view.id()) {
        return known == shown;
    }
    let is_still_there = observed.listed(from).is_some_and(|there| {
        known.is_none_or(|owned| there.shows(&owned.type_name, &owned.base, keys))
    });
    is_as_sent() && !is_still_there && observed.live.is_complete()
}

fn own_it(
    record: &mut Record,
    name: &ConnectionName,
    intent: &Intent,
    view: &LiveView<'_>,
    before: &Record,
    keys: Keys<'_>,
) {
    let previous = intent.from.as_ref().and_then(|from| before.owned(from)).cloned();
    let Intent { type_name, from, mut base, protect, .. } = intent.clone();
    // Whether what live masks arrived is not known.
    view.forget_masked(&mut base, keys);
    let owned = Owned {
        type_name,
        id: view.id().cloned(),
        base: Arc::new(base),
        protect,
        renamed_from: from,
        last_change: previous.as_ref().and_then(|owned| owned.last_change),
        last_commit: previous.and_then(|owned| owned.last_commit),
        ..Owned::default()
    };
    record.edit(name, |memory| {
        memory.intent = None;
        memory.owned = Some(owned);
    });
}

fn drop_intent(record: &mut Record, name: &ConnectionName, is_gone: bool) {
    if is_gone {
        record.forget(name);
        return;
    }
    record.edit(name, |memory| {
        memory.intent = None;
        // An intent that came to nothing leaves no delete that is due.
        if memory.owned.is_none() {
            memory.due = None;
        }
    });
}
