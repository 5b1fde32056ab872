//! The desired state of a target: documents with their references resolved.
//!
//! A connection is taken apart into the fields that git owns. An object with named fields is
//! owned field by field, so each of them is a field of its own here; a list and a free map are
//! owned whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::{ConnectionType, Defaults, Field, Kind, is_bookkeeping};
use crate::document::{Document, Options, Place};
use crate::environment::{Environment, Unset};
use crate::name::ConnectionName;
use crate::pointer::{any_text, child, each_text, with_texts};
use crate::profile::{Profile, TypeProfile};
use crate::reference::{self, Segment};
use crate::secret::{Redactor, Sensitive, SensitiveValue};

/// The connections that a target should hold, by name.
pub type Desired = BTreeMap<ConnectionName, DesiredConnection>;

/// One connection that a target should hold.
#[derive(Clone, Debug)]
pub struct DesiredConnection {
    /// Its type.
    pub connection_type: &'static ConnectionType,
    /// Its name, as git spells it.
    pub name: ConnectionName,
    /// The options under `x-gitops`.
    pub options: Options,
    /// Where it is declared.
    pub place: Place,
    /// The fields that git owns, in the order of the document.
    pub fields: Vec<DesiredField>,
    /// Why it cannot be written: references without a value. The texts hold no value.
    pub unresolved: Vec<String>,
    profile: Option<Arc<Profile>>,
}

/// One field that git owns.
#[derive(Clone, Debug)]
pub struct DesiredField {
    /// JSON pointer into the connection.
    pub path: String,
    /// Its field in the catalog.
    pub field: Option<&'static Field>,
    /// The value as declared, references as text. Where it refers to the environment its vars are filled
    /// in, so that a changed var shows although the environment is not looked at.
    pub declared: Value,
    value: FieldValue,
}

#[derive(Clone, Debug)]
enum FieldValue {
    /// The declared value is the value.
    Literal,
    /// References were replaced.
    Resolved(SensitiveValue),
    /// A reference has no value, or values of the environment are not looked at in this run.
    Unknown,
}

impl DesiredField {
    /// The value that the API should hold; `None` where it is not known in this run.
    pub fn value(&self) -> Option<&Value> {
        match &self.value {
            FieldValue::Literal => Some(&self.declared),
            FieldValue::Resolved(value) => Some(value.expose()),
            FieldValue::Unknown => None,
        }
    }

    /// Whether it holds a reference of ours, replaced or not known in this run: the base keeps a
    /// fingerprint of it.
    pub fn holds_reference(&self) -> bool {
        !matches!(self.value, FieldValue::Literal)
    }

    /// Whether it is one of the type's secret fields.
    pub fn is_secret(&self) -> bool {
        self.field.is_some_and(Field::is_secret)
    }

    /// Whether its values may not be shown: it is a secret, or holds an `${env:...}`.
    pub fn is_sensitive(&self) -> bool {
        self.is_secret() || holds_env(&self.declared)
    }
}

impl DesiredConnection {
    /// Whether a pointer lies in a field that others may edit.
    pub fn ignores(&self, path: &str) -> bool {
        self.options.ignore.iter().any(|ignored| lies_in(path, ignored))
    }

    /// The new and the old name of the rename that its document declares.
    pub(crate) fn rename(&self) -> Option<(&ConnectionName, &ConnectionName)> {
        Some((&self.name, self.options.renamed_from.as_ref()?))
    }

    /// The field of a pointer.
    pub fn field(&self, path: &str) -> Option<&DesiredField> {
        self.fields.iter().find(|field| field.path == path)
    }

    /// The behaviour of the target's server, where a profile says it.
    fn profile(&self) -> Option<&TypeProfile> {
        self.profile_of(self.connection_type.name)
    }

    /// The behaviour of the target's server with another type.
    pub(crate) fn profile_of(&self, type_name: &str) -> Option<&TypeProfile> {
        self.profile.as_ref()?.types.get(type_name)
    }

    /// Whether a profile says that `GET` shows something else in the place of a field.
    pub(crate) fn masks(&self, field: &Field) -> bool {
        self.is_own(field) && self.profile().is_some_and(|own| own.masks(field.name))
    }

    /// Whether a profile says that the server keeps a file or certificate that a `PUT` leaves out.
    pub(crate) fn keeps_file(&self, field: &Field) -> bool {
        let is_kept = |own: &TypeProfile| own.keeps_what_is_left_out(field.name);
        field.is_file() && self.profile().is_some_and(is_kept)
    }

    /// The defaults of a field on the target's server.
    pub(crate) fn defaults(&self, field: &Field) -> Defaults {
        match self.profile() {
            Some(own) if self.is_own(field) => own.defaults(field),
            _ => field.defaults(),
        }
    }

    /// Whether a field is one of the type itself, and not of an object inside it.
    fn is_own(&self, field: &Field) -> bool {
        self.connection_type.field(field.name).is_some_and(|own| std::ptr::eq(own, field))
    }

    /// Whether it declares one of its type's secrets.
    pub fn declares_secret(&self) -> bool {
        self.fields.iter().any(DesiredField::is_secret)
    }
}

/// Whether a pointer is another one, or lies below it.
pub(crate) fn lies_in(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How references are resolved in a run.
#[derive(Clone, Copy)]
pub struct Resolution<'a> {
    /// The target's plain values.
    pub vars: &'a BTreeMap<String, Value>,
    /// The environment; `None`: its values are neither resolved nor compared.
    pub environment: Option<&'a Environment>,
    /// Learns every value that comes from the environment.
    pub redactor: &'a Redactor,
    /// How the target's server behaves.
    pub profile: Option<&'a Arc<Profile>>,
}

