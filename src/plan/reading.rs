//! Which connections have to be read one by one: those of which the lists do not say enough, and
//! those whose secrets are due to be read back.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;
use std::time::Duration;

use super::compare::{LiveView, catalog_field};
use super::equality::{equal, is_empty};
use super::{Agreement, Filter};
use crate::desired::{Desired, DesiredConnection};
use crate::inventory::Record;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

/// The connections that have to be read since the lists do not say enough: a declared field that
/// the list leaves out, a name of the inventory that no list shows, also where git renames it, a
/// call of an earlier run whose answer was lost. What the texts say (`agreements`, in the order of `desired`) is enough.
#[must_use]
pub fn to_confirm(
    desired: &Desired,
    live: &Live,
    record: &Record,
    filter: &Filter,
    agreements: &[Agreement],
) -> BTreeSet<ConnectionName> {
    let mut shown = ShownKeys::default();
    let mut names: BTreeSet<ConnectionName> = record.intents.keys().cloned().collect();
    let freed = record.intents.values().filter_map(|intent| intent.from.as_ref());
    names.extend(freed.filter(|old| live.connections.contains_key(*old)).cloned());
    let agreements = agreements.iter().copied().chain(repeat(Agreement::Doubtful));
    for (connection, agreement) in desired.values().zip(agreements) {
        if agreement != Agreement::Doubtful {
            continue;
        }
        let type_name = connection.connection_type.name;
        if connection.options.suspend || !filter.admits(type_name, &connection.name) {
            continue;
        }
        let previous = connection.options.renamed_from.as_ref();
        let entry = live
            .connections
            .get(&connection.name)
            .or_else(|| previous.and_then(|old| live.connections.get(old)));
        match entry {
            Some(entry) => {
                let same_type = entry.type_name == type_name;
                if same_type && lacks_a_declared_field(connection, entry, record, live, &mut shown)
                {
                    names.insert(entry.name.clone());
                }
            }
            None => {
                let both = [Some(&connection.name), previous].into_iter().flatten();
                names.extend(both.filter(|name| record.inventory.contains_key(*name)).cloned());
            }
        }
    }
    names
}

fn lacks_a_declared_field<'a>(
    desired: &DesiredConnection,
    entry: &LiveConnection,
    record: &Record,
    live: &'a Live,
    shown: &mut ShownKeys<'a>,
) -> bool {
    let view = LiveView::new(entry, None);
    let lists = |path: &str| {
        let mut steps = crate::pointer::steps(path);
        let top = steps.next().unwrap_or_default();
        // The keys are at hand; the object has to be read for what lies deeper.
        entry.keys().any(|key| key == top) && (steps.next().is_none() || view.get(path).is_some())
    };
    let declared = desired.fields().iter().any(|field| {
        let path = &*field.path;
        let Some(value) = field.value() else { return false };
        if field.is_secret() || desired.ignores(path) || lists(path) {
            return false;
        }
        // What is absent and agrees with the default may still be hidden: but not where the
        // list shows the field of any other connection of the type.
        !equal(field.field, Some(value), None)
            || (!is_empty(value) && !shown.shows(desired.connection_type.name, path, live))
    });
    let base = record.inventory.get(&desired.name).map(|owned| owned.base.fields());
    let dropped = base.iter().flatten().any(|(path, older)| {
        let secret = catalog_field(desired, path).is_some_and(crate::catalog::Field::is_secret);
        !secret
            && desired.field(path).is_none()
            && !is_empty(&older.declared)
            && !lists(path)
            && !shown.shows(desired.connection_type.name, path, live)
    });
    declared || dropped
}

/// The top-level keys that the lists show, by type; gathered when first asked for.
#[derive(Default)]
struct ShownKeys<'a> {
    by_type: Option<BTreeMap<&'a str, BTreeSet<&'a str>>>,
}

impl<'a> ShownKeys<'a> {
    fn shows(&mut self, type_name: &str, path: &str, live: &'a Live) -> bool {
        let by_type = self.by_type.get_or_insert_with(|| {
            let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for connection in live.connections.values() {
                keys.entry(&connection.type_name).or_default().extend(connection.keys());
            }
            keys
        });
        let key = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        by_type.get(type_name).is_some_and(|keys| keys.contains(key))
    }
}

/// When secrets are read back.
#[derive(Clone, Copy, Debug)]
pub struct ReadBack {
    /// Now, in seconds since 1970.
    pub now: i64,
    /// How long a reading, or a write, is good for.
    pub every: Duration,
    /// The share of the due ones to read in this run: the daemon spreads them over its resyncs.
    pub at_most: Option<usize>,
}

/// The connections with a declared secret that are due to be read back: those that are met for
/// the first time, and then those whose last reading is the oldest.
#[must_use]
pub fn secrets_due(
    desired: &Desired,
    live: &Live,
    record: &Record,
    filter: &Filter,
    read_back: &ReadBack,
) -> BTreeSet<ConnectionName> {
    let mut due = BTreeSet::new();
    let mut again: Vec<(i64, &ConnectionName)> = Vec::new();
    for connection in desired.values() {
        let type_name = connection.connection_type.name;
        let reads = connection.declares_secret
            && !connection.options.suspend
            && filter.admits(type_name, &connection.name);
        if !reads {
            continue;
        }
        let checked = record.inventory.get(&connection.name).and_then(|o| o.secrets_checked);
        let every = i64::try_from(read_back.every.as_secs()).unwrap_or(i64::MAX);
        // A clock that was set back must not put the reading off for ever.
        let is_due = |checked: i64| {
            checked.saturating_add(every) <= read_back.now || checked > read_back.now
        };
        let is_live = || {
            let entry = live.connections.get(&connection.name);
            entry.is_some_and(|entry| entry.type_name == type_name)
        };
        match checked {
            None if is_live() => {
                due.insert(connection.name.clone());
            }
            Some(checked) if is_due(checked) && is_live() => {
                again.push((checked, &connection.name));
            }
            _ => {}
        }
    }
    again.sort();
    let at_most = read_back.at_most.unwrap_or(again.len());
    due.extend(again.into_iter().take(at_most).map(|(_, name)| name.clone()));
    due
}

/// How many secrets a resync reads so that all are read once in `every`.
#[must_use]
pub fn share_per_resync(connections: usize, every: Duration, resync: Duration) -> Option<usize> {
    if every <= resync || every.is_zero() {
        return None;
    }
    let rounds = (every.as_secs_f64() / resync.as_secs_f64().max(1.0)).max(1.0);
    // Rounded up, and at least one, so that none is left out for ever.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    #[expect(clippy::cast_precision_loss, reason = "a count of connections fits")]
    let share = (connections as f64 / rounds).ceil() as usize;
    Some(share.max(1))
}
