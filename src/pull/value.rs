//! Live's value in the words of the document: references, spellings and the server's own additions
//! stay as git has them.

use serde_json::{Map, Value};

use crate::catalog::Kind;
use crate::document::holds_reference;
use crate::export::normal_value;
use crate::plan::equality::equal_as;
use crate::pointer::with_texts;
use crate::reference;

/// The value to declare, so that it resolves to live's; `declared` is what git says, `value` what
/// that resolves to.
///
/// # Errors
/// A reference would have to go.
pub(super) fn pulled(
    kind: Option<&'static Kind>,
    declared: &Value,
    value: &Value,
    live: Option<&Value>,
) -> Result<Value, String> {
    if equal_as(kind, None, Some(value), live) {
        return Ok(declared.clone());
    }
    match (declared, value, live) {
        (Value::Object(declared), Value::Object(value), Some(Value::Object(live))) => {
            object(kind, declared, value, live)
        }
        (Value::Array(declared), Value::Array(value), Some(Value::Array(live))) => {
            list(kind, declared, value, live)
        }
        (declared, ..) if holds_reference(declared) => Err(reference_stays(declared)),
        // The number of a text stays a text.
        (Value::String(_), _, Some(Value::Number(number)))
            if matches!(kind, Some(Kind::Integer { .. })) =>
        {
            Ok(Value::from(number.to_string()))
        }
        (.., live) => Ok(live.map_or(Value::Null, |live| literal(kind, live))),
    }
}

fn object(
    kind: Option<&'static Kind>,
    declared: &Map<String, Value>,
    value: &Map<String, Value>,
    live: &Map<String, Value>,
) -> Result<Value, String> {
    let kind_of = |key: &str| kind.and_then(|kind| kind.of_key(key));
    let is_free = matches!(kind, Some(Kind::Map(_)));
    let mut pulled_map = Map::new();
    for (key, one) in declared {
        let live = live.get(key).filter(|live| !is_free || !live.is_null());
        if is_free && live.is_none() {
            if holds_reference(one) {
                return Err(reference_stays(one));
            }
            continue;
        }
        let value = value.get(key).unwrap_or(one);
        pulled_map.insert(key.clone(), pulled(kind_of(key), one, value, live)?);
    }
    let new = live
        .iter()
        .filter(|(key, value)| is_free && !value.is_null() && !declared.contains_key(*key));
    pulled_map.extend(new.map(|(key, value)| (key.clone(), literal(kind_of(key), value))));
    Ok(Value::Object(pulled_map))
}

fn list(
    kind: Option<&'static Kind>,
    declared: &[Value],
    value: &[Value],
    live: &[Value],
) -> Result<Value, String> {
    let item = kind.and_then(Kind::of_item);
    if declared.len() == live.len() && !matches!(kind, Some(Kind::Set(_))) {
        let all = declared.iter().zip(value).zip(live);
        return all
            .map(|((declared, value), live)| pulled(item, declared, value, Some(live)))
            .collect();
    }
    // Entries that stay keep their text, whatever came before them.
    let mut left: Vec<Option<(&Value, &Value)>> = declared.iter().zip(value).map(Some).collect();
    let mut items = Vec::new();
    for live in live {
        let is_it = |one: &&mut Option<(&Value, &Value)>| {
            one.is_some_and(|(_, value)| equal_as(item, None, Some(value), Some(live)))
        };
        let known = left.iter_mut().find(is_it).and_then(Option::take);
        items.push(known.map_or_else(|| literal(item, live), |(declared, _)| declared.clone()));
    }
    let mut gone = left.into_iter().flatten().map(|(declared, _)| declared);
    match gone.find(|declared| holds_reference(declared)) {
        Some(gone) => Err(reference_stays(gone)),
        None => Ok(Value::Array(items)),
    }
}

fn reference_stays(declared: &Value) -> String {
    format!("git writes it as {declared}, and references stay")
}

/// A value of live as a document writes it: none of its texts is taken for a reference of ours.
fn literal(kind: Option<&'static Kind>, live: &Value) -> Value {
    let live = live.clone();
    let live = kind.map_or_else(|| live.clone(), |kind| normal_value(kind, live.clone()));
    with_texts(&live, &mut |text| Value::from(reference::escape(text)))
}
