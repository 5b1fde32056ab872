//! JSON pointers (RFC 6901) as they are built and walked here.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::pointer::{escaped, steps};

/// Adds a key to a pointer.
pub(crate) fn push_key(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&escaped(key));
}

/// Adds the index of a list's entry to a pointer.
pub(crate) fn push_index(pointer: &mut String, index: usize) {
    // Writing to a String cannot fail.
    let _ = write!(pointer, "/{index}");
}

/// The pointer with one more key.
pub(crate) fn child(pointer: &str, key: &str) -> String {
    let mut child = pointer.to_owned();
    push_key(&mut child, key);
    child
}

/// The pointer with one more index.
pub(crate) fn item(pointer: &str, index: usize) -> String {
    let mut item = pointer.to_owned();
    push_index(&mut item, index);
    item
}

/// The value at a pointer below an object.
pub(crate) fn lookup<'v>(map: &'v Map<String, Value>, pointer: &str) -> Option<&'v Value> {
    let mut steps = steps(pointer);
    let mut value = map.get(steps.next()?.as_ref())?;
    for step in steps {
        value = match value {
            Value::Object(map) => map.get(step.as_ref())?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_walks() {
        let mut pointer = child("", "a/b~c");
        push_index(&mut pointer, 1);
        assert_eq!(pointer, "/a~1b~0c/1");
        let value = serde_json::json!({"a/b~c": [1, {"x": 2}]});
        let map = value.as_object().unwrap();
        assert_eq!(lookup(map, &child(&pointer, "x")), Some(&Value::from(2)));
        assert_eq!(lookup(map, "/a"), None);
        assert_eq!(for_people("/hosts/0/port"), "hosts[0].port");
    }
}
