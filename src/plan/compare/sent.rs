//! The value that a PUT sends for a field that git declares. The comparison holds this very value against
//! live, so a plan shows all that a PUT changes.
//!
//! An object pairs with live's by its keys: git's are sent, and live's others with them. A list is in sync
//! where live's elements agree, one by one, with git's; then live's other keys are sent with them too. A
//! list that differs is sent as git has it, since which of its elements live's keys belong to would be a
//! guess. A value that would take a secret away is not sent at all (rule 5).

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::catalog::{ConnectionType, Field, Kind, hidden};
use crate::desired::{DesiredConnection, DesiredField, lies_in};
use crate::plan::equality::{equal_as, equal_in, is_empty};
use crate::pointer;
use crate::record::BaseField;
use crate::reference;

/// The value that a PUT sends for a field.
pub(crate) struct Sent<'v> {
    pub(crate) value: Cow<'v, Value>,
    /// Why it must not be sent.
    pub(crate) refused: Option<NotSent>,
}

/// Why a value must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    /// It would take a secret away from an object or element that git declares without it.
    #[error(
        "live or an earlier commit has a secret in `{0}`, which git does not declare, so a PUT would take \
         it away: declare it as `${{env:NAME}}`, or as `null` to empty it"
    )]
    TakesSecret(String),
    /// An index in `x-gitops.ignore` leads to another element of live than of git.
    #[error(
        "live's element is not git's where `x-gitops.ignore` names `{part}`, so a PUT could put a value \
         into another element: ignore `{field}` as a whole, or make git's list equal to live's"
    )]
    IgnoredElsewhere {
        /// The ignored part.
        part: String,
        /// The pointer of the field that it is in.
        field: String,
    },
}

/// The value to send for git's `value` of a field, where live shows `live`. A key that git declared in the
/// base and does not declare now goes.
pub(crate) fn value_to_send<'v>(
    desired: &DesiredConnection,
    field: &DesiredField,
    value: &'v Value,
    older: Option<&BaseField>,
    live: Option<&Value>,
) -> Sent<'v> {
    let kind = field.field.map(|field| &field.kind);
    let older = older.map(|older| &older.declared).filter(|older| **older != field.declared);
    let mut refused = older.and_then(|older| {
        let places = references_in(older);
        Secrets { places, path: &field.path }.taken(kind, &field.declared, older, "")
    });
    let is_of_parts = value.is_array() || value.is_object();
    let Some(live) = live.filter(|live| is_of_parts && *live != value && !is_empty(live)) else {
        return Sent { value: Cow::Borrowed(value), refused };
    };
    let own_type = desired.connection_type;
    let with_ignored = with_ignored_parts_of(desired, &field.path, value, Some(live));
    let own = with_ignored.as_ref().unwrap_or(value);
    // Of a set no place says which of live's elements a masked part of git's belongs to.
    let shown = match kind {
        Some(Kind::Set(_)) => live.clone(),
        _ => unmasked(own_type, &field.path, own, live),
    };
    if let Some(elsewhere) = ignored_elsewhere(desired, field, own, &shown) {
        return Sent { value: Cow::Borrowed(value), refused: Some(elsewhere) };
    }
    let sent = merged(kind, own, older, &shown);
    if refused.is_none() && sent != shown {
        let places = secrets_in(own_type, &field.path, live);
        refused = Secrets { places, path: &field.path }.taken(kind, &sent, live, "");
    }
    Sent { value: Cow::Owned(sent), refused }
}

/// Whether live shows what would be sent, no less and no more.
pub(crate) fn is_as_sent(
    desired: &DesiredConnection,
    field: Option<&Field>,
    sent: Option<&Value>,
    live: Option<&Value>,
) -> bool {
    equal_in(desired, field, sent, live) && equal_in(desired, field, live, sent)
}

/// Git's value with what live has beside it.
fn merged(
    kind: Option<&'static Kind>,
    value: &Value,
    older: Option<&Value>,
    live: &Value,
) -> Value {
    match (value, live) {
        (Value::Object(fields), Value::Object(live)) => merged_object(kind, fields, older, live),
        (Value::Array(items), Value::Array(live)) => match partners(kind, items, older, live) {
            Some(partners) => {
                let kind = kind.and_then(Kind::of_item);
                let both = items.iter().zip(partners);
                both.map(|(item, live)| merged(kind, item, None, live)).collect()
            }
            None => value.clone(),
        },
        (value, _) => value.clone(),
    }
}

