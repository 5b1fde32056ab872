//! Chooses the fields of a live connection that belong into a document, in a stable order and form.

use serde_json::{Map, Value};

use crate::catalog::{self, ConnectionType, Field, Kind};
use crate::plan::equality::{is_empty, is_unset};

/// The fields of a connection as they are compared: without its identity, the server's
/// bookkeeping, what the server fills by itself, and what holds nothing.
pub(super) fn normal(
    connection_type: &'static ConnectionType,
    mut fields: Map<String, Value>,
) -> Map<String, Value> {
    // A live field of that name would be taken for our options.
    const NOT_FIELDS: [&str; 3] = ["type", "name", "x-gitops"];
    fields.retain(|key, value| {
        !NOT_FIELDS.contains(&key.as_str())
            && !catalog::is_bookkeeping(connection_type, key)
            && !is_empty(value)
    });
    object(connection_type.fields(), fields)
}

/// Takes away what says no more than an undeclared field does, unless it is required.
pub(super) fn without_defaults(
    fields: &Map<String, Value>,
    field_of: &dyn Fn(&str) -> Option<&'static Field>,
    stays: &dyn Fn(&str) -> bool,
) -> Map<String, Value> {
    let is_required = |field: &Field| field.required.holds(field_of, fields);
    let kept = |key: &str, value: &Value| match field_of(key) {
        Some(field) => {
            stays(key)
                || is_required(field)
                || !is_unset(Some(&field.kind), field.default.as_ref(), Some(value))
        }
        None => true,
    };
    let mut shown = Map::new();
    for (key, value) in fields {
        if !kept(key, value) {
            continue;
        }
        let value = match (field_of(key).map(|field| &field.kind), value) {
            // An object with named fields is owned field by field, lists and maps as a whole.
            (Some(kind @ Kind::Object(_)), Value::Object(inner)) => {
                let lookup = |key: &str| kind.field(key);
                let prefix = format!("{key}/");
                let stays = |key: &str| stays(&format!("{prefix}{key}"));
                let inner = without_defaults(inner, &lookup, &stays);
                let required = field_of(key).is_some_and(is_required);
                if inner.is_empty() && !required {
                    continue;
                }
                Value::Object(inner)
            }
            _ => value.clone(),
        };
        shown.insert(key.clone(), value);
    }
    shown
}

/// An object's fields in the order of the catalog, then what the catalog does not have.
fn object(
    known: impl Iterator<Item = &'static Field> + Clone,
    mut fields: Map<String, Value>,
) -> Map<String, Value> {
    let mut ordered = Map::new();
    for field in known {
        let Some(value) = fields.shift_remove(field.name) else { continue };
        if !field.filled_by_server && !value.is_null() {
            ordered.insert(field.name.to_owned(), normal_value(&field.kind, value));
        }
    }
    fields.sort_keys();
    ordered.extend(fields.into_iter().map(|(key, value)| (key, sorted(value))));
    ordered
}

/// A value in the form that a document has it in.
pub(crate) fn normal_value(kind: &'static Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Integer { .. }, Value::String(text)) => {
            text.trim().parse::<i64>().map_or(Value::String(text), Value::from)
        }
        (Kind::List(item), Value::Array(items)) => {
            items.into_iter().map(|value| normal_value(item, value)).collect()
        }
        (Kind::Set(item), Value::Array(items)) => {
            let mut items: Vec<Value> =
                items.into_iter().map(|value| normal_value(item, value)).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        (Kind::Object(named), Value::Object(inner)) => Value::Object(object(named.iter(), inner)),
        (Kind::Map(item), Value::Object(mut map)) => {
            // An entry that is null cannot be told from one that is not there.
            map.retain(|_, value| !value.is_null());
            map.sort_keys();
            let entries = map.into_iter().map(|(key, value)| (key, normal_value(item, value)));
            Value::Object(entries.collect())
        }
        (_, value) => sorted(value),
    }
}

/// A value with the keys of all its objects sorted.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(mut map) => {
            map.sort_keys();
            Value::Object(map.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(type_name: &str, body: &Value) -> Value {
        let connection_type = catalog::find(type_name).unwrap();
        let fields = normal(connection_type, body.as_object().unwrap().clone());
        let field_of = |key: &str| connection_type.field(key);
        Value::Object(without_defaults(&fields, &field_of, &|_| false))
    }

    #[test]
    fn bookkeeping_defaults_and_nothing_are_left_out() {
        let body = json!({
            "id": "1", "created": "x", "projectName": "p", "type": "email", "name": "n",
            "x-gitops": {"protect": true}, "description": "", "from": null, "enabled": true,
            "host": "h", "port": "587", "auth": true, "additionalProperties": [],
        });
        assert_eq!(shown("email", &body), json!({"auth": true, "host": "h"}));
    }

    #[test]
    fn required_fields_keep_their_defaults() {
        let body = json!({"logPath": "/path/to/logs/", "maxHistory": 0, "logPodName": "w-0"});
        assert_eq!(shown("logback", &body), json!({"logPath": "/path/to/logs/", "maxHistory": 0}));
    }

    #[test]
    fn the_order_is_the_catalogs_and_then_the_alphabet() {
        let body = json!({"zeta": {"b": 1, "a": 2}, "alpha": 1, "from": "f", "host": "h"});
        let text = shown("email", &body).to_string();
        assert_eq!(text, r#"{"host":"h","from":"f","alpha":1,"zeta":{"a":2,"b":1}}"#);
    }

    #[test]
    fn fields_that_a_server_adds_inside_lists_and_maps_are_left_out() {
        let body = json!({
            "topicName": "t",
            "propertiesMap": {
                "b": {"valueType": "STRING", "value": "x", "valueByType": "x"},
                "a": {"value": "y"},
                "gone": null,
            },
        });
        let wanted = json!({
            "topicName": "t",
            "propertiesMap": {"a": {"value": "y"}, "b": {"value": "x", "valueType": "STRING"}},
        });
        assert_eq!(shown("kafka", &body), wanted);
    }

    #[test]
    fn an_object_is_shown_field_by_field() {
        let policy =
            json!({"policyName": "apinizer-log-ilm-policy-default", "enableHotPhase": true});
        let body = json!({"indexLifecyclePolicy": policy});
        assert_eq!(
            shown("elasticsearch", &body),
            json!({"indexLifecyclePolicy": {"enableHotPhase": true}})
        );
    }
}
