//! Bodies for the experiments, built from the catalog: a value for every field that is neither its
//! default nor a value of anybody's environment.

use serde_json::{Map, Value, json};

use super::own::MARKER;
use crate::catalog::{Choices, ConnectionType, Default, Field, Kind, Verdict};

/// A host that exists nowhere, in mixed case, so that a change of case is seen.
const HOST: &str = "Probe.invalid";

/// A field that no documented type has.
pub(super) const UNKNOWN_FIELD: &str = "apinizerGitopsProbe";

/// Fields that name other objects of the Manager, which a scratch project does not have.
const REFERENCES: [&str; 4] =
    ["keyStoreName", "trustStoreName", "certificateName", "selectedEnvironmentId"];

/// Fields whose text has a form, and choices that go with them.
const EXAMPLES: [(&str, &str); 8] = [
    ("baseDn", "dc=Probe,dc=invalid"),
    ("brokerURL", "tcp://Probe.invalid:61616"),
    ("connectionString", "udp:192.0.2.1/162"),
    ("dbType", "POSTGRES"),
    ("fullUrl", "https://Probe.invalid/Probe"),
    ("jdbcUrl", "jdbc:postgresql://Probe.invalid:5432/Probe"),
    ("pduOidForMessage", "1.3.6.1.4.1.0"),
    ("serverAddress", "Probe.invalid:389"),
];

/// The values of the experiments with one type.
pub(super) struct Bodies {
    /// The fields that documents have to declare, and those that mark the connection.
    pub(super) required: Map<String, Value>,
    /// All other fields.
    pub(super) optional: Map<String, Value>,
}

impl Bodies {
    pub(super) fn of(own_type: &'static ConnectionType, name: &str) -> Self {
        // Neither is anything for a gateway to work with.
        let marks = json!({
            "type": own_type.name, "name": name, "description": MARKER,
            "deployToWorker": false, "enabled": false,
        });
        let mut required = marks.as_object().cloned().unwrap_or_default();
        let mut optional: Map<String, Value> = probed_fields(own_type)
            .filter(|field| !required.contains_key(field.name))
            .map(|field| (field.name.to_owned(), value_of(field)))
            .collect();
        // A field that another one asks for may ask for a third.
        for _ in 0..2 {
            for field in probed_fields(own_type) {
                let is_required = field.required.holds(&|key| own_type.field(key), &required);
                if let Some(value) =
                    is_required.then(|| optional.shift_remove(field.name)).flatten()
                {
                    required.insert(field.name.to_owned(), value);
                }
            }
        }
        Self { required, optional }
    }
}

/// The fields that experiments are made with.
fn probed_fields(own_type: &ConnectionType) -> impl Iterator<Item = &'static Field> {
    own_type.fields().filter(|f| !f.filled_by_server && !REFERENCES.contains(&f.name))
}

fn value_of(field: &Field) -> Value {
    if field.is_secret() {
        return Value::from(format!("Probe-{:032x}", fastrand::u128(..)));
    }
    match EXAMPLES.iter().find(|(name, _)| *name == field.name) {
        Some((_, text)) => Value::from(*text),
        None => of_kind(&field.kind, field.default),
    }
}

fn of_kind(kind: &Kind, default: Option<Default>) -> Value {
    match kind {
        Kind::Text | Kind::Any => Value::from(HOST),
        Kind::Choice(choices) => Value::from(word_of(choices, default)),
        Kind::Integer { min, max } => Value::from(match default {
            Some(Default::Integer(default)) if default < *max => default + 1,
            Some(Default::Integer(default)) => default - 1,
            _ => 1.clamp(*min, *max),
        }),
        Kind::Boolean => Value::from(default != Some(Default::Boolean(true))),
        // Base64 of a few random bytes.
        Kind::Bytes => Value::from(format!("{:024}", fastrand::u64(..))),
        Kind::List(item) | Kind::Set(item) => json!([of_kind(item, None)]),
        // Kafka's, which has to name its servers.
        Kind::Map(item @ Kind::Object(_)) => json!({"bootstrap.servers": of_kind(item, None)}),
        Kind::Map(item) => json!({"probe": of_kind(item, None)}),
        Kind::Object(fields) => {
            let inner = fields.iter().filter(|field| !field.filled_by_server);
            inner.map(|field| (field.name.to_owned(), value_of(field))).collect()
        }
    }
}

/// A word that all documents allow and that is not the default.
fn word_of(choices: &Choices, default: Option<Default>) -> &'static str {
    let is_default = |word: &str| default.is_some_and(|d| d.to_json().as_str() == Some(word));
    let words: Vec<_> = choices.words().filter(|word| !is_default(word)).collect();
    let allowed = words.iter().find(|word| choices.verdict(word) == Verdict::Allowed);
    allowed.or(words.first()).copied().unwrap_or_default()
}
