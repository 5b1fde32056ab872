//! When two values are equal.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::catalog::{Default, Defaults, Field, Kind, same_choice};
use crate::desired::DesiredConnection;

/// The equality of the values of a field, or of a part of one. Not for secret fields.
#[derive(Clone, Copy)]
pub(crate) struct Equality<'k> {
    kind: Option<&'k Kind>,
    defaults: Defaults,
}

impl<'k> Equality<'k> {
    /// Of a field, by the documented defaults.
    pub(crate) fn of(field: Option<&'k Field>) -> Self {
        let defaults = field.map_or(NO_DEFAULT, Field::defaults);
        Self { kind: field.map(|field| &field.kind), defaults }
    }

    /// Of a field, by the defaults of the target's server.
    pub(crate) fn on_server(desired: &DesiredConnection, field: Option<&'k Field>) -> Self {
        let defaults = field.map_or(NO_DEFAULT, |field| desired.defaults(field));
        Self { defaults, ..Self::of(field) }
    }

    /// Of a value without a default, such as an element of a list.
    pub(crate) fn of_part(kind: Option<&'k Kind>) -> Self {
        Self { kind, defaults: NO_DEFAULT }
    }

    /// Whether live says all that git's value declares, and maybe more: servers add keys to objects.
    pub(crate) fn holds(self, git: Option<&Value>, live: Option<&Value>) -> bool {
        let Self { kind, defaults } = self;
        let default = defaults.default.as_ref();
        // A default that the documents contradict says nothing in either reading.
        let is_other =
            |value: &Value| defaults.others.iter().any(|d| same(kind, &d.to_json(), value));
        let is_disputed = |one: Option<&Value>, other: Option<&Value>| {
            one.is_none_or(is_empty) && other.is_some_and(is_other)
        };
        git.zip(live).is_some_and(|(git, live)| same(kind, git, live))
            || (is_unset(kind, default, git) && is_unset(kind, default, live))
            || is_disputed(git, live)
            || is_disputed(live, git)
    }

    /// Whether both say the same, no less and no more.
    pub(crate) fn same(self, one: Option<&Value>, other: Option<&Value>) -> bool {
        self.holds(one, other) && self.holds(other, one)
    }
}

const NO_DEFAULT: Defaults = Defaults { default: None, others: &[] };

/// Whether a value says no more than an undeclared field does: `null`, absent, the empty text,
/// list or map, and the documented default are one and the same.
pub(crate) fn is_unset(
    kind: Option<&Kind>,
    default: Option<&Default>,
    value: Option<&Value>,
) -> bool {
    match value {
        None => true,
        Some(value) if is_empty(value) => true,
        Some(value) => default.is_some_and(|default| same(kind, &default.to_json(), value)),
    }
}

/// Whether a value holds nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn same(kind: Option<&Kind>, desired: &Value, live: &Value) -> bool {
    match (kind, desired, live) {
        // Of whatever kind: what follows takes numbers and sets apart.
        (_, desired, live) if desired == live => true,
        (Some(Kind::Integer { .. }), desired, live) => match (number(desired), number(live)) {
            (Some(desired), Some(live)) => desired == live,
            _ => false,
        },
        (Some(Kind::Choice(_)), Value::String(desired), Value::String(live)) => {
            same_choice(desired, live)
        }
        (Some(Kind::Bytes), desired, live) => bytes(desired) == bytes(live),
        (Some(Kind::Set(item)), Value::Array(desired), Value::Array(live)) => {
            same_set(item, desired, live)
        }
        (Some(Kind::Map(item)), Value::Object(desired), Value::Object(live)) => {
            same_map(item, desired, live)
        }
        // Objects are compared by what git declares: servers add to them.
        (kind, Value::Object(desired), Value::Object(live)) => {
            desired.iter().all(|(key, value)| {
                let equality = Equality::of(kind.and_then(|kind| kind.field(key)));
                equality.holds(Some(value), live.get(key))
            })
        }
        (kind, Value::Array(desired), Value::Array(live)) => {
            let equality = Equality::of_part(kind.and_then(Kind::of_item));
            desired.len() == live.len()
                && desired.iter().zip(live).all(|(d, l)| equality.holds(Some(d), Some(l)))
        }
        (_, Value::Number(_), Value::Number(_)) => number(desired) == number(live),
        _ => false,
    }
}

/// Each desired item is there, and nothing else is; how often something is said says nothing.
fn same_set(item: &Kind, desired: &[Value], live: &[Value]) -> bool {
    let same = |d: &Value, l: &Value| Equality::of_part(Some(item)).holds(Some(d), Some(l));
    desired.iter().all(|d| live.iter().any(|l| same(d, l)))
        && live.iter().all(|l| desired.iter().any(|d| same(d, l)))
}

/// A free map is owned whole: a key that only live has is a difference, unless it holds `null`.
fn same_map(item: &Kind, desired: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    let equality = Equality::of_part(Some(item));
    desired.iter().all(|(key, value)| equality.holds(Some(value), live.get(key)))
        && live.iter().all(|(key, value)| value.is_null() || desired.contains_key(key))
}

