//! One connection, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::{Document, Kind, SECRET};
use super::memory::{Agreed, Live, Owned, SecretKnown, Sight};
use super::rules::Run;

/// The treatment of a field that differs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Treatment {
    Write,
    /// Only live moved it, and the target only reports drift.
    Keep,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) differences: BTreeMap<String, Treatment>,
    /// The base if nothing is written.
    pub(crate) base: BTreeMap<String, Agreed>,
    /// A secret was read back and is git's.
    pub(crate) read_equal: bool,
    /// The base of the secret is what was first seen.
    pub(crate) unverified: bool,
    /// Fields that hold a value of the environment.
    pub(crate) sensitive: BTreeSet<String>,
}

impl Fate {
    pub(crate) fn writes(&self) -> bool {
        self.differences.values().any(|t| *t == Treatment::Write)
    }

    pub(crate) fn keeps(&self) -> bool {
        self.differences.values().any(|t| *t == Treatment::Keep)
    }

    /// Whether a PUT keeps live's value. A secret that git declares, and what came from the environment, is
    /// always sent as git's value.
    pub(crate) fn keep(&self, field: &str) -> bool {
        field != SECRET
            && !self.sensitive.contains(field)
            && self.differences.get(field) == Some(&Treatment::Keep)
    }
}

fn agreed(sight: Sight<'_>, declared: &Value) -> Agreed {
    Agreed { declared: declared.clone(), value: sight.resolve(declared).unwrap_or(Value::Null) }
}

pub(crate) fn base_of(sight: Sight<'_>, document: &Document) -> BTreeMap<String, Agreed> {
    let fields = document.fields.iter().filter(|(field, _)| !document.ignores(field));
    fields.map(|(field, declared)| (field.clone(), agreed(sight, declared))).collect()
}

/// A written field is agreed on; one that was kept or ignored keeps its older base.
pub(crate) fn base_after_put(
    run: &Run<'_>,
    document: &Document,
    fate: &Fate,
) -> BTreeMap<String, Agreed> {
    let mut base = base_of(run.sight, document);
    base.retain(|field, _| !fate.keep(field));
    for (field, older) in &fate.base {
        if fate.keep(field) || document.ignores(field) {
            base.insert(field.clone(), older.clone());
        }
    }
    base
}

/// Whether git declares anything else than the base has.
pub(crate) fn git_moved(sight: Sight<'_>, document: &Document, owned: &Owned) -> bool {
    let declared = base_of(sight, document);
    let mut base = owned.base.clone();
    base.retain(|field, _| !document.ignores(field));
    declared != base
}

/// As it is planned.
pub(crate) fn compare(
    run: &Run<'_>,
    document: &Document,
    live: &Live,
    ours: Option<&Owned>,
) -> Fate {
    compare_knowing(run, document, live, ours, &run.before.readable)
}

/// As it is written: by then all that the plan read tells which secrets can be read.
pub(crate) fn compare_again(
    run: &Run<'_>,
    document: &Document,
    live: &Live,
    ours: Option<&Owned>,
) -> Fate {
    compare_knowing(run, document, live, ours, run.readable)
}

fn compare_knowing(
    run: &Run<'_>,
    document: &Document,
    live: &Live,
    ours: Option<&Owned>,
    readable: &BTreeSet<Kind>,
) -> Fate {
    let sight = run.sight;
    let kind = document.kind;
    let none = BTreeMap::new();
    let base = ours.map_or(&none, |owned| &owned.base);
    let unverified = ours.is_some_and(|owned| owned.secret.unverified);
    let mut fate = Fate { unverified, ..Fate::default() };
    for (field, declared) in &document.fields {
        let older = base.get(field);
        let is_sensitive = |value: &Value| value.as_str().is_some_and(|t| t.contains("${env:"));
        if is_sensitive(declared) || older.is_some_and(|older| is_sensitive(&older.declared)) {
            fate.sensitive.insert(field.clone());
        }
        if document.ignores(field) {
            keep_older(&mut fate, field, older);
        } else if field == SECRET {
            compare_secret(run, document, live, ours, readable, &mut fate);
        } else {
            let value = sight.resolve(declared).unwrap_or(Value::Null);
            let wanted = kind.plain(field, Some(&value));
            let has = kind.plain(field, live.body.get(field));
            if wanted == has {
                fate.base.insert(field.clone(), agreed(sight, declared));
                continue;
            }
            let was = older.map(|older| kind.plain(field, Some(&older.value)));
            let git_moved = was.as_ref().is_none_or(|was| *was != wanted);
            let was_declared = run.has_absent_layer() && ours.is_some() && has.is_some();
            let live_moved = was.as_ref().map_or(was_declared, |was| *was != has);
            keep_older(&mut fate, field, older);
            differ(run, &mut fate, field, git_moved, live_moved);
        }
    }
    for (field, older) in base.iter().filter(|(field, _)| !document.fields.contains_key(*field)) {
        if document.ignores(field) {
            keep_older(&mut fate, field, Some(older));
        } else if field != SECRET && kind.plain(field, live.body.get(field)).is_some() {
            // Git dropped it: back to its default.
            keep_older(&mut fate, field, Some(older));
            let live_moved =
                kind.plain(field, Some(&older.value)) != kind.plain(field, live.body.get(field));
            differ(run, &mut fate, field, true, live_moved);
        }
    }
    if fate.writes() {
        // A PUT sends them as git has them, so their drift is a part of what is written.
        let Fate { differences, sensitive, .. } = &mut fate;
        let sent = differences.iter_mut().filter(|(field, _)| sensitive.contains(*field));
        sent.for_each(|(_, treatment)| *treatment = Treatment::Write);
    }
    fate
}

