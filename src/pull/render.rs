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

/// The text of a single value in the quotes that the older text has. The comment in the header of a
/// block scalar stays.
pub(super) fn in_its_style(value: &Value, older: &str, in_flow: bool) -> String {
    let comment = if is_block(older) { header(older).1 } else { "" };
    match value {
        Value::String(text) if older.starts_with('"') => yaml::quoted(text),
        Value::String(text) if older.starts_with('\'') && is_seen_as_it_is(text) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Value::String(text) if !in_flow => format!("{}{comment}", yaml::inline(text)),
        value => format!("{}{comment}", one_line(value)),
    }
}

/// The text of a block scalar in the place of another one, or of a text without quotes that got
/// several lines; `None` where the text cannot stand in one.
pub(super) fn block(text: &str, older: &str, column: usize) -> Option<String> {
    if !is_block(older) && (!text.contains('\n') || older.starts_with(['"', '\''])) {
        return None;
    }
    let with_end = if text.contains('\n') { text.to_owned() } else { format!("{text}\n") };
    let (chomping, lines) = yaml::block(&with_end)?;
    let lines: Vec<&str> = lines.collect();
    let chomps = chomping.ends_with('-') || !text.contains('\n');
    let style = if older.starts_with('>') && lines.len() == 1 { '>' } else { '|' };
    let (indicators, comment) = if is_block(older) { header(older) } else { ("", "") };
    let content = older.lines().skip(1).find(|line| !line.trim().is_empty());
    let indent = content.map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
    let has_indicator = indicators.contains(|c: char| c.is_ascii_digit());
    let indent = if has_indicator || indent <= column { column + 2 } else { indent };
    let mut block = format!("{style}{}{comment}", if chomps { "-" } else { "" });
    for line in lines {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&" ".repeat(indent));
            block.push_str(line);
        }
    }
    Some(block)
}

fn is_block(older: &str) -> bool {
    older.starts_with(['|', '>'])
}

/// The indicators of a block scalar, and the comment behind them with its blanks.
fn header(older: &str) -> (&str, &str) {
    let header = older.lines().next().unwrap_or_default().trim_end();
    header.split_at(header.find([' ', '\t']).unwrap_or(header.len()))
}

/// Whether nothing in a text needs an escape, but for quotes and backslashes.
fn is_seen_as_it_is(text: &str) -> bool {
    let escapes = text.chars().filter(|c| matches!(c, '"' | '\\')).count();
    yaml::quoted(text).len() == text.len() + escapes + 2
}
