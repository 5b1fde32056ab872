//! Secrets, in their own fields and where they hide: which parts of which texts of a connection
//! they are.
//!
//! One scanner ([`secret_parts`]) finds the byte ranges. Everything else is a use of it: refusing
//! a literal in a document ([`literal_secrets`]), showing a connection without them ([`conceal()`]),
//! and exporting them as references ([`extract()`]). So what one of them knows, all know.

mod masked;
mod scan;
mod text;
mod url;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::catalog::ConnectionType;
use crate::pointer::{look_up, put, set, with_texts};
use crate::reference::{self, Segment};
use crate::secret::{SENSITIVE, Sensitive};

pub use masked::is_masked_text;
pub(crate) use masked::{MASK, is_mask, is_masked_otherwise, masked_parts, shows_nothing};
pub use scan::secret_parts;
pub(crate) use url::variable;

/// A value, or a part of a text, that is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPart {
    /// JSON pointer to the value.
    pub pointer: String,
    /// The bytes of the text that are the secret; `None`: the value is no text, and all of it is.
    pub range: Option<Range<usize>>,
    /// Which secret it is, in words: "the header `Authorization`".
    pub what: String,
    /// A name for the variable that could hold it, in upper snake case: `JDBC_URL_PASSWORD`.
    pub label: String,
    /// How sure it is that this is a secret.
    pub certainty: Certainty,
}

impl SecretPart {
    /// Its text in the connection that it was found in; `None`: it is no text.
    pub(crate) fn text<'v>(&self, fields: &'v Map<String, Value>) -> Option<&'v str> {
        let text = look_up(fields, &self.pointer)?.as_str()?;
        self.range.clone().map_or(Some(text), |range| text.get(range))
    }
}

/// How sure it is that something is a secret, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The catalog says that the field is one.
    Field,
    /// It stands where a secret plainly stands: a literal here is an error.
    Plain,
    /// It may be one (an unknown field whose name says so): hidden, but not refused.
    Suspected,
}

// Showing a connection without its secrets.

/// The same connection fit to be shown: every secret part is `(sensitive)`, references in its
/// place are left, and everything else is as it was.
pub fn conceal(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> Map<String, Value> {
    // Where a secret held a separator, another look may find more to hide: what is shown is what
    // a further look would leave alone. Texts that need more than two are made up.
    const LOOKS: usize = 8;
    let mut shown = fields.clone();
    for _ in 0..LOOKS {
        let parts = secret_parts(connection_type, &shown);
        let mut next = Value::Object(shown.clone());
        // From the back, so that the ranges of earlier parts of a text stay right.
        for part in parts.iter().rev() {
            if let Some(value) = next.pointer_mut(&part.pointer) {
                *value = concealed(value, part);
            }
        }
        match next {
            Value::Object(next) if next != shown => shown = next,
            _ => break,
        }
    }
    shown
}

/// The value at a JSON pointer fit to be shown; `whole` is the connection that it is or was part
/// of, since neighbours (a header's name, SNMP's version) decide what is a secret.
pub fn conceal_at(
    connection_type: &'static ConnectionType,
    pointer: &str,
    value: &Value,
    whole: &Map<String, Value>,
) -> Value {
    let mut context = Value::Object(whole.clone());
    let around = pointer.rmatch_indices('/').find_map(|(at, _)| context.pointer(&pointer[..at]));
    match (around, context.pointer(pointer)) {
        // A list lacks it.
        (Some(Value::Array(_)), None) => return Value::from(SENSITIVE),
        (Some(_), Some(_)) => put(&mut context, pointer, Some(value.clone())),
        _ => set(&mut context, pointer, value.clone()),
    }
    let shown = context.as_object().map(|context| Value::Object(conceal(connection_type, context)));
    let shown = shown.as_ref().and_then(|shown| shown.pointer(pointer));
    shown.cloned().unwrap_or_else(|| Value::from(SENSITIVE))
}

fn concealed(value: &Value, part: &SecretPart) -> Value {
    let (Value::String(text), Some(range)) = (value, &part.range) else {
        return Value::from(SENSITIVE);
    };
    let pieces = (text.get(..range.start), text.get(range.clone()), text.get(range.end..));
    match pieces {
        (Some(before), Some(secret), Some(after)) => {
            Value::String(format!("{before}{}{after}", without_text(secret)))
        }
        _ => Value::from(SENSITIVE),
    }
}

/// The references of a text in their places, and `(sensitive)` for all between them.
fn without_text(secret: &str) -> String {
    let Ok(segments) = reference::parse(secret) else { return SENSITIVE.to_owned() };
    let shown = segments.iter().map(|segment| match segment {
        Segment::Text(_) => SENSITIVE.to_owned(),
        reference => reference.to_string(),
    });
    shown.collect()
}

// Secrets that a document writes out where a reference belongs.

/// A secret written out in a document, outside of the fields that are secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralSecret {
    /// JSON pointer to the value that holds it.
    pub pointer: String,
    /// Which secret it is, in words: "the header `Authorization`".
    pub what: String,
    /// The text to write instead, without the secret.
    pub advice: String,
}

