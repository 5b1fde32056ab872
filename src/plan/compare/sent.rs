//! Git's side and live's side of one field that git declares, and what a PUT makes of them. The comparison
//! holds the very value that is sent against live, so a plan shows all that a PUT changes.
//!
//! | value | is | from |
//! |---|---|---|
//! | own | git's value, with the parts that `x-gitops.ignore` names as live has them | `with_ignored_parts_of` |
//! | unmasked | live's value, with git's parts where live masks them | `Sent::unmasked` |
//! | sent | git's parts, and live's own beside them: of objects by their keys, of a list while it is in sync; one that differs is sent as git has it | `merged` |
//! | in sync | what is sent and live, unmasked, say the same, in both directions | `Equality::same` |
//! | for people | the declared text where a reference stands in it, else what is sent, without the secrets of live that the catalog can tell; `Planned::redact` conceals the others | `field.rs` |
//! | blocks | a secret that the PUT would take away, or a part that it could put into another element (rule 5) | `NotSent` |

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::catalog::{ConnectionType, Kind, hidden};
use crate::desired::{DesiredConnection, DesiredField, lies_in};
use crate::plan::compare::pairs::{Filling, Pairing};
use crate::plan::equality::{Equality, is_empty};
use crate::pointer;
use crate::record::BaseField;
use crate::reference;

/// The value that a PUT sends for a field.
pub(crate) struct Sent<'v> {
    pub(crate) value: Cow<'v, Value>,
    /// Live's value, with git's parts where live masks them.
    pub(crate) unmasked: Option<Cow<'v, Value>>,
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
    base: Option<&BaseField>,
    live: Option<&'v Value>,
) -> Sent<'v> {
    let kind = field.field.map(|field| &field.kind);
    let base = base.map(|base| &base.declared).filter(|text| **text != field.declared);
    let takes = |place: String| {
        NotSent::TakesSecret(pointer::for_people(&format!("{}{place}", field.path)))
    };
    let mut refused = base
        .and_then(|text| taken(&references_in(text), kind, &field.declared, text, "").map(takes));
    let Some(live) = live.filter(|live| *live != value) else {
        return Sent { value: Cow::Borrowed(value), unmasked: live.map(Cow::Borrowed), refused };
    };
    let own_type = desired.connection_type;
    let with_ignored = with_ignored_parts_of(desired, &field.path, value, Some(live));
    let own = with_ignored.as_ref().unwrap_or(value);
    let masked = masked_in(own_type, &field.path, live);
    let unmasked = Filling::with_parts(masked, false).of(kind, own, live);
    let is_of_parts = (value.is_array() || value.is_object()) && !is_empty(live);
    let elsewhere =
        is_of_parts.then(|| ignored_elsewhere(desired, field, own, &unmasked)).flatten();
    if !is_of_parts || elsewhere.is_some() {
        let refused = elsewhere.or(refused);
        return Sent { value: Cow::Borrowed(value), unmasked: Some(Cow::Owned(unmasked)), refused };
    }
    let sent = merged(kind, own, base, &unmasked);
    if refused.is_none() && sent != unmasked {
        let places = secrets_in(own_type, &field.path, live);
        refused = taken(&places, kind, &sent, &unmasked, "").map(takes);
    }
    Sent { value: Cow::Owned(sent), unmasked: Some(Cow::Owned(unmasked)), refused }
}

/// Git's value with what live has beside it.
fn merged(kind: Option<&'static Kind>, value: &Value, base: Option<&Value>, live: &Value) -> Value {
    match (value, live) {
        (Value::Object(fields), Value::Object(live)) => merged_object(kind, fields, base, live),
        (Value::Array(items), Value::Array(live)) => {
            let is_set = matches!(kind, Some(Kind::Set(_)));
            let kind = kind.and_then(Kind::of_item);
            let base: Vec<&Value> = base.and_then(Value::as_array).into_iter().flatten().collect();
            let agree = |item: usize, at: usize| {
                Equality::of_part(kind).holds(Some(&items[item]), Some(&live[at]))
                    && !holds_dropped(&items[item], &live[at], &base)
            };
            let pairing = Pairing { git: items.len(), live: live.len(), is_set, agree: &agree };
            let Some(pairs) = pairing.in_sync() else { return value.clone() };
            pairs
                .into_iter()
                .map(|(item, at)| merged(kind, &items[item], None, &live[at]))
                .collect()
        }
        (value, _) => value.clone(),
    }
}

