//! What a target should hold: documents with their references resolved.
//!
//! A connection is taken apart into the fields that git owns. An object with named fields is
//! owned field by field, so each of them is a field of its own here; a list and a free map are
//! owned whole.
//!
//! The fields of connections that are in sync, which are most of them, are looked at once and then
//! dropped. Whoever asks for them later has them made again, from the same text and the same values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::catalog::{ConnectionType, Field, Kind, Secrecy, is_bookkeeping};
use crate::document::{Document, Options, Place};
use crate::environment::Environment;
use crate::name::ConnectionName;
use crate::parallel;
use crate::pointer::escaped;
use crate::reference::{self, Segment};
use crate::secret::{Redactor, SensitiveValue};

mod resolve;

use resolve::{Resolver, Values};

/// The connections that a target should hold, by name.
pub type Desired = BTreeMap<ConnectionName, Box<DesiredConnection>>;

/// One connection that a target should hold.
#[derive(Clone, Debug)]
pub struct DesiredConnection {
    /// Its type.
    pub connection_type: &'static ConnectionType,
    /// Its name, as git spells it.
    pub name: ConnectionName,
    /// What `x-gitops` says.
    pub options: Options,
    /// Where it is declared.
    pub place: Place,
    /// Why it cannot be written: a reference without a value. The texts hold no value.
    pub unresolved: Box<[String]>,
    /// Whether it declares a field with something in it that is a secret of its type.
    pub declares_secret: bool,
    declared: Map<String, Value>,
    values: Arc<Values>,
    fields: OnceLock<Box<[DesiredField]>>,
}

/// One field that git owns.
#[derive(Clone, Debug)]
pub struct DesiredField {
    /// JSON pointer into the connection.
    pub path: Arc<str>,
    /// What the catalog knows of it.
    pub field: Option<&'static Field>,
    /// The value as declared, references as text.
    pub declared: Value,
    /// Whether the declared value holds an `${env:...}`.
    pub holds_env: bool,
    value: FieldValue,
}

#[derive(Clone, Debug)]
enum FieldValue {
    /// Nothing was replaced: the declared value is the value.
    Literal,
    /// References were replaced. In a box, since most fields have none.
    Resolved(Box<SensitiveValue>),
    /// A reference has no value, or values of the environment are not looked at in this run.
    Unknown,
}

impl DesiredField {
    /// The value that the API should hold; `None` where it is not known in this run.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match &self.value {
            FieldValue::Literal => Some(&self.declared),
            FieldValue::Resolved(value) => Some(value.expose()),
            FieldValue::Unknown => None,
        }
    }

    /// Whether any reference was replaced in it, so that the base keeps a fingerprint.
    #[must_use]
    pub fn holds_reference(&self) -> bool {
        !matches!(self.value, FieldValue::Literal)
    }

    /// Whether it is one of the type's secret fields.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.field.is_some_and(|f| matches!(f.secrecy, Secrecy::Secret { .. }))
    }

    /// Whether its values may not be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.holds_env || self.is_secret()
    }

    /// What the catalog says its value is.
    #[must_use]
    pub fn kind(&self) -> Option<&'static Kind> {
        self.field.map(|f| &f.kind)
    }
}

impl DesiredConnection {
    /// The fields that git owns, in the order of the document.
    #[must_use]
    pub fn fields(&self) -> &[DesiredField] {
        self.fields.get_or_init(|| {
            let mut resolver = Resolver::again(&self.values);
            take_all_apart(self.connection_type, &self.declared, &mut resolver).fields
        })
    }

    /// Whether a pointer lies in a field that others may edit.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        self.options.ignore.iter().any(|ignored| lies_in(path, ignored))
    }

    /// The field of a pointer.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&DesiredField> {
        self.fields().iter().find(|f| &*f.path == path)
    }
}

/// Whether a pointer is another one, or lies below it.
#[must_use]
pub fn lies_in(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How references are resolved in a run.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// The target's plain values.
    pub vars: &'a BTreeMap<String, Value>,
    /// The environment; `None`: its values are neither resolved nor compared.
    pub environment: Option<&'a Environment>,
    /// Learns every value that comes from the environment.
    pub redactor: &'a Redactor,
}

/// Documents with their references resolved.
#[derive(Debug)]
pub struct Resolved<R> {
    /// The connections.
    pub desired: Desired,
    /// What was found in each, in their order.
    pub found: Vec<R>,
    /// The names of the environment that they refer to.
    pub env_names: BTreeSet<String>,
}

/// What is kept of a connection that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    Fields,
    /// All but its fields, which few will ask for.
    Head,
}

/// Resolves the documents of a target.
#[must_use]
pub fn resolve(documents: Vec<Document>, resolution: &Resolution<'_>) -> Desired {
    resolve_and_look(documents, resolution, |_| ((), Keep::Fields)).desired
}

/// Resolves the documents of a target, which come in the order of their names, and looks at each
/// while its fields are at hand.
#[must_use]
pub fn resolve_and_look<R: Send>(
    documents: Vec<Document>,
    resolution: &Resolution<'_>,
    look: impl Fn(&DesiredConnection) -> (R, Keep) + Sync + Send,
) -> Resolved<R> {
    let values = Arc::new(Values::new(resolution));
    let resolved = parallel::map_lots(documents, |lot: Vec<Document>| {
        let mut resolver = Resolver::new(&values, resolution);
        let one = |document| {
            let mut connection = Box::new(resolve_document(document, &values, &mut resolver));
            let (found, keep) = look(&connection);
            if keep == Keep::Head {
                connection.fields.take();
            }
            (connection, found)
        };
        // A collected iterator would keep the room of the documents for what is a tenth of it.
        let mut resolved = Vec::with_capacity(lot.len());
        resolved.extend(lot.into_iter().map(one));
        resolved
    });
    let mut found = Vec::with_capacity(resolved.len());
    let named = resolved.into_iter().map(|(connection, one)| {
        found.push(one);
        (connection.name.clone(), connection)
    });
    let desired = named.collect();
    Resolved { desired, found, env_names: values.env_names() }
}

