//! The catalog as JSON Schema 2020-12, for editors.
//!
//! A schema refuses what `validate` calls an error and lets pass what it calls a warning:
//! unknown fields, and values of which the vendor's documents say different things.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::{
    Choices, Condition, ConnectionType, Field, IDENTITY, Kind, OPTIONS, OPTIONS_KEY, Required, all,
};

/// A name of a connection that could be a step of a URL's path.
const NAME: &str = r"^[^\s/]([^/\u0000-\u001f]*[^\s/])?$";

/// A text with a reference in it, of which nobody knows yet what it will be.
const HOLDS_REFERENCE: &str = r"\$\{(env:[A-Za-z0-9_]+|var:[A-Za-z0-9_.\-]+|[A-Za-z0-9_.]+)\}";

/// The pattern of a secret field: references that no plain value comes from, and nothing else.
const SECRET: &str = r"^(\$\{(env:[A-Za-z0-9_]+|[A-Za-z0-9_.]+)\})+$";

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a document of one type.
pub fn schema_for(connection_type: &ConnectionType) -> Value {
    let mut schema = document(json!({"$schema": DIALECT}), connection_type);
    schema["$defs"] = json!({OPTIONS_KEY: options()});
    schema
}

/// The schema of a document of any type: exactly the one that `type` names.
pub fn schema_for_any() -> Value {
    let mut definitions = json!({OPTIONS_KEY: options()});
    let mut alternatives = Vec::new();
    for connection_type in all() {
        let name = connection_type.name;
        definitions[name] = document(json!({}), connection_type);
        alternatives.push(json!({"$ref": format!("#/$defs/{name}")}));
    }
    json!({
        "$schema": DIALECT,
        "title": "A connection of Apinizer",
        "description": "One document of apinizer-gitops, which declares one connection.",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": all().map(|t| t.name).collect::<Vec<_>>()}},
        "oneOf": alternatives,
        "$defs": definitions,
    })
}

fn document(mut schema: Value, connection_type: &ConnectionType) -> Value {
    let [type_field, name_field] = &IDENTITY;
    let mut properties = json!({
        "type": {"const": connection_type.name, "description": type_field.about},
        "name": {
            "type": "string",
            "pattern": NAME,
            "not": {"enum": [".", ".."]},
            "description": name_field.about,
        },
    });
    let mut required = vec!["type", "name"];
    let mut conditions = Vec::new();
    for field in connection_type.fields() {
        properties[field.name] = described(field);
        if field.must_be_declared() {
            required.push(field.name);
        }
        if let Required::When(when) = &field.required {
            let holds = where_holds(connection_type, when);
            conditions.push(json!({"if": holds, "then": {"required": [field.name]}}));
        }
    }
    properties[OPTIONS_KEY] = json!({"$ref": "#/$defs/x-gitops"});
    schema["title"] = format!("Connection of type {}", connection_type.name).into();
    schema["description"] = connection_type.about.into();
    schema["type"] = "object".into();
    schema["required"] = required.into();
    schema["properties"] = properties;
    if !conditions.is_empty() {
        schema["allOf"] = conditions.into();
    }
    schema
}

/// A field's schema with what it means and what stands for it where it is not declared.
fn described(field: &Field) -> Value {
    let mut schema = if field.is_secret() {
        json!({"type": ["string", "null"], "pattern": SECRET})
    } else {
        of_kind(&field.kind)
    };
    let mut about = field.about.to_owned();
    if let Required::When(condition) = &field.required {
        about.push_str(&format!(" Required when {condition}."));
    }
    if field.is_secret() {
        about.push_str(" A secret: ${env:NAME} or Apinizer's own ${NAME}, never text.");
    }
    if field.filled_by_server {
        about.push_str(" The server fills it by itself.");
        schema["readOnly"] = true.into();
    }
    schema["description"] = about.into();
    if let Some(default) = field.default.filter(|_| field.disputed.is_none()) {
        schema["default"] = default.to_json();
    }
    schema
}

