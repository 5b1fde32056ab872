//! What a target holds now, as the API answered it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::name::ConnectionName;

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
    #[must_use]
    pub fn from_entry(body: Map<String, Value>) -> Option<Self> {
        let type_name = body.get("type")?.as_str()?.to_owned();
        let name = ConnectionName::new(body.get("name")?.as_str()?);
        if name.as_str().is_empty() {
            return None;
        }
        let id = match body.get("id") {
            Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        Some(Self { type_name, name, id, body })
    }

    /// The whole object. It may hold secrets: never print it.
    #[must_use]
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
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
