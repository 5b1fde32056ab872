//! Whether a value without references fits the kind of its field.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::catalog::{Choices, ConnectionType, Default, Kind, Verdict, nearest_of};
use crate::diagnostic::code::{self, Code};
use crate::diagnostic::{Finding, Severity, quoted};
use crate::pointer::for_people;
use crate::yaml::kind_of;

/// How to write a file.
pub(super) const AS_BASE64: &str = "write for example `aGVsbG8=`";

/// It is of another kind.
pub(super) fn wrong(pointer: &str, problem: impl Display, help: impl Into<String>) -> Finding {
    bad(pointer, &code::WRONG_KIND, problem, help)
}

fn bad(
    pointer: &str,
    code: &'static Code,
    problem: impl Display,
    help: impl Into<String>,
) -> Finding {
    let message = format!("{} {problem}", quoted(&for_people(pointer)));
    Finding::error(code, pointer, message).help(help)
}

/// Judges a value; `None`: it fits. Lists and maps are judged as a whole: their items are for the
/// caller to judge.
pub(super) fn fit(
    pointer: &str,
    kind: &Kind,
    default: Option<Default>,
    value: &Value,
) -> Option<Finding> {
    let (takes, help) = match (kind, value) {
        (Kind::Any, _)
        | (_, Value::Null)
        | (Kind::Text, Value::String(_))
        | (Kind::Bytes, Value::String(_) | Value::Array(_))
        | (Kind::List(_) | Kind::Set(_), Value::Array(_))
        | (Kind::Object(_) | Kind::Map(_), Value::Object(_)) => return None,
        (Kind::Choice(choices), _) => return choice(pointer, choices, value),
        (Kind::Integer { min, max }, _) => return integer(pointer, *min, *max, default, value),
        (Kind::Boolean, _) => return boolean(pointer, value),
        (Kind::Text, Value::Number(_) | Value::Bool(_)) => {
            let problem = format!("holds text, and this is {}", a(value));
            let help = "put it into quotes; it is sent as it is written";
            return Some(
                bad(pointer, &code::NOT_A_TEXT, problem, help).severity(Severity::Warning),
            );
        }
        (Kind::Text, _) => ("a text", "write one text, in quotes if need be"),
        (Kind::Bytes, _) => ("a file as base64 text", AS_BASE64),
        (Kind::List(_) | Kind::Set(_), _) => {
            ("a list", "write every entry on a line of its own that begins with `- `")
        }
        (Kind::Object(_) | Kind::Map(_), _) => {
            ("a mapping", "write `key: value` pairs below it, indented")
        }
    };
    Some(wrong(pointer, format!("takes {takes}, not {}", a(value)), help))
}

fn boolean(pointer: &str, value: &Value) -> Option<Finding> {
    let help = match value {
        Value::Bool(_) => return None,
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => "write `true`, without quotes",
            "false" | "no" | "off" | "n" => "write `false`, without quotes",
            _ => "write `true` or `false`",
        },
        _ => "write `true` or `false`",
    };
    Some(wrong(pointer, format!("takes `true` or `false`, not {}", a(value)), help))
}

fn integer(
    pointer: &str,
    min: i64,
    max: i64,
    default: Option<Default>,
    value: &Value,
) -> Option<Finding> {
    let number = match value {
        Value::Number(number) => {
            number.as_i64().map(i128::from).or(number.as_u64().map(i128::from))
        }
        Value::String(text) => whole_number(text),
        _ => None,
    };
    let example = match default {
        Some(Default::Integer(default)) => default.max(min).to_string(),
        _ => min.max(1).to_string(),
    };
    match number {
        None => Some(wrong(
            pointer,
            format!("takes a whole number, not {}", a(value)),
            format!("write a number without a fraction, such as `{example}`"),
        )),
        Some(number) if number < i128::from(min) || number > i128::from(max) => Some(bad(
            pointer,
            &code::OUT_OF_RANGE,
            format!("is {number}, and it takes {min} to {max}"),
            format!("write a number between {min} and {max}, such as `{example}`"),
        )),
        Some(number) => match value {
            Value::String(text) if *text != number.to_string() => {
                let problem = format!("is written with a leading zero and is sent as {number}");
                let finding = wrong(pointer, problem, format!("write `{number}`"));
                Some(finding.severity(Severity::Warning))
            }
            _ => None,
        },
    }
}

/// The number that a text of decimal digits stands for.
fn whole_number(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal { text.parse().ok() } else { None }
}

/// Makes numbers of the texts in the fields of a type that hold numbers: `'587'` is sent as 587.
/// `None`: there are none.
pub(crate) fn texts_to_numbers(
    connection_type: &ConnectionType,
    fields: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let mut numbered = fields.clone();
    for (key, value) in &mut numbered {
        if let Some(field) = connection_type.field(key) {
            text_to_number(&field.kind, value);
        }
    }
    (numbered != *fields).then_some(numbered)
}

fn text_to_number(kind: &Kind, value: &mut Value) {
    match (kind, value) {
        (Kind::Integer { .. }, value) => {
            let number = value.as_str().and_then(whole_number);
            if let Some(number) = number.and_then(|number| i64::try_from(number).ok()) {
                *value = Value::from(number);
            }
        }
        (Kind::List(inner) | Kind::Set(inner), Value::Array(items)) => {
            items.iter_mut().for_each(|item| text_to_number(inner, item));
        }
        (kind, Value::Object(entries)) => {
            for (key, entry) in entries {
                if let Some(kind) = kind.of_key(key) {
                    text_to_number(kind, entry);
                }
            }
        }
        _ => {}
    }
}

fn choice(pointer: &str, choices: &Choices, value: &Value) -> Option<Finding> {
    let words = || {
        let words: Vec<_> = choices.words().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let Value::String(text) = value else {
        return Some(wrong(
            pointer,
            format!("takes one of a few words, not {}", a(value)),
            format!("use one of {}", words()),
        ));
    };
    if text.is_empty() {
        return None;
    }
    match choices.verdict(text) {
        Verdict::Allowed => None,
        Verdict::OnlyOneDocument => {
            let problem =
                format!("is {}, which only one of the vendor's documents allows", quoted(text));
            let help = format!("all documented words are {}", words());
            let finding = bad(pointer, &code::DISPUTED_VALUE, problem, help);
            Some(finding.severity(Severity::Warning))
        }
        Verdict::Unknown { documents_agree } => {
            let help = match nearest_of(choices.words(), text, |word| word) {
                Some(nearest) => format!("did you mean `{nearest}`? It takes {}", words()),
                None => format!("use one of {}", words()),
            };
            if documents_agree {
                let problem = format!("cannot be {}", quoted(text));
                return Some(bad(pointer, &code::NOT_ALLOWED, problem, help));
            }
            let problem = format!("is {}, which neither document knows", quoted(text));
            let finding = bad(pointer, &code::DISPUTED_VALUE, problem, help);
            Some(finding.severity(Severity::Warning))
        }
    }
}

/// The kind of a value, with its article.
fn a(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        other => kind_of(other),
    }
}
