//! Which connections have to be read one by one: those of which the lists do not say enough, and
//! those whose secrets are due to be read back.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::compare::{LiveView, field_exactly_at, value_to_send};
use super::equality::{Equality, is_empty};
use super::renames::renames_of;
use super::run::Filter;
use crate::catalog::Field;
use crate::desired::{Desired, DesiredConnection, holds_env};
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;
use crate::pointer;
use crate::record::{Base, Record};

/// The connections that have to be read since the lists do not say enough: a field that git declares, or
/// used to, and that the list leaves out; a name of the inventory that no list shows (one that git does
/// not declare: only where the lists are complete); a call of an earlier run whose answer was lost;
/// without a state also what would be deleted.
pub(crate) fn to_read_alone(
    desired: &Desired,
    live: &Live,
    record: &Record,
    filter: &Filter,
    is_stateless: bool,
) -> BTreeSet<ConnectionName> {
    let shown = LazyCell::new(|| shown_keys(live));
    let is_shown =
        |type_name: &str, path: &str| shown.contains(&(type_name, &*pointer::first_step(path)));
    let old_names: BTreeSet<&ConnectionName> = renames_of(desired).map(|(_, old)| old).collect();
    let mut names = BTreeSet::new();
    for (name, memory) in &record.connections {
        let is_listed = live.connections.contains_key(name);
        let declared = desired.get(name);
        if let Some(intent) = &memory.intent {
            names.insert(name.clone());
            names.extend(
                intent.from.iter().filter(|old| live.connections.contains_key(*old)).cloned(),
            );
        }
        let Some(owned) = &memory.owned else { continue };
        let is_kept = declared.is_some_and(|d| d.connection_type.name == owned.type_name);
        let type_name = declared.map_or(owned.type_name.as_str(), |d| d.connection_type.name);
        let is_wanted = declared.is_some() || old_names.contains(name);
        let is_looked_at = filter.admits(type_name, name) || old_names.contains(name);
        if (!is_listed && is_looked_at && (is_wanted || live.is_complete()))
            || (is_listed && is_stateless && !is_kept)
        {
            names.insert(name.clone());
        }
    }
    for connection in desired.values() {
        let type_name = connection.connection_type.name;
        if connection.options.suspend || !filter.admits(type_name, &connection.name) {
            continue;
        }
        let old = connection.options.renamed_from.as_ref();
        let listed = live.connections.get(&connection.name);
        let listed = listed.or_else(|| live.connections.get(old?));
        let Some(listed) = listed.filter(|listed| listed.type_name == type_name) else { continue };
        let base = record.owned(&connection.name).map(|owned| &*owned.base);
        if lacks_a_declared_field(connection, listed, base, &is_shown) {
            names.insert(listed.name.clone());
        }
    }
    names
}

fn lacks_a_declared_field(
    desired: &DesiredConnection,
    listed: &LiveConnection,
    base: Option<&Base>,
    is_shown: &dyn Fn(&str, &str) -> bool,
) -> bool {
    let view = LiveView { listed, own: None };
    let type_name = desired.connection_type.name;
    let declared = desired.fields.iter().any(|field| {
        let path = &*field.path;
        let Some(value) = field.value() else { return false };
        let is_masked = field.is_secret() || field.field.is_some_and(|field| desired.masks(field));
        if is_masked || desired.ignores(path) {
            return false;
        }
        if let Some(listed) = view.get(path) {
            // Lists show no secret, wherever it stands.
            let unmasked = || value_to_send(desired, field, value, None, Some(listed)).unmasked;
            return !Equality::on_server(desired, field.field).holds(Some(value), Some(listed))
                && ((listed.is_null() && holds_env(&field.declared))
                    || unmasked().as_deref() != Some(listed));
        }
        // A field that is absent and agrees with the default may still be there: but not where the
        // list shows the field of any other connection of the type.
        !Equality::on_server(desired, field.field).holds(Some(value), None)
            || (!is_empty(value) && !is_shown(type_name, path))
    });
    let dropped = base.into_iter().flatten().any(|(path, field)| {
        let is_secret =
            || field_exactly_at(desired.connection_type, path).is_some_and(Field::is_secret);
        desired.field(path).is_none()
            && !is_empty(&field.declared)
            && view.get(path).is_none()
            && !is_secret()
            && !is_shown(type_name, path)
    });
    declared || dropped
}

/// The top-level keys that the lists show, each with its type.
fn shown_keys(live: &Live) -> HashSet<(&str, &str)> {
    let shown = live.connections.values();
    shown.flat_map(|one| one.body().keys().map(|key| (&*one.type_name, key.as_str()))).collect()
}

/// When secrets are read back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadBack {
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
    /// How long a reading, or a write, is good for.
    pub(crate) every: Duration,
    /// The share of the due ones to read in this run: the daemon spreads them over its resyncs.
    pub(crate) at_most: Option<usize>,
}

/// The connections with a declared secret that are due to be read back: those that are met for
/// the first time, and then those whose last reading is the oldest.
pub(crate) fn secrets_due(
    desired: &Desired,
    live: &Live,
    record: &Record,
    filter: &Filter,
    read_back: &ReadBack,
) -> BTreeSet<ConnectionName> {
    let every = i64::try_from(read_back.every.as_secs()).unwrap_or(i64::MAX);
    let mut due = BTreeSet::new();
    let mut again: Vec<(i64, &ConnectionName)> = Vec::new();
    for connection in desired.values() {
        let (name, type_name) = (&connection.name, connection.connection_type.name);
        let listed = live.connections.get(name);
        let is_read = listed.is_some_and(|listed| listed.type_name == type_name)
            && !connection.options.suspend
            && filter.admits(type_name, name)
            && connection.declares_secret();
        if !is_read {
            continue;
        }
        match record.owned(name).and_then(|owned| owned.secrets_checked) {
            None => {
                due.insert(name.clone());
            }
            // A clock that was set back must not put the reading off for ever.
            Some(checked)
                if checked.saturating_add(every) <= read_back.now || checked > read_back.now =>
            {
                again.push((checked, name));
            }
            Some(_) => {}
        }
    }
    again.sort();
    let at_most = read_back.at_most.unwrap_or(again.len());
    due.extend(again.into_iter().take(at_most).map(|(_, name)| name.clone()));
    due
}

/// How many connections a resync reads back so that all are read once in `every`; `None`: all.
pub(crate) fn share_per_resync(
    connections: usize,
    every: Duration,
    resync: Duration,
) -> Option<usize> {
    if every <= resync || every.is_zero() {
        return None;
    }
    let rounds = every.as_secs() / resync.as_secs().max(1);
    // Rounded up, so that none is left out for ever.
    Some(connections.div_ceil(usize::try_from(rounds.max(1)).unwrap_or(usize::MAX)).max(1))
}
