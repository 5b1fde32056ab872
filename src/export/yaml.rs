//! A writer of YAML that people would have written: block style, no flow mappings, quotes only
//! where a reader could take a text for something else.
//!
//! `serde_yaml` writes the same values, but not the same text in every version, quotes `${env:A}`
//! and cannot write a comment between two fields.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use crate::diagnostic::steers_text;

const STEP: usize = 2;

/// Writes one field of a document.
pub(super) fn entry(text: &mut String, key: &str, value: &Value) {
    pair(text, 0, key, value);
    text.push('\n');
}

/// The text of a field in a column, without the end of its last line.
pub(crate) fn pair_at(column: usize, key: &str, value: &Value) -> String {
    let mut text = String::new();
    pair(&mut text, column, key, value);
    text
}

/// The text of an item whose dash is in a column, without the end of its last line.
pub(crate) fn item_at(column: usize, value: &Value) -> String {
    let mut text = String::new();
    item(&mut text, column, value);
    text
}

/// The text behind the colon of a key in a column.
pub(crate) fn behind_key(column: usize, value: &Value) -> String {
    pair_at(column, "k", value).split_off("k:".len())
}

/// The text behind a dash in a column.
pub(crate) fn behind_dash(column: usize, value: &Value) -> String {
    item_at(column, value).split_off("-".len())
}

/// Writes a comment in the place of a field.
pub(super) fn comment(text: &mut String, key: &str, words: &str) {
    // A line break in a key of the server's may not end the comment.
    text.push_str(&format!("# {}: {words}\n", inline(key)));
}

/// Writes a field as a comment, for a person to take it or leave it.
pub(super) fn offer(text: &mut String, key: &str, value: &Value) {
    let mut field = String::new();
    entry(&mut field, key, value);
    let mut why = " # or null; the API does not show whether one is set";
    for line in field.lines() {
        text.push_str(&format!("# {line}{}\n", std::mem::take(&mut why)));
    }
}

/// A pair whose last line is left open, so that what contains it can go on.
fn pair(text: &mut String, indent: usize, key: &str, value: &Value) {
    text.push_str(&inline(key));
    text.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                line(text, indent + STEP);
                pair(text, indent + STEP, key, value);
            }
        }
        other => rest(text, indent, other),
    }
}

/// The text behind a key's colon or an item's dash.
fn rest(text: &mut String, indent: usize, value: &Value) {
    match value {
        Value::Array(values) if !values.is_empty() => items(text, indent + STEP, values),
        other => {
            text.push(' ');
            single(text, indent, other);
        }
    }
}

/// The items of a list, each on a line of its own.
fn items(text: &mut String, indent: usize, values: &[Value]) {
    for value in values {
        line(text, indent);
        item(text, indent, value);
    }
}

fn item(text: &mut String, indent: usize, value: &Value) {
    text.push('-');
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index == 0 {
                    text.push(' ');
                } else {
                    line(text, indent + STEP);
                }
                pair(text, indent + STEP, key, value);
            }
        }
        other => rest(text, indent, other),
    }
}

/// A value that begins on the line it is on.
fn single(text: &mut String, indent: usize, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::Array(_) => text.push_str("[]"),
        Value::Object(_) => text.push_str("{}"),
        Value::String(value) => match block(value) {
            Some((header, lines)) => {
                text.push_str(header);
                for part in lines {
                    if part.is_empty() {
                        text.push('\n');
                    } else {
                        line(text, indent + STEP);
                        text.push_str(part);
                    }
                }
            }
            None => text.push_str(&inline(value)),
        },
    }
}

fn line(text: &mut String, indent: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
}

// Texts as scalars: plain where nobody can misread them, else quoted.

/// The lines of a text that can stand as a literal block, and the header of that block.
pub(crate) fn block(text: &str) -> Option<(&'static str, std::str::Split<'_, char>)> {
    let (header, body) = match text.strip_suffix('\n') {
        Some(body) => ("|", body),
        None => ("|-", text),
    };
    let is_many = text.contains('\n');
    // Leading blanks would need an indentation indicator, trailing blanks and line ends are not
    // seen, and a line of blanks only is read differently by different readers.
    let clean = |line: &str| !line.starts_with([' ', '\t']) || !line.trim().is_empty();
    let good = is_many
        && !body.is_empty()
        && !body.starts_with([' ', '\t', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(|line| clean(line) && !line.ends_with([' ', '\t']))
        && body.chars().all(|c| c == '\n' || is_shown(c));
    good.then(|| (header, body.split('\n')))
}

/// A text on one line.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

/// Whether a text without quotes is that text for every reader of YAML 1.1 and 1.2.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts_well = first.is_alphanumeric() || matches!(first, '/' | '$' | '_' | '(' | '\\');
    starts_well
        && text.chars().all(is_shown)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_word_of_yaml(text)
        && !may_be_number(text)
}

fn is_word_of_yaml(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Numbers, times and dates of either version, and more: quotes do no harm.
fn may_be_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_numeric()) && text.chars().all(|c| {
        c.is_numeric()
            || matches!(c, 'a'..='f' | 'A'..='F' | 'x' | 'X' | 'o' | 'O' | 'T' | 'Z' | 't' | 'z')
            || matches!(c, '_' | '.' | ':' | '+' | '-' | ',' | ' ')
    })
}

