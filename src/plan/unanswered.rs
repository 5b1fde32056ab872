//! Settles creates, replaces and renames whose answer never came.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compare::{Keys, LiveView};
use super::row::Observed;
use crate::name::ConnectionName;
use crate::record::{Base, Intent, Memory, Owned, Record};

/// Settles the intents of earlier runs: a connection that live shows as it was sent is owned, one
/// that is not there is forgotten, and one that differs is not ours.
pub(crate) fn settle(record: &mut Record, observed: &Observed, keys: Keys<'_>) {
    let intents = record
        .connections
        .iter()
        .filter_map(|(name, memory)| Some((name.clone(), memory.intent.clone()?)));
    // Renames first: what they free may have been taken anew.
    let (renames, creates): (Vec<_>, Vec<_>) =
        intents.partition(|(_, intent)| intent.from.is_some());
    // Names that a rename may not have freed: what has them may be as it was before.
    let mut not_freed = BTreeSet::new();
    for (name, intent) in renames.into_iter().chain(creates) {
        // A list that shows a part of it, or the name twice, proves nothing.
        let has_failed = |name: &ConnectionName| {
            observed.failed.contains_key(name) || observed.live.repeated.contains_key(name)
        };
        if has_failed(&name) || intent.from.as_ref().is_some_and(has_failed) {
            not_freed.extend(intent.from);
            continue;
        }
        let view = observed.shown(&name);
        let known_id = record.owned(&name).and_then(|owned| owned.id.as_ref());
        let is_freed = !not_freed.contains(&name);
        if let Some(view) = &view
            && is_freed
            && (known_id.is_none() || known_id != view.id())
            && is_ours(record, observed, &intent, view, keys)
        {
            own_it(record, &name, intent, view);
            continue;
        }
        not_freed.extend(intent.from.clone());
        // Ours, which a replace may have deleted.
        let replaced = record.owned(&name).filter(|owned| {
            is_freed && intent.from.is_none() && owned.type_name != intent.type_name
        });
        let is_gone = match &view {
            // Not as it was sent: ours is gone where no ids are shown and it is not as ours was either.
            Some(view) => replaced.is_some_and(|owned| {
                let shows_ids = owned.id.is_some() && view.id().is_some();
                !shows_ids && !view.shows(&owned.type_name, &owned.base, keys)
            }),
            // The POST never arrived. The name is forgotten, so that the create is not told as drift.
            None if observed.live.is_complete() => replaced.is_some(),
            None => continue,
        };
        drop_intent(record, &name, is_gone);
    }
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

fn own_it(record: &mut Record, name: &ConnectionName, intent: Intent, view: &LiveView<'_>) {
    let previous = intent.from.as_ref().and_then(|from| {
        let previous = record.owned(from).cloned();
        record.leave(from);
        record.free(from);
        previous
    });
    let Intent { type_name, from, mut base, protect, .. } = intent;
    // Whether a masked secret arrived is not known, so it does not count as sent.
    if let Some(own_type) = crate::catalog::find(&type_name) {
        for secret in own_type.secrets() {
            base.remove(&secret.pointer());
        }
    }
    let owned = Owned {
        type_name,
        id: view.id().cloned(),
        base: Arc::new(base),
        protect: protect || previous.as_ref().is_some_and(|owned| owned.protect),
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

fn drop_intent(record: &mut Record, name: &ConnectionName, forgets: bool) {
    record.edit(name, |memory| {
        memory.intent = None;
        // An intent that came to nothing leaves no delete that is due.
        if memory.owned.is_none() {
            memory.due = None;
        }
        if forgets {
            *memory = Memory::default();
        }
    });
}
