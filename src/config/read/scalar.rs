//! Single values of a config: texts with references, secrets, vars.

use std::borrow::Cow;

use serde_json::Value;

use crate::reference::{self, ReferenceError, Segment};

use super::{Node, Reader};
use crate::config::SecretText;
use crate::config::code;
use crate::config::fields::Text;
use crate::config::problems::{error, warning};

/// Reads a text and resolves its references.
pub(super) fn text(reader: &mut Reader<'_>, name: &str, node: &Node<'_>) -> Option<Text> {
    let written = scalar(reader, name, node)?;
    let segments = segments(reader, name, &written, &node.pointer)?;
    let mut value = String::new();
    let mut resolved = true;
    for segment in segments {
        match segment {
            Segment::Text(text) => value.push_str(&text),
            Segment::Env(variable) => match reader.environment.lookup(variable) {
                Ok(found) => {
                    value.push_str(found.expose());
                    reader.resolved.push(found);
                }
                Err(unset) => {
                    resolved = false;
                    if reader.strict {
                        let message = format!("`{name}` cannot be resolved: {unset}");
                        reader.problems.add(&node.pointer, error(&code::UNSET, message));
                    }
                }
            },
            Segment::Var(_) | Segment::Apinizer(_) => {
                foreign(reader, name, &node.pointer);
                return None;
            }
        }
    }
    if value.is_empty() && resolved {
        let message = format!("`{name}` is empty");
        reader.problems.add(&node.pointer, error(&code::BAD_VALUE, message));
        return None;
    }
    Some(Text { value, written: written.into_owned(), resolved })
}

/// Reads a text as it is written.
pub(super) fn plain(reader: &mut Reader<'_>, name: &str, node: &Node<'_>) -> Option<Text> {
    let written = scalar(reader, name, node)?.trim().to_owned();
    if written.is_empty() {
        let message = format!("`{name}` is empty");
        reader.problems.add(&node.pointer, error(&code::BAD_VALUE, message));
        return None;
    }
    Some(Text { value: written.clone(), written, resolved: true })
}

/// Reads a user's name: text or references, kept as it is written.
pub(super) fn user(reader: &mut Reader<'_>, name: &str, node: &Node<'_>) -> Option<SecretText> {
    let written = scalar(reader, name, node)?;
    let segments = segments(reader, name, &written, &node.pointer)?;
    if segments.iter().any(|segment| matches!(segment, Segment::Var(_) | Segment::Apinizer(_))) {
        foreign(reader, name, &node.pointer);
        return None;
    }
    Some(SecretText(written.into_owned()))
}

/// Reads a secret: references and nothing else, kept as it is written.
pub(super) fn secret(
    reader: &mut Reader<'_>,
    name: &str,
    example: &str,
    node: &Node<'_>,
) -> Option<SecretText> {
    reader.hide_unless_reference(node);
    let written = scalar(reader, name, node)?;
    let text = SecretText(written.into_owned());
    if text.is_reference() {
        return Some(text);
    }
    let message = format!("`{name}` is a secret and holds something else than `${{env:NAME}}`");
    let problem = error(&code::LITERAL_SECRET, message)
        .help(format!("put the value into the environment and write `{name}: ${{env:{example}}}`"));
    reader.problems.add(&node.pointer, problem);
    None
}

/// Reads a var: a text, a number or a boolean, shown like any other value.
pub(super) fn var(reader: &mut Reader<'_>, name: &str, node: &Node<'_>) -> Option<Value> {
    let written = scalar(reader, name, node)?;
    match node.value {
        Value::Number(number) if number.to_string() != written => {
            let message = format!(
                "the var `{name}` is the number {number}, so a text with `${{var:{name}}}` in it \
                 gets `{number}` and not `{written}`"
            );
            let problem = warning(&code::NUMBER_AS_WRITTEN, message)
                .help(format!("write `'{written}'` if it is to stay as it is written"));
            reader.problems.add(&node.pointer, problem);
            return Some(node.value.clone());
        }
        Value::Number(_) | Value::Bool(_) => return Some(node.value.clone()),
        _ => {}
    }
    let mut value = String::new();
    for segment in segments(reader, name, &written, &node.pointer)? {
        match segment {
            Segment::Text(text) => value.push_str(&text),
            Segment::Apinizer(variable) => value.push_str(&format!("${{{variable}}}")),
            Segment::Env(_) | Segment::Var(_) => {
                let message = format!("the var `{name}` holds a reference, and vars are plain");
                let problem = error(&code::BAD_REFERENCE, message)
                    .help("vars are shown; write `${env:NAME}` in the document itself");
                reader.problems.add(&node.pointer, problem);
                return None;
            }
        }
    }
    Some(Value::String(value))
}

fn scalar<'v>(reader: &mut Reader<'_>, name: &str, node: &Node<'v>) -> Option<Cow<'v, str>> {
    let written = reader.written(node);
    if node.value.is_null() {
        let message = format!("`{name}` has no value");
        reader.problems.add(&node.pointer, error(&code::WRONG_KIND, message));
    } else if written.is_none() {
        reader.wrong_kind(&format!("`{name}`"), "a single value", node);
    }
    written
}

fn segments<'n>(
    reader: &mut Reader<'_>,
    name: &str,
    written: &'n str,
    pointer: &str,
) -> Option<Vec<Segment<'n>>> {
    match reference::parse(written) {
        Ok(segments) => Some(segments),
        Err(malformed) => {
            // The word before the colon may be part of a value that only looks like a reference.
            let message = match malformed {
                ReferenceError::UnknownScheme { .. } => {
                    format!("`{name}` holds a reference of an unknown scheme")
                }
                other => format!("`{name}`: {other}"),
            };
            let problem = error(&code::BAD_REFERENCE, message)
                .help("write `${env:NAME}`; `$${` stands for a literal `${`");
            reader.problems.add(pointer, problem);
            None
        }
    }
}

fn foreign(reader: &mut Reader<'_>, name: &str, pointer: &str) {
    let message = format!("`{name}` holds a reference that has no meaning in a config");
    let problem = error(&code::BAD_REFERENCE, message)
        .help("write `${env:NAME}`; `$${` stands for a literal `${`");
    reader.problems.add(pointer, problem);
}
