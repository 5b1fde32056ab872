//! The body of a write, checked as far as servers check it.

use serde_json::{Map, Value};

use super::call::Path;
use super::options::{Options, UnknownFields};
use super::refusal::Refusal;
use crate::catalog::{self, Field, Kind};
use crate::name;
use crate::profile::{Support, TypeProfile};

/// The body of a write that can be read.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) type_name: String,
    pub(super) name: String,
    pub(super) body: Map<String, Value>,
}

impl Incoming {
    /// Reads and checks the body of a write.
    pub(super) fn read(options: &Options, bytes: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(bytes) else {
            return Err(Refusal::BadBody);
        };
        let type_name = text(&body, "type")?;
        let known = catalog::find(&type_name)
            .filter(|known| known.name == type_name && options.knows(&type_name))
            .ok_or_else(|| Refusal::UnknownType(type_name.clone()))?;
        let name = text(&body, "name")?;
        if let Some(problem) = name::problem_with(&name) {
            return Err(Refusal::Invalid(vec![("name".to_owned(), problem.to_owned())]));
        }
        let mut problems = Vec::new();
        for field in known.fields() {
            let Some(value) = body.get(field.name) else { continue };
            if let Some(problem) = misfit(field, value) {
                problems.push((field.name.to_owned(), problem.to_owned()));
            }
        }
        let is_known = |name: &str| {
            ["type", "name"].contains(&name)
                || known.field(name).is_some()
                || catalog::is_bookkeeping(known, name)
        };
        let own = options.types.get(&type_name);
        problems.extend(own.map(|own| refused(own, &body)).unwrap_or_default());
        let unknown_fields = own.and_then(|own| own.unknown_fields);
        match unknown_fields.unwrap_or(options.writes.unknown_fields) {
            UnknownFields::Kept => {}
            UnknownFields::Dropped => body.retain(|name, _| is_known(name)),
            UnknownFields::Refused => problems.extend(
                body.keys()
                    .filter(|name| !is_known(name))
                    .map(|name| (name.clone(), "is not known".to_owned())),
            ),
        }
        if !problems.is_empty() {
            return Err(Refusal::Invalid(problems));
        }
        for rewrite in &options.writes.rewrites {
            rewrite.apply(&type_name, &mut body);
        }
        if let Some(own) = own {
            rewrite(own, &mut body);
        }
        Ok(Self { type_name, name, body })
    }

    /// Refuses a name that is not the one of the path.
    pub(super) fn named_as(self, path: &Path) -> Result<Self, Refusal> {
        if self.name.to_lowercase() == path.name.to_lowercase() {
            Ok(self)
        } else {
            Err(Refusal::NameMismatch { path: path.name.clone(), body: self.name })
        }
    }
}

/// The fields that a type's profile refuses.
fn refused(own: &TypeProfile, body: &Map<String, Value>) -> Vec<(String, String)> {
    let is_refused = |name: &&String| {
        own.support == Support::Refused
            || (own.refused.contains(*name) && body.get(*name).is_some_and(|v| !v.is_null()))
    };
    let names = body.keys().filter(is_refused);
    names.map(|name| (name.clone(), "is not valid".to_owned())).collect()
}

/// Changes what a type's profile says that the server does not keep as it is.
fn rewrite(own: &TypeProfile, body: &mut Map<String, Value>) {
    body.retain(|name, _| !own.forgotten.contains(name));
    for name in &own.rewritten {
        if let Some(Value::String(text)) = body.get_mut(name) {
            let upper = text.to_uppercase();
            *text = if upper == *text { text.to_lowercase() } else { upper };
        }
    }
}

fn text(body: &Map<String, Value>, field: &str) -> Result<String, Refusal> {
    match body.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Refusal::Invalid(vec![(field.to_owned(), "is required".to_owned())])),
    }
}

/// Says why a value cannot be read into its field; as lenient as the servers' own reader.
fn misfit(field: &Field, value: &Value) -> Option<&'static str> {
    match (&field.kind, value) {
        (_, Value::Null) => None,
        (Kind::Integer { .. }, value) if !value.is_i64() && !value.is_u64() => {
            Some("has to be a whole number")
        }
        (Kind::Boolean, value) if !value.is_boolean() => Some("has to be true or false"),
        (Kind::Text | Kind::Choice(_), Value::Array(_) | Value::Object(_)) => {
            Some("has to be a text")
        }
        (Kind::List(_) | Kind::Set(_), value) if !value.is_array() => Some("has to be an array"),
        (Kind::Object(_) | Kind::Map(_), value) if !value.is_object() => {
            Some("has to be an object")
        }
        _ => None,
    }
}
