//! Single values of a config: texts with references, secrets, vars.

use serde_json::{Number, Value as Json};

use crate::reference::{self, ReferenceError, Segment};

use super::SecretText;
use super::code;
use super::fields::Text;
use super::problems::Problem;
use super::reader::Reader;
use super::yaml::{Node, Place, Value};

/// Reads a text and resolves its references.
pub(super) fn text(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Text> {
    let written = scalar(reader, name, node)?;
    let segments = segments(reader, name, written, node.place)?;
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
                        reader.problems.add(node.place, Problem::error(&code::UNSET, message));
                    }
                }
            },
            Segment::Var(_) | Segment::Apinizer(_) => {
                foreign(reader, name, node.place);
                return None;
            }
        }
    }
    if value.is_empty() && resolved {
        let message = format!("`{name}` is empty");
        reader.problems.add(node.place, Problem::error(&code::BAD_VALUE, message));
        return None;
    }
    Some(Text { value, written: written.to_owned(), resolved })
}

/// Reads a user's name: text or references, kept as it is written.
pub(super) fn user(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<SecretText> {
    let written = scalar(reader, name, node)?;
    let segments = segments(reader, name, written, node.place)?;
    if segments.iter().any(|segment| matches!(segment, Segment::Var(_) | Segment::Apinizer(_))) {
        foreign(reader, name, node.place);
        return None;
    }
    Some(SecretText(written.to_owned()))
}

/// Reads a secret: references and nothing else, kept as it is written.
pub(super) fn secret(
    reader: &mut Reader<'_>,
    name: &str,
    example: &str,
    node: &Node,
) -> Option<SecretText> {
    reader.hide_unless_reference(node);
    let written = scalar(reader, name, node)?;
    let text = SecretText(written.to_owned());
    if text.is_reference() {
        return Some(text);
    }
    let message = format!("`{name}` is a secret and holds something else than `${{env:NAME}}`");
    let problem = Problem::error(&code::LITERAL_SECRET, message)
        .help(format!("put the value into the environment and write `{name}: ${{env:{example}}}`"));
    reader.problems.add(node.place, problem);
    None
}

/// Reads a var: a text, a number or a boolean, shown like any other value.
pub(super) fn var(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Json> {
    let written = scalar(reader, name, node)?;
    if let Value::Scalar { plain: true, .. } = node.value {
        match written {
            "true" => return Some(Json::Bool(true)),
            "false" => return Some(Json::Bool(false)),
            _ => {}
        }
        if let Some(number) = number(written) {
            let shown = number.to_string();
            if shown != written {
                let message = format!(
                    "the var `{name}` is the number {shown}, so a text with `${{var:{name}}}` in it \
                     gets `{shown}` and not `{written}`"
                );
                let problem = Problem::warning(&code::NUMBER_AS_WRITTEN, message)
                    .help(format!("write `'{written}'` if it is to stay as it is written"));
                reader.problems.add(node.place, problem);
            }
            return Some(Json::Number(number));
        }
    }
    let mut value = String::new();
    for segment in segments(reader, name, written, node.place)? {
        match segment {
            Segment::Text(text) => value.push_str(&text),
            Segment::Apinizer(variable) => value.push_str(&format!("${{{variable}}}")),
            Segment::Env(_) | Segment::Var(_) => {
                let message = format!("the var `{name}` holds a reference, and vars are plain");
                let problem = Problem::error(&code::BAD_REFERENCE, message)
                    .help("vars are shown; write `${env:NAME}` in the document itself");
                reader.problems.add(node.place, problem);
                return None;
            }
        }
    }
    Some(Json::String(value))
}

fn scalar<'n>(reader: &mut Reader<'_>, name: &str, node: &'n Node) -> Option<&'n str> {
    if let Value::Scalar { text, .. } = &node.value {
        if !node.is_null() {
            return Some(text);
        }
        let message = format!("`{name}` has no value");
        reader.problems.add(node.place, Problem::error(&code::WRONG_KIND, message));
        return None;
    }
    reader.wrong_kind(&format!("`{name}`"), "a single value", node);
    None
}

fn segments<'n>(
    reader: &mut Reader<'_>,
    name: &str,
    written: &'n str,
    place: Place,
) -> Option<Vec<Segment<'n>>> {
    match reference::parse(written) {
        Ok(segments) => Some(segments),
        Err(error) => {
            // The word before the colon may be part of a value that only looks like a reference.
            let message = match error {
                ReferenceError::UnknownScheme { .. } => {
                    format!("`{name}` holds a reference of an unknown scheme")
                }
                malformed => format!("`{name}`: {malformed}"),
            };
            let problem = Problem::error(&code::BAD_REFERENCE, message)
                .help("write `${env:NAME}`; `$${` stands for a literal `${`");
            reader.problems.add(place, problem);
            None
        }
    }
}

fn foreign(reader: &mut Reader<'_>, name: &str, place: Place) {
    let message = format!("`{name}` holds a reference that has no meaning in a config");
    let problem = Problem::error(&code::BAD_REFERENCE, message)
        .help("write `${env:NAME}`; `$${` stands for a literal `${`");
    reader.problems.add(place, problem);
}

/// A number as YAML 1.2 writes it, if no digit is lost by reading it.
fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if unsigned.len() > 1 && unsigned.starts_with('0') && !unsigned.starts_with("0.") {
        return None;
    }
    if digits(unsigned) {
        return text
            .parse::<i64>()
            .map(Number::from)
            .ok()
            .or(text.parse::<u64>().map(Number::from).ok());
    }
    let (whole, fraction) = unsigned.split_once('.')?;
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() > 15 {
        return None;
    }
    Number::from_f64(text.parse().ok()?)
}
