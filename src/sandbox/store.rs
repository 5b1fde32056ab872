//! The connections that a sandbox holds.
//!
//! A list is what is asked for most and what is largest, so the entry of each connection is
//! drawn once, when it is written, and the answer of a whole list is kept until one of its
//! connections changes. Bodies are kept as JSON text, a quarter of the size of the parsed form.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::options::Options;
use super::stored::Stored;
use super::view::{self, Audience};
use crate::name::ConnectionName;
use crate::secret::Sensitive;

/// A body that can be stored: it has a type and a name.
#[derive(Clone, Debug)]
pub(super) struct Storable {
    pub(super) type_name: String,
    pub(super) name: ConnectionName,
    text: Sensitive,
}

impl Storable {
    /// Takes a body; `None` without a type and a name that are texts.
    pub(super) fn new(mut body: Map<String, Value>) -> Option<Self> {
        let type_name = body.get("type")?.as_str()?.to_owned();
        let name = ConnectionName::new(body.get("name")?.as_str()?);
        view::forget_server_fields(&type_name, &mut body);
        let text = Sensitive::new(Value::Object(body).to_string());
        Some(Self { type_name, name, text })
    }
}

/// The connections of all projects.
#[derive(Debug, Default)]
pub(super) struct Store {
    projects: BTreeMap<String, Project>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Project {
    connections: BTreeMap<ConnectionName, Stored>,
    types: BTreeMap<String, OneType>,
}

#[derive(Debug, Default)]
struct OneType {
    entries: BTreeMap<ConnectionName, Box<str>>,
    answer: Option<Bytes>,
}

impl Store {
    /// The connection of that name.
    pub(super) fn get(&self, project: &str, name: &ConnectionName) -> Option<&Stored> {
        self.projects.get(project)?.connections.get(name)
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

    /// The answer to a list of one type.
    pub(super) fn list(&mut self, options: &Options, project: &str, type_name: &str) -> Bytes {
        let of_type =
            self.projects.get_mut(project).and_then(|project| project.types.get_mut(type_name));
        let Some(of_type) = of_type else { return options.dialect.entries([].into_iter()) };
        of_type
            .answer
            .get_or_insert_with(|| {
                options.dialect.entries(of_type.entries.values().map(AsRef::as_ref))
            })
            .clone()
    }

    /// Stores a connection in the place of `old`, keeping its id, or as a new one.
    pub(super) fn put(
        &mut self,
        options: &Options,
        project: &str,
        old: Option<&ConnectionName>,
        new: Storable,
    ) {
        let replaced = self.take(project, old.unwrap_or(&new.name));
        let now = Timestamp::now();
        let (id, created) = match replaced {
            Some(replaced) => (replaced.id, replaced.created),
            None => (self.new_id(options.seed), now),
        };
        let Storable { type_name, name, text } = new;
        let stored = Stored { id, type_name, name, created, modified: now, text };
        self.insert(options, project, stored);
    }

    /// Takes a connection out.
    pub(super) fn take(&mut self, project: &str, name: &ConnectionName) -> Option<Stored> {
        let project = self.projects.get_mut(project)?;
        let stored = project.connections.remove(name)?;
        if let Some(of_type) = project.types.get_mut(&stored.type_name) {
            of_type.entries.remove(name);
            of_type.answer = None;
        }
        Some(stored)
    }

    /// Draws every list anew, after the options have changed.
    pub(super) fn redraw(&mut self, options: &Options) {
        for (project_name, project) in &mut self.projects {
            project.types.clear();
            for stored in project.connections.values() {
                add_entry(&mut project.types, options, project_name, stored);
            }
        }
    }

    /// Puts a connection back that the data file kept.
    pub(super) fn restore(
        &mut self,
        options: &Options,
        project: &str,
        id: String,
        (created, modified): (Timestamp, Timestamp),
        body: Storable,
    ) {
        let Storable { type_name, name, text } = body;
        let stored = Stored { id, type_name, name, created, modified, text };
        self.insert(options, project, stored);
    }

    /// The number that the next id is made from.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Continues the ids where the data file left them.
    pub(super) fn continue_ids(&mut self, next_id: u64) {
        self.next_id = next_id;
    }

    fn insert(&mut self, options: &Options, project_name: &str, stored: Stored) {
        let project = self.projects.entry(project_name.to_owned()).or_default();
        add_entry(&mut project.types, options, project_name, &stored);
        // The key is taken anew, since a map keeps the spelling of the key that it has.
        project.connections.remove(&stored.name);
        project.connections.insert(stored.name.clone(), stored);
    }

    /// An id as the Manager's database gives them: 24 hexadecimal digits.
    fn new_id(&mut self, seed: u64) -> String {
        self.next_id += 1;
        format!("{:08x}{:016x}", seed & 0xffff_ffff, self.next_id)
    }
}

fn add_entry(
    types: &mut BTreeMap<String, OneType>,
    options: &Options,
    project: &str,
    stored: &Stored,
) {
    let entry = view::draw(options, project, stored, Audience::List);
    let of_type = types.entry(stored.type_name.clone()).or_default();
    of_type.entries.insert(stored.name.clone(), Value::Object(entry).to_string().into());
    of_type.answer = None;
}
