//! Taking the hidden secrets out of a live connection, for `export`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{SecretPart, Standing, secret_parts};
use crate::catalog::ConnectionType;
use crate::reference;
use crate::secret::Sensitive;

/// A live connection whose hidden secrets have become references.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// The fields as a document would declare them: parsing their references gives live's
    /// values back.
    pub fields: Map<String, Value>,
    /// The variables that the references name, with the secrets that they stood for.
    pub variables: Vec<(String, Sensitive)>,
}

/// Puts `${env:NAME}` in the place of every hidden secret of a live connection, under the name
/// that `name_for` gives it, and escapes every other text that looks like a reference of ours.
///
/// Secret fields are left to the caller, who knows which of them are set, and so is what is
/// nothing but Apinizer's own `${NAME}`.
pub fn extract(
    connection_type: &'static ConnectionType,
    live: &Map<String, Value>,
    name_for: &mut dyn FnMut(&SecretPart) -> String,
) -> Extracted {
    let mut parts: BTreeMap<String, Vec<SecretPart>> = BTreeMap::new();
    for part in secret_parts(connection_type, live) {
        if part.standing != Standing::Field {
            parts.entry(part.pointer.clone()).or_default().push(part);
        }
    }
    let mut variables = Vec::new();
    let mut extraction = Extraction { parts: &parts, name_for, variables: &mut variables };
    let fields = live
        .iter()
        .map(|(key, value)| {
            let pointer = format!("/{}", crate::pointer::escaped(key));
            (key.clone(), extraction.value(&pointer, value))
        })
        .collect();
    Extracted { fields, variables }
}

struct Extraction<'a> {
    parts: &'a BTreeMap<String, Vec<SecretPart>>,
    name_for: &'a mut dyn FnMut(&SecretPart) -> String,
    variables: &'a mut Vec<(String, Sensitive)>,
}

impl Extraction<'_> {
    fn value(&mut self, pointer: &str, value: &Value) -> Value {
        let parts = self.parts.get(pointer).map(Vec::as_slice).unwrap_or_default();
        if let Some(part) = parts.iter().find(|part| part.range.is_none()) {
            let secret = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return Value::String(self.reference(part, secret));
        }
        match value {
            Value::String(text) => Value::String(self.text(text, parts)),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.value(&format!("{pointer}/{index}"), item))
                .collect(),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, inner)| {
                        let pointer = format!("{pointer}/{}", crate::pointer::escaped(key));
                        (key.clone(), self.value(&pointer, inner))
                    })
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn text(&mut self, text: &str, parts: &[SecretPart]) -> String {
        let mut written = String::with_capacity(text.len());
        let mut done = 0;
        for part in parts {
            let Some(range) = part.range.clone() else { continue };
            let (Some(before), Some(secret)) =
                (text.get(done..range.start), text.get(range.clone()))
            else {
                continue;
            };
            written.push_str(&reference::escape(before));
            if secret.is_empty() || reference::is_apinizers(secret) {
                written.push_str(secret);
            } else {
                written.push_str(&self.reference(part, secret.to_owned()));
            }
            done = range.end;
        }
        written.push_str(&reference::escape(text.get(done..).unwrap_or_default()));
        written
    }

    fn reference(&mut self, part: &SecretPart, secret: String) -> String {
        let name = (self.name_for)(part);
        let reference = format!("${{env:{name}}}");
        self.variables.push((name, Sensitive::new(secret)));
        reference
    }
}
