//! The one scanner: walks a connection and tells every part that is a secret.

use serde_json::{Map, Value};

use super::text::{TextShape, may_hold_url};
use super::url::{is_key, says_secret, speaks_of_secret, variable};
use super::{Certainty, SecretPart};
use crate::catalog::{ConnectionType, Field, HiddenPlace, Kind, Secrecy, same_choice};
use crate::pointer::{self, child, steps};

/// Every part of a connection, declared or live, that is a secret: secret fields, the places
/// where secrets hide, and unknown fields whose names say so. References are parts like any
/// text. They are sorted by pointer and place, and no two overlap.
pub fn secret_parts(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> Vec<SecretPart> {
    let mut scan = Scan { connection: fields, parts: Vec::new() };
    for (key, value) in fields {
        let path = child("", key);
        match connection_type.field(key) {
            Some(field) => scan.field(&path, field, value),
            None => scan.unknown(&path, key, value, false),
        }
    }
    disjoint(scan.parts)
}

/// Sorts the parts and joins those that overlap, so that each byte is in one part at most.
fn disjoint(mut parts: Vec<SecretPart>) -> Vec<SecretPart> {
    let start = |part: &SecretPart| part.range.as_ref().map(|range| range.start);
    parts.sort_by(|a, b| (&a.pointer, start(a)).cmp(&(&b.pointer, start(b))));
    let mut joined: Vec<SecretPart> = Vec::with_capacity(parts.len());
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.pointer == part.pointer => match (&mut last.range, &part.range) {
                (Some(known), Some(more)) if more.start < known.end => {
                    known.end = known.end.max(more.end);
                    last.certainty = last.certainty.min(part.certainty);
                }
                (None, _) => {}
                _ => joined.push(part),
            },
            _ => joined.push(part),
        }
    }
    joined
}

/// The header or property that a text is the value of.
#[derive(Clone, Copy)]
struct Property<'a> {
    noun: &'a str,
    name: &'a str,
}

impl Property<'_> {
    fn what(self) -> String {
        format!("the {} `{}`", self.noun, self.name)
    }
}

struct Scan<'a> {
    connection: &'a Map<String, Value>,
    parts: Vec<SecretPart>,
}

