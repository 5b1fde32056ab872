//! The visitor that builds the value and watches over it.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::failure::{Cause, Failure};

/// How deep a document may nest.
pub(super) const DEEPEST: usize = 64;
/// How many values a document may hold once its aliases are expanded.
const MOST_VALUES: usize = 200_000;
/// How many bytes of text a document may hold once its aliases are expanded.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// How much of its bounds one document has used, and why it cannot be read.
#[derive(Default)]
pub(super) struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
    floats: Cell<bool>,
    failure: RefCell<Option<Failure>>,
}

impl Budget {
    pub(super) fn has_floats(&self) -> bool {
        self.floats.get()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
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
pub(super) struct Node<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl<'b> Node<'b> {
    pub(super) fn root(budget: &'b Budget) -> Self {
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
