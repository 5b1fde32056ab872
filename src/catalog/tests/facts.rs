//! The catalog against the vendor's own data, where the folder with it is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::super::*;

/// `socketReuseAddress` and the like stand in the OpenAPI file; this one cannot be a field.
const CLASHES_WITH_THE_DISCRIMINATOR: (&str, &str) = ("elasticsearch", "type");

/// The guide marks these required under conditions that no document spells out, or that are
/// about something outside of the connection.
const VAGUE_CONDITIONS: &[(&str, &str)] =
    &[("elasticsearch", "caTruststoreFile"), ("ldap", "certificateId")];

struct Facts {
    guide: Value,
    openapi: Value,
}

impl Facts {
    fn read() -> Option<Self> {
        let folder = std::env::var_os("APINIZER_FACTS_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/apinizer")),
            PathBuf::from,
        );
        let read = |name: &str| -> Option<Value> {
            let text = std::fs::read_to_string(folder.join(name)).ok()?;
            Some(serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
        };
        let facts = read("connection-fields.yaml")
            .zip(read("openapi-connections.yaml"))
            .map(|(guide, openapi)| Self { guide, openapi });
        if facts.is_none() {
            println!("skipped: the vendor's data files are not in {}", folder.display());
        }
        facts
    }

    fn schema(&self, name: &str) -> &Value {
        &self.openapi["components"]["schemas"][name]
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn words(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The choices of a field, or of the items of its list.
fn choices(kind: &'static Kind) -> Option<&'static Choices> {
    match kind {
        Kind::Choice(choices) => Some(choices),
        Kind::List(item) | Kind::Set(item) => choices_of_item(item),
        _ => None,
    }
}

fn choices_of_item(item: &'static Kind) -> Option<&'static Choices> {
    if let Kind::Choice(choices) = item { Some(choices) } else { None }
}

fn nested(kind: &'static Kind) -> Option<&'static [Field]> {
    match kind {
        Kind::Object(fields) => Some(fields),
        Kind::List(item) | Kind::Set(item) | Kind::Map(item) => nested(item),
        _ => None,
    }
}

#[test]
fn the_catalog_has_every_row_of_the_guides() {
    let Some(facts) = Facts::read() else { return };
    let mut types = 0;
    for (type_name, guide) in entries(&facts.guide["types"]) {
        types += 1;
        let connection_type = find(type_name).unwrap_or_else(|| panic!("no type {type_name}"));
        for (name, fact) in entries(&guide["fields"]) {
            if (type_name.as_str(), name.as_str()) == CLASHES_WITH_THE_DISCRIMINATOR {
                continue;
            }
            let field = connection_type
                .field(name)
                .unwrap_or_else(|| panic!("{type_name} has no field {name}"));
            let vague = VAGUE_CONDITIONS.contains(&(type_name, name));
            check_row(&format!("{type_name}.{name}"), field, fact, vague);
        }
        for (object, rows) in entries(&guide["nested"]) {
            let fields = nested_by_names(connection_type, rows)
                .unwrap_or_else(|| panic!("{type_name} has no object like {object}"));
            for (name, fact) in entries(rows) {
                let field = fields.iter().find(|field| field.name == name).unwrap();
                check_row(&format!("{type_name}.{object}.{name}"), field, fact, false);
            }
        }
        check_enums(connection_type, &guide["enums"]);
        let on_get = match guide["secretsOnGet"].as_str().unwrap() {
            "returned in full" => SecretsOnGet::Shown,
            "masked (null)" => SecretsOnGet::Masked,
            _ => SecretsOnGet::NotStated,
        };
        assert_eq!(connection_type.secrets_on_get, on_get, "{type_name}");
    }
    assert_eq!(types, all().len());
    for (name, fact) in entries(&facts.guide["commonFields"]) {
        if name != "type" && name != "name" {
            let field = find("email").unwrap().field(name).unwrap();
            check_row(name, field, fact, false);
        }
    }
}

fn nested_by_names(connection_type: &ConnectionType, rows: &Value) -> Option<&'static [Field]> {
    connection_type
        .own_fields
        .iter()
        .filter_map(|field| nested(&field.kind))
        .find(|fields| entries(rows).all(|(name, _)| fields.iter().any(|field| field.name == name)))
}

fn check_row(path: &str, field: &'static Field, fact: &Value, vague: bool) {
    let required = match (fact["required"].as_bool(), &field.required) {
        (Some(true), required) => matches!(required, Required::Always | Required::Disputed),
        _ if vague => matches!(field.required, Required::No),
        _ if fact["required"] == "conditional" || !fact["requiredIf"].is_null() => {
            matches!(field.required, Required::When(_))
        }
        (_, required) => matches!(required, Required::No),
    };
    assert!(required, "{path}: required should be {} {}", fact["required"], fact["requiredIf"]);
    if let (Some(condition), Required::When(ours)) = (fact["requiredIf"].as_str(), &field.required)
    {
        let words = ours.to_string();
        for part in condition.split([' ', '=']).filter(|w| !matches!(*w, "or" | "is" | "provided"))
        {
            assert!(words.contains(&format!("`{part}`")), "{path}: {words} lacks {part}");
        }
    }
    let default = match fact["default"].as_str() {
        None => fact["default"].as_bool().map(Default::Boolean),
        Some("null") => None,
        Some("\"\"") => Some(Default::Text("")),
        Some("[]") => Some(Default::EmptyList),
        Some("{}") => Some(Default::EmptyMap),
        Some(text) => Some(match &field.kind {
            Kind::Boolean => Default::Boolean(text.parse().unwrap()),
            Kind::Integer { .. } => Default::Integer(text.parse().unwrap()),
            _ => {
                assert_eq!(field.default.map(Default::to_json), Some(text.into()), "{path}");
                field.default.unwrap()
            }
        }),
    };
    assert_eq!(field.default, default, "{path}");
    // The guides have it as a file; there is a private key in it.
    let is_secret = fact["secret"] == true || path == "elasticsearch.caKeystoreFile";
    assert_eq!(field.is_secret(), is_secret, "{path}: secret");
    let both_documents = fact.get("openapi").is_some();
    if both_documents {
        let expected = if fact["documentedInGuide"] == false {
            Fact::OpenApiOnly
        } else if fact["openapi"].is_null() {
            Fact::GuideOnly
        } else {
            Fact::Both
        };
        assert_eq!(field.fact, expected, "{path}");
    }
    let kind = fact["type"].as_str().or(fact["openapi"]["type"].as_str()).unwrap_or("");
    let fits = match &field.kind {
        Kind::Text | Kind::Choice(_) | Kind::Bytes => kind.starts_with("string"),
        Kind::Integer { max, .. } => kind == "long" || kind == "integer" && *max < i64::MAX,
        Kind::Boolean => kind == "boolean",
        Kind::List(_) | Kind::Set(_) => kind == "array",
        Kind::Object(_) | Kind::Map(_) => kind == "object",
        Kind::Any => false,
    };
    assert!(fits, "{path} should be a {kind}");
    if kind == "string (base64)" || kind == "string" && fact["openapi"]["type"] == "array" {
        assert!(matches!(field.kind, Kind::Bytes), "{path} is a file's content");
    }
    check_openapi_words(path, &field.kind, &fact["openapi"]["enum"]);
}

fn check_openapi_words(path: &str, kind: &'static Kind, listed: &Value) {
    if !listed.is_null() {
        let ours = choices(kind).unwrap_or_else(|| panic!("{path} should be a choice"));
        assert_eq!(ours.openapi.iter().copied().collect::<BTreeSet<_>>(), words(listed), "{path}");
    }
}

/// The guide lists words by the name of an enumeration, not by field: some field has each list.
fn check_enums(connection_type: &ConnectionType, enums: &Value) {
    let fields = connection_type
        .fields()
        .chain(connection_type.own_fields.iter().flat_map(|f| nested(&f.kind).unwrap_or(&[])));
    let lists: Vec<BTreeSet<&str>> = fields
        .filter_map(|field| choices(&field.kind))
        .map(|choices| choices.guide.iter().copied().collect())
        .collect();
    for (name, listed) in entries(enums) {
        let listed = words(listed);
        assert!(lists.contains(&listed), "{}: no field has {name}", connection_type.name);
    }
}

#[test]
fn the_catalog_has_every_property_of_the_openapi_file() {
    let Some(facts) = Facts::read() else { return };
    let one_of = &facts.openapi["paths"]["/apiops/projects/{projectName}/connections/{connectionName}/"]
        ["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"];
    let mut found = BTreeSet::new();
    for schema in one_of.as_array().unwrap() {
        let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let properties = &facts.schema(name)["allOf"][1]["properties"];
        let own: BTreeSet<_> = entries(properties)
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != CLASHES_WITH_THE_DISCRIMINATOR.1)
            .collect();
        let connection_type = all()
            .find(|candidate| {
                own.iter().all(|name| candidate.own_fields.iter().any(|f| f.name == *name))
            })
            .unwrap_or_else(|| panic!("no type has all properties of {name}"));
        found.insert(connection_type.name);
        for (property, schema) in entries(properties) {
            if let Some(field) = connection_type.field(property) {
                check_property(&facts, &format!("{name}.{property}"), &field.kind, schema);
            }
        }
    }
    assert_eq!(found.len(), all().len());
    for (name, _) in entries(&facts.schema("ConnectionDTO")["properties"]) {
        let known = name == "type" || name == "name";
        assert!(known || find("email").unwrap().field(name).is_some(), "{name}");
    }
}

fn check_property(facts: &Facts, path: &str, kind: &'static Kind, schema: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        let properties = &facts.schema(reference.rsplit('/').next().unwrap())["properties"];
        let fields = nested(kind).unwrap_or_else(|| panic!("{path} should be an object"));
        for (name, schema) in entries(properties) {
            let field = fields.iter().find(|field| field.name == name);
            let field = field.unwrap_or_else(|| panic!("{path} has no {name}"));
            check_property(facts, &format!("{path}.{name}"), &field.kind, schema);
        }
        return;
    }
    check_openapi_words(path, kind, &schema["enum"]);
    match kind {
        Kind::List(item) | Kind::Set(item) => check_property(facts, path, item, &schema["items"]),
        Kind::Map(Kind::Any) => assert_eq!(schema["type"], "object", "{path}"),
        Kind::Map(value) => check_property(facts, path, value, &schema["additionalProperties"]),
        _ => {}
    }
}
