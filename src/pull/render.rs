//! The text of a value, written in the way of the value whose place it takes.

use serde_json::Value;

use crate::export::yaml;

/// The text of a value on one line, for the inside of brackets too.
pub(super) fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = yaml::inline(text);
            if plain.contains(['[', ']', '{', '}', ',']) {
                yaml::quoted(text)
            } else {
                plain.into_owned()
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| pair(key, value)).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// A key and its value on one line.
pub(super) fn pair(key: &str, value: &Value) -> String {
    format!("{}: {}", one_line(&Value::from(key)), one_line(value))
}

/// The text of a single value on one line, in the quotes that the older text has.
pub(super) fn as_before(value: &Value, older: &str, in_flow: bool) -> String {
    match value {
        Value::String(text) if older.starts_with('"') => yaml::quoted(text),
        Value::String(text)
            if older.starts_with('\'') && yaml::quoted(text).len() == text.len() + 2 =>
        {
            format!("'{}'", text.replace('\'', "''"))
        }
        Value::String(text) if !in_flow => yaml::inline(text).into_owned(),
        value => one_line(value),
    }
}

/// The text of a block scalar in the place of an older one, whose header may hold a comment; `None`
/// where the text cannot stand in one.
pub(super) fn block(text: &str, older: &str, column: usize) -> Option<String> {
    let with_end = if text.contains('\n') { text.to_owned() } else { format!("{text}\n") };
    let (header, lines) = yaml::block(&with_end)?;
    let lines: Vec<&str> = lines.collect();
    let chomps = header.ends_with('-') || !text.contains('\n');
    let style = if older.starts_with('>') && lines.len() == 1 { '>' } else { '|' };
    let old_header = older.lines().next().unwrap_or_default();
    let comment = old_header.trim_start_matches(|c: char| !c.is_whitespace());
    let indent = older.lines().skip(1).find(|line| !line.trim().is_empty());
    let indent = indent.map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
    let has_indicator = old_header.trim_end_matches(comment).contains(|c: char| c.is_ascii_digit());
    let indent = if has_indicator || indent <= column { column + 2 } else { indent };
    let mut block = format!("{style}{}{}", if chomps { "-" } else { "" }, comment.trim_end());
    for line in lines {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&" ".repeat(indent));
            block.push_str(line);
        }
    }
    Some(block)
}
