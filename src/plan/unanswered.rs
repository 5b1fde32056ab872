//! Settles creates, replaces and renames whose answer never came.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compare::{Keys, LiveView};
use super::row::Observed;
use crate::name::ConnectionName;
use crate::record::{Base, Intent, Owned, Record};

/// The end of a call whose answer was never seen.
enum Outcome {
    /// It arrived; the id that live shows.
    Arrived(Option<String>),
    NotMade,
    NotKnown,
}

/// Settles the intents of earlier runs: a connection that live shows as it was sent is owned, one
/// that is not there is forgotten, and one that differs is not ours.
pub(crate) fn settle(record: &mut Record, observed: &Observed, keys: Keys<'_>) {
    let before = record.clone();
    let intents = before
        .connections
        .iter()
        .filter_map(|(name, memory)| Some((name, memory.intent.as_ref()?)));
    // Renames first: what they free may have been taken anew.
    let (renames, creates): (Vec<_>, Vec<_>) =
        intents.partition(|(_, intent)| intent.from.is_some());
    let (mut arrived, mut not_freed, mut not_known) =
        (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (name, intent) in renames {
        match outcome(&before, observed, name, intent, keys) {
            Outcome::Arrived(id) => arrived.push((name, intent, id)),
            Outcome::NotMade => {
                not_freed.extend(&intent.from);
                drop_intent(record, name, false);
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
    for (name, intent, id) in arrived {
        own_it(record, name, intent, id, &before);
    }
    for (name, intent) in creates.into_iter().filter(|(name, _)| !not_known.contains(name)) {
        let is_freed = !not_freed.contains(name);
        let known_id = record.owned(name).and_then(|owned| owned.id.as_ref());
        match outcome(record, observed, name, intent, keys) {
            // With the id that is known it is what was there before the call.
            Outcome::Arrived(id) if is_freed && (id.is_none() || id.as_ref() != known_id) => {
                own_it(record, name, intent, id, &before);
            }
            Outcome::Arrived(_) | Outcome::NotMade => {
                let is_gone = is_freed && was_replaced(record, observed, name, intent, keys);
                drop_intent(record, name, is_gone);
            }
            Outcome::NotKnown => {}
        }
    }
}

fn outcome(
    record: &Record,
    observed: &Observed,
    name: &ConnectionName,
    intent: &Intent,
    keys: Keys<'_>,
) -> Outcome {
    // A list that shows a part of it, or the name twice, proves nothing.
    let has_failed = |name: &ConnectionName| {
        observed.failed.contains_key(name) || observed.live.repeated.contains_key(name)
    };
    if has_failed(name) || intent.from.as_ref().is_some_and(has_failed) {
        return Outcome::NotKnown;
    }
    match observed.shown(name) {
        Some(view) if is_ours(record, observed, intent, &view, keys) => {
            Outcome::Arrived(view.id().cloned())
        }
        None if !observed.live.is_complete() => Outcome::NotKnown,
        _ => Outcome::NotMade,
    }
}

/// Whether the replace that noted an intent deleted the old connection, and its POST came to nothing.
fn was_replaced(
    record: &Record,
    observed: &Observed,
    name: &ConnectionName,
    intent: &Intent,
    keys: Keys<'_>,
) -> bool {
    let Some(owned) = record.owned(name).filter(|owned| owned.type_name != intent.type_name) else {
        return false;
    };
    // The name is forgotten, so that the create is not told as drift.
    let Some(view) = observed.shown(name) else { return true };
    // Not as it was sent: ours is gone where no ids are shown and it is not as ours was either.
    let shows_ids = owned.id.is_some() && view.id().is_some();
    !shows_ids && !view.shows(&owned.type_name, &owned.base, keys)
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
    id: Option<String>,
    before: &Record,
) {
    let previous = intent.from.as_ref().and_then(|from| before.owned(from)).cloned();
    let Intent { type_name, from, mut base, protect, .. } = intent.clone();
    // Whether a masked secret arrived is not known, so it does not count as sent.
    if let Some(own_type) = crate::catalog::find(&type_name) {
        for secret in own_type.secrets() {
            base.remove(&secret.pointer());
        }
    }
    let owned = Owned {
        type_name,
        id,
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
