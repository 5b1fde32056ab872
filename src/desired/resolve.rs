//! Replacing references by their values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Resolution;
use crate::catalog::Kind;
use crate::environment::Unset;
use crate::pointer::with_texts;
use crate::reference::{self, Segment};
use crate::secret::Sensitive;

/// Why a field has no value.
pub(super) enum NoValue {
    /// Values of the environment are not looked at in this run.
    NotLookedAt,
    /// Something is missing; the text names it and holds no value.
    Problem(String),
}

/// Resolves connections one after the other.
pub(super) struct Resolver<'a> {
    resolution: Resolution<'a>,
    env: BTreeMap<String, Result<Sensitive, Unset>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(resolution: Resolution<'a>) -> Self {
        Self { resolution, env: BTreeMap::new() }
    }

    /// The value with its references replaced; `None` where there was nothing to replace.
    pub(super) fn resolve(
        &mut self,
        declared: &Value,
        kind: Option<&Kind>,
    ) -> Result<Option<Value>, NoValue> {
        match declared {
            Value::String(text) if text.contains("${") => {
                let resolved = self.text(text, kind)?;
                Ok((resolved != *declared).then_some(resolved))
            }
            Value::Array(items) => {
                let item_kind = kind.and_then(Kind::of_item);
                let mut changed: Option<Vec<Value>> = None;
                for (index, item) in items.iter().enumerate() {
                    if let Some(value) = self.resolve(item, item_kind)? {
                        changed.get_or_insert_with(|| items.clone())[index] = value;
                    }
                }
                Ok(changed.map(Value::Array))
            }
            Value::Object(map) => {
                let mut changed: Option<Map<String, Value>> = None;
                for (key, item) in map {
                    let item_kind = kind.and_then(|kind| kind.of_key(key));
                    if let Some(value) = self.resolve(item, item_kind)? {
                        changed.get_or_insert_with(|| map.clone()).insert(key.clone(), value);
                    }
                }
                Ok(changed.map(Value::Object))
            }
            _ => Ok(None),
        }
    }

    fn text(&mut self, text: &str, kind: Option<&Kind>) -> Result<Value, NoValue> {
        let segments = reference::parse(text).map_err(|e| NoValue::Problem(e.to_string()))?;
        if let [Segment::Var(name)] = segments[..] {
            let value = self.var(name)?;
            if !value.is_string() {
                return Ok(value.clone());
            }
        }
        let mut joined = String::new();
        for segment in &segments {
            joined.push_str(&self.segment(segment)?);
        }
        let is_apinizers = |segment: &Segment<'_>| matches!(segment, Segment::Apinizer(_));
        let is_ours = |segment: &Segment<'_>| matches!(segment, Segment::Env(_) | Segment::Var(_));
        if segments.iter().any(is_ours) && !segments.iter().any(is_apinizers) {
            return scalar(joined, kind, text);
        }
        Ok(Value::String(joined))
    }

    /// A declared value with its vars filled in, and its other references as text.
    pub(super) fn with_vars(&self, declared: &Value) -> Value {
        with_texts(declared, &mut |text| {
            self.text_with_vars(text).unwrap_or_else(|| Value::from(text))
        })
    }

    /// `None`: a var is not known, or what it holds cannot be written before a reference.
    fn text_with_vars(&self, text: &str) -> Option<Value> {
        let segments = reference::parse(text).ok()?;
        if let [Segment::Var(name)] = segments[..]
            && let value @ (Value::Number(_) | Value::Bool(_)) = self.var(name).ok()?
        {
            return Some(value.clone());
        }
        let mut filled = String::new();
        for segment in &segments {
            let text = match segment {
                Segment::Text(text) => text.replace("${", "$${"),
                Segment::Var(name) => match self.var(name).ok()? {
                    Value::String(text) => text.replace("${", "$${"),
                    other => other.to_string(),
                },
                reference => reference.to_string(),
            };
            if filled.ends_with('$') && text.starts_with("${") {
                return None;
            }
            filled.push_str(&text);
        }
        Some(Value::String(filled))
    }

    fn segment<'t>(&mut self, segment: &'t Segment<'t>) -> Result<Cow<'t, str>, NoValue> {
        Ok(match segment {
            Segment::Text(text) => Cow::Borrowed(text),
            Segment::Apinizer(_) => Cow::Owned(segment.to_string()),
            Segment::Var(name) => Cow::Owned(match self.var(name)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            Segment::Env(name) => Cow::Owned(self.env(name)?),
        })
    }

    fn var(&self, name: &str) -> Result<&'a Value, NoValue> {
        let value = self.resolution.vars.get(name);
        value.ok_or_else(|| NoValue::Problem(format!("the target has no var `{name}`")))
    }

    fn env(&mut self, name: &str) -> Result<String, NoValue> {
        let environment = self.resolution.environment.ok_or(NoValue::NotLookedAt)?;
        let redactor = self.resolution.redactor;
        let found = self.env.entry(name.to_owned()).or_insert_with(|| {
            let found = environment.lookup(name);
            if let Ok(value) = &found {
                redactor.learn(value.expose());
            }
            found
        });
        match found {
            Ok(value) => Ok(value.expose().to_owned()),
            Err(unset) => Err(NoValue::Problem(unset.to_string())),
        }
    }
}

/// Gives a text that references were replaced in the kind that its field has.
fn scalar(text: String, kind: Option<&Kind>, reference: &str) -> Result<Value, NoValue> {
    match kind {
        Some(Kind::Boolean) => match text.trim().parse::<bool>() {
            Ok(value) => Ok(Value::Bool(value)),
            Err(_) => {
                Err(NoValue::Problem(format!("the value of {reference} is not true or false")))
            }
        },
        Some(Kind::Integer { min, max }) => match text.trim().parse::<i64>() {
            Ok(value) if (*min..=*max).contains(&value) => Ok(Value::from(value)),
            _ => Err(NoValue::Problem(format!(
                "the value of {reference} is not a whole number from {min} to {max}"
            ))),
        },
        _ => Ok(Value::String(text)),
    }
}
