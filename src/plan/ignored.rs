//! Fields that others may edit, where they lie inside a list or map that git owns whole.

use serde_json::Value;

use crate::desired::{DesiredConnection, lies_in};

/// Git's value of a field with live's parts put in where `x-gitops.ignore` names a pointer below
/// the field; `None` where it names none.
pub(super) fn with_lives_ignored_parts(
    desired: &DesiredConnection,
    path: &str,
    value: &Value,
    live: Option<&Value>,
) -> Option<Value> {
    let mut patched: Option<Value> = None;
    for pointer in &desired.options.ignore {
        if pointer == path || !lies_in(pointer, path) {
            continue;
        }
        let below = &pointer[path.len()..];
        let live_part = live.and_then(|live| live.pointer(below)).cloned();
        put(patched.get_or_insert_with(|| value.clone()), below, live_part);
    }
    patched
}

/// Sets or removes the value at a pointer; a pointer whose parent is not there is left alone.
pub(super) fn put(value: &mut Value, pointer: &str, part: Option<Value>) {
    let Some((parent, step)) = pointer.rsplit_once('/') else { return };
    let step = crate::pointer::unescaped(step);
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
