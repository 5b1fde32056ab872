//! One YAML document to a JSON value, within bounds.
//!
//! Values are taken by `serde_yaml` through a visitor of our own: it finds duplicate keys, keys
//! that are no texts, tags and numbers that would change, counts what aliases expand to before
//! memory is spent on it, and merges `<<`. The value is built directly rather than through
//! `serde_yaml::Value`, whose `apply_merge` leaves the merge keys of merged mappings in place.

mod failure;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;

use saphyr_parser::{Event, Parser};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::places::{Places, with_characters, with_stand_ins};

pub(crate) use failure::{Cause, Failure};

/// The largest document, in bytes of its text.
pub(crate) const LARGEST_DOCUMENT: usize = 1024 * 1024;

/// Fewer brackets than this cannot nest deep enough to hurt.
const MANY_BRACKETS: usize = 500;

/// Reads one document.
pub(crate) fn parse(chunk: &str) -> Result<Value, Failure> {
    if chunk.len() > LARGEST_DOCUMENT {
        return Err(Failure::at_root(Cause::TooLarge(chunk.len())));
    }
    let failure = match read(chunk) {
        Err(failure) if matches!(failure.cause, Cause::Syntax(_)) => failure,
        parsed => return parsed,
    };
    let Some(stand_ins) = with_stand_ins(chunk) else { return Err(failure) };
    let Some(rewritten) = with_characters(chunk, &stand_ins) else { return Err(failure) };
    read(&rewritten).map_err(|failure| match read(&stand_ins) {
        // Its places are those of the document.
        Err(Failure { offset, begins, .. }) => Failure { offset, begins, ..failure },
        Ok(_) => failure,
    })
}

fn read(chunk: &str) -> Result<Value, Failure> {
    guard(chunk)?;
    let budget = Budget::default();
    let value = Node::root(&budget).deserialize(serde_yaml::Deserializer::from_str(chunk));
    let value =
        value.map_err(|e| budget.failure().unwrap_or_else(|| Failure::from_yaml(&e, chunk)))?;
    // Only the text of a number says whether it was kept exactly.
    let is_lossy =
        budget.has_floats() && Places::of(chunk, 1).is_some_and(|p| p.lossy_number().is_some());
    if is_lossy { Err(Failure::at_root(Cause::LossyNumber)) } else { Ok(value) }
}

/// Refuses what would cost libyaml more than linear time, before libyaml gets it.
///
/// Measured: 20,000 nested `{a:` take seconds and a mebibyte of `[` takes minutes, since every
/// token walks the open brackets; 20,000 `%TAG` lines take as long. The other parser is linear
/// and gives up at 255 levels, but is slower on ordinary documents, so only texts with many
/// brackets pay for it.
fn guard(chunk: &str) -> Result<(), Failure> {
    if chunk.starts_with("%TAG") || chunk.contains("\n%TAG") || chunk.contains("\r%TAG") {
        let offset = chunk.find("%TAG").unwrap_or(0);
        return Err(Failure::at_offset(Cause::Tag, offset));
    }
    let brackets = chunk.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
    if brackets < MANY_BRACKETS {
        return Ok(());
    }
    let mut depth = 0_usize;
    let byte =
        |character: usize| chunk.char_indices().nth(character).map_or(chunk.len(), |(i, _)| i);
    for event in Parser::new_from_str(chunk) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(Failure::at_offset(Cause::TooDeep, byte(span.start.index())));
                }
            }
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(error) => {
                let offset = byte(error.marker().index());
                return Err(if error.info().starts_with("recursion limit") {
                    Failure::at_offset(Cause::TooDeep, offset)
                } else {
                    Failure::at_offset(Cause::Syntax(String::new()), offset)
                });
            }
        }
    }
    Ok(())
}

// The visitor that builds the value and watches over it.

