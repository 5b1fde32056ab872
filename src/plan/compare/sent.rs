//! The value that a PUT sends for a field that git declares. A list or a map is git's as a whole, and of
//! the objects inside it only what git declares: what live has beside that is sent back. The comparison
//! holds this very value against live, so a plan shows all that a PUT changes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::catalog::{Field, Kind};
use crate::desired::{DesiredConnection, DesiredField, holds_env};
use crate::plan::equality::{equal_as, equal_in};
use crate::record::BaseField;

/// The value to send for git's value of a field, where live shows `live`. A key that git declared in the
/// base and does not declare now goes.
pub(crate) fn value_to_send<'v>(
    field: &DesiredField,
    value: &'v Value,
    older: Option<&BaseField>,
    live: Option<&Value>,
) -> Cow<'v, Value> {
    let Some(live) = live.filter(|_| holds_object(value)) else { return Cow::Borrowed(value) };
    let text = &field.declared;
    let older = older.map(|older| &older.declared).filter(|older| *older != text);
    let kind = field.field.map(|field| &field.kind);
    Cow::Owned(GitsPart { value, text, older }.with_lives_own(kind, live))
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

fn holds_object(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_object),
        _ => false,
    }
}

/// A value of git's, or a part of one.
#[derive(Clone, Copy)]
struct GitsPart<'v> {
    value: &'v Value,
    /// The same with its references as text.
    text: &'v Value,
    /// The text in the base, where it is another one.
    older: Option<&'v Value>,
}

impl<'v> GitsPart<'v> {
    fn with_lives_own(self, kind: Option<&'static Kind>, live: &Value) -> Value {
        match (self.value, live) {
            (Value::Object(fields), Value::Object(live)) => self.object(kind, fields, live),
            (Value::Array(items), Value::Array(live)) => self.list(kind, items, live),
            (value, _) => value.clone(),
        }
    }

    fn object(
        self,
        kind: Option<&'static Kind>,
        fields: &'v Map<String, Value>,
        live: &Map<String, Value>,
    ) -> Value {
        let older = |key: &str| self.older.and_then(|older| older.get(key));
        let mut sent = Map::new();
        for (key, value) in fields {
            let text = self.text.get(key).unwrap_or(value);
            let part = Self { value, text, older: older(key) };
            let kind = kind.and_then(|kind| kind.of_key(key));
            let merged = live.get(key).map(|live| part.with_lives_own(kind, live));
            sent.insert(key.clone(), merged.unwrap_or_else(|| value.clone()));
        }
        if matches!(kind, Some(Kind::Map(_))) {
            return Value::Object(sent);
        }
        let is_changed = || {
            !fields.iter().all(|(key, value)| {
                equal_as(kind.and_then(|kind| kind.of_key(key)), None, Some(value), live.get(key))
            })
        };
        let beside =
            live.iter().filter(|(key, value)| !value.is_null() && !fields.contains_key(*key));
        for (key, value) in beside {
            let field = kind.and_then(|kind| kind.field(key));
            // A secret is never emptied by dropping it.
            let is_dropped = older(key).is_some_and(|older| !holds_env(older));
            // The server makes it anew of what changed.
            let is_made_anew = field.is_some_and(|field| field.filled_by_server) && is_changed();
            if !is_dropped && !is_made_anew {
                sent.insert(key.clone(), value.clone());
            }
        }
        Value::Object(sent)
    }

    fn list(self, kind: Option<&'static Kind>, items: &'v [Value], live: &[Value]) -> Value {
        let kind = kind.and_then(Kind::of_item);
        let items_of = |value: Option<&'v Value>| {
            value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
        };
        let (texts, older) = (items_of(Some(self.text)), items_of(self.older));
        let of_live = partners(kind, items, live);
        let of_older = partners(kind, texts, older);
        let partners = of_live.iter().zip(of_older.into_iter().chain(std::iter::repeat(None)));
        let sent = items.iter().enumerate().zip(partners).map(|((at, value), (live, older))| {
            let part = Self { value, text: texts.get(at).unwrap_or(value), older };
            live.map_or_else(|| value.clone(), |live| part.with_lives_own(kind, live))
        });
        sent.collect()
    }
}

/// For each item the one in another reading of the list that stands for the same thing: it says nothing
/// else, at the same place rather than at another one, or it stands at that place of as long a list.
fn partners<'o>(
    kind: Option<&'static Kind>,
    items: &[Value],
    others: &'o [Value],
) -> Vec<Option<&'o Value>> {
    let mut left: Vec<Option<&Value>> = others.iter().map(Some).collect();
    let at_same_place = items
        .iter()
        .zip(&mut left)
        .map(|(item, other)| other.take_if(|other| says_the_same(kind, item, other)));
    let mut found: Vec<Option<&Value>> = at_same_place.collect();
    found.resize(items.len(), None);
    for (found, item) in found.iter_mut().zip(items).filter(|(found, _)| found.is_none()) {
        let same = |other: &&mut Option<&Value>| {
            other.is_some_and(|other| says_the_same(kind, item, other))
        };
        *found = left.iter_mut().find(same).and_then(Option::take);
    }
    if items.len() == others.len() {
        for (found, other) in found.iter_mut().zip(left).filter(|(found, _)| found.is_none()) {
            *found = other;
        }
    }
    found
}

/// Whether two values agree in all that both have.
fn says_the_same(kind: Option<&'static Kind>, one: &Value, other: &Value) -> bool {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        return equal_as(kind, None, Some(one), Some(other));
    };
    let mut common = one.iter().filter(|(key, _)| other.contains_key(*key)).peekable();
    common.peek().is_some()
        && common.all(|(key, value)| {
            equal_as(kind.and_then(|kind| kind.of_key(key)), None, Some(value), other.get(key))
        })
}
