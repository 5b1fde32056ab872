//! A changed field as the leaves that differ: the element of a list, the key of a map, the lines
//! of a text. Text and markdown draw the same leaves.

mod elements;
mod lines;

use serde_json::Value;

use crate::plan::FieldChange;

use super::escape;

pub(crate) use lines::{Line, LineSign};

/// The longest value that is shown beside its label rather than in lines of its own.
const LONGEST_BESIDE: usize = 60;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// Which: `port`, `additionalProperties[mail.smtp.timeout]/value`.
    pub(crate) label: String,
    /// How.
    pub(crate) kind: Kind,
}

/// How a thing differs. All texts are harmless already.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// It is there now.
    Added(String),
    /// It is gone.
    Removed(String),
    /// It is another.
    Replaced(String, String),
    /// It is another, and only the reference may be shown.
    Hidden(String),
    /// The value of git when live last agreed with it.
    Base(String),
    /// A long text differs in some lines.
    Lines(Vec<Line>),
}

/// The leaves in which a field differs.
pub(crate) fn leaves(change: &FieldChange) -> Vec<Leaf> {
    let label = label_of(&change.path);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let mut leaves = Vec::new();
    match &change.base {
        Some(base) if is_large(base) => parts_of_base(&label, base, [before, after], &mut leaves),
        Some(base) => {
            let kind = Kind::Base(shown(base, change.sensitive));
            leaves.push(Leaf { label: label.clone(), kind });
        }
        None => {}
    }
    let has_parts = |value: Option<&Value>| value.is_some_and(|v| v.is_array() || v.is_object());
    if !change.sensitive || (has_parts(before) && has_parts(after) && before != after) {
        compare(label, before, after, &mut leaves);
        return leaves;
    }
    let shown = |value| shown(value, true);
    let kind = match (before, after) {
        (Some(before), Some(after)) if before == after => Kind::Hidden(shown(after)),
        (Some(before), Some(after)) => Kind::Replaced(shown(before), shown(after)),
        (None, Some(after)) => Kind::Added(shown(after)),
        (Some(before), None) => Kind::Removed(shown(before)),
        // Git declares a secret as empty.
        (None, None) => Kind::Added("null".to_owned()),
    };
    leaves.push(Leaf { label, kind });
    leaves
}

/// A value in one line; a reference, or a word in place of a secret, without quotes.
fn shown(value: &Value, is_reference: bool) -> String {
    match value {
        Value::String(text) if is_reference => escape::plain(text),
        other => compact(other),
    }
}

/// Tells a base part by part, those that both sides still have left out.
fn parts_of_base(label: &str, base: &Value, sides: [Option<&Value>; 2], leaves: &mut Vec<Leaf>) {
    let is_kept = |has: &dyn Fn(&Value) -> bool| sides.iter().all(|side| side.is_some_and(has));
    let mut moved = |label: String, part: &Value| whole(label, part, Kind::Base, leaves);
    match base {
        Value::Array(items) => {
            for (known_by, item) in elements::labelled(items) {
                let has = |side: &Value| side.as_array().is_some_and(|list| list.contains(item));
                if !is_kept(&has) {
                    moved(format!("{label}[{}]", escape::plain(&known_by)), item);
                }
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                if !is_kept(&|side: &Value| side.get(key) == Some(value)) {
                    moved(format!("{label}/{}", escape::plain(key)), value);
                }
            }
        }
        _ => moved(label.to_owned(), base),
    }
}

