//! The live state of a target, as the API answered it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::catalog::{self, hidden};
use crate::name::ConnectionName;
use crate::pointer;
use crate::secret::Redactor;

/// A value that only may be a secret is treated as one from this length on: shorter words are
/// common.
const SHORTEST_GUESS: usize = 8;

/// One connection as the API showed it.
#[derive(Clone)]
pub struct LiveConnection {
    /// Its type, as the server spells it.
    pub type_name: String,
    /// Its name, as the server spells it.
    pub name: ConnectionName,
    /// The server's own id, where it shows one.
    pub id: Option<String>,
    body: Map<String, Value>,
}

impl LiveConnection {
    /// Takes one entry of a `resultList`; `None` without a `type` and a `name` that are texts.
    pub fn from_entry(body: Map<String, Value>) -> Option<Self> {
        let type_name = body.get("type")?.as_str()?.to_owned();
        let name = ConnectionName::new(body.get("name")?.as_str()?);
        let id = match body.get("id") {
            Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        (!name.as_str().is_empty()).then_some(Self { type_name, name, id, body })
    }

    /// The whole object. It may hold secrets: never print it.
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    /// Has the redactor learn its secrets, and what plainly is one inside other fields: a server may
    /// repeat in a message what it showed. Another target may have a connection of the same name.
    pub fn teach_secrets(&self, target: &str, redactor: &Redactor) {
        let Some(connection_type) = catalog::find(&self.type_name) else { return };
        for part in hidden::secret_parts(connection_type, &self.body) {
            let Some(text) = pointer::look_up(&self.body, &part.pointer).and_then(Value::as_str)
            else {
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
}

impl fmt::Debug for LiveConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveConnection({} {:?})", self.type_name, self.name)
    }
}

/// The lists of one target.
#[derive(Debug, Default)]
pub struct Live {
    /// The connections of all lists that could be read.
    pub connections: BTreeMap<ConnectionName, LiveConnection>,
    /// Why lists are not complete, by type: with any of these nothing is deleted or created.
    pub incomplete: BTreeMap<String, String>,
    /// Types that this version of the server does not know.
    pub unsupported: Vec<String>,
    /// Names that complete lists show more than once, and where: each blocks that name alone.
    pub repeated: BTreeMap<ConnectionName, String>,
}

impl Live {
    /// Whether all lists were read whole.
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }

    /// Why not all lists were read whole, in one sentence.
    pub fn why_incomplete(&self) -> Option<String> {
        let (type_name, problem) = self.incomplete.first_key_value()?;
        Some(format!("the list of {type_name} is not complete ({problem})"))
    }

    /// Whether the lists show the server's ids.
    pub fn shows_ids(&self) -> bool {
        self.connections.values().any(|live| live.id.is_some())
    }
}
