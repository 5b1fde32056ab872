//! The steps of JSON pointers (RFC 6901), as every module reads and writes them.

use std::borrow::Cow;

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

/// The value at a pointer into an object.
pub(crate) fn look_up<'f>(fields: &'f Map<String, Value>, pointer: &str) -> Option<&'f Value> {
    let path = pointer.get(1..)?;
    let (top, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    fields.get(unescaped(top).as_ref())?.pointer(rest)
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

#[cfg(test)]
mod tests {
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
}
