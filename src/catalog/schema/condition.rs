//! Conditions as schemas that are valid where the condition holds.

use serde_json::{Value, json};

use super::pattern;
use crate::catalog::{Condition, ConnectionType, Kind};

/// The schema of a condition over top-level fields of a type; a field that is not
/// declared, `null` or empty counts with its default there, too.
pub(super) fn schema(connection_type: &ConnectionType, condition: &Condition) -> Value {
    let default_holds = || connection_type.holds(condition, &serde_json::Map::new());
    match condition {
        Condition::Is(name, value) => {
            let is_boolean = connection_type
                .field(name)
                .is_some_and(|field| matches!(field.kind, Kind::Boolean));
            let declared = if is_boolean {
                json!({"enum": [*value == "true", value]})
            } else {
                json!({"type": "string", "pattern": format!("^{}$", pattern::any_spelling(value))})
            };
            if default_holds() {
                let empty = json!({"enum": [null, ""]});
                json!({"properties": {*name: {"anyOf": [declared, empty]}}})
            } else {
                json!({"properties": {*name: declared}, "required": [name]})
            }
        }
        Condition::Present(_) if default_holds() => json!(true),
        Condition::Present(name) => {
            let empty = json!({"enum": [null, "", [], {}]});
            json!({"properties": {*name: {"not": empty}}, "required": [name]})
        }
        Condition::Any(conditions) => {
            json!({"anyOf": each(connection_type, conditions)})
        }
        Condition::All(conditions) => {
            json!({"allOf": each(connection_type, conditions)})
        }
    }
}

fn each(connection_type: &ConnectionType, conditions: &[Condition]) -> Vec<Value> {
    conditions.iter().map(|condition| schema(connection_type, condition)).collect()
}
