//! What became of creates and renames whose answer was never seen (DESIGN section 7).

use super::compare::{Context, LiveView, is_as_sent};
use crate::inventory::{Intent, Owned, Record};
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

/// Settles the notes of earlier runs: what live shows as it was sent is owned, what is not there
/// is forgotten, and what differs was somebody else's.
pub fn settle(
    record: &mut Record,
    live: &Live,
    singles: &std::collections::BTreeMap<ConnectionName, LiveConnection>,
    context: &Settling<'_>,
) {
    let intents = std::mem::take(&mut record.intents);
    for (name, intent) in intents {
        let single = singles.get(&name);
        let entry = live.connections.get(&name).or(single);
        match entry {
            None if live.is_complete() => {}
            None => {
                record.intents.insert(name, intent);
            }
            Some(entry) => {
                let view = LiveView { entry, single };
                let sent = is_as_sent(&intent, &view, context.key, context.key_is_known);
                let renamed = intent
                    .from
                    .as_ref()
                    .is_none_or(|from| !live.connections.contains_key(from) && live.is_complete());
                if sent && renamed {
                    own(record, &name, intent, entry);
                }
            }
        }
    }
}

/// What settling looks at.
#[derive(Clone, Copy, Debug)]
pub struct Settling<'a> {
    /// The key of today's fingerprints.
    pub key: &'a crate::secret::FingerprintKey,
    /// Whether the record's fingerprints were made under that key.
    pub key_is_known: bool,
}

impl<'a> From<&Context<'a>> for Settling<'a> {
    fn from(context: &Context<'a>) -> Self {
        Self { key: context.key, key_is_known: context.key_is_known }
    }
}

fn own(record: &mut Record, name: &ConnectionName, intent: Intent, entry: &LiveConnection) {
    let previous = intent.from.as_ref().and_then(|from| {
        let previous = record.inventory.get(from).cloned();
        record.forget(from);
        previous
    });
    let Intent { type_name, mut base, protect, .. } = intent;
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
            base,
            protect,
            secrets_checked: None,
            last_change: previous.and_then(|owned| owned.last_change),
        },
    );
}