fn keep_older(fate: &mut Fate, field: &str, older: Option<&Agreed>) {
    if let Some(older) = older {
        fate.base.insert(field.to_owned(), older.clone());
    }
}

fn differ(run: &Run<'_>, fate: &mut Fate, field: &str, git_moved: bool, live_moved: bool) {
    let is_drift = live_moved && !git_moved;
    let keeps = (is_drift && run.sight.settings.report) || (live_moved && run.has_absent_layer());
    let treatment = if keeps { Treatment::Keep } else { Treatment::Write };
    fate.differences.insert(field.to_owned(), treatment);
}

fn compare_secret(
    run: &Run<'_>,
    document: &Document,
    live: &Live,
    ours: Option<&Owned>,
    readable: &BTreeSet<Kind>,
    fate: &mut Fate,
) {
    let sight = run.sight;
    let declared = &document.fields[SECRET];
    let value = sight.resolve(declared).unwrap_or(Value::Null);
    let shown = sight.shows.of(document.kind, live.body.get(SECRET));
    let older = ours.and_then(|owned| owned.base.get(SECRET));
    let sent = older.map(|older| older.value == value);
    let is_readable = readable.contains(&document.kind);
    if shown.as_ref() == Some(&value) && !value.is_null() {
        fate.read_equal = true;
        fate.unverified = false;
        fate.base.insert(SECRET.to_owned(), agreed(sight, declared));
    } else if shown.is_some() && is_readable {
        keep_older(fate, SECRET, older);
        differ(run, fate, SECRET, sent != Some(true), sent == Some(true));
    } else if sent == Some(true) || (sent.is_none() && ours.is_none()) {
        fate.unverified |= sent.is_none();
        fate.base.insert(SECRET.to_owned(), agreed(sight, declared));
    } else {
        keep_older(fate, SECRET, older);
        differ(run, fate, SECRET, true, false);
    }
    if sight.flags.resend && !value.is_null() {
        fate.differences.entry(SECRET.to_owned()).or_insert(Treatment::Write);
    }
}

/// The knowledge about the secret once the connection was compared: of one that git dropped, the value
/// that was sent last.
pub(crate) fn secret_known(fate: &Fate, ours: Option<&Owned>) -> SecretKnown {
    let dropped = ours
        .filter(|owned| !owned.secret.unverified && !fate.base.contains_key(SECRET))
        .and_then(|owned| owned.base.get(SECRET))
        .map(|agreed| agreed.value.clone());
    let known = ours.and_then(|owned| owned.secret.shown.clone());
    SecretKnown { unverified: fate.unverified, shown: dropped.or(known) }
}

/// The same after a PUT.
pub(crate) fn secret_after_put(
    run: &Run<'_>,
    document: &Document,
    live: &Live,
    fate: &Fate,
    ours: Option<&Owned>,
) -> SecretKnown {
    let is_sent = is_sent(document, fate);
    let known = ours.and_then(|_| value_when_proven(fate, ours));
    let shown = run.sight.shows.of(document.kind, live.body.get(SECRET));
    let proven = shown.filter(|_| !is_declared(document) && run.proves(document.kind));
    SecretKnown { unverified: !is_sent && fate.unverified, shown: proven.or(known) }
}

/// The value of the secret of which a reading that shows it again tells that it shows it in clear.
fn value_when_proven(fate: &Fate, ours: Option<&Owned>) -> Option<Value> {
    let sent = fate.base.get(SECRET).filter(|_| ours.is_some() && !fate.unverified);
    sent.map(|agreed| agreed.value.clone()).or_else(|| secret_known(fate, ours).shown)
}

pub(crate) fn is_declared(document: &Document) -> bool {
    document.fields.contains_key(SECRET) && !document.ignores(SECRET)
}

fn is_sent(document: &Document, fate: &Fate) -> bool {
    is_declared(document) && !fate.keep(SECRET)
}

/// The body after the PUT; nothing where it would wipe a secret.
pub(crate) fn put(
    run: &Run<'_>,
    document: &Document,
    live: &Live,
    fate: &Fate,
    ours: Option<&Owned>,
) -> Option<Map<String, Value>> {
    let mut body = live.body.clone();
    for (field, declared) in &document.fields {
        if !document.ignores(field) && !fate.keep(field) {
            body.insert(field.clone(), run.sight.resolve(declared)?);
        }
    }
    for (field, treatment) in &fate.differences {
        if *treatment == Treatment::Write && !document.fields.contains_key(field) {
            body.remove(field);
        }
    }
    let kind = document.kind;
    if kind.has_secret() && !is_sent(document, fate) {
        keep_secret(run, kind, &mut body, value_when_proven(fate, ours).as_ref())?;
    }
    Some(body)
}

/// A secret that git does not declare: as it is shown if this pass proves that to be its value, or
/// left out where it has no use.
pub(crate) fn keep_secret(
    run: &Run<'_>,
    kind: Kind,
    body: &mut Map<String, Value>,
    then: Option<&Value>,
) -> Option<()> {
    let shown = run.sight.shows.of(kind, body.get(SECRET));
    if shown.is_some() && (shown.as_ref() == then || run.proves(kind)) {
        return Some(());
    }
    let is_used = kind.uses_secret(body);
    body.remove(SECRET);
    (!is_used).then_some(())
}
