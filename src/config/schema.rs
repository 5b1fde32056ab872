//! The JSON Schema of the config, for editors: another view of the tables of keys.

use serde_json::{Map, Value, json};

use crate::config::keys::{Key, KeyKind, OneOf, ROOT, Section};

/// A text with at least one `${env:NAME}` in it.
const REFERENCE: &str = r"\$\{env:[A-Za-z0-9_]+\}";
/// A text of `${env:NAME}` and nothing else.
const ONLY_REFERENCES: &str = r"^(\$\{env:[A-Za-z0-9_]+\})+$";
const DURATION: &str = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const MAX_DELETES: &str = r"^([0-9]+|0*([1-9][0-9]?|100)%)$";
const SIZE: &str = r"^[0-9]+ *(([kKmMgG][iI]?)?[bB])?$";

/// The JSON Schema (2020-12) of `apinizer-gitops.yaml`.
pub fn schema() -> Value {
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The config of apinizer-gitops",
    });
    with_section(head, &ROOT)
}

fn section(section: &Section) -> Value {
    with_section(json!({}), section)
}

fn with_section(mut schema: Value, section: &Section) -> Value {
    let properties: Map<String, Value> =
        section.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    schema["type"] = json!("object");
    schema["additionalProperties"] = json!(false);
    schema["properties"] = json!(properties);
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !section.choices.is_empty() {
        schema["allOf"] = section.choices.iter().map(one_of).collect();
    }
    schema
}

/// One group with all of its keys and none of the others, or nothing of any.
fn one_of(choice: &OneOf) -> Value {
    let none = |groups: &mut dyn Iterator<Item = &&[&str]>| -> Vec<Value> {
        groups.flat_map(|group| group.iter()).map(|name| json!({"required": [name]})).collect()
    };
    let mut ways: Vec<Value> = choice
        .groups
        .iter()
        .map(|used| {
            let others = none(&mut choice.groups.iter().filter(|group| *group != used));
            json!({"required": used, "not": {"anyOf": others}})
        })
        .collect();
    if !choice.required {
        ways.push(json!({"not": {"anyOf": none(&mut choice.groups.iter())}}));
    }
    json!({"oneOf": ways})
}

fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    schema["description"] = json!(key.about);
    if let Some(default) = key.default.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        schema["default"] = default;
    }
    schema
}

fn kind(kind: &KeyKind) -> Value {
    // Any single value may be a reference, which is resolved before it is read.
    let or_reference =
        |schema: Value| json!({"anyOf": [schema, {"type": "string", "pattern": REFERENCE}]});
    match kind {
        KeyKind::Text | KeyKind::Verbatim | KeyKind::Late => {
            json!({"type": "string", "minLength": 1})
        }
        KeyKind::Secret(example) => json!({
            "type": "string",
            "pattern": ONLY_REFERENCES,
            "examples": [format!("${{env:{example}}}")],
        }),
        KeyKind::Duration(_) => or_reference(json!({
            "type": "string", "minLength": 2, "pattern": DURATION, "examples": ["30s", "1h30m"],
        })),
        KeyKind::Size(least) => or_reference(json!({
            "type": ["integer", "string"], "minimum": least, "pattern": SIZE,
            "examples": ["256 MiB"],
        })),
        KeyKind::Boolean => or_reference(json!({"type": "boolean"})),
        KeyKind::Integer(min, max) => {
            or_reference(json!({"type": "integer", "minimum": min, "maximum": max}))
        }
        KeyKind::MaxDeletes => or_reference(json!({
            "type": ["integer", "string"], "minimum": 0, "pattern": MAX_DELETES,
            "examples": ["30%", 3],
        })),
        KeyKind::Word(words) => or_reference(json!({"enum": words})),
        KeyKind::Words(words) => {
            json!({"type": "array", "items": or_reference(json!({"enum": words}))})
        }
        KeyKind::Texts => {
            json!({"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1})
        }
        KeyKind::Vars => json!({
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z0-9_.-]+$"},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        }),
        KeyKind::Listen => json!({"type": "string", "examples": ["127.0.0.1:8080", "none"]}),
        KeyKind::Section(keys) => section(keys),
        KeyKind::Sections(keys) => json!({"type": "array", "items": section(keys)}),
    }
}
