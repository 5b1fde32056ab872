//! Where a server shows nothing, or a mask, in the place of a secret.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{secret_parts, url::says_secret};
use crate::catalog::ConnectionType;
use crate::pointer;
use crate::reference::{self, Segment};

/// Whether a text is what a server or a console shows in the place of a secret.
pub fn is_masked_text(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '•' | '●' | '∙' | '·'))
}

/// A shorter text of stars may be one that somebody wrote.
const SHORTEST: usize = 3;

/// Whether a text of whatever field is nothing but a mask: a server may mask any field as a whole.
pub(crate) fn is_mask(text: &str) -> bool {
    is_masked_text(text) && text.chars().count() >= SHORTEST
}

/// Whether a text has a mask in it and cannot be git's: what stands beside its masks, and beside the
/// references in git's, differs.
pub(crate) fn is_masked_otherwise(shown: &str, git: &str) -> bool {
    const LONGEST: usize = 2000;
    // Every mask and reference stands for any text.
    let any_or = |c: char| (!is_masked_text(c.encode_utf8(&mut [0; 4]))).then_some(c);
    let live: Vec<Option<char>> = shown.chars().map(any_or).collect();
    let has_mask = live.windows(SHORTEST).any(|run| run.iter().all(Option::is_none));
    let mut own: Vec<Option<char>> = Vec::new();
    for segment in reference::parse(git).unwrap_or_else(|_| vec![Segment::Text(git.into())]) {
        match segment {
            Segment::Text(text) => own.extend(text.chars().map(any_or)),
            _ => own.push(None),
        }
    }
    has_mask && live.len().max(own.len()) <= LONGEST && !may_be_same(&live, &own)
}

/// Whether two texts may be the same in which `None` stands for any text.
fn may_be_same(live: &[Option<char>], own: &[Option<char>]) -> bool {
    // For each place in live's: whether the rest of it may be the rest of the own one.
    let mut rest: Vec<bool> =
        (0..=live.len()).map(|at| live[at..].iter().all(Option::is_none)).collect();
    for own in own.iter().rev() {
        let mut now = rest.clone();
        for at in (0..=live.len()).rev() {
            let next = live.get(at).is_some_and(|_| now[at + 1]);
            now[at] = match (own, live.get(at).copied()) {
                (None, _) | (_, Some(None)) => rest[at] || next,
                (Some(own), Some(Some(live))) => *own == live && rest[at + 1],
                (Some(_), None) => false,
            };
        }
        rest = now;
    }
    rest[0]
}

/// The pointers of the parts of a connection that are masked. A text that is nothing but a mask is one, since
/// a server may mask a field as a whole. So is a secret that shows nothing or is left out, where it is in an
/// unknown field or inside a list or an object. `plan::body` decides about the type's own secret fields.
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
/// and a value that is left out are what some servers show. Of a header or property that is its value;
/// another part of it is one only where its name says so.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_text_may_be_gits_where_the_rest_is_the_same() {
        let other = is_masked_otherwise;
        assert!(!other("https://h/x?token=***", "https://h/x?token=abc"));
        assert!(!other("https://h/x?token=***&a=1", "https://h/x?token=${env:T}&a=1"));
        assert!(!other("https://h/x?token=***", "https://${env:HOST}/x?token=${env:T}"));
        assert!(!other("******", "anything"));
        assert!(other("https://other/x?token=***", "https://h/x?token=abc"));
        assert!(other("https://h/x?token=***&b=2", "https://h/x?token=abc"));
        assert!(!other("https://other/x?a=*", "https://h/x"), "no mask");
    }
}
