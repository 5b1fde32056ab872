//! The references that git declares already. A field that holds one is sensitive on both sides:
//! the reference is exported, whatever live shows there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::catalog::{Field, Kind};
use crate::desired::{env_names, holds_env};
use crate::document::Document;
use crate::inventory::Record;
use crate::name::ConnectionName;

/// What git declares with references to the environment: values by connection and JSON pointer.
#[derive(Clone, Debug, Default)]
pub struct KnownReferences {
    by_name: BTreeMap<ConnectionName, BTreeMap<String, Value>>,
}

impl KnownReferences {
    /// Takes the references of the base.
    pub fn add_record(&mut self, record: &Record) {
        for (name, owned) in &record.inventory {
            let base = owned.base.fields().into_iter().map(|(path, field)| (path, field.declared));
            for (path, declared) in base.filter(|(_, declared)| holds_env(declared)) {
                self.insert(name, path, &declared);
            }
        }
    }

    /// Takes the references of a document, which is newer than the base.
    pub fn add_document(&mut self, document: &Document) {
        let lookup = |key: &str| document.connection_type.field(key);
        self.add_fields(&document.name, "", &document.fields.fields(), &lookup);
    }

    fn add_fields(
        &mut self,
        name: &ConnectionName,
        prefix: &str,
        fields: &Map<String, Value>,
        lookup: &dyn Fn(&str) -> Option<&'static Field>,
    ) {
        for (key, declared) in fields {
            let path = format!("{prefix}/{}", crate::pointer::escaped(key));
            match (lookup(key).map(|field| &field.kind), declared) {
                (Some(Kind::Object(named)), Value::Object(inner)) => {
                    let lookup = |key: &str| named.iter().find(|field| field.name == key);
                    self.add_fields(name, &path, inner, &lookup);
                }
                (_, declared) if holds_env(declared) => self.insert(name, path, declared),
                _ => {}
            }
        }
    }

    fn insert(&mut self, name: &ConnectionName, path: String, declared: &Value) {
        self.by_name.entry(name.clone()).or_default().insert(path, declared.clone());
    }

    /// The references of a connection, by JSON pointer.
    pub(super) fn of(&self, name: &ConnectionName) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.by_name.get(name).into_iter().flatten();
        fields.map(|(path, declared)| (path.as_str(), declared))
    }

    /// The names of all variables.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        self.by_name.values().flat_map(BTreeMap::values).flat_map(env_names).collect()
    }
}
