//! What a target holds now, as the API answered it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::catalog::{self, hidden};
use crate::name::ConnectionName;
use crate::pointer;
use crate::secret::Redactor;

mod entry;
mod readable;

pub(crate) use readable::{Readable, Text};

/// What only may be a secret is taken for one from this length on: shorter words are everywhere.
const SHORTEST_GUESS: usize = 8;

/// One connection as the API showed it.
///
/// Its object is kept as text, a part of the answer that it came in, and read when the connection is
/// compared: a hundred thousand objects taken apart would be five times the size.
#[derive(Clone)]
pub struct LiveConnection {
    /// Its type, as the server spells it.
    pub type_name: String,
    /// Its name, as the server spells it.
    pub name: ConnectionName,
    /// The server's own id, where it shows one.
    pub id: Option<String>,
    keys: Keys,
    body: Bytes,
}

/// The keys of an object, shared by all connections that have the same.
pub(crate) type Keys = Arc<[Box<str>]>;

impl LiveConnection {
    /// Takes one entry of a `resultList`; `None` without a `type` and a `name` that are texts.
    #[must_use]
    pub fn from_entry(body: &Map<String, Value>) -> Option<Self> {
        let text = serde_json::to_vec(body).ok()?;
        Self::from_text(text.into(), None).ok()?
    }

    /// Takes the text of one entry; `None` without a `type` and a `name` that are texts. `like`
    /// is an entry that probably has the same keys.
    ///
    /// # Errors
    /// It is no JSON object in UTF-8.
    pub(crate) fn from_text(
        body: Bytes,
        like: Option<&Self>,
    ) -> Result<Option<Self>, serde_json::Error> {
        let entry = entry::read(&body, like.map(|like| &like.keys))?;
        let (Some(Value::String(type_name)), Some(Value::String(name))) =
            (entry.type_name, entry.name)
        else {
            return Ok(None);
        };
        let id = match entry.id {
            Some(Value::String(id)) if !id.is_empty() => Some(id),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let name = ConnectionName::new(&name);
        let keys = entry.keys;
        Ok((!name.as_str().is_empty()).then_some(Self { type_name, name, id, keys, body }))
    }

    /// The whole object, read anew at every call. It may hold secrets: never print it.
    #[must_use]
    pub fn body(&self) -> Map<String, Value> {
        // All of it was read once, so it can be read.
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The text of the object. It may hold secrets: never print it.
    pub(crate) fn text(&self) -> &[u8] {
        &self.body
    }

    /// Has its secrets, and what plainly is one inside other fields, kept out of whatever is told
    /// later: a server may repeat in a message what it showed. Another target may have a connection
    /// of the same name.
    pub fn teach_secrets(&self, target: &str, redactor: &Redactor) {
        let Some(connection_type) = catalog::find(&self.type_name) else { return };
        let body = self.body();
        for part in hidden::secret_parts(connection_type, &body) {
            let Some(text) = pointer::look_up(&body, &part.pointer).and_then(Value::as_str) else {
                continue;
            };
            let text = part.range.map_or(Some(text), |range| text.get(range)).unwrap_or_default();
            let is_doubtful =
                part.standing == hidden::Standing::Suspected && text.len() < SHORTEST_GUESS;
            if !is_doubtful && !hidden::is_masked_text(text) {
                redactor.learn_next((target, &self.name, &part.pointer), text);
            }
        }
    }

    /// The keys of the object.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for LiveConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveConnection({} {:?})", self.type_name, self.name)
    }
}

/// What the lists of one target said.
#[derive(Debug, Default)]
pub struct Live {
    /// The connections of all lists that could be read.
    pub connections: BTreeMap<ConnectionName, LiveConnection>,
    /// Why lists are not complete, by type: with any of these nothing is deleted or created.
    pub incomplete: BTreeMap<String, String>,
    /// Types that this version of the server does not know.
    pub unsupported: Vec<String>,
}

impl Live {
    /// Whether all lists were read whole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }
}