/// Resolves the documents of a target. Each value of the environment is looked up once, so that all
/// connections see one value, and the plan and what is remembered of it too.
pub fn resolve(documents: &[Document], resolution: &Resolution<'_>) -> Desired {
    let mut resolver = Resolver::new(*resolution);
    let connections = documents.iter().map(|document| {
        let connection_type = document.connection_type;
        let mut fields = Vec::with_capacity(document.fields.len());
        let mut unresolved = Vec::new();
        let lookup = |key: &str| connection_type.field(key);
        each_field("", &document.fields, &lookup, &mut |path, field, declared| {
            // Bookkeeping is the server's, though somebody pasted it from an answer: another connection
            // may have that id.
            if field.is_some() || !is_bookkeeping(connection_type, &path[1..]) {
                fields.push(resolver.field(path, field, declared, &mut unresolved));
            }
        });
        let connection = DesiredConnection {
            connection_type,
            name: document.name.clone(),
            options: document.options.clone(),
            place: document.place.clone(),
            fields,
            unresolved,
            profile: resolution.profile.cloned(),
        };
        (document.name.clone(), connection)
    });
    connections.collect()
}

/// The names of the environment that documents refer to.
pub(crate) fn env_names_of(documents: &[Document]) -> BTreeSet<String> {
    documents.iter().flat_map(|document| document.fields.values()).flat_map(env_names).collect()
}

/// Resolves a single declared value.
///
/// # Errors
/// A reference has no value; the text names it.
pub(crate) fn resolve_one(declared: &Value, resolution: &Resolution<'_>) -> Result<Value, String> {
    match Resolver::new(*resolution).resolve(declared, None) {
        Ok(value) => Ok(value.unwrap_or_else(|| declared.clone())),
        Err(NoValue::Problem(problem)) => Err(problem),
        Err(NoValue::NotLookedAt) => Err("its value is not looked at".to_owned()),
    }
}

/// Shows each field of a connection that is owned by itself, with its pointer: an object with named
/// fields is taken apart.
pub(crate) fn each_field<'v>(
    above: &str,
    fields: &'v Map<String, Value>,
    lookup: &dyn Fn(&str) -> Option<&'static Field>,
    show: &mut dyn FnMut(String, Option<&'static Field>, &'v Value),
) {
    for (key, declared) in fields {
        let (path, field) = (child(above, key), lookup(key));
        match (field.map(|f| &f.kind), declared) {
            (Some(kind @ Kind::Object(_)), Value::Object(inner)) if !inner.is_empty() => {
                each_field(&path, inner, &|key| kind.field(key), show);
            }
            _ => show(path, field, declared),
        }
    }
}

/// Whether any text inside a declared value holds an `${env:...}`.
pub(crate) fn holds_env(declared: &Value) -> bool {
    any_text(declared, &reference::holds_env)
}

/// The names of the environment that a declared value refers to.
pub(crate) fn env_names(declared: &Value) -> Vec<String> {
    let mut names = Vec::new();
    each_text("", declared, &mut |_, text| {
        let segments = reference::parse(text).unwrap_or_default();
        names.extend(segments.iter().filter_map(|segment| match segment {
            Segment::Env(name) => Some((*name).to_owned()),
            _ => None,
        }));
    });
    names
}

// Replacing references by their values.

/// Why a field has no value.
enum NoValue {
    /// Values of the environment are not looked at in this run.
    NotLookedAt,
    /// Something is missing; the text names it and holds no value.
    Problem(String),
}

/// Resolves connections one after the other.
struct Resolver<'a> {
    resolution: Resolution<'a>,
    env: BTreeMap<String, Result<Sensitive, Unset>>,
}

impl<'a> Resolver<'a> {
    fn new(resolution: Resolution<'a>) -> Self {
        Self { resolution, env: BTreeMap::new() }
    }

    fn field(
        &mut self,
        path: String,
        field: Option<&'static Field>,
        declared: &Value,
        unresolved: &mut Vec<String>,
    ) -> DesiredField {
        let value = match self.resolve(declared, field.map(|field| &field.kind)) {
            Ok(None) => FieldValue::Literal,
            Ok(Some(value)) => FieldValue::Resolved(SensitiveValue::new(value)),
            Err(NoValue::NotLookedAt) => FieldValue::Unknown,
            Err(NoValue::Problem(problem)) => {
                unresolved.push(format!("{}: {problem}", path.trim_start_matches('/')));
                FieldValue::Unknown
            }
        };
        let vars = self.resolution.vars;
        let with_vars = |text: &str| reference::with_vars(text, &|name| vars.get(name));
        let declared = match holds_env(declared) {
            true => with_texts(declared, &mut |text| with_vars(text)),
            false => declared.clone(),
        };
        DesiredField { path, field, declared, value }
    }

    /// The value with its references replaced; `None` where there was nothing to replace.
    fn resolve(&mut self, declared: &Value, kind: Option<&Kind>) -> Result<Option<Value>, NoValue> {
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
            match segment {
                Segment::Text(text) => joined.push_str(text),
                Segment::Apinizer(_) => joined.push_str(&segment.to_string()),
                Segment::Var(name) => match self.var(name)? {
                    Value::String(text) => joined.push_str(text),
                    other => joined.push_str(&other.to_string()),
                },
                Segment::Env(name) => joined.push_str(&self.env(name)?),
            }
        }
        let is_apinizers = |segment: &Segment<'_>| matches!(segment, Segment::Apinizer(_));
        let is_ours = |segment: &Segment<'_>| matches!(segment, Segment::Env(_) | Segment::Var(_));
        if segments.iter().any(is_ours) && !segments.iter().any(is_apinizers) {
            return scalar(joined, kind, text);
        }
        Ok(Value::String(joined))
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

/// Converts a text, in which references were replaced, to the kind of its field.
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

#[cfg(test)]
mod tests;
