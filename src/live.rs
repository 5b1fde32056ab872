//! The live state of a target, as the API answered it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::catalog::{self, Bookkeeping, ConnectionType, Kind, hidden};
use crate::name::ConnectionName;
use crate::secret::Redactor;

/// A value that only may be a secret is treated as one from this length on: shorter words are
/// common.
const SHORTEST_GUESS: usize = 8;

/// The longest name of somebody who edited a connection, in characters.
const LONGEST_EDITOR: usize = 100;

/// The last edit of a connection as the server's bookkeeping tells it; it may be the tool's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastEdit {
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl fmt::Display for LastEdit {
    /// `edited by alice, 2026-11-28 10:02 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("edited")?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        let Some(at) = self.at else { return Ok(()) };
        let comma = if self.by.is_some() { "," } else { "" };
        write!(f, "{comma} {}", at.strftime("%Y-%m-%d %H:%M UTC"))
    }
}

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
    pub fn from_entry(mut body: Map<String, Value>) -> Option<Self> {
        let type_name = body.get("type")?.as_str()?.to_owned();
        let name = ConnectionName::new(body.get("name")?.as_str()?);
        let id = match body.get("id") {
            Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        for field in catalog::find(&type_name).into_iter().flat_map(ConnectionType::fields) {
            if let Some(value) = body.get_mut(field.name) {
                drop_masked_readings(&field.kind, value);
            }
        }
        (!name.as_str().is_empty()).then_some(Self { type_name, name, id, body })
    }

    /// The whole object. It may hold secrets: never print it.
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    /// The fields of its own answer, and those that only its entry in a list shows, as of Kafka's stores.
    pub(crate) fn with_listed(&self, listed: &Self) -> Map<String, Value> {
        let mut body = self.body.clone();
        for (key, value) in listed.body.iter().filter(|(_, value)| !value.is_null()) {
            if body.get(key).is_none_or(Value::is_null) {
                body.insert(key.clone(), value.clone());
            }
        }
        body
    }

    /// Its last edit, where the server tells of it.
    #[must_use]
    pub fn last_edit(&self) -> Option<LastEdit> {
        let connection_type = catalog::find(&self.type_name)?;
        let find = |wanted| {
            let is_it = move |key: &str| catalog::bookkeeping(connection_type, key) == Some(wanted);
            self.body.iter().filter(move |(key, _)| is_it(key)).map(|(_, value)| value)
        };
        let by = find(Bookkeeping::EditedBy).find_map(|who| {
            let who = who.as_str()?.trim();
            (!who.is_empty()).then(|| who.chars().take(LONGEST_EDITOR).collect::<String>())
        });
        let at = find(Bookkeeping::EditedAt).find_map(moment);
        (by.is_some() || at.is_some()).then_some(LastEdit { by, at })
    }

    /// Has the redactor learn its secrets, and what plainly is one inside other fields: a server may
    /// repeat in a message what it showed. Another target may have a connection of the same name.
    pub fn teach_secrets(&self, target: &str, redactor: &Redactor) {
        let Some(connection_type) = catalog::find(&self.type_name) else { return };
        for part in hidden::secret_parts(connection_type, &self.body) {
            let Some(text) = part.text(&self.body) else { continue };
            let is_doubtful =
                part.certainty == hidden::Certainty::Suspected && text.len() < SHORTEST_GUESS;
            if !is_doubtful && !hidden::is_masked_text(text) {
                redactor.learn_next((target, &self.name, &part.pointer), text);
            }
        }
    }
}

/// Takes out the masks in the place of the server's own readings of values inside a field: the values stand
/// beside them, and the server reads them anew.
fn drop_masked_readings(kind: &Kind, value: &mut Value) {
    match value {
        Value::Array(items) => {
            let kind = kind.of_item();
            kind.into_iter().for_each(|kind| {
                items.iter_mut().for_each(|item| drop_masked_readings(kind, item));
            });
        }
        Value::Object(map) => map.retain(|key, inner| {
            if let Some(kind) = kind.of_key(key) {
                drop_masked_readings(kind, inner);
            }
            let is_masked_text = || inner.as_str().is_some_and(hidden::is_masked_text);
            let is_mask = hidden::shows_nothing(inner) || is_masked_text();
            !is_mask || kind.field(key).is_none_or(|field| !field.filled_by_server)
        }),
        _ => {}
    }
}

/// A moment as servers write it: a text with its time zone, or milliseconds since 1970. A text
/// without a zone does not tell the moment.
fn moment(value: &Value) -> Option<Timestamp> {
    let to_the_second = |time: Timestamp| Timestamp::from_second(time.as_second()).ok();
    match value {
        Value::String(text) => to_the_second(text.trim().parse().ok()?),
        Value::Number(milliseconds) => {
            to_the_second(Timestamp::from_millisecond(milliseconds.as_i64()?).ok()?)
        }
        _ => None,
    }
}

impl fmt::Debug for LiveConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveConnection({} {:?})", self.type_name, self.name)
    }
}

/// The lists of one target.
#[derive(Debug, Default)]
pub(crate) struct Live {
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
    pub(crate) fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }

    /// Why not all lists were read whole, in one sentence.
    pub(crate) fn why_incomplete(&self) -> Option<String> {
        let (type_name, problem) = self.incomplete.first_key_value()?;
        Some(format!("the list of {type_name} is not complete ({problem})"))
    }

    /// Whether the lists show the server's ids.
    pub(crate) fn shows_ids(&self) -> bool {
        self.connections.values().any(|live| live.id.is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(body: &Value) -> Option<(Option<String>, Option<String>)> {
        let mut whole = json!({"type": "email", "name": "a"}).as_object().cloned().unwrap();
        whole.extend(body.as_object().cloned().unwrap());
        let edit = LiveConnection::from_entry(whole).unwrap().last_edit()?;
        Some((edit.by, edit.at.map(|at| at.to_string())))
    }

    #[test]
    fn the_last_edit_is_told_in_whatever_way_the_server_has() {
        let (alice, time) = (Some("alice".to_owned()), Some("2026-11-28T10:02:03Z".to_owned()));
        for (name, value) in [
            ("lastModifiedDate", json!("2026-11-28T10:02:03.456Z")),
            ("updated_at", json!("2026-11-28T12:02:03.456+0200")),
            ("modified", json!(1_795_860_123_456_i64)),
        ] {
            let shown = json!({"lastModifiedBy": " alice ", name: value});
            assert_eq!(edit(&shown), Some((alice.clone(), time.clone())), "{name}");
        }
        assert_eq!(edit(&json!({"updateUser": "alice", "updated": null})), Some((alice, None)));
        assert_eq!(edit(&json!({"modified": "2026-11-28 10:02", "modifiedBy": {}})), None);
        assert_eq!(edit(&json!({"createdBy": "alice", "created": 1})), None);
    }
}
