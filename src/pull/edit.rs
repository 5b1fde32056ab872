//! Changing one value in the text of a file and nothing else.
//!
//! An edit replaces the bytes of the values that moved, adds or removes a line, and reads the file
//! again: where anything else says something else then, there is no edit.

use std::ops::Range;

use serde_json::Value;
use similar::{Algorithm, DiffTag};

use super::extent::{Extents, Found, Slot};
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
    let fields = &before.documents.get(document)?.whole();
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
            true => wanted.as_object() == Some(&after.whole()),
            false => before.whole() == after.whole(),
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
            items_that_moved(&pointer, older, items, edits);
        }
        (_, value) => edits.push(Edit::Replace(pointer, value)),
    }
}

/// The same for the items of two lists, of which those that stay keep their place in the text.
fn items_that_moved<'v>(
    pointer: &str,
    older: &[Value],
    items: &'v [Value],
    edits: &mut Vec<Edit<'v>>,
) {
    let texts = |items: &[Value]| items.iter().map(Value::to_string).collect::<Vec<_>>();
    let moves = similar::capture_diff_slices(Algorithm::Myers, &texts(older), &texts(items));
    for moved in moves.iter().rev().filter(|moved| moved.tag() != DiffTag::Equal) {
        let (old, new) = (moved.old_range(), moved.new_range());
        let common = old.len().min(new.len());
        let more = items.get(new.start + common..new.end).unwrap_or_default();
        let removed = (old.start + common..old.end).rev();
        edits.extend(removed.map(|index| Edit::Remove(item(pointer, index))));
        let at = item(pointer, old.start + common);
        edits.extend(more.iter().rev().map(|value| Edit::Insert(at.clone(), value)));
        for (index, value) in old.zip(items.iter().skip(new.start)).take(common) {
            if let Some(older) = older.get(index) {
                differences(item(pointer, index), older, value, edits);
            }
        }
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
    edited.get(range.clone())?;
    edited.replace_range(range, &new.replace('\n', line_end));
    Some(edited)
}

/// The bytes to replace for another value, and their text.
fn replace(extents: &Extents<'_>, slot: &Slot, value: &Value) -> Option<(Range<usize>, String)> {
    let text = extents.text();
    let older = text.get(slot.value.clone())?;
    let column = extents.column(slot.begin);
    let is_collection = extents.is_collection(slot);
    if is_collection && extents.holds_more_than_values(slot) {
        return None;
    }
    let in_flow = slot.in_flow || extents.is_flow(slot);
    let is_many = match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => false,
    };
    let gap = text.get(slot.behind..slot.value.start)?;
    if (is_many || is_collection) && !in_flow && gap.trim().is_empty() {
        let new = match text.get(..slot.behind)?.ends_with('-') {
            true => yaml::behind_dash(column, value),
            false => yaml::behind_key(column, value),
        };
        return Some((slot.behind..slot.value.end, new));
    }
    let text = value.as_str().filter(|_| !in_flow && !is_collection);
    let block = text.and_then(|text| block(text, older, column));
    let new = block.unwrap_or_else(|| in_its_style(value, older, in_flow));
    let blank = if slot.value.is_empty() { " " } else { "" };
    Some((slot.value.clone(), format!("{blank}{new}")))
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
        let new = if is_list { one_line(value) } else { pair(&key, value) };
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

// The text of a value, written in the way of the value whose place it takes.

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(text: &str, pointer: &str, value: &Value, wanted: &str) {
        assert_eq!(set(text, 0, pointer, Some(value)).as_deref(), Some(wanted), "{text:?}");
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(set(&crlf(text), 0, pointer, Some(value)), Some(crlf(wanted)), "{text:?}");
    }

    #[test]
    fn a_single_value_keeps_its_style() {
        for (text, value, wanted) in [
            ("a: x # c\n", json!("v"), "a: v # c\n"),
            ("a: 'x'\n", json!("it's"), "a: 'it''s'\n"),
            ("\"a\": \"x\" # c\n", json!("y\n"), "\"a\": \"y\\n\" # c\n"),
            ("a:   # c\nb: 1\n", json!("v"), "a: v   # c\nb: 1\n"),
            ("a: &x 1\n", json!(2), "a: &x 2\n"),
            ("a: &x 1\nb: 2", json!(null), "a: &x null\nb: 2"),
            ("a: x\n  y\nb: 1\n", json!("no"), "a: \"no\"\nb: 1\n"),
            ("{a: x, b: 1}\n", json!("y, z"), "{a: \"y, z\", b: 1}\n"),
            (
                "a: |\n    x\n\n\n# c\nb: 1\n",
                json!("y\n\nz\n"),
                "a: |\n    y\n\n    z\n\n\n# c\nb: 1\n",
            ),
            ("a: >- # why\n  x\n  y\nb: 1\n", json!("z"), "a: >- # why\n  z\nb: 1\n"),
            ("a: | # why\n  x\nb: 1\n", json!(" y"), "a: \" y\" # why\nb: 1\n"),
            ("a: x\nb: 1\n", json!("y\nz\n"), "a: |\n  y\n  z\nb: 1\n"),
            ("a:\n  - 1\n# c\n", json!([]), "a: []\n# c\n"),
            ("a:\n  # c\n  - 1\n", json!(null), "a:\n  # c\n  null\n"),
            ("? a\n: x\n", json!("v"), "? a\n: v\n"),
        ] {
            check(text, "/a", &value, wanted);
        }
    }

    #[test]
    fn of_a_list_and_a_map_the_entries_that_moved_change() {
        for (text, value, wanted) in [
            (
                "a:\n  # one\n  - x # 1\n  - y # 2\n",
                json!(["x", "z"]),
                "a:\n  # one\n  - x # 1\n  - z # 2\n",
            ),
            ("a:\n- x\n- y\n- z\n", json!(["x", "z"]), "a:\n- x\n- z\n"),
            ("a: [x, y , z] # c\n", json!(["z"]), "a: [z] # c\n"),
            ("a: [x]\n", json!(["w", "x", "v"]), "a: [w, x, v]\n"),
            (
                "a:\n  - x # c\nb: 1\n",
                json!(["w", "x", "v"]),
                "a:\n  - w\n  - x # c\n  - v\nb: 1\n",
            ),
            ("a:\n  - {b: 1}", json!([{"b": 1}, {"b": 2}]), "a:\n  - {b: 1}\n  - b: 2"),
            (
                "a:\n  b: {c: 1}\n# c\n",
                json!({"b": {"c": 1, "d": 2}}),
                "a:\n  b: {c: 1, d: 2}\n# c\n",
            ),
            ("a:\n  b: 1\n  c: 2\n", json!({"c": 2, "d": [3]}), "a:\n  c: 2\n  d:\n    - 3\n"),
            (
                "x: &x {b: 1}\na: {<<: *x, c: 2}\n",
                json!({"b": 3, "c": 2}),
                "x: &x {b: 1}\na: {<<: *x, c: 2, b: 3}\n",
            ),
            ("x: &x [1]\na: *x\n", json!([2]), "x: &x [1]\na:\n  - 2\n"),
        ] {
            check(text, "/a", &value, wanted);
        }
    }

    #[test]
    fn a_change_that_would_reach_further_is_none() {
        for (text, value) in [
            ("a: &x 1\nb: *x\n", json!(2)),
            ("a: [1, # c\n  2]\n", json!("x")),
            ("a: {b: &x 1}\nc: *x\n", json!({"d": 1})),
        ] {
            assert_eq!(set(text, 0, "/a", Some(&value)), None, "{text:?}");
        }
        let text = "b: 1\n---\na: 1\n";
        assert_eq!(set(text, 1, "/a", Some(&json!(2))).as_deref(), Some("b: 1\n---\na: 2\n"));
        assert_eq!(set(text, 0, "/a/b", Some(&json!(2))), None);
        assert_eq!(set("a: {b: 1, c: 2}", 0, "/a/b", None).as_deref(), Some("a: {c: 2}"));
        assert_eq!(set("a: {b: 1}", 0, "/a/b", None), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]
        #[test]
        fn any_text_is_edited_or_left_alone(
            text in "(a|b|'a'|\"b\"|: |:\n|- |\n|\r\n|  |\t|\\{|\\}|\\[|\\]|, |&x |\\*x|<<: |\\|\n|>-|# c\n|---\n|\\? |é|1){0,24}",
            value in proptest::sample::select(vec![json!(2), json!("x\ny\n"), json!([1, {"b": 2}]), json!(null)]),
            pointer in "(/a|/b|/0|/1){1,3}",
        ) {
            let text = format!("a: {text}");
            if let Some(edited) = set(&text, 0, &pointer, Some(&value)) {
                let parsed = ParsedFile::parse(edited.into_bytes());
                let whole = parsed.documents[0].whole();
                proptest::prop_assert_eq!(look_up(&whole, &pointer), Some(&value));
            }
            set(&text, 0, &pointer, None);
        }
    }
}