/// Whether a character is seen as itself: it steers no text, and is neither a blank that looks like
/// another one nor the sign of a character that is not known.
fn is_shown(c: char) -> bool {
    !steers_text(c) && !matches!(c, '\u{a0}' | '\u{fffc}'..='\u{ffff}')
}

/// A text in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_shown(c) => quoted.push(c),
            // Writing to a string cannot fail.
            c if u32::from(c) > 0xffff => {
                write!(quoted, "\\U{:08x}", u32::from(c)).unwrap_or_default();
            }
            c => write!(quoted, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    fn write(value: &Value) -> String {
        let mut text = String::new();
        for (key, value) in value.as_object().unwrap() {
            entry(&mut text, key, value);
        }
        text
    }

    #[test]
    fn it_reads_as_if_written_by_hand() {
        let value = json!({
            "host": "${var:smtp}", "port": 587, "auth": true, "password": "${env:A}",
            "description": "two\nlines\n", "none": {}, "headerList": [
                {"name": "Authorization", "value": "Bearer ${env:T}"}, {"name": "A", "value": ""},
            ],
            "map": {"a": {"value": "1", "valueType": "STRING"}, "b": ["x", ["y"], []]},
            "pattern": "%d{yyyy}", "last": "no",
        });
        let wanted = "host: ${var:smtp}\nport: 587\nauth: true\npassword: ${env:A}\n\
            description: |\n  two\n  lines\nnone: {}\nheaderList:\n  - name: Authorization\n    \
            value: Bearer ${env:T}\n  - name: A\n    value: \"\"\nmap:\n  a:\n    value: \"1\"\n    \
            valueType: STRING\n  b:\n    - x\n    -\n      - \"y\"\n    - []\npattern: \
            \"%d{yyyy}\"\nlast: \"no\"\n";
        assert_eq!(write(&value), wanted);
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ \\t\\n\\r:#'\"a-c0-9.,$&*!|>%@`~=<?{}\\[\\]-]{0,12}",
            "(true|no|on|Null|~|-|---|0x1f|1_0|12:30|1e5|\\.inf|2020-01-01|<<|=)",
            "([ a-b]{0,3}\n){0,4}[ a]{0,2}",
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_written_value_is_read_back(pairs in prop::collection::vec((text(), value()), 1..5)) {
            let value = Value::Object(pairs.into_iter().collect());
            let text = write(&value);
            let read: Value = serde_yaml::from_str(&text)
                .map_err(|error| TestCaseError::fail(format!("{error} in {text:?}")))?;
            prop_assert_eq!(read, value, "{}", text);
        }
    }

    #[test]
    fn a_scalar_that_could_be_misread_is_quoted() {
        for plain in [
            "smtp.example.com",
            "${env:A}",
            "/var/log",
            "a b",
            "jdbc:x://h",
            "Ödeme",
            "v1.2",
            "it's",
        ] {
            assert_eq!(inline(plain), plain);
        }
        for text in [
            "",
            " a",
            "a ",
            "no",
            "Yes",
            "null",
            "~",
            "587",
            "017",
            "0x1F",
            "1e5",
            "12:30",
            ".5",
            "2026-01-01",
            "-1",
            "a: b",
            "a #b",
            "a:",
            "#a",
            "*a",
            "&a",
            "!a",
            "[a",
            "{a",
            "%a",
            "@a",
            "`a",
            "=",
            "<<",
            "? a",
            "- a",
            "a\tb",
            "a\u{202e}b",
            "10.0.0.1",
        ] {
            assert!(inline(text).starts_with('"'), "{text}");
        }
        assert_eq!(inline("a\"\\\n\u{0}\u{202e}"), r#""a\"\\\n\u0000\u202e""#);
    }
}