fn merged_object(
    kind: Option<&'static Kind>,
    fields: &Map<String, Value>,
    base: Option<&Value>,
    live: &Map<String, Value>,
) -> Value {
    let base = |key: &str| base?.get(key).filter(|base| !base.is_null());
    let with_parts_of_live = fields.iter().map(|(key, value)| {
        let kind = kind.and_then(|kind| kind.of_key(key));
        let part = live.get(key).map(|live| merged(kind, value, base(key), live));
        (key.clone(), part.unwrap_or_else(|| value.clone()))
    });
    let mut sent: Map<String, Value> = with_parts_of_live.collect();
    let is_changed = || {
        !fields.iter().all(|(key, value)| {
            let equality = Equality::of_part(kind.and_then(|kind| kind.of_key(key)));
            equality.holds(Some(value), live.get(key))
        })
    };
    for (key, value) in live.iter().filter(|(key, _)| !fields.contains_key(*key)) {
        // A `null` may stand in the place of a secret.
        let is_of_git = matches!(kind, Some(Kind::Map(_))) && !value.is_null();
        // The server makes it anew of what changed.
        let is_made_anew = is_filled_by_server(kind, key) && is_changed();
        if !is_of_git && !is_made_anew && base(key).is_none() {
            sent.insert(key.clone(), value.clone());
        }
    }
    Value::Object(sent)
}

fn is_filled_by_server(kind: Option<&Kind>, key: &str) -> bool {
    kind.and_then(|kind| kind.field(key)).is_some_and(|field| field.filled_by_server)
}

/// Whether live's value holds a key that some element of the older list declared and git's does not.
fn holds_dropped(value: &Value, live: &Value, base: &[&Value]) -> bool {
    let Value::Object(live) = live else { return false };
    live.iter().filter(|(_, live)| !live.is_null()).any(|(key, live)| {
        let base = base.iter().filter_map(|base| base.get(key));
        let base: Vec<&Value> = base.filter(|base| !base.is_null()).collect();
        match value.get(key) {
            Some(value) => holds_dropped(value, live, &base),
            None => !base.is_empty(),
        }
    })
}

// Parts of live in the place of git's.

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
            !both.is_some_and(|(own, live)| Equality::of_part(kind).holds(Some(own), Some(live)))
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

/// The first of the places of secrets of `there` that `sent` lacks in an object or element that it keeps.
fn taken(
    places: &BTreeSet<String>,
    kind: Option<&Kind>,
    sent: &Value,
    there: &Value,
    at: &str,
) -> Option<String> {
    let first_in = |at: &str| places.iter().find(|place| lies_in(place, at)).cloned();
    first_in(at)?;
    match (sent, there) {
        (Value::Object(sent), Value::Object(there)) => there.iter().find_map(|(key, there)| {
            let (at, inner) = (pointer::child(at, key), kind.and_then(|kind| kind.of_key(key)));
            match sent.get(key) {
                Some(sent) => taken(places, inner, sent, there, &at),
                // A whole entry of a free map is git's to remove.
                None if matches!(kind, Some(Kind::Map(_))) => None,
                None if is_filled_by_server(kind, key) => None,
                None => first_in(&at),
            }
        }),
        (Value::Array(sent), Value::Array(there)) => {
            let kind = kind.and_then(Kind::of_item);
            let agree = |item: usize, index: usize| {
                Equality::of_part(kind).holds(Some(&sent[item]), Some(&there[index]))
            };
            let (git, live) = (sent.len(), there.len());
            let pairing = Pairing { git, live, is_set: true, agree: &agree };
            let candidates = pairing.candidates();
            there.iter().enumerate().find_map(|(index, there)| {
                let at = pointer::item(at, index);
                first_in(&at)?;
                candidates(index)
                    .into_iter()
                    .find_map(|item| taken(places, kind, &sent[item], there, &at))
            })
        }
        _ => None,
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
    let parts = hidden::secret_parts(own_type, &pointer::assemble([(path, live)]));
    let places = parts.iter().filter_map(|part| part.pointer.strip_prefix(path));
    places.map(str::to_owned).chain(masked_in(own_type, path, live)).collect()
}

/// Where live's value of a field shows a mask, or nothing, in the place of a secret.
pub(super) fn masked_in(
    own_type: &'static ConnectionType,
    path: &str,
    live: &Value,
) -> BTreeSet<String> {
    let masked = hidden::masked_parts(own_type, &pointer::assemble([(path, live)]));
    masked.iter().filter_map(|place| place.strip_prefix(path).map(str::to_owned)).collect()
}