fn merged_object(
    kind: Option<&'static Kind>,
    fields: &Map<String, Value>,
    older: Option<&Value>,
    live: &Map<String, Value>,
) -> Value {
    let older = |key: &str| older.and_then(|older| older.get(key));
    let with_lives = fields.iter().map(|(key, value)| {
        let kind = kind.and_then(|kind| kind.of_key(key));
        let part = live.get(key).map(|live| merged(kind, value, older(key), live));
        (key.clone(), part.unwrap_or_else(|| value.clone()))
    });
    let mut sent: Map<String, Value> = with_lives.collect();
    let is_changed = || {
        !fields.iter().all(|(key, value)| {
            equal_as(kind.and_then(|kind| kind.of_key(key)), None, Some(value), live.get(key))
        })
    };
    for (key, value) in live.iter().filter(|(key, _)| !fields.contains_key(*key)) {
        // A `null` may stand in the place of a secret.
        let is_gits = matches!(kind, Some(Kind::Map(_))) && !value.is_null();
        // The server makes it anew of what changed.
        let is_made_anew = is_filled_by_server(kind, key) && is_changed();
        if !is_gits && !is_made_anew && older(key).is_none() {
            sent.insert(key.clone(), value.clone());
        }
    }
    Value::Object(sent)
}

fn is_filled_by_server(kind: Option<&Kind>, key: &str) -> bool {
    kind.and_then(|kind| kind.field(key)).is_some_and(|field| field.filled_by_server)
}

/// For each item of a list that is in sync the element of live that it stands for: live has as many,
/// each agrees with git's at its place, or at any place of a set, and none holds what git dropped.
fn partners<'l>(
    kind: Option<&Kind>,
    items: &[Value],
    older: Option<&Value>,
    live: &'l [Value],
) -> Option<Vec<&'l Value>> {
    let (is_set, kind) = (matches!(kind, Some(Kind::Set(_))), kind.and_then(Kind::of_item));
    let older: Vec<&Value> = older.and_then(Value::as_array).into_iter().flatten().collect();
    let mut left: Vec<&Value> = live.iter().collect();
    let partners = items.iter().map(|item| {
        let at = left.iter().position(|live| agrees(kind, item, live))?;
        let is_in_sync = (is_set || at == 0) && !holds_dropped(item, left[at], &older);
        is_in_sync.then(|| left.remove(at))
    });
    partners.collect::<Option<Vec<_>>>().filter(|_| items.len() == live.len())
}

/// Whether live's value agrees with all that git's value declares.
fn agrees(kind: Option<&Kind>, value: &Value, live: &Value) -> bool {
    equal_as(kind, None, Some(value), Some(live))
}

/// Whether live's value holds a key that some element of the older list declared and git's does not.
fn holds_dropped(value: &Value, live: &Value, older: &[&Value]) -> bool {
    let Value::Object(live) = live else { return false };
    live.iter().filter(|(_, live)| !live.is_null()).any(|(key, live)| {
        let older: Vec<&Value> = older.iter().filter_map(|older| older.get(key)).collect();
        match value.get(key) {
            Some(value) => holds_dropped(value, live, &older),
            None => !older.is_empty(),
        }
    })
}

// Parts of live in the place of git's.

/// Live's value of a field with git's parts where live masks them.
fn unmasked(own_type: &'static ConnectionType, path: &str, value: &Value, live: &Value) -> Value {
    let mut shown = live.clone();
    for masked in masked_in(own_type, path, live) {
        if let Some(part) = value.pointer(&masked) {
            pointer::put(&mut shown, &masked, Some(part.clone()));
        }
    }
    shown
}

/// Why live's parts that `x-gitops.ignore` names cannot be told: an index says which element is meant only
/// where live's element there agrees with git's in all else.
fn ignored_elsewhere(
    desired: &DesiredConnection,
    field: &DesiredField,
    own: &Value,
    live: &Value,
) -> Option<NotSent> {
    let path = &*field.path;
    let kind = field.field.and_then(|field| field.kind.of_item());
    let mut ignored = desired.options.ignore.iter().filter(|ignored| lies_in(ignored, path));
    let elsewhere = ignored.find(|ignored| {
        element_of(own, &ignored[path.len()..]).is_some_and(|element| {
            let both = own.pointer(element).zip(live.pointer(element));
            !both.is_some_and(|(own, live)| agrees(kind, own, live))
        })
    })?;
    Some(NotSent::IgnoredElsewhere { part: pointer::for_people(elsewhere), field: path.to_owned() })
}

