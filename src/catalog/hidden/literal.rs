//! Secrets that a document writes out where a reference belongs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::scan::hidden_parts;
use super::{SecretPart, Standing, mask_at};
use crate::catalog::ConnectionType;
use crate::pointer::look_up;
use crate::reference::{self, Segment};

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
    for part in hidden_parts(connection_type, fields) {
        if part.standing == Standing::Plain {
            by_pointer.entry(part.pointer.clone()).or_default().push(part);
        }
    }
    let mut literals = Vec::new();
    for (pointer, parts) in by_pointer {
        let value = look_up(fields, &pointer);
        let text = value.and_then(Value::as_str);
        let written: Vec<&SecretPart> =
            parts.iter().filter(|part| is_written_out(text, part)).collect();
        // Where a secret holds separators, the rewritten text may still show a part of it.
        let rewritten = text.and_then(|text| with_references(text, &written)).filter(|text| {
            let value = Value::from(text.as_str());
            mask_at(connection_type, &pointer, &value, fields) == value
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

fn is_written_out(text: Option<&str>, part: &SecretPart) -> bool {
    let (Some(text), Some(range)) = (text, &part.range) else { return true };
    let secret = text.get(range.clone()).unwrap_or(text);
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
