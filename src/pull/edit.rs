//! Changing one value in the text of a file and nothing else.
//!
//! An edit replaces the bytes of the values that moved, adds or removes a line, and reads the file
//! again: where anything else says something else then, there is no edit.

use std::ops::Range;

use serde_json::Value;

use super::extent::{Extents, Found, Slot};
use super::render;
use crate::diagnostic::FileText;
use crate::document::ParsedFile;
use crate::export::yaml;
use crate::pointer::{self, child, item, look_up};

/// One change of a text.
enum Edit<'v> {
    Replace(String, &'v Value),
    Insert(String, &'v Value),
    Remove(String),
}

/// The text of a file with another value at a pointer into one of its documents, or without the one
/// that is there; `None` where that cannot be done without changing anything else.
pub(super) fn set(
    text: &str,
    document: usize,
    pointer: &str,
    value: Option<&Value>,
) -> Option<String> {
    let body = text.strip_prefix('\u{feff}');
    let mark = if body.is_some() { "\u{feff}" } else { "" };
    let body = body.unwrap_or(text);
    let before = ParsedFile::parse(body.as_bytes().to_vec());
    let fields = &before.documents.get(document)?.fields;
    let older = look_up(fields, pointer);
    let mut wanted = Value::Object(fields.clone());
    pointer::put(&mut wanted, pointer, value.cloned());
    let whole = value.map(|value| vec![Edit::Replace(pointer.to_owned(), value)]);
    let mut smallest = Vec::new();
    match (older, value) {
        (Some(older), Some(value)) => differences(pointer.to_owned(), older, value, &mut smallest),
        (None, Some(value)) => smallest.push(Edit::Insert(pointer.to_owned(), value)),
        (_, None) => smallest.push(Edit::Remove(pointer.to_owned())),
    }
    let edited = [Some(smallest), whole].into_iter().flatten().find_map(|edits| {
        let mut edited = body.to_owned();
        for edit in &edits {
            edited = carry_out(&edited, document, edit)?;
        }
        let after = ParsedFile::parse(edited.as_bytes().to_vec());
        says_the_same_but(&before, &after, document, &wanted).then_some(edited)
    })?;
    Some(format!("{mark}{edited}"))
}

/// Whether a file says what it said, and in one document what is wanted.
fn says_the_same_but(
    before: &ParsedFile,
    after: &ParsedFile,
    document: usize,
    wanted: &Value,
) -> bool {
    let mut pairs = before.documents.iter().zip(&after.documents).enumerate();
    before.documents.len() == after.documents.len()
        && before.problems.len() == after.problems.len()
        && pairs.all(|(index, (before, after))| match index == document {
            true => wanted.as_object() == Some(&after.fields),
            false => before.fields == after.fields,
        })
}

/// The smallest changes between two values; of a list from the back, so that indexes stay right.
fn differences<'v>(pointer: String, older: &Value, value: &'v Value, edits: &mut Vec<Edit<'v>>) {
    match (older, value) {
        (older, value) if older == value => {}
        (Value::Object(older), Value::Object(map)) if !older.is_empty() && !map.is_empty() => {
            for (key, value) in map {
                let pointer = child(&pointer, key);
                match older.get(key) {
                    Some(older) => differences(pointer, older, value, edits),
                    None => edits.push(Edit::Insert(pointer, value)),
                }
            }
            let gone = older.keys().filter(|key| !map.contains_key(*key));
            edits.extend(gone.map(|key| Edit::Remove(child(&pointer, key))));
        }
        (Value::Array(older), Value::Array(items)) if !older.is_empty() && !items.is_empty() => {
            let start = older.iter().zip(items).take_while(|(a, b)| a == b).count();
            let ends = older.iter().rev().zip(items.iter().rev()).take_while(|(a, b)| a == b);
            let end = ends.count().min(older.len().min(items.len()) - start);
            let (old_end, new_end) = (older.len() - end, items.len() - end);
            let common = old_end.min(new_end);
            for index in (common..old_end).rev() {
                edits.push(Edit::Remove(item(&pointer, index)));
            }
            for value in items.get(common..new_end).unwrap_or_default().iter().rev() {
                edits.push(Edit::Insert(item(&pointer, common), value));
            }
            for (index, (older, value)) in
                older.iter().zip(items).enumerate().take(common).skip(start)
            {
                differences(item(&pointer, index), older, value, edits);
            }
        }
        (_, value) => edits.push(Edit::Replace(pointer, value)),
    }
}