/// The pointer of the element of a list that a pointer leads into.
fn element_of<'p>(value: &Value, below: &'p str) -> Option<&'p str> {
    let mut steps = below.match_indices('/').map(|(at, _)| at);
    steps.find(|at| value.pointer(&below[..*at]).is_some_and(Value::is_array))?;
    Some(&below[..steps.next().unwrap_or(below.len())])
}

/// A value of a field with another one's parts put in where `x-gitops.ignore` names a pointer below the
/// field; `None` where it names none.
pub(crate) fn with_ignored_parts_of(
    desired: &DesiredConnection,
    path: &str,
    value: &Value,
    other: Option<&Value>,
) -> Option<Value> {
    let below = desired.options.ignore.iter();
    let below = below.filter(|pointer| *pointer != path && lies_in(pointer, path));
    let mut patched: Option<Value> = None;
    for pointer in below {
        let below = &pointer[path.len()..];
        let part = other.and_then(|other| other.pointer(below)).cloned();
        pointer::put(patched.get_or_insert_with(|| value.clone()), below, part);
    }
    patched
}

// Secrets that a PUT would take away.

/// The pointers below a field at which a secret stands.
struct Secrets<'a> {
    places: BTreeSet<String>,
    path: &'a str,
}

impl Secrets<'_> {
    /// The first of these secrets of `there` that `sent` lacks in an object or element that it keeps. An
    /// element that agrees with none of `there` may be any that agrees with none of `sent`.
    fn taken(&self, kind: Option<&Kind>, sent: &Value, there: &Value, at: &str) -> Option<NotSent> {
        if !self.places.iter().any(|place| lies_in(place, at)) {
            return None;
        }
        match (sent, there) {
            (Value::Object(sent), Value::Object(there)) => there.iter().find_map(|(key, there)| {
                let at = pointer::child(at, key);
                match sent.get(key) {
                    Some(sent) => self.taken(kind.and_then(|k| k.of_key(key)), sent, there, &at),
                    // A whole entry of a free map is git's to remove.
                    None if matches!(kind, Some(Kind::Map(_))) => None,
                    None if is_filled_by_server(kind, key) => None,
                    None => self.first_in(&at),
                }
            }),
            (Value::Array(sent), Value::Array(there)) => {
                let kind = kind.and_then(Kind::of_item);
                let is_new = |item: &&Value| !there.iter().any(|there| agrees(kind, item, there));
                let new: Vec<&Value> = sent.iter().filter(is_new).collect();
                there.iter().enumerate().find_map(|(index, there)| {
                    let same = sent.iter().filter(|item| agrees(kind, item, there));
                    let mut same: Vec<&Value> = same.collect();
                    if same.is_empty() {
                        same.clone_from(&new);
                    }
                    let at = pointer::item(at, index);
                    same.into_iter().find_map(|item| self.taken(kind, item, there, &at))
                })
            }
            _ => None,
        }
    }

    fn first_in(&self, at: &str) -> Option<NotSent> {
        let place = self.places.iter().find(|place| lies_in(place, at))?;
        Some(NotSent::TakesSecret(pointer::for_people(&format!("{}{place}", self.path))))
    }
}

/// Where a declared text refers to the environment.
pub(super) fn references_in(declared: &Value) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    pointer::each_text("", declared, &mut |place, text| {
        if reference::holds_env(text) {
            places.insert(place.to_owned());
        }
    });
    places
}

/// Where live's value of a field holds a secret, in clear or masked.
pub(super) fn secrets_in(
    own_type: &'static ConnectionType,
    path: &str,
    live: &Value,
) -> BTreeSet<String> {
    let parts = hidden::secret_parts(own_type, &alone(path, live));
    let places = parts.iter().filter_map(|part| part.pointer.strip_prefix(path));
    places.map(str::to_owned).chain(masked_in(own_type, path, live)).collect()
}

/// Where live's value of a field shows a mask, or nothing, in the place of a secret.
pub(super) fn masked_in(
    own_type: &'static ConnectionType,
    path: &str,
    live: &Value,
) -> BTreeSet<String> {
    let fields = alone(path, live);
    let masked =
        fields.iter().flat_map(|(key, live)| hidden::masked_parts(own_type, key, live, true));
    masked.filter_map(|place| place.strip_prefix(path).map(str::to_owned)).collect()
}

/// A connection that has one field alone.
fn alone(path: &str, value: &Value) -> Map<String, Value> {
    let mut fields = Value::Object(Map::new());
    pointer::set(&mut fields, path, value.clone());
    fields.as_object().cloned().unwrap_or_default()
}
