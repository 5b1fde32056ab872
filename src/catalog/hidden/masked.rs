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

/// The pointers of the parts of a connection that are masked: of texts that are nothing but a mask, since a
/// server may mask a field as a whole, and of secrets that show nothing or are left out.
pub(crate) fn masked_parts(
    own_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> BTreeSet<String> {
    let mut masked = BTreeSet::new();
    let mut marked = Map::new();
    for (key, value) in fields {
        let top = pointer::child("", key);
        pointer::each_text(&top, value, &mut |path, text| {
            if is_mask(text) {
                masked.insert(path.to_owned());
            }
        });
        if shows_nothing(value) && own_type.field(key).is_none() && says_secret(key) {
            masked.insert(top);
        }
        marked.insert(key.clone(), with_nothing_masked(value));
    }
    let parts = secret_parts(own_type, &marked).into_iter();
    masked.extend(
        parts.filter(|p| p.text(&marked).is_some_and(is_masked_text)).map(|part| part.pointer),
    );
    masked
}

/// Whether a value shows nothing of a secret that may stand there.
pub(crate) fn shows_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// The same list or object with a mask where it has nothing: in the place of a secret `null`, an empty text
/// and a value that is left out are what some servers show. Beside the value of a header or
/// property nothing is a secret but what a name says is one.
fn with_nothing_masked(value: &Value) -> Value {
    let of_part = |part: &Value| match shows_nothing(part) {
        true => Value::from(MASK),
        false => with_nothing_masked(part),
    };
    match value {
        Value::Array(items) => items.iter().map(of_part).collect(),
        Value::Object(object) => {
            let has = |keys: &[&str]| keys.iter().any(|key| object.contains_key(*key));
            let is_named = has(&["name", "key", "valueType"]);
            let is_value = is_named || has(&["value"]);
            let is_beside = |key: &str| is_value && key != "value" && !says_secret(key);
            let of_key = |(key, part): (&String, &Value)| {
                let is_left = is_beside(key) && shows_nothing(part);
                (key.clone(), if is_left { part.clone() } else { of_part(part) })
            };
            let mut parts: Map<_, _> = object.iter().map(of_key).collect();
            if is_named {
                parts.entry("value").or_insert_with(|| MASK.into());
            }
            Value::Object(parts)
        }
        other => other.clone(),
    }
}

/// As many servers show it in the place of a secret.
pub(crate) const MASK: &str = "***";