/// Learns the values of the environment that documents may refer to, so that nobody can repeat one
/// before they are resolved.
pub fn learn(documents: &[Document], environment: &Environment, redactor: &Redactor) {
    let declared = documents.iter().flat_map(|document| document.fields.values());
    let names: BTreeSet<String> = declared.flat_map(env_names).collect();
    for value in names.into_iter().filter_map(|name| environment.lookup(&name).ok()) {
        redactor.learn(value.expose());
    }
}

/// Resolves a single declared value.
///
/// # Errors
/// A reference has no value; the text names it.
pub fn resolve_one(
    declared: &Value,
    vars: &BTreeMap<String, Value>,
    environment: &Environment,
    redactor: &Redactor,
) -> Result<Value, String> {
    let resolution = Resolution { vars, environment: Some(environment), redactor };
    let values = Values::new(&resolution);
    match Resolver::new(&values, &resolution).resolve(declared, None) {
        Ok(value) => Ok(value.unwrap_or_else(|| declared.clone())),
        Err(resolve::NoValue::Problem(problem)) => Err(problem),
        Err(resolve::NoValue::NotLookedAt) => Err("its value is not looked at".to_owned()),
    }
}

fn resolve_document(
    document: Document,
    values: &Arc<Values>,
    resolver: &mut Resolver<'_>,
) -> DesiredConnection {
    let Document { connection_type, name, options, fields: declared, place } = document;
    let Apart { fields, unresolved } = take_all_apart(connection_type, &declared, resolver);
    DesiredConnection {
        connection_type,
        name,
        options,
        place,
        unresolved: unresolved.into(),
        declares_secret: fields.iter().any(DesiredField::is_secret),
        declared,
        values: Arc::clone(values),
        fields: OnceLock::from(fields),
    }
}

/// An object that was taken apart.
struct Apart<F = Box<[DesiredField]>> {
    fields: F,
    unresolved: Vec<String>,
}

fn take_all_apart(
    connection_type: &'static ConnectionType,
    declared: &Map<String, Value>,
    resolver: &mut Resolver<'_>,
) -> Apart {
    let lookup = |key: &str| connection_type.field(key);
    let mut apart = Apart { fields: Vec::with_capacity(declared.len()), unresolved: Vec::new() };
    take_apart(&mut String::new(), declared.clone(), &lookup, resolver, &mut apart);
    // It is the server's, whoever pasted it from an answer: another connection may have that id.
    apart.fields.retain(|one| {
        one.field.is_some() || !is_bookkeeping(connection_type, one.path.trim_start_matches('/'))
    });
    Apart { fields: apart.fields.into(), unresolved: apart.unresolved }
}

/// Takes an object apart; `path` is where it is, and is left as it was.
fn take_apart(
    path: &mut String,
    fields: Map<String, Value>,
    lookup: &dyn Fn(&str) -> Option<&'static Field>,
    resolver: &mut Resolver<'_>,
    apart: &mut Apart<Vec<DesiredField>>,
) {
    let above = path.len();
    for (key, declared) in fields {
        path.truncate(above);
        path.push('/');
        path.push_str(&escaped(&key));
        let field = lookup(&key);
        match (field.map(|f| &f.kind), declared) {
            (Some(Kind::Object(named)), Value::Object(inner)) if !inner.is_empty() => {
                let inner_lookup = |key: &str| named.iter().find(|f| f.name == key);
                take_apart(path, inner, &inner_lookup, resolver, apart);
            }
            (kind, declared) => {
                let holds_env = holds_env(&declared);
                if holds_env {
                    resolver.meet(&declared);
                }
                let value = match resolver.resolve(&declared, kind) {
                    Ok(None) => FieldValue::Literal,
                    Ok(Some(value)) => FieldValue::Resolved(Box::new(SensitiveValue::new(value))),
                    Err(resolve::NoValue::NotLookedAt) => FieldValue::Unknown,
                    Err(resolve::NoValue::Problem(problem)) => {
                        let field = path.trim_start_matches('/');
                        apart.unresolved.push(format!("{field}: {problem}"));
                        FieldValue::Unknown
                    }
                };
                let path = resolver.path(path);
                apart.fields.push(DesiredField { path, field, declared, holds_env, value });
            }
        }
    }
    path.truncate(above);
}

/// Whether any text inside a declared value holds an `${env:...}`.
#[must_use]
pub fn holds_env(declared: &Value) -> bool {
    any_text(declared, &reference::holds_env)
}

/// The names of the environment that a declared value refers to.
#[must_use]
pub fn env_names(declared: &Value) -> Vec<String> {
    let mut names = Vec::new();
    collect_env_names(declared, &mut names);
    names
}

fn collect_env_names(declared: &Value, names: &mut Vec<String>) {
    match declared {
        Value::String(text) => {
            let segments = reference::parse(text).unwrap_or_default();
            names.extend(segments.iter().filter_map(|segment| match segment {
                Segment::Env(name) => Some((*name).to_owned()),
                _ => None,
            }));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_env_names(item, names)),
        Value::Object(map) => map.values().for_each(|item| collect_env_names(item, names)),
        _ => {}
    }
}

fn any_text(value: &Value, test: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, test)),
        Value::Object(map) => map.values().any(|item| any_text(item, test)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