/// A number, or the text of one, in a form in which equal numbers are equal.
fn number(value: &Value) -> Option<Cow<'_, str>> {
    let text = match value {
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::String(text) => Cow::Borrowed(text.trim()),
        _ => return None,
    };
    if let Ok(whole) = text.parse::<i128>() {
        return Some(Cow::Owned(whole.to_string()));
    }
    // More digits than fit: two that differ must not be one float.
    if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) {
        return (!text.is_empty()).then_some(text);
    }
    let float = text.parse::<f64>().ok().filter(|f| f.is_finite())?;
    // A float without a fraction is the whole number that it shows as.
    Some(Cow::Owned(format!("{float}")))
}

/// A file's content: the guide sends it as one base64 text, OpenAPI as an array of them.
fn bytes(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(parts) => parts.iter().collect(),
        other => vec![other],
    }
}

/// Other ways to write the value that a fingerprint may have been made of: a number's text, an
/// absent value's default.
pub(super) fn other_spellings(field: Option<&Field>, seen: &Value) -> Vec<Value> {
    match (field.map(|f| &f.kind), seen) {
        (Some(Kind::Integer { .. }), Value::Number(number)) => {
            vec![Value::from(number.to_string())]
        }
        (Some(Kind::Integer { .. }), Value::String(text)) => {
            text.trim().parse::<i64>().map(Value::from).into_iter().collect()
        }
        (_, seen) if is_empty(seen) => {
            let default = field.and_then(|f| f.default.as_ref()).map(|default| default.to_json());
            default.into_iter().chain([Value::from(""), Value::Null]).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY_VALUE: Kind = Kind::Map(&Kind::Any);

    fn same_as(kind: &Kind, desired: &Value, live: &Value) -> bool {
        Equality::of_part(Some(kind)).holds(Some(desired), Some(live))
    }

    #[test]
    fn nothing_and_the_default_are_equal() {
        let port = Kind::Integer { min: 1, max: 65535 };
        let defaults = Defaults { default: Some(Default::Integer(587)), others: &[] };
        let equality = Equality { kind: Some(&port), defaults };
        for unset in
            [None, Some(json!(null)), Some(json!("")), Some(json!(587)), Some(json!("587"))]
        {
            for other in [None, Some(json!(null)), Some(json!(587))] {
                assert!(equality.holds(unset.as_ref(), other.as_ref()));
            }
            assert!(!equality.holds(unset.as_ref(), Some(&json!(25))));
        }
    }

    #[test]
    fn a_disputed_default_and_nothing_are_equal_in_both_readings() {
        let field = crate::catalog::find("syslog").and_then(|known| known.field("syslogTimeout"));
        let equal =
            |one: Option<&Value>, other: Option<&Value>| Equality::of(field).holds(one, other);
        for reading in [json!(500), json!(5000)] {
            assert!(equal(None, Some(&reading)) && equal(Some(&reading), None));
        }
        assert!(!equal(Some(&json!(500)), Some(&json!(5000))));
        assert!(!equal(None, Some(&json!(501))));
    }

    #[test]
    fn a_number_and_its_text_are_equal_in_a_number_field_only() {
        let port = Kind::Integer { min: 1, max: 65535 };
        assert!(same_as(&port, &json!("587"), &json!(587)));
        assert!(same_as(&port, &json!(587), &json!(587.0)));
        assert!(!same_as(&port, &json!("587x"), &json!(587)));
        assert!(!same_as(&Kind::Text, &json!("587"), &json!(587)));
    }

    #[test]
    fn lists_have_an_order_and_sets_have_none() {
        let list = Kind::List(&Kind::Text);
        let set = Kind::Set(&Kind::Text);
        assert!(!same_as(&list, &json!(["a", "b"]), &json!(["b", "a"])));
        assert!(same_as(&set, &json!(["a", "b"]), &json!(["b", "a"])));
        assert!(!same_as(&set, &json!(["a", "a"]), &json!(["b", "a"])));
        assert!(!same_as(&set, &json!(["a", "b"]), &json!(["a", "a"])));
        assert!(same_as(&set, &json!(["a", "a"]), &json!(["a"])));
    }

    #[test]
    fn a_field_that_servers_add_to_an_object_in_a_list_is_no_difference() {
        let list = Kind::List(&Kind::Any);
        assert!(same_as(
            &list,
            &json!([{"host": "a"}]),
            &json!([{"host": "a", "status": "green"}])
        ));
        assert!(!same_as(&list, &json!([{"host": "a"}]), &json!([{"host": "b"}])));
    }

    #[test]
    fn a_key_that_only_live_has_is_a_difference_in_a_free_map() {
        assert!(!same_as(&KEY_VALUE, &json!({"a": "1"}), &json!({"a": "1", "b": "2"})));
        assert!(same_as(&KEY_VALUE, &json!({"a": "1"}), &json!({"a": "1", "b": null})));
    }
}
