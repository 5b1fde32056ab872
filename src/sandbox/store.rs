//! The connections that a sandbox holds.
//!
//! A list is the largest answer and the most frequent one, so the answer of a list is kept until
//! one of its connections changes: a benchmark measures the client, not this server.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::catalog;
use crate::digest::hex;
use crate::name::ConnectionName;
use crate::secret::Sensitive;

/// A connection, its body as JSON text: a quarter of the size of the parsed form.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) type_name: String,
    pub(super) name: ConnectionName,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) modified_by: String,
    text: Sensitive,
}

impl Stored {
    /// A body that somebody writes, which has no id yet; `None` without a type and a name that are texts.
    pub(super) fn new(mut body: Map<String, Value>, by: &str) -> Option<Self> {
        let type_name = body.get("type")?.as_str()?.to_owned();
        let name = ConnectionName::new(body.get("name")?.as_str()?);
        forget(&type_name, &mut body);
        let text = Sensitive::new(Value::Object(body).to_string());
        let (now, modified_by) = (Timestamp::now(), by.to_owned());
        let (created, modified) = (now, now);
        Some(Self { id: String::new(), type_name, name, created, modified, modified_by, text })
    }

    /// The body as it was written, less the fields that the server fills.
    pub(super) fn body(&self) -> Map<String, Value> {
        serde_json::from_str(self.text.expose()).unwrap_or_default()
    }

    /// Where it is in its project.
    pub(super) fn key(&self) -> StoredKey {
        (self.name.clone(), self.type_name.clone())
    }
}

/// Where a connection is in its project.
pub(super) type StoredKey = (ConnectionName, String);

/// The connections of all projects.
#[derive(Debug, Default)]
pub(super) struct Store {
    projects: BTreeMap<String, Project>,
    /// The number that the last id was made from.
    last_id: u64,
}

#[derive(Debug, Default)]
struct Project {
    connections: BTreeMap<StoredKey, Stored>,
    lists: BTreeMap<String, Bytes>,
}

impl Store {
    /// The connections of that name, of whatever type.
    pub(super) fn named<'a>(
        &'a self,
        project: &str,
        name: &'a ConnectionName,
    ) -> impl Iterator<Item = &'a Stored> {
        let from = (name.clone(), String::new());
        let project = self.projects.get(project);
        let of_project = project.into_iter().flat_map(move |p| p.connections.range(from.clone()..));
        of_project.map(|(_, stored)| stored).take_while(move |stored| stored.name == *name)
    }

    /// The first connection of that name.
    pub(super) fn get<'a>(&'a self, project: &str, name: &'a ConnectionName) -> Option<&'a Stored> {
        self.named(project, name).next()
    }

    /// Whether something was ever stored in the project.
    pub(super) fn has_project(&self, project: &str) -> bool {
        self.projects.contains_key(project)
    }

    /// All connections, with the project of each.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.projects.iter().flat_map(|(name, project)| {
            project.connections.values().map(move |stored| (name.as_str(), stored))
        })
    }

    /// The answer to a list of one type, drawn if none is kept.
    pub(super) fn list(
        &mut self,
        project: &str,
        type_name: &str,
        draw: impl FnOnce(Vec<&Stored>) -> Bytes,
    ) -> Bytes {
        let Some(project) = self.projects.get_mut(project) else { return draw(Vec::new()) };
        if let Some(kept) = project.lists.get(type_name) {
            return kept.clone();
        }
        let of_type = project.connections.values().filter(|stored| stored.type_name == type_name);
        let answer = draw(of_type.collect());
        project.lists.insert(type_name.to_owned(), answer.clone());
        answer
    }

    /// Stores a connection in the place of `old`, keeping its id, or as a new one.
    pub(super) fn put(&mut self, project: &str, old: Option<&StoredKey>, mut new: Stored) {
        match old.and_then(|old| self.take(project, old)) {
            Some(replaced) => (new.id, new.created) = (replaced.id, replaced.created),
            None => new.id = self.new_id(),
        }
        let project = self.projects.entry(project.to_owned()).or_default();
        project.lists.remove(&new.type_name);
        project.connections.insert(new.key(), new);
    }

    /// Takes a connection out.
    pub(super) fn take(&mut self, project: &str, key: &StoredKey) -> Option<Stored> {
        let project = self.projects.get_mut(project)?;
        project.lists.remove(&key.1);
        project.connections.remove(key)
    }

    /// Draws every list anew, after the options have changed.
    pub(super) fn redraw(&mut self) {
        self.projects.values_mut().for_each(|project| project.lists.clear());
    }

    /// An id as the Manager's database gives them: 24 hexadecimal digits.
    fn new_id(&mut self) -> String {
        self.last_id += 1;
        format!("{:024x}", self.last_id)
    }
}

// The fields that the server fills by itself. A store's id spells its name in hexadecimal digits,
// so that the name can be had from the id without a table of stores.

/// Takes the fields out of a write that the server fills, so that a client may send back the
/// answer that it was shown.
fn forget(type_name: &str, body: &mut Map<String, Value>) {
    let Some(known) = catalog::find(type_name) else { return };
    body.retain(|name, _| !catalog::is_bookkeeping(known, name));
    for field in known.fields().filter(|field| field.filled_by_server) {
        let id = body.shift_remove(field.name);
        // An id that was shown names its store as well as the name itself does.
        let Some(partner) = store_name_of(field.name) else { continue };
        let Some(name) = id.as_ref().and_then(Value::as_str).and_then(store_of_id) else {
            continue;
        };
        if body.get(&partner).is_none_or(Value::is_null) {
            body.insert(partner, Value::from(name));
        }
    }
}

/// The field that names the store whose id this field holds.
pub(super) fn store_name_of(field: &str) -> Option<String> {
    field.strip_suffix("Id").map(|stem| format!("{stem}Name"))
}

pub(super) fn id_of_store(name: &str) -> String {
    hex(name.as_bytes())
}

fn store_of_id(id: &str) -> Option<String> {
    let bytes = id
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}
