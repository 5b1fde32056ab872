//! Replacing references by their values.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::Resolution;
use crate::catalog::Kind;
use crate::environment::{Environment, Unset};
use crate::reference::{self, Segment};
use crate::secret::{Redactor, Sensitive};

/// Why a field has no value.
pub(super) enum NoValue {
    /// Values of the environment are not looked at in this run.
    NotLookedAt,
    /// Something is missing; the text names it and holds no value.
    Problem(String),
}

/// What references stand for in a run. Each value of the environment is looked up once, so that all
/// connections see one, however often their fields are made.
#[derive(Debug)]
pub(super) struct Values {
    vars: BTreeMap<String, Value>,
    /// Whether values of the environment are looked at in this run.
    looks: bool,
    env: Mutex<BTreeMap<String, Result<Sensitive, Unset>>>,
    /// The names of the environment that were met.
    met: Mutex<BTreeSet<String>>,
}

impl Values {
    pub(super) fn new(resolution: &Resolution<'_>) -> Self {
        Self {
            vars: resolution.vars.clone(),
            looks: resolution.environment.is_some(),
            env: Mutex::default(),
            met: Mutex::default(),
        }
    }

    /// The names of the environment that were met so far.
    pub(super) fn env_names(&self) -> BTreeSet<String> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Resolves connections one after the other.
pub(super) struct Resolver<'a> {
    values: &'a Values,
    /// Where values are looked up that were not met before.
    source: Option<(&'a Environment, &'a Redactor)>,
    paths: HashSet<Arc<str>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(values: &'a Values, resolution: &Resolution<'a>) -> Self {
        let source = resolution.environment.map(|found| (found, resolution.redactor));
        Self { values, source, paths: HashSet::new() }
    }

    /// Resolves what was resolved before.
    pub(super) fn again(values: &'a Values) -> Self {
        Self { values, source: None, paths: HashSet::new() }
    }

    /// Notes the names of the environment in a declared value.
    pub(super) fn meet(&self, declared: &Value) {
        let mut met = self.values.met.lock().unwrap_or_else(PoisonError::into_inner);
        for name in super::env_names(declared) {
            if !met.contains(&name) {
                met.insert(name);
            }
        }
    }

    /// The pointer of a field, kept once for all connections that have the field.
    pub(super) fn path(&mut self, path: &str) -> Arc<str> {
        if let Some(known) = self.paths.get(path) {
            return Arc::clone(known);
        }
        let path: Arc<str> = path.into();
        self.paths.insert(Arc::clone(&path));
        path
    }

    /// The value with its references replaced; `None` where there was nothing to replace.
    pub(super) fn resolve(
        &self,
        declared: &Value,
        kind: Option<&Kind>,
    ) -> Result<Option<Value>, NoValue> {
        match declared {
            Value::String(text) if text.contains("${") => {
                let resolved = self.text(text, kind)?;
                Ok((resolved != *declared).then_some(resolved))
            }
            Value::Array(items) => {
                let item_kind = match kind {
                    Some(Kind::List(item) | Kind::Set(item)) => Some(*item),
                    _ => None,
                };
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
                    let item_kind = match kind {
                        Some(Kind::Map(item)) => Some(*item),
                        Some(Kind::Object(fields)) => {
                            fields.iter().find(|f| f.name == key).map(|f| &f.kind)
                        }
                        _ => None,
                    };
                    if let Some(value) = self.resolve(item, item_kind)? {
                        changed.get_or_insert_with(|| map.clone()).insert(key.clone(), value);
                    }
                }
                Ok(changed.map(Value::Object))
            }
            _ => Ok(None),
        }
    }

    fn text(&self, text: &str, kind: Option<&Kind>) -> Result<Value, NoValue> {
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
        match (kind, &segments[..]) {
            (Some(Kind::Integer { .. } | Kind::Boolean), [Segment::Env(_) | Segment::Var(_)]) => {
                scalar(joined, kind, text)
            }
            _ => Ok(Value::String(joined)),
        }
    }

    fn segment<'t>(&self, segment: &'t Segment<'t>) -> Result<Cow<'t, str>, NoValue> {
        Ok(match segment {
            Segment::Text(text) => Cow::Borrowed(text),
            Segment::Apinizer(name) => Cow::Owned(format!("${{{name}}}")),
            Segment::Var(name) => Cow::Owned(match self.var(name)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            Segment::Env(name) => Cow::Owned(self.env(name)?),
        })
    }

    fn var(&self, name: &str) -> Result<&'a Value, NoValue> {
        self.values
            .vars
            .get(name)
            .ok_or_else(|| NoValue::Problem(format!("the target has no var `{name}`")))
    }

    fn env(&self, name: &str) -> Result<String, NoValue> {
        if !self.values.looks {
            return Err(NoValue::NotLookedAt);
        }
        let mut known = self.values.env.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((environment, redactor)) = self.source
            && !known.contains_key(name)
        {
            let found = environment.lookup(name);
            let _ = found.as_ref().map(|value| redactor.learn(value.expose()));
            known.insert(name.to_owned(), found);
        }
        match known.get(name) {
            Some(Ok(value)) => Ok(value.expose().to_owned()),
            Some(Err(unset)) => Err(NoValue::Problem(unset.to_string())),
            None => Err(NoValue::NotLookedAt),
        }
    }
}

/// Gives a text that came from a single reference the kind that its field has.
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
