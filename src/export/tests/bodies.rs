//! A full and a minimal connection of every type, built from the catalog.

use serde_json::{Map, Value, json};

use crate::catalog::{ConnectionType, Field, HiddenPlace, Kind, Required, Secrecy};

/// The start of every secret value in these bodies.
pub(super) const CANARY: &str = "canary-7f3a";

/// A connection with every field that a client may set.
pub(super) fn full(connection_type: &'static ConnectionType) -> Value {
    let fields = connection_type.fields().filter(|field| !field.filled_by_server);
    let mut body = identity(connection_type, "full");
    body.extend(fields.map(|field| (field.name.to_owned(), value(connection_type.name, field))));
    Value::Object(body)
}

/// A connection with what is required and nothing else.
pub(super) fn minimal(connection_type: &'static ConnectionType) -> Value {
    let mut body = identity(connection_type, "minimal");
    for field in connection_type.fields().filter(|field| !field.filled_by_server) {
        let needed = match &field.required {
            Required::No => false,
            Required::Always | Required::Disputed => true,
            Required::When(condition) => connection_type.holds(condition, &body),
        };
        if needed {
            body.insert(field.name.to_owned(), value(connection_type.name, field));
        }
    }
    Value::Object(body)
}

fn identity(connection_type: &ConnectionType, what: &str) -> Map<String, Value> {
    let name = format!("{what} {} # yes: ü", connection_type.name);
    Map::from_iter([
        ("type".to_owned(), Value::from(connection_type.name)),
        ("name".to_owned(), Value::from(name)),
    ])
}

fn value(type_name: &str, field: &'static Field) -> Value {
    match (type_name, field.name) {
        ("kafka", "propertiesMap") => {
            let jaas = format!("x.Login required username=\"u\" password=\"{CANARY}-jaas\";");
            json!({
                "ssl.key.password": {"value": format!("{CANARY}-key"), "valueType": "STRING"},
                "bootstrap.servers": {"value": "${KAFKA_1}:9092,k2:9092", "valueType": "STRING"},
                "sasl.jaas.config": {"value": jaas, "valueType": "STRING"},
                "acks": {"value": "all"},
            })
        }
        ("snmp", "version") => json!("V2c"),
        ("snmp", "securityLevel") => json!("AUTH_PRIV"),
        ("elasticsearch", "encryptCommunicationType") => json!("CERT_AND_PRIVATE_KEY_IN_PKCS_12"),
        (_, name) => match field.secrecy {
            Secrecy::Secret => json!(format!("{CANARY}-{name}: # \"x\" ${{env:A}}")),
            Secrecy::Hidden(place) => hidden(place),
            Secrecy::Plain => of_kind(name, &field.kind),
        },
    }
}

fn hidden(place: HiddenPlace) -> Value {
    match place {
        HiddenPlace::Url => json!(format!(
            "https://user:{CANARY}-info@${{HOST}}/db?a=${{env:LIVE}}&password={CANARY}-url&z=1"
        )),
        HiddenPlace::Headers => json!([
            {"name": "Authorization", "value": format!("Bearer {CANARY}-header")},
            {"name": "X-Literal", "value": "$${env:A} ${vault:b}"},
        ]),
        HiddenPlace::KeyValueList => json!([
            {"key": "mail.smtp.timeout", "value": "5000"},
            {"key": "mail.smtp.proxy.password", "value": format!("{CANARY}-property")},
        ]),
        HiddenPlace::KafkaProperties | HiddenPlace::NamedValues => {
            json!({"clientSecret": format!("{CANARY}-client"), "product": "orders"})
        }
        HiddenPlace::Community => json!(format!("{CANARY}-community")),
        HiddenPlace::HostnameOrKey => json!("0123456789abcdef0123456789abcdef"),
    }
}

fn of_kind(name: &str, kind: &'static Kind) -> Value {
    match kind {
        Kind::Text => json!(format!("{name}: ${{env:LIVE}} ${{OURS}} # no\n\ttwo ")),
        Kind::Choice(choices) => Value::from(choices.words().nth(1).unwrap_or_default()),
        Kind::Integer { min, .. } => Value::from((*min).max(0) + 7),
        Kind::Boolean => json!(true),
        Kind::Bytes => json!(["aGVsbG8=", "d29ybGQ="]),
        Kind::List(item) | Kind::Set(item) => json!([of_kind(name, item)]),
        Kind::Object(fields) => fields
            .iter()
            .filter(|field| !field.filled_by_server)
            .map(|field| (field.name.to_owned(), of_kind(field.name, &field.kind)))
            .collect(),
        Kind::Map(item) => json!({"b": of_kind(name, item), "a: ${env:KEY}": of_kind(name, item)}),
        Kind::Any => json!({"nested": [1, "${env:LIVE}", false]}),
    }
}
