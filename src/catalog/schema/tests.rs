use serde_json::{Map, Value, json};

use super::{schema_for, schema_for_any};
use crate::catalog::{ConnectionType, Field, Kind, all, find};

/// A document with every field of a type that says what the field may hold.
fn full(connection_type: &'static ConnectionType) -> Value {
    fn value(field: &Field) -> Value {
        match field.default {
            Some(default) => default.to_json(),
            None if field.is_secret() => json!("${env:SECRET}"),
            None => of_kind(&field.kind),
        }
    }
    fn of_kind(kind: &Kind) -> Value {
        match kind {
            Kind::Text | Kind::Any => json!("text"),
            Kind::Choice(choices) => json!(choices.words().next()),
            Kind::Integer { max, .. } => json!(max),
            Kind::Boolean => json!(true),
            Kind::Bytes => json!(["TUlJ"]),
            Kind::List(item) | Kind::Set(item) => json!([of_kind(item)]),
            Kind::Object(fields) => {
                fields.iter().map(|field| (field.name.to_owned(), value(field))).collect()
            }
            Kind::Map(inner) => json!({"a.b": of_kind(inner)}),
        }
    }
    let mut document: Map<String, Value> =
        connection_type.fields().map(|field| (field.name.to_owned(), value(field))).collect();
    document.insert("type".to_owned(), json!(connection_type.name));
    document.insert("name".to_owned(), json!("Order Mails"));
    document.insert("x-gitops".to_owned(), json!({"protect": true, "ignore": ["/description"]}));
    Value::Object(document)
}

#[test]
fn every_schema_is_a_schema_and_takes_a_full_document() {
    let any = schema_for_any();
    assert!(jsonschema::meta::is_valid(&any));
    let any = jsonschema::validator_for(&any).unwrap();
    for connection_type in all() {
        let schema = schema_for(connection_type);
        assert!(jsonschema::meta::is_valid(&schema), "{}", connection_type.name);
        let validator = jsonschema::validator_for(&schema).unwrap();
        let document = full(connection_type);
        if let Err(error) = validator.validate(&document) {
            panic!("{}: {error}", connection_type.name);
        }
        assert!(any.is_valid(&document), "{}", connection_type.name);
        for other in all().filter(|other| other.name != connection_type.name) {
            let other = jsonschema::validator_for(&schema_for(other)).unwrap();
            assert!(!other.is_valid(&document));
        }
    }
    assert!(!any.is_valid(&json!({"type": "ops-genie", "name": "a"})));
    assert!(!any.is_valid(&json!({"name": "a"})));
}

/// Whether a document of a type passes with these changes; `"(none)"` takes a field out.
fn passes(name: &str, changes: &Value) -> bool {
    let connection_type = find(name).unwrap();
    let mut document = full(connection_type);
    for (key, value) in changes.as_object().unwrap() {
        let map = document.as_object_mut().unwrap();
        if value == "(none)" {
            map.shift_remove(key);
        } else {
            map.insert(key.clone(), value.clone());
        }
    }
    jsonschema::validator_for(&schema_for(connection_type)).unwrap().is_valid(&document)
}

#[test]
fn documents_that_validate_refuses_are_refused() {
    for changes in [
        json!({"host": "(none)"}),
        json!({"port": 70000}),
        json!({"port": "many"}),
        json!({"enableStartTls": "yes"}),
        json!({"password": "hunter2"}),
        json!({"password": "${var:PLAIN}"}),
        json!({"password": "a${env:P}"}),
        json!({"auth": true, "password": "(none)"}),
        json!({"auth": "true", "username": "(none)"}),
        json!({"additionalProperties": {"a": "b"}}),
        json!({"name": "a/b"}),
        json!({"name": " a"}),
        json!({"name": ".."}),
        json!({"name": ""}),
        json!({"x-gitops": {"protekt": true}}),
        json!({"x-gitops": {"targets": "prod"}}),
    ] {
        assert!(!passes("email", &changes), "{changes}");
    }
    assert!(!passes("ftp", &json!({"protocol": "scp"})));
    assert!(!passes("database", &json!({"password": "(none)"})), "useCredentials is true");
    assert!(!passes("snmp", &json!({"securityLevel": "auth_priv", "authPassphrase": "(none)"})));
    assert!(!passes("rabbitMq", &json!({"hostPortList": [{"port": 5672}]})));
}

#[test]
fn documents_without_errors_pass() {
    for changes in [
        json!({"port": "${var:smtp_port}"}),
        json!({"port": "587"}),
        json!({"port": "(none)"}),
        json!({"enableStartTls": "${env:TLS}"}),
        json!({"password": "${DB_PASSWORD}"}),
        json!({"password": null}),
        json!({"auth": false, "password": "(none)"}),
        json!({"auth": "${var:auth}", "password": "(none)"}),
        json!({"description": null}),
        json!({"unknownField": [1]}),
        json!({"x-gitops": null}),
        json!({"name": "a"}),
    ] {
        assert!(passes("email", &changes), "{changes}");
    }
    assert!(passes("ftp", &json!({"protocol": "Sftp"})));
    assert!(passes("graylog", &json!({"gelfMessageLevel": "info(6)"})));
    assert!(passes("webhook", &json!({"httpMethod": "TRACE"})));
    assert!(passes("webhook", &json!({"httpMethod": "CONNECT"})), "the documents disagree");
    assert!(passes("database", &json!({"useCredentials": false, "password": "(none)"})));
    assert!(passes("logback", &json!({"logPodName": "(none)"})), "the server fills it");
}