fn carry_out(text: &str, document: usize, edit: &Edit<'_>) -> Option<String> {
    let file = FileText::decode(text.as_bytes().to_vec()).ok()?;
    let parsed = ParsedFile::parse(text.as_bytes().to_vec());
    let extents = Extents::of(&file, &parsed.documents.get(document)?.chunk)?;
    let (range, new) = match edit {
        Edit::Replace(pointer, value) => match extents.find(pointer)? {
            Found::Value(slot) => replace(&extents, &slot, value)?,
            Found::Lacks => insert(&extents, pointer, value)?,
        },
        Edit::Insert(pointer, value) => insert(&extents, pointer, value)?,
        Edit::Remove(pointer) => (remove(&extents, pointer)?, String::new()),
    };
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut edited = text.to_owned();
    edited.replace_range(range, &new.replace('\n', line_end));
    Some(edited)
}

/// The bytes to replace for another value, and their text.
fn replace(extents: &Extents<'_>, slot: &Slot, value: &Value) -> Option<(Range<usize>, String)> {
    let text = extents.text();
    let older = text.get(slot.value.clone())?;
    let is_dash = text.get(..slot.behind)?.ends_with('-');
    let column = extents.column(slot.begin);
    let is_many = match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => text.contains('\n') && !older.starts_with(['"', '\'']),
        _ => false,
    };
    if extents.holds_more_than_values(slot) && !older.starts_with(['|', '>']) {
        return None;
    }
    if let Value::String(text) = value
        && older.starts_with(['|', '>'])
        && let Some(block) = render::block(text, older, column)
    {
        return Some((slot.value.clone(), block));
    }
    let gap = text.get(slot.behind..slot.value.start)?;
    let in_flow = slot.in_flow || extents.is_flow(slot);
    if (is_many || extents.is_collection(slot)) && !in_flow && gap.trim().is_empty() {
        let new = if is_dash {
            yaml::behind_dash(column, value)
        } else {
            yaml::behind_key(column, value)
        };
        return Some((slot.behind..slot.value.end, new));
    }
    let comment = older.lines().next().filter(|_| older.starts_with(['|', '>']));
    let comment = comment.and_then(|header| header.split_once('#')).map(|(_, words)| words);
    let mut new = render::as_before(value, older, in_flow);
    if slot.value.is_empty() {
        new.insert(0, ' ');
    }
    if let Some(words) = comment {
        new = format!("{new} #{words}");
    }
    Some((slot.value.clone(), new))
}

/// The place of a new key or item, and its text.
fn insert(extents: &Extents<'_>, pointer: &str, value: &Value) -> Option<(Range<usize>, String)> {
    let (parent, step) = pointer.rsplit_once('/')?;
    let key = pointer::unescaped(step);
    let Found::Value(parent) = extents.find(parent)? else { return None };
    let children = extents.children(&parent)?;
    let is_list = extents.is_list(&parent);
    let index = if is_list { step.parse::<usize>().ok()? } else { children.len() };
    let (neighbour, is_before) = match index.checked_sub(1) {
        Some(before) => (children.get(before)?, false),
        None => (children.first()?, true),
    };
    if extents.is_flow(&parent) || parent.in_flow {
        let new = if is_list { render::one_line(value) } else { render::pair(&key, value) };
        return Some(match is_before {
            true => (neighbour.begin..neighbour.begin, format!("{new}, ")),
            false => (neighbour.value.end..neighbour.value.end, format!(", {new}")),
        });
    }
    let column = extents.column(children.first()?.begin);
    let new =
        if is_list { yaml::item_at(column, value) } else { yaml::pair_at(column, &key, value) };
    let new = format!("{}{new}", " ".repeat(column));
    Some(if is_before {
        let at = extents.line_start(neighbour.begin)?;
        (at..at, format!("{new}\n"))
    } else {
        let at = extents.line_end(neighbour.value.end);
        (at..at, format!("\n{new}"))
    })
}

/// The bytes of a key with its value, or of an item.
fn remove(extents: &Extents<'_>, pointer: &str) -> Option<Range<usize>> {
    let (parent, _) = pointer.rsplit_once('/')?;
    let Found::Value(parent) = extents.find(parent)? else { return None };
    let Found::Value(slot) = extents.find(pointer)? else { return None };
    let children = extents.children(&parent)?;
    let index = children.iter().position(|child| child.begin == slot.begin)?;
    let next = children.get(index + 1);
    let before = index.checked_sub(1).and_then(|before| children.get(before));
    if extents.is_flow(&parent) || parent.in_flow {
        let range = match (before, next) {
            (Some(before), _) => before.value.end..slot.value.end,
            (None, Some(next)) => slot.begin..next.begin,
            (None, None) => return None,
        };
        return extents.text().get(range.clone()).filter(|text| !text.contains('#')).map(|_| range);
    }
    before.or(next)?;
    let start = extents.line_start(slot.begin)?;
    let end = extents.line_end(slot.value.end);
    let rest = extents.text().get(end..)?;
    let line_end = if rest.starts_with("\r\n") { 2 } else { rest.len().min(1) };
    Some(start..end + line_end)
}
