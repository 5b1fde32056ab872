//! What became of creates and renames whose answer was never seen.

use std::collections::BTreeMap;

use super::compare::{LiveView, is_as_declared, is_as_sent};
use crate::inventory::{Intent, Owned, Record};
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

/// Settles the notes of earlier runs: what live shows as it was sent is owned, what is not there
/// is forgotten, and what differs was somebody else's.
pub fn settle(
    record: &mut Record,
    live: &Live,
    singles: &BTreeMap<ConnectionName, LiveConnection>,
    context: &Settling<'_>,
) {
    let intents = std::mem::take(&mut record.intents).into_iter();
    // Renames first: what they free may have been taken anew.
    let (renames, creates): (Vec<_>, Vec<_>) =
        intents.partition(|(_, intent)| intent.from.is_some());
    for (name, intent) in renames.into_iter().chain(creates) {
        let single = singles.get(&name);
        let entry = live.connections.get(&name).or(single);
        // A list that shows a part of it proves nothing.
        let is_unread = |name: &ConnectionName| context.unread.contains_key(name);
        if is_unread(&name) || intent.from.as_ref().is_some_and(is_unread) {
            record.intents.insert(name, intent);
            continue;
        }
        match entry {
            None if live.is_complete() => {
                drop_note(record, &name);
                forget_replaced(record, &name, &intent);
            }
            None => {
                record.intents.insert(name, intent);
            }
            Some(entry) => {
                let view = LiveView::new(entry, single);
                let sent = is_as_sent(&intent, &view, context.key, context.key_is_known);
                let known = intent.from.as_ref().and_then(|from| record.inventory.get(from));
                let ids = known.and_then(|owned| owned.id.as_ref()).zip(entry.id.as_ref());
                // The id tells, whoever took the old name since and changed what was sent.
                let is_ours = match (&intent.from, ids) {
                    (Some(_), Some((known, shown))) => known == shown,
                    (Some(from), None) => {
                        let still = live.connections.get(from).is_some_and(|there| {
                            known.is_none_or(|owned| context.shows(owned, there, singles.get(from)))
                        });
                        sent && !still && live.is_complete()
                    }
                    (None, _) => sent,
                };
                if is_ours {
                    own(record, &name, intent, entry);
                } else {
                    disown_replaced(record, &name, &intent, &view, context);
                    drop_note(record, &name);
                }
            }
        }
    }
}

/// What settling looks at.
#[derive(Clone, Copy, Debug)]
pub struct Settling<'a> {
    /// Why the own answer of a connection could not be had.
    pub unread: &'a BTreeMap<ConnectionName, String>,
    /// The key of today's fingerprints.
    pub key: &'a crate::secret::FingerprintKey,
    /// Whether the record's fingerprints were made under that key.
    pub key_is_known: bool,
}

impl Settling<'_> {
    /// Whether live shows a connection of the inventory as its base has it: all that tells it from
    /// another one where no ids are shown.
    fn shows(
        &self,
        owned: &Owned,
        entry: &LiveConnection,
        single: Option<&LiveConnection>,
    ) -> bool {
        is_as_declared(owned, &LiveView::new(entry, single), self.key, self.key_is_known)
    }
}

/// Forgets what a replace was to delete, where it may be gone, no ids are shown, and what has the name
/// is not as ours was.
fn disown_replaced(
    record: &mut Record,
    name: &ConnectionName,
    intent: &Intent,
    view: &LiveView<'_>,
    context: &Settling<'_>,
) {
    let is_gone = record.inventory.get(name).is_some_and(|owned| {
        let is_replace = intent.from.is_none() && owned.type_name != intent.type_name;
        let shows_ids = owned.id.is_some() && view.entry.id.is_some();
        is_replace && !shows_ids && !context.shows(owned, view.entry, view.single)
    });
    if is_gone {
        record.forget(name);
    }
}

/// A claim that came to nothing leaves no delete that is due.
fn drop_note(record: &mut Record, name: &ConnectionName) {
    if !record.inventory.contains_key(name) {
        record.deletes.remove(name);
    }
}

/// What a replace of ours deleted and nothing took the place of is not gone by somebody else's
/// hand: whatever git declares now is made, as anything that was never there.
fn forget_replaced(record: &mut Record, name: &ConnectionName, intent: &Intent) {
    let is_replace = intent.from.is_none();
    let owned = record.inventory.get(name);
    if is_replace && owned.is_some_and(|owned| owned.type_name != intent.type_name) {
        record.forget(name);
    }
}

fn own(record: &mut Record, name: &ConnectionName, intent: Intent, entry: &LiveConnection) {
    let previous = intent.from.as_ref().and_then(|from| {
        let previous = record.inventory.get(from).cloned();
        record.free(from);
        previous
    });
    let Intent { type_name, base, protect, .. } = intent;
    let mut base = base.fields();
    // Whether a masked secret arrived is not known, so it does not count as sent.
    if let Some(connection_type) = crate::catalog::find(&type_name) {
        for secret in connection_type.secrets() {
            base.remove(&format!("/{}", secret.name));
        }
    }
    record.inventory.insert(
        name.clone(),
        Owned {
            type_name,
            id: entry.id.clone(),
            base: base.into(),
            protect,
            secrets_checked: None,
            last_change: previous.and_then(|owned| owned.last_change),
        },
    );
}