/// The secrets that the declared fields of a document write out in places where secrets hide.
///
/// A part that consists of `${env:NAME}` and `${NAME}` is fine; text in it is not, nor is
/// `${var:NAME}`, whose value is plain. What is no well-formed reference is the business of
/// whoever checks references.
pub fn literal_secrets(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
) -> Vec<LiteralSecret> {
    let mut by_pointer: BTreeMap<String, Vec<SecretPart>> = BTreeMap::new();
    for part in secret_parts(connection_type, fields) {
        if part.certainty == Certainty::Plain {
            by_pointer.entry(part.pointer.clone()).or_default().push(part);
        }
    }
    let mut literals = Vec::new();
    for (pointer, parts) in by_pointer {
        let value = look_up(fields, &pointer);
        let text = value.and_then(Value::as_str);
        let written: Vec<&SecretPart> =
            parts.iter().filter(|part| is_written_out(fields, part)).collect();
        // Where a secret holds separators, the rewritten text may still show a part of it.
        let rewritten = text.and_then(|text| with_references(text, &written)).filter(|text| {
            let value = Value::from(text.as_str());
            conceal_at(connection_type, &pointer, &value, fields) == value
        });
        for part in &written {
            literals.push(LiteralSecret {
                pointer: pointer.clone(),
                what: part.what.clone(),
                advice: advice(rewritten.as_deref(), part),
            });
        }
    }
    literals
}

fn is_written_out(fields: &Map<String, Value>, part: &SecretPart) -> bool {
    let Some(secret) = part.text(fields) else { return true };
    reference::parse(secret).is_ok_and(|segments| {
        segments.iter().any(|segment| matches!(segment, Segment::Text(_) | Segment::Var(_)))
    })
}

fn advice(rewritten: Option<&str>, part: &SecretPart) -> String {
    let label = &part.label;
    match rewritten {
        Some(rewritten) => format!("write `{rewritten}`, and set `{label}` where this runs"),
        None => {
            format!("put `${{env:{label}}}` in its place, and set `{label}` where this runs")
        }
    }
}

/// The whole text with references for its secrets, where it is short enough to be read.
fn with_references(text: &str, written: &[&SecretPart]) -> Option<String> {
    const LONGEST: usize = 160;
    if text.len() > LONGEST || text.contains(char::is_control) {
        return None;
    }
    let mut rewritten = text.to_owned();
    for part in written.iter().rev() {
        let range = part.range.clone()?;
        rewritten.get(range.clone())?;
        rewritten.replace_range(range, &format!("${{env:{}}}", part.label));
    }
    Some(rewritten)
}

// Taking the hidden secrets out of a live connection, for `export`.

/// Puts `${env:NAME}` in the place of every hidden secret of a live connection, under the name
/// that `name_for` gives it, and escapes every other text that looks like a reference of ours. Gives the
/// fields as a document would declare them, and the variables with the secrets that they stand for.
///
/// Secret fields are left to the caller, who knows which of them are set, and so is what is
/// nothing but Apinizer's own `${NAME}`.
pub fn extract(
    connection_type: &'static ConnectionType,
    live: &Map<String, Value>,
    name_for: &mut dyn FnMut(&SecretPart) -> String,
) -> (Map<String, Value>, Vec<(String, Sensitive)>) {
    let mut parts: BTreeMap<String, Vec<SecretPart>> = BTreeMap::new();
    for part in secret_parts(connection_type, live) {
        if part.certainty != Certainty::Field {
            parts.entry(part.pointer.clone()).or_default().push(part);
        }
    }
    let mut variables = Vec::new();
    let mut refer = |part: &SecretPart, secret: &str| {
        let name = name_for(part);
        let reference = format!("${{env:{name}}}");
        variables.push((name, Sensitive::new(secret.to_owned())));
        reference
    };
    let mut escape = |text: &str| Value::from(reference::escape(text));
    let mut fields = with_texts(&Value::Object(live.clone()), &mut escape);
    for (pointer, parts) in parts {
        let Some(value) = look_up(live, &pointer) else { continue };
        let (Value::String(text), true) = (value, parts.iter().all(|part| part.range.is_some()))
        else {
            let reference = parts.first().map(|part| refer(part, &value.to_string()));
            put(&mut fields, &pointer, reference.map(Value::from));
            continue;
        };
        let (mut written, mut done) = (String::new(), 0);
        for part in &parts {
            let Some(Range { start, end }) = part.range else { continue };
            let (Some(before), Some(secret)) = (text.get(done..start), text.get(start..end)) else {
                continue;
            };
            written.push_str(&reference::escape(before));
            if secret.is_empty() || reference::is_apinizers(secret) {
                written.push_str(secret);
            } else {
                written.push_str(&refer(part, secret));
            }
            done = end;
        }
        written.push_str(&reference::escape(text.get(done..).unwrap_or_default()));
        put(&mut fields, &pointer, Some(Value::from(written)));
    }
    let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
    (fields, variables)
}
