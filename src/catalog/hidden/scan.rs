//! The one scanner: walks a connection and tells every part that is a secret.

use std::ops::Range;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::text::{Shape, is_key};
use super::text::{says_secret, speaks_of_secret, variable};
use super::{SecretPart, Standing};
use crate::catalog::{ConnectionType, Field, HiddenPlace, Kind, Secrecy, same_choice};
use crate::pointer::{self, child, steps};

/// Every part of a connection, declared or live, that is a secret: secret fields, the places
/// where secrets hide, and unknown fields whose names say so. References are parts like any
/// text. They are sorted by pointer and place, and no two overlap.
pub fn secret_parts(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> Vec<SecretPart> {
    parts_of(connection_type, fields, true)
}

/// The same without the fields that are secrets of the type.
pub(super) fn hidden_parts(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> Vec<SecretPart> {
    parts_of(connection_type, fields, false)
}

fn parts_of(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
    with_fields: bool,
) -> Vec<SecretPart> {
    let mut scan = Scan { connection: fields, with_fields, parts: Vec::new() };
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
                    last.standing = last.standing.min(part.standing);
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
    /// Whether the fields that are secrets of the type count.
    with_fields: bool,
    parts: Vec<SecretPart>,
}

impl Scan<'_> {
    fn field(&mut self, path: &str, field: &'static Field, value: &Value) {
        match field.secrecy {
            Secrecy::Secret { .. } if !self.with_fields => return,
            Secrecy::Secret { .. } => {
                let what = format!("the secret `{}`", field.name);
                self.whole(path, value, &what, &variable(&[field.name]), Standing::Field);
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
            Value::String(text) => self.text(path, text, Shape::Prose, None, Standing::Plain),
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
                    self.text(path, text, Shape::Url, None, Standing::Plain);
                }
            }
            HiddenPlace::Headers => self.named(path, value, "header", Shape::of_header),
            HiddenPlace::KafkaProperties | HiddenPlace::KeyValueList | HiddenPlace::NamedValues => {
                self.named(path, value, "property", Shape::of_property);
            }
            HiddenPlace::Community => self.community(path, field, value),
            HiddenPlace::HostnameOrKey => {
                if value.as_str().is_some_and(is_key) {
                    let what = format!("what looks like a key in `{}`", field.name);
                    let label = variable(&[field.name]);
                    self.whole(path, value, &what, &label, Standing::Plain);
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
        shape_of: fn(&str) -> Option<Shape>,
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
    fn leaves(&mut self, path: &str, value: &Value, shape: Shape, property: Property<'_>) {
        match value {
            Value::String(text) => {
                self.text(path, text, shape, Some(property), Standing::Plain);
            }
            Value::Number(_) => {
                let label = variable(&[property.name]);
                self.whole(path, value, &property.what(), &label, Standing::Plain);
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
        let standing = if version.contains("${") { Standing::Suspected } else { Standing::Plain };
        self.whole(path, value, "the community name", &variable(&[field.name]), standing);
    }

    /// A field that the catalog does not have.
    fn unknown(&mut self, path: &str, name: &str, value: &Value, suspected: bool) {
        let suspected = suspected || speaks_of_secret(name);
        match value {
            Value::String(_) if suspected => {
                let what = format!("the field `{name}`");
                self.whole(path, value, &what, &variable(&[name]), Standing::Suspected);
            }
            Value::Number(_) if suspected && says_secret(name) => {
                let what = format!("the field `{name}`");
                self.whole(path, value, &what, &variable(&[name]), Standing::Suspected);
            }
            Value::String(text) => self.text(path, text, Shape::Prose, None, Standing::Suspected),
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
        shape: Shape,
        property: Option<Property<'_>>,
        standing: Standing,
    ) {
        let top = steps(path).next().unwrap_or_default();
        // A key in PEM form, wherever somebody pasted it.
        if text.contains("PRIVATE KEY-----") {
            let what = format!("the private key in `{top}`");
            let (range, pointer) = (Some(0..text.len()), path.to_owned());
            let (label, standing) = (variable(&[&top, "key"]), Standing::Plain);
            self.parts.push(SecretPart { pointer, range, what, label, standing });
            return;
        }
        if shape == Shape::Prose && !text.contains("://") && !text.contains("jdbc:") {
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
                standing,
            });
        }
    }

    fn whole(&mut self, path: &str, value: &Value, what: &str, label: &str, standing: Standing) {
        let range = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::String(text) => Some(0..text.len()),
            _ => None,
        };
        let (what, label) = (what.to_owned(), label.to_owned());
        self.parts.push(SecretPart { pointer: path.to_owned(), range, what, label, standing });
    }
}

// Secrets inside URLs: user info, and parameters whose names say so. JDBC URLs are no URLs by
// any standard, so this goes by what drivers accept, and in doubt takes too much.

/// Stands for each byte of a reference or of what masking has put in a secret's place.
pub(super) const FILLER: u8 = 1;

/// A secret that was found in a text, with the name that it has there.
pub(super) type Found = (Range<usize>, String);

/// The passwords in the user info of all URLs in a skeleton.
pub(super) fn user_info(skeleton: &str, found: &mut Vec<Found>) {
    for (at, separator) in skeleton.match_indices("://") {
        let start = at + separator.len();
        if let Some(range) = password_of_authority(&skeleton[start..]) {
            found.push((start + range.start..start + range.end, "password".to_owned()));
        }
    }
    if let Some(range) = password_of_oracle(skeleton) {
        found.push((range, "password".to_owned()));
    }
}

/// The password in `user:password@host...`, which may hold characters that a standard URL
/// would have to encode.
fn password_of_authority(rest: &str) -> Option<Range<usize>> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let authority = without_parameters(authority);
    let colon = authority.find(':');
    if let Some(at) = authority.rfind('@') {
        let password = colon? + 1..at;
        return (password.start < password.end).then_some(password);
    }
    // `user:pass/word@host`: what follows the colon is no port, so it is a password that holds
    // a character which ended the authority above.
    let tail = authority.get(colon? + 1..)?;
    let several_hosts = tail.contains([',', ')']) || authority.starts_with('[');
    if is_port(tail) || several_hosts {
        return None;
    }
    let end = rest.rfind('@').filter(|at| *at >= authority.len())?;
    Some(colon? + 1..end)
}

/// Cuts `;user=a;password=b@c` off a `host:port`, as some JDBC URLs have it, but leaves a `;`
/// in a password alone.
fn without_parameters(authority: &str) -> &str {
    let cut = authority.match_indices(';').map(|(at, _)| at).find(|at| {
        let host = &authority[..*at];
        begins_parameter(&authority[at + 1..])
            && host.rsplit_once(':').is_none_or(|(_, port)| is_port(port))
    });
    cut.map_or(authority, |at| &authority[..at])
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == FILLER)
}

/// The password in `jdbc:oracle:thin:user/password@...`.
fn password_of_oracle(skeleton: &str) -> Option<Range<usize>> {
    let lower = skeleton.trim_start().to_ascii_lowercase();
    let indent = skeleton.len() - lower.len();
    let driver = lower.strip_prefix("jdbc:oracle:")?;
    let login = driver.split_once(':')?.1;
    let start = indent + lower.len() - login.len();
    let at = login.rfind('@')?;
    let slash = login.get(..at)?.find('/')?;
    // `@//host/service` without a login.
    let has_login = !login.starts_with('@') && slash > 0 && slash + 1 < at;
    has_login.then_some(start + slash + 1..start + at)
}

/// The values of all parameters in a skeleton whose names say that they are secrets.
pub(super) fn parameters(skeleton: &str, found: &mut Vec<Found>) {
    let mut done = 0;
    for (equals, _) in skeleton.match_indices('=') {
        if equals < done {
            continue;
        }
        let Some(name) = name_before(skeleton, equals) else { continue };
        // A bare `key=` is as often no secret.
        if name.eq_ignore_ascii_case("key") || !says_secret(&name) {
            continue;
        }
        let range = value_after(skeleton, equals + 1);
        done = range.end;
        let value = &skeleton[range.clone()];
        if !value.is_empty() && !is_boolean(value) {
            found.push((range, name));
        }
    }
}

/// Whether a value is a switch and no secret, whatever its name says.
pub(super) fn is_boolean(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

/// The name that ends at an `=`, percent-decoded.
pub(super) fn name_before(skeleton: &str, equals: usize) -> Option<String> {
    let before = skeleton[..equals].trim_end();
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_name_character(*c))
        .last()
        .map(|(index, _)| index)?;
    Some(percent_decode_str(&before[start..]).decode_utf8_lossy().into_owned())
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%')
}

fn value_after(skeleton: &str, start: usize) -> Range<usize> {
    let rest = &skeleton[start..];
    let in_parentheses = {
        let before = &skeleton[..start];
        before.matches('(').count() > before.matches(')').count()
    };
    for (open, close) in [('{', '}'), ('"', '"'), ('\'', '\'')] {
        if let Some(inside) = rest.strip_prefix(open)
            && let Some(end) = inside.find(close)
            && inside[end + 1..].chars().next().is_none_or(|c| matches!(c, '&' | ';' | ',' | ')'))
        {
            return start + 1..start + 1 + end;
        }
    }
    if rest.starts_with(['&', ';']) || in_parentheses && rest.starts_with([',', ')']) {
        return start..start;
    }
    let filled = rest.bytes().take_while(|b| *b == FILLER).count();
    if filled > 0 && rest[filled..].starts_with(['&', ';', ',', ')', '?', '#', '/', ' ']) {
        return start..start + filled;
    }
    // A raw separator may be part of the secret: only what is followed by another parameter, or
    // by nothing, ends it.
    let end = rest.char_indices().find(|(index, c)| {
        let next = &rest[index + c.len_utf8()..];
        match c {
            '&' | ';' => next.is_empty() || begins_parameter(next),
            ',' => in_parentheses && (begins_parameter(next) || begins_url(next)),
            ')' => in_parentheses,
            _ => false,
        }
    });
    start..start + end.map_or(rest.len(), |(index, _)| index)
}

/// Whether a text begins like `name=`.
fn begins_parameter(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| is_name_character(c) || c == ' ')
    })
}

fn begins_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    })
}
