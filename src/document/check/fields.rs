//! Known and unknown fields, and values that fit their kinds, all the way down.

use serde_json::{Map, Value};

use super::kind;
use super::{Check, MOST_FINDINGS};
use crate::catalog::{Field, Kind, is_bookkeeping, nearest_of};
use crate::diagnostic::{Finding, Part, code, is_secret_in_key, quoted};
use crate::document::options::KEY;
use crate::pointer::{child, for_people, item};
use crate::secret::SENSITIVE;

impl Check<'_> {
    pub(super) fn check_fields(&mut self) {
        for (key, value) in self.fields {
            let pointer = child("", key);
            match self.connection_type.field(key) {
                Some(field) => self.check_field(&pointer, field, value),
                None => self.check_unknown_top(&pointer, key, value),
            }
        }
    }

    fn check_unknown_top(&mut self, pointer: &str, key: &str, value: &Value) {
        if is_bookkeeping(self.connection_type, key) {
            self.findings.push(
                Finding::warning(
                    &code::SERVER_FIELD,
                    pointer,
                    format!("{} is the server's own bookkeeping and is never sent", quoted(key)),
                )
                .part(Part::Key)
                .help("remove it"),
            );
            return;
        }
        let known = self.connection_type.fields().map(|field| field.name);
        let what = format!("a connection of type `{}`", self.connection_type.name);
        self.findings.push(unknown(pointer, key, known.chain([KEY]), &what, self.findings.len()));
        self.check_references(pointer, value);
    }

    fn check_field(&mut self, pointer: &str, field: &'static Field, value: &Value) {
        if field.filled_by_server && !matches!(field.required, crate::catalog::Required::Always) {
            self.findings.push(
                Finding::warning(
                    &code::SERVER_FIELD,
                    pointer,
                    format!("the server fills {} by itself", quoted(field.name)),
                )
                .part(Part::Key)
                .help("leave it out, unless it is to be another than the server's own"),
            );
        }
        if field.is_secret() {
            self.check_secret(pointer, field, value);
        } else {
            self.check_value(pointer, &field.kind, field.default, value);
        }
    }

    pub(super) fn check_value(
        &mut self,
        pointer: &str,
        kind: &'static Kind,
        default: Option<crate::catalog::Default>,
        value: &Value,
    ) {
        match (kind, value) {
            (_, Value::Null) => {}
            (Kind::List(inner) | Kind::Set(inner), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    self.check_value(&item(pointer, index), inner, None, value);
                }
            }
            (Kind::Object(fields), Value::Object(entries)) => {
                self.check_object(pointer, fields, entries);
            }
            (Kind::Map(inner), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.check_value(&child(pointer, key), inner, None, value);
                }
            }
            (Kind::Any, value) => self.check_references(pointer, value),
            (Kind::Bytes, Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    let pointer = item(pointer, index);
                    match value {
                        Value::String(_) | Value::Number(_) | Value::Null => {
                            self.check_references(&pointer, value);
                        }
                        _ => self.findings.extend(kind::wrong(
                            &pointer,
                            "holds base64 texts",
                            "aGVsbG8=",
                        )),
                    }
                }
            }
            (_, Value::String(text)) if text.contains("${") => {
                self.check_template(pointer, kind, text);
            }
            (kind, value) => self.findings.extend(kind::fit(pointer, kind, default, value)),
        }
    }

    fn check_object(
        &mut self,
        pointer: &str,
        fields: &'static [Field],
        entries: &Map<String, Value>,
    ) {
        for (key, value) in entries {
            let inner = child(pointer, key);
            match fields.iter().find(|field| field.name == key) {
                Some(field) => self.check_field(&inner, field, value),
                None => {
                    let what = format!("`{}`", for_people(pointer));
                    let names = fields.iter().map(|field| field.name);
                    self.findings.push(unknown(&inner, key, names, &what, self.findings.len()));
                    self.check_references(&inner, value);
                }
            }
        }
        self.check_required_inside(pointer, fields, entries);
    }
}

fn unknown(
    pointer: &str,
    key: &str,
    known: impl Iterator<Item = &'static str>,
    what: &str,
    listed: usize,
) -> Finding {
    let name = if is_secret_in_key(key) { SENSITIVE.to_owned() } else { quoted(key) };
    let message = format!("{what} has no field {name}");
    let finding = Finding::warning(&code::UNKNOWN_FIELD, pointer, message).part(Part::Key);
    // Problems that are not listed need no hint.
    let nearest = if listed < MOST_FINDINGS { nearest_of(known, key, |name| name) } else { None };
    match nearest {
        Some(nearest) => {
            finding.help(format!("did you mean `{nearest}`? It is sent as it is written"))
        }
        None => finding.help("it is sent as it is written"),
    }
}