/// Finds where two values differ.
fn compare(label: String, before: Option<&Value>, after: Option<&Value>, leaves: &mut Vec<Leaf>) {
    match (before, after) {
        (None, None) => {}
        (Some(Value::String(before)), Some(Value::String(after)))
            if let Some((old, new)) = look_alikes(before, after) =>
        {
            leaves.push(Leaf { label, kind: Kind::Replaced(old, new) });
        }
        (Some(Value::String(before)), Some(Value::String(after)))
            if lines::is_long(before) || lines::is_long(after) =>
        {
            leaves.push(Leaf { label, kind: Kind::Lines(lines::between(before, after)) });
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            elements::compare(&label, before, after, leaves);
        }
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let removed = before.keys().filter(|key| !after.contains_key(*key));
            for key in after.keys().chain(removed) {
                let (before, after) = (before.get(key), after.get(key));
                if before != after {
                    compare(format!("{label}/{}", escape::plain(key)), before, after, leaves);
                }
            }
        }
        (Some(before), Some(after)) => {
            let kind = Kind::Replaced(compact(before), compact(after));
            leaves.push(Leaf { label, kind });
        }
        (None, Some(value)) => whole(label, value, Kind::Added, leaves),
        (Some(value), None) => whole(label, value, Kind::Removed, leaves),
    }
}

/// Two texts that differ and look the same, with what differs escaped: line ends at their ends, or
/// another way to write an accent.
fn look_alikes(before: &str, after: &str) -> Option<(String, String)> {
    const LONGEST: usize = 40;
    let [old, new] = [before, after].map(|text| text.chars().collect::<Vec<_>>());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let [old, new] = [old, new].map(|text| text.get(same..).unwrap_or_default().to_vec());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let mut differ = old.iter().rev().skip(end).chain(new.iter().rev().skip(end)).peekable();
    let is_line_end = |c: &char| matches!(c, '\n' | '\r');
    let is_at_end = old.iter().chain(&new).all(is_line_end);
    let is_short = old.len().max(new.len()) - end <= LONGEST;
    if differ.peek().is_none()
        || !(is_at_end || (is_short && differ.any(|c| is_part_of_another(*c))))
    {
        return None;
    }
    let begin = same.saturating_sub(LONGEST / 2);
    let shown = |text: &str| {
        let mark = |is_cut: bool| if is_cut { "…" } else { "" };
        let escaped: String = text
            .chars()
            .skip(begin)
            .take(2 * LONGEST)
            .map(|c| c.escape_default().to_string())
            .collect();
        let is_cut = text.chars().count() > begin + 2 * LONGEST;
        format!("\"{}{escaped}{}\"", mark(begin > 0), mark(is_cut))
    };
    Some((shown(before), shown(after)))
}

/// Whether a character is drawn as part of another one, or as another one: combining marks, parts
/// of Hangul, the signs for kelvin, angstrom and ohm.
fn is_part_of_another(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}' | '\u{3099}' | '\u{309a}'
        | '\u{1100}'..='\u{11ff}' | '\u{2126}' | '\u{212a}' | '\u{212b}')
}

/// Tells a value that only one side has: in one piece where it is short, else part by part.
fn whole(label: String, value: &Value, kind: fn(String) -> Kind, leaves: &mut Vec<Leaf>) {
    match value {
        Value::String(text) if text.contains('\n') => {
            let kind = match kind(text.clone()) {
                Kind::Added(text) => Kind::Lines(lines::between("", &text)),
                Kind::Removed(text) => Kind::Lines(lines::between(&text, "")),
                _ => kind(compact(value)),
            };
            leaves.push(Leaf { label, kind });
        }
        Value::Array(items) if is_large(value) => {
            for (index, item) in items.iter().enumerate() {
                whole(format!("{label}[{index}]"), item, kind, leaves);
            }
        }
        Value::Object(entries) if is_large(value) => {
            for (key, value) in entries {
                whole(format!("{label}/{}", escape::plain(key)), value, kind, leaves);
            }
        }
        _ => leaves.push(Leaf { label, kind: kind(compact(value)) }),
    }
}

fn is_large(value: &Value) -> bool {
    compact(value).chars().count() > LONGEST_BESIDE
}

/// A value as JSON in one line.
fn compact(value: &Value) -> String {
    escape::plain(&value.to_string())
}

/// A JSON pointer as people read it: `/a/b` is `a/b`.
fn label_of(pointer: &str) -> String {
    let path = pointer.strip_prefix('/').unwrap_or(pointer);
    escape::plain(&crate::pointer::unescaped(path))
}

#[cfg(test)]
mod tests;