/// How deep a document may nest.
const DEEPEST: usize = 64;
/// How many values a document may hold once its aliases are expanded.
const MOST_VALUES: usize = 200_000;
/// How many bytes of text a document may hold once its aliases are expanded.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// How much of its bounds one document has used, and why it cannot be read.
#[derive(Default)]
struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
    floats: Cell<bool>,
    failure: RefCell<Option<Failure>>,
}

impl Budget {
    fn has_floats(&self) -> bool {
        self.floats.get()
    }

    fn failure(&self) -> Option<Failure> {
        self.failure.borrow_mut().take()
    }

    fn spend<E: Error>(&self, text: usize) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.text.set(self.text.get() + text);
        if self.values.get() > MOST_VALUES || self.text.get() > MOST_TEXT {
            return Err(self.fail(Cause::TooManyValues));
        }
        Ok(())
    }

    fn fail<E: Error>(&self, cause: Cause) -> E {
        *self.failure.borrow_mut() = Some(Failure::at_root(cause));
        E::custom("see the budget")
    }

    /// Adds a step of the pointer on the way out, so that success costs nothing.
    fn passed_through<E>(&self, error: E, step: &str) -> E {
        if let Some(failure) = self.failure.borrow_mut().as_mut() {
            failure.is_inside(step);
        }
        error
    }
}

/// One value.
#[derive(Clone, Copy)]
struct Node<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl<'b> Node<'b> {
    fn root(budget: &'b Budget) -> Self {
        Self { budget, depth: 0 }
    }

    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(self.budget.fail(Cause::TooDeep));
        }
        Ok(Self { budget: self.budget, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Value, E> {
        Err(self.budget.fail(Cause::LossyNumber))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Value, E> {
        Err(self.budget.fail(Cause::LossyNumber))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.budget.spend(0)?;
        self.budget.floats.set(true);
        let number = Number::from_f64(value).ok_or_else(|| self.budget.fail(Cause::LossyNumber))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.budget.spend(value.len())?;
        // `1e400` comes as a text, since no float holds it; only its quotes tell what was meant.
        if value.starts_with(|c: char| matches!(c, '0'..='9' | '+' | '-' | '.'))
            && crate::places::loses_precision(value)
        {
            self.budget.floats.set(true);
        }
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let inner = self.inner()?;
        let mut items = Vec::new();
        loop {
            match list.next_element_seed(inner) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Value::Array(items)),
                Err(e) => return Err(self.budget.passed_through(e, &items.len().to_string())),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let inner = self.inner()?;
        let mut entries = Map::new();
        let mut merged: Option<Value> = None;
        while let Some(key) = mapping.next_key_seed(inner)? {
            let key = match key {
                Value::String(key) => key,
                other => return Err(self.budget.fail(Cause::KeyKind(kind_of(&other)))),
            };
            let is_merge = key == "<<";
            if entries.contains_key(&key) || (is_merge && merged.is_some()) {
                return Err(self.budget.fail(Cause::DuplicateKey(key)));
            }
            match mapping.next_value_seed(inner) {
                Ok(value) if is_merge => merged = Some(value),
                Ok(value) => {
                    entries.insert(key, value);
                }
                Err(e) => return Err(self.budget.passed_through(e, &key)),
            }
        }
        if let Some(source) = merged {
            merge(&mut entries, source).map_err(|()| {
                let error = self.budget.fail(Cause::BadMerge);
                self.budget.passed_through(error, "<<")
            })?;
        }
        Ok(Value::Object(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(self.budget.fail(Cause::Tag))
    }
}

/// Adds the entries of `<<` that the mapping does not have itself; earlier sources win.
fn merge(entries: &mut Map<String, Value>, source: Value) -> Result<(), ()> {
    let sources = match source {
        Value::Array(sources) => sources,
        one => vec![one],
    };
    for source in sources {
        let Value::Object(source) = source else { return Err(()) };
        for (key, value) in source {
            entries.entry(key).or_insert(value);
        }
    }
    Ok(())
}

/// The kind of a key that is no text.
fn kind_of(key: &Value) -> &'static str {
    match key {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
