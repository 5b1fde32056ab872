//! Showing a connection without its secrets.

use serde_json::{Map, Value};

use super::{SecretPart, secret_parts};
use crate::catalog::ConnectionType;
use crate::reference::{self, Segment};
use crate::secret::SENSITIVE;

/// The same connection fit to be shown: every secret part is `(sensitive)`, references in its
/// place are left, and everything else is as it was.
pub fn mask(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> Map<String, Value> {
    // Where a secret held a separator, another look may find more to hide: what is shown is what
    // a further look would leave alone. Texts that need more than two are made up.
    const LOOKS: usize = 8;
    let mut shown = fields.clone();
    for _ in 0..LOOKS {
        let parts = secret_parts(connection_type, &shown);
        let mut next = Value::Object(shown.clone());
        // From the back, so that the ranges of earlier parts of a text stay right.
        for part in parts.iter().rev() {
            if let Some(value) = next.pointer_mut(&part.pointer) {
                *value = masked(value, part);
            }
        }
        match next {
            Value::Object(next) if next != shown => shown = next,
            _ => break,
        }
    }
    shown
}

/// The value at a JSON pointer fit to be shown; `whole` is the connection that it is or was part
/// of, since neighbours (a header's name, SNMP's version) decide what is a secret.
pub fn mask_at(
    connection_type: &'static ConnectionType,
    pointer: &str,
    value: &Value,
    whole: &Map<String, Value>,
) -> Value {
    let mut steps = crate::pointer::steps(pointer);
    let Some(top) = steps.next() else { return Value::from(SENSITIVE) };
    let mut context = whole.clone();
    let mut place = context.entry(top.as_ref()).or_insert(Value::Null);
    for step in steps {
        let Some(next) = step_into(place, step.into_owned()) else { return Value::from(SENSITIVE) };
        place = next;
    }
    *place = value.clone();
    let shown = Value::Object(mask(connection_type, &context));
    shown.pointer(pointer).cloned().unwrap_or_else(|| Value::from(SENSITIVE))
}

/// A pointer to an item further out than this does not come from a list that anybody wrote.
const LONGEST_LIST: usize = 100_000;

/// The place one step further, made where there is none; `None` for a name inside a list.
fn step_into(place: &mut Value, step: String) -> Option<&mut Value> {
    let index = step.parse::<usize>().ok().filter(|index| *index <= LONGEST_LIST);
    match (&*place, index) {
        (Value::Array(_), None) => return None,
        (Value::Array(_) | Value::Object(_), _) => {}
        (_, Some(_)) => *place = Value::Array(Vec::new()),
        (_, None) => *place = Value::Object(Map::new()),
    }
    match (place, index) {
        (Value::Array(items), Some(index)) => {
            if items.len() <= index {
                items.resize(index + 1, Value::Null);
            }
            items.get_mut(index)
        }
        (Value::Object(map), _) => Some(map.entry(step).or_insert(Value::Null)),
        _ => None,
    }
}

/// Whether a text is what a server or a console shows in the place of a secret.
pub fn is_masked_text(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '•' | '●' | '∙' | '·'))
}

fn masked(value: &Value, part: &SecretPart) -> Value {
    let (Value::String(text), Some(range)) = (value, &part.range) else {
        return Value::from(SENSITIVE);
    };
    let pieces = (text.get(..range.start), text.get(range.clone()), text.get(range.end..));
    match pieces {
        (Some(before), Some(secret), Some(after)) => {
            Value::String(format!("{before}{}{after}", without_text(secret)))
        }
        _ => Value::from(SENSITIVE),
    }
}

/// The references of a text in their places, and `(sensitive)` for all between them.
fn without_text(secret: &str) -> String {
    let Ok(segments) = reference::parse(secret) else { return SENSITIVE.to_owned() };
    let shown = segments.iter().map(|segment| match segment {
        Segment::Text(_) => SENSITIVE.to_owned(),
        reference => reference.to_string(),
    });
    shown.collect()
}