/// `null` is allowed everywhere, since it declares a field empty.
fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": ["string", "null"]}),
        Kind::Choice(choices) => choice(choices),
        Kind::Integer { min, max } => integer(*min, *max),
        Kind::Boolean => {
            json!({"type": ["boolean", "string", "null"], "pattern": HOLDS_REFERENCE})
        }
        Kind::Bytes => json!({"type": ["string", "array", "null"], "items": {"type": "string"}}),
        Kind::List(item) | Kind::Set(item) => {
            json!({"type": ["array", "null"], "items": of_kind(item)})
        }
        Kind::Object(fields) => object(fields),
        Kind::Map(value) => {
            json!({"type": ["object", "null"], "additionalProperties": of_kind(value)})
        }
        Kind::Any => json!({}),
    }
}

fn integer(min: i64, max: i64) -> Value {
    let mut schema = json!({
        "type": ["integer", "string", "null"],
        "pattern": format!("^-?[0-9]+$|{}", HOLDS_REFERENCE),
    });
    // Editors count in doubles, which such bounds do not fit.
    if (min, max) != (i64::MIN, i64::MAX) {
        schema["minimum"] = min.into();
        schema["maximum"] = max.into();
    }
    schema
}

/// The words are there for completion; other spellings of them pass, and every word does where
/// the documents disagree, as it is a warning there.
fn choice(choices: &Choices) -> Value {
    let words: Vec<Value> = choices.words().map(Value::from).chain([Value::Null]).collect();
    let otherwise = if choices.documents_agree() {
        let spellings: Vec<String> = choices.words().map(any_spelling).collect();
        let pattern = format!("^({})$|{}", spellings.join("|"), HOLDS_REFERENCE);
        json!({"type": "string", "pattern": pattern})
    } else {
        json!({"type": "string"})
    };
    json!({"anyOf": [{"enum": words}, otherwise]})
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), described(field))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.must_be_declared()).map(|field| field.name).collect();
    json!({"type": ["object", "null"], "properties": properties, "required": required})
}

pub(crate) fn options() -> Value {
    let schema_of = |option: &Field| {
        let mut schema = match option.kind {
            Kind::Boolean => json!({"type": "boolean", "default": false}),
            Kind::Text => json!({"type": "string", "pattern": NAME}),
            _ => json!({"type": "array", "items": {"type": "string", "minLength": 1}}),
        };
        schema["description"] = option.about.into();
        (option.name.to_owned(), schema)
    };
    json!({
        "description": "What apinizer-gitops does with this connection; never sent to the API.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": OPTIONS.iter().map(schema_of).collect::<Map<_, _>>(),
    })
}

/// The schema of a condition over top-level fields of a type; a field that is not
/// declared, `null` or empty counts with its default there, too.
fn where_holds(connection_type: &ConnectionType, condition: &Condition) -> Value {
    let default_holds = || connection_type.holds(condition, &Map::new());
    match condition {
        Condition::Is(name, value) => {
            let is_boolean = connection_type
                .field(name)
                .is_some_and(|field| matches!(field.kind, Kind::Boolean));
            let declared = if is_boolean {
                json!({"enum": [*value == "true", value]})
            } else {
                json!({"type": "string", "pattern": format!("^{}$", any_spelling(value))})
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
            let each = conditions.iter().map(|condition| where_holds(connection_type, condition));
            json!({"anyOf": each.collect::<Vec<_>>()})
        }
    }
}

/// A word in any case and with or without a number behind it, as choices are compared.
fn any_spelling(word: &str) -> String {
    let stem = word.split('(').next().unwrap_or(word);
    let mut pattern = String::new();
    for c in stem.chars() {
        if c.is_ascii_alphabetic() {
            let (upper, lower) = (c.to_ascii_uppercase(), c.to_ascii_lowercase());
            pattern.extend(['[', upper, lower, ']']);
        } else {
            pattern.push(c);
        }
    }
    pattern.push_str(r"(\([0-9]+\))?");
    pattern
}