impl Scan<'_> {
    fn field(&mut self, path: &str, field: &'static Field, value: &Value) {
        match field.secrecy {
            Secrecy::Secret => {
                let what = format!("the secret `{}`", field.name);
                self.whole(path, value, &what, &variable(&[field.name]), Certainty::Field);
                return;
            }
            Secrecy::Hidden(place) => self.place(path, field, place, value),
            Secrecy::Plain => {}
        }
        self.known(path, &field.kind, value);
    }

    /// Looks at every known value for URLs in texts, and for unknown keys inside objects.
    fn known(&mut self, path: &str, kind: &'static Kind, value: &Value) {
        match value {
            Value::String(text) => self.text(path, text, TextShape::Prose, None, Certainty::Plain),
            Value::Array(items) => {
                let item_kind = kind.of_item().unwrap_or(&Kind::Any);
                for (index, item) in items.iter().enumerate() {
                    self.known(&pointer::item(path, index), item_kind, item);
                }
            }
            Value::Object(map) => {
                for (key, inner) in map {
                    let path = child(path, key);
                    match kind {
                        Kind::Object(_) => match kind.field(key) {
                            Some(field) => self.field(&path, field, inner),
                            None => self.unknown(&path, key, inner, false),
                        },
                        Kind::Map(kind) => self.known(&path, kind, inner),
                        _ => self.known(&path, &Kind::Any, inner),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn place(&mut self, path: &str, field: &Field, place: HiddenPlace, value: &Value) {
        match place {
            HiddenPlace::Url => {
                if let Value::String(text) = value {
                    self.text(path, text, TextShape::Url, None, Certainty::Plain);
                }
            }
            HiddenPlace::Headers => self.named(path, value, "header", TextShape::of_header),
            HiddenPlace::KafkaProperties | HiddenPlace::KeyValueList | HiddenPlace::NamedValues => {
                self.named(path, value, "property", TextShape::of_property);
            }
            HiddenPlace::Community => self.community(path, field, value),
            HiddenPlace::HostnameOrKey => {
                if value.as_str().is_some_and(is_key) {
                    let what = format!("what looks like a key in `{}`", field.name);
                    let label = variable(&[field.name]);
                    self.whole(path, value, &what, &label, Certainty::Plain);
                }
            }
        }
    }

    /// A map of values by name, or a list of `{name, value}` or `{key, value}`.
    fn named(
        &mut self,
        path: &str,
        values: &Value,
        noun: &str,
        shape_of: fn(&str) -> Option<TextShape>,
    ) {
        match values {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = ["name", "key"].iter().find_map(|key| item.get(key)?.as_str());
                    let (Some(name), Some(value)) = (name, item.get("value")) else { continue };
                    if let Some(shape) = shape_of(name) {
                        let value_at = child(&pointer::item(path, index), "value");
                        self.leaves(&value_at, value, shape, Property { noun, name });
                    }
                }
            }
            Value::Object(map) => {
                for (name, value) in map {
                    match shape_of(name) {
                        Some(shape) => {
                            self.leaves(&child(path, name), value, shape, Property { noun, name });
                        }
                        None if value.is_object() => {
                            self.named(&child(path, name), value, noun, shape_of);
                        }
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Every text and number in the value of a property; Kafka's say their type beside it.
    fn leaves(&mut self, path: &str, value: &Value, shape: TextShape, property: Property<'_>) {
        match value {
            Value::String(text) => {
                self.text(path, text, shape, Some(property), Certainty::Plain);
            }
            Value::Number(_) => {
                let label = variable(&[property.name]);
                self.whole(path, value, &property.what(), &label, Certainty::Plain);
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.leaves(&pointer::item(path, index), item, shape, property);
                }
            }
            Value::Object(map) => {
                for (key, inner) in map.iter().filter(|(key, _)| *key != "valueType") {
                    self.leaves(&child(path, key), inner, shape, property);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The community is the credential of SNMP 1 and 2c; with 3 the field holds a user's name.
    fn community(&mut self, path: &str, field: &Field, value: &Value) {
        let version = self.connection.get("version").and_then(Value::as_str).unwrap_or_default();
        if same_choice(version, "V3") || value.as_str() == Some("public") {
            return;
        }
        // A version that is not known yet may turn out to be 3.
        let certainty =
            if version.contains("${") { Certainty::Suspected } else { Certainty::Plain };
        self.whole(path, value, "the community name", &variable(&[field.name]), certainty);
    }

    /// A field that the catalog does not have.
    fn unknown(&mut self, path: &str, name: &str, value: &Value, suspected: bool) {
        let suspected = suspected || speaks_of_secret(name);
        match value {
            Value::String(_) | Value::Number(_)
                if suspected && (value.is_string() || says_secret(name)) =>
            {
                let what = format!("the field `{name}`");
                self.whole(path, value, &what, &variable(&[name]), Certainty::Suspected);
            }
            Value::String(text) => {
                self.text(path, text, TextShape::Prose, None, Certainty::Suspected);
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.unknown(&pointer::item(path, index), name, item, suspected);
                }
            }
            Value::Object(map) => {
                let called = ["name", "key"].iter().find_map(|key| map.get(*key)?.as_str());
                let secret_value = called.is_some_and(speaks_of_secret);
                for (key, inner) in map {
                    let suspected = suspected || secret_value && key == "value";
                    self.unknown(&child(path, key), key, inner, suspected);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The secret parts of a text of some shape.
    fn text(
        &mut self,
        path: &str,
        text: &str,
        shape: TextShape,
        property: Option<Property<'_>>,
        certainty: Certainty,
    ) {
        let top = steps(path).next().unwrap_or_default();
        // A key in PEM form, wherever somebody pasted it.
        if text.contains("PRIVATE KEY-----") {
            let what = format!("the private key in `{top}`");
            let label = variable(&[&top, "key"]);
            self.whole(path, &Value::from(text), &what, &label, Certainty::Plain);
            return;
        }
        if shape == TextShape::Prose && !may_hold_url(text) {
            return;
        }
        for (range, name) in shape.secrets_in(text) {
            let what = match (property, name.as_str()) {
                (Some(property), "") => property.what(),
                (Some(property), name) => format!("the `{name}` inside {}", property.what()),
                (None, "") => format!("the text of `{top}`"),
                (None, name) => format!("the `{name}` inside the URL in `{top}`"),
            };
            let owner = property.map_or(&*top, |property| property.name);
            self.parts.push(SecretPart {
                pointer: path.to_owned(),
                range: Some(range),
                what,
                label: variable(&[owner, &name]),
                certainty,
            });
        }
        // A link in prose may open what it leads to: enough to hide it, not enough to refuse it.
        if shape == TextShape::Prose {
            self.text(path, text, TextShape::Links, property, Certainty::Suspected);
        }
    }

    fn whole(&mut self, path: &str, value: &Value, what: &str, label: &str, certainty: Certainty) {
        let range = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::String(text) => Some(0..text.len()),
            _ => None,
        };
        let (what, label) = (what.to_owned(), label.to_owned());
        self.parts.push(SecretPart { pointer: path.to_owned(), range, what, label, certainty });
    }
}
