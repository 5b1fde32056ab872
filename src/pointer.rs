//! JSON pointers (RFC 6901), as every module builds, reads and follows them; walks over the texts in
//! a value; and merge patches (RFC 7386).

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value};

/// The steps of a pointer, unescaped.
pub(crate) fn steps(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(unescaped)
}

/// The key that a step stands for.
pub(crate) fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

/// A key as a step.
pub(crate) fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}

/// The pointer with one more key.
pub(crate) fn child(pointer: &str, key: &str) -> String {
    let mut child = String::with_capacity(pointer.len() + 1 + key.len());
    child.push_str(pointer);
    child.push('/');
    child.push_str(&escaped(key));
    child
}

/// The pointer with one more index.
pub(crate) fn item(pointer: &str, index: usize) -> String {
    format!("{pointer}/{index}")
}

/// The value at a pointer into an object.
pub(crate) fn look_up<'v>(fields: &'v Map<String, Value>, pointer: &str) -> Option<&'v Value> {
    let mut steps = steps(pointer);
    let mut value = fields.get(steps.next()?.as_ref())?;
    for step in steps {
        value = match value {
            Value::Object(entries) => entries.get(step.as_ref())?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// The key that a pointer begins with.
pub(crate) fn first_step(pointer: &str) -> Cow<'_, str> {
    steps(pointer).next().unwrap_or_default()
}

/// How a pointer is written for people: `hostPortList[0].port`.
pub(crate) fn for_people(pointer: &str) -> String {
    let mut shown = String::new();
    for step in steps(pointer) {
        if step.bytes().all(|b| b.is_ascii_digit()) && !step.is_empty() && !shown.is_empty() {
            let _ = write!(shown, "[{step}]");
        } else {
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(&step);
        }
    }
    shown
}

/// Sets the value at a pointer and makes the objects above it.
pub(crate) fn set(body: &mut Value, pointer: &str, value: Value) {
    let mut place = body;
    for step in steps(pointer) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        // Made an object one line above.
        let Value::Object(map) = place else { return };
        place = map.entry(step.as_ref()).or_insert(Value::Null);
    }
    *place = value;
}

/// The object that has the values at those pointers.
pub(crate) fn assemble<'v>(
    parts: impl IntoIterator<Item = (&'v str, &'v Value)>,
) -> Map<String, Value> {
    let mut whole = Value::Object(Map::new());
    parts.into_iter().for_each(|(pointer, value)| set(&mut whole, pointer, value.clone()));
    if let Value::Object(whole) = whole { whole } else { Map::new() }
}

/// Sets or removes the value at a pointer; a pointer whose parent is not there is left alone.
pub(crate) fn put(value: &mut Value, pointer: &str, part: Option<Value>) {
    let Some((parent, step)) = pointer.rsplit_once('/') else { return };
    let step = unescaped(step);
    match (value.pointer_mut(parent), part) {
        (Some(Value::Object(map)), Some(part)) => {
            map.insert(step.into_owned(), part);
        }
        (Some(Value::Object(map)), None) => {
            map.shift_remove(step.as_ref());
        }
        (Some(Value::Array(items)), Some(part)) => {
            if let Some(item) = step.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                *item = part;
            }
        }
        _ => {}
    }
}

/// Whether any text in a value is such a one.
pub(crate) fn any_text(value: &Value, is_it: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_it(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is_it)),
        Value::Object(map) => map.values().any(|value| any_text(value, is_it)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Shows each text in a value that lies at a pointer, with its own pointer.
pub(crate) fn each_text(pointer: &str, value: &Value, show: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => show(pointer, text),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                each_text(&item(pointer, index), value, show);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                each_text(&child(pointer, key), value, show);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same value with something else in the place of each text.
pub(crate) fn with_texts(value: &Value, change: &mut dyn FnMut(&str) -> Value) -> Value {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter().map(|item| with_texts(item, change)).collect(),
        Value::Object(map) => {
            let changed = map.iter().map(|(key, value)| (key.clone(), with_texts(value, change)));
            Value::Object(changed.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// RFC 7386: objects merge, `null` removes, everything else replaces.
pub(crate) fn merge_patch(target: &mut Map<String, Value>, by: &Map<String, Value>) {
    for (key, value) in by {
        match value {
            Value::Null => {
                target.shift_remove(key);
            }
            Value::Object(inner) => match target.get_mut(key) {
                Some(Value::Object(existing)) => merge_patch(existing, inner),
                _ => {
                    let mut fresh = Map::new();
                    merge_patch(&mut fresh, inner);
                    target.insert(key.clone(), Value::Object(fresh));
                }
            },
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_come_back() {
        for key in ["a", "", "a/b~c", "~1", "~01", "/"] {
            assert_eq!(unescaped(&escaped(key)), key);
        }
        let pointer = format!("/{}/0", escaped("a/b~c"));
        assert_eq!(pointer, "/a~1b~0c/0");
        assert_eq!(steps(&pointer).collect::<Vec<_>>(), ["a/b~c", "0"]);
    }

    #[test]
    fn builds_and_walks() {
        let pointer = item(&child("", "a/b~c"), 1);
        assert_eq!(pointer, "/a~1b~0c/1");
        let value = json!({"a/b~c": [1, {"x": 2}]});
        let fields = value.as_object().unwrap();
        assert_eq!(look_up(fields, &child(&pointer, "x")), Some(&Value::from(2)));
        assert_eq!(look_up(fields, "/a"), None);
        assert_eq!(for_people("/hosts/0/port"), "hosts[0].port");
    }

    fn patched(target: Value, by: Value) -> Value {
        let (Value::Object(mut target), Value::Object(by)) = (target, by) else { panic!() };
        merge_patch(&mut target, &by);
        Value::Object(target)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, by, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(patched(target, by), result);
        }
    }
}
