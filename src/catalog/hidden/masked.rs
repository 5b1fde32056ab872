//! Where a server shows nothing, or a mask, in the place of a secret.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{secret_parts, url::says_secret};
use crate::catalog::ConnectionType;
use crate::pointer;

/// Whether a text is what a server or a console shows in the place of a secret.
pub fn is_masked_text(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '•' | '●' | '∙' | '·'))
}

/// Whether a text of whatever field is nothing but a mask: a server may mask any field as a whole.
pub(crate) fn is_mask(text: &str) -> bool {
    const SHORTEST: usize = 3;
    is_masked_text(text) && text.chars().count() >= SHORTEST
}

/// The pointers of the parts of a field that are masked: of texts that are nothing but a mask, since a
/// server may mask a field as a whole, and of secrets that show nothing. With `absent`, a secret's value
/// that is left out counts as one that shows nothing.
pub(crate) fn masked_parts(
    own_type: &'static ConnectionType,
    key: &str,
    value: &Value,
    absent: bool,
) -> BTreeSet<String> {
    let top = pointer::child("", key);
    let mut masked = BTreeSet::new();
    if shows_nothing(value) && own_type.field(key).is_none() && says_secret(key) {
        masked.insert(top.clone());
    }
    pointer::each_text(&top, value, &mut |path, text| {
        if is_mask(text) {
            masked.insert(path.to_owned());
        }
    });
    let alone = Map::from_iter([(key.to_owned(), with_nothing_masked(value, absent))]);
    for part in secret_parts(own_type, &alone) {
        if part.text(&alone).is_some_and(is_masked_text) {
            masked.insert(part.pointer);
        }
    }
    masked
}

fn shows_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// The same list or object with a mask where it has nothing: in the place of a secret `null`, an empty text
/// and, with `absent`, a value that is left out are what some servers show.
fn with_nothing_masked(value: &Value, absent: bool) -> Value {
    let of_part = |part: &Value| match shows_nothing(part) {
        true => Value::from(MASK),
        false => with_nothing_masked(part, absent),
    };
    match value {
        Value::Array(items) => items.iter().map(of_part).collect(),
        Value::Object(object) => {
            let mut parts: Map<_, _> =
                object.iter().map(|(k, v)| (k.clone(), of_part(v))).collect();
            if absent && ["name", "key", "valueType"].iter().any(|key| object.contains_key(*key)) {
                parts.entry("value").or_insert_with(|| MASK.into());
            }
            Value::Object(parts)
        }
        other => other.clone(),
    }
}

/// As many servers show it in the place of a secret.
pub(crate) const MASK: &str = "***";
