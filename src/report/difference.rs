//! A changed field as the leaves that differ: the element of a list, the key of a map, the lines
//! of a text. Text and markdown draw the same leaves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices_deadline};

use crate::plan::FieldChange;
use crate::report::escape;

/// The longest value that is shown beside its label rather than in lines of its own.
const LONGEST_BESIDE: usize = 60;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// Which: `port`, `additionalProperties[mail.smtp.timeout]/value`.
    pub(crate) label: String,
    /// How.
    pub(crate) kind: LeafKind,
}

/// How a thing differs. All texts are harmless already.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LeafKind {
    /// It is there now.
    Added(String),
    /// It is gone.
    Removed(String),
    /// It is another.
    Replaced(String, String),
    /// It is another, and only the reference may be shown.
    Sensitive(String),
    /// The value of git when live last agreed with it.
    Base(String),
    /// A long text differs in some lines.
    Lines(Vec<DiffLine>),
}

/// The leaves in which a field differs.
pub(crate) fn leaves(change: &FieldChange) -> Vec<Leaf> {
    let label = label_of(&change.path);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let mut leaves = Vec::new();
    match &change.base {
        Some(base) if is_large(base) => parts_of_base(&label, base, [before, after], &mut leaves),
        Some(base) => {
            let kind = LeafKind::Base(shown(base, change.sensitive));
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
        (Some(before), Some(after)) if before == after => LeafKind::Sensitive(shown(after)),
        (Some(before), Some(after)) => LeafKind::Replaced(shown(before), shown(after)),
        (None, Some(after)) => LeafKind::Added(shown(after)),
        (Some(before), None) => LeafKind::Removed(shown(before)),
        // Git declares a secret as empty.
        (None, None) => LeafKind::Added("null".to_owned()),
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
    let mut moved = |label: String, part: &Value| whole(label, part, LeafKind::Base, leaves);
    match base {
        Value::Array(items) => {
            for (known_by, item) in labelled(items) {
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
            leaves.push(Leaf { label, kind: LeafKind::Replaced(old, new) });
        }
        (Some(Value::String(before)), Some(Value::String(after)))
            if is_long(before) || is_long(after) =>
        {
            leaves.push(Leaf { label, kind: LeafKind::Lines(between(before, after)) });
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            compare_elements(&label, before, after, leaves);
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
            let kind = LeafKind::Replaced(compact(before), compact(after));
            leaves.push(Leaf { label, kind });
        }
        (None, Some(value)) => whole(label, value, LeafKind::Added, leaves),
        (Some(value), None) => whole(label, value, LeafKind::Removed, leaves),
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
fn whole(label: String, value: &Value, kind: fn(String) -> LeafKind, leaves: &mut Vec<Leaf>) {
    match value {
        Value::String(text) if text.contains('\n') => {
            let kind = match kind(text.clone()) {
                LeafKind::Added(text) => LeafKind::Lines(between("", &text)),
                LeafKind::Removed(text) => LeafKind::Lines(between(&text, "")),
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

// Which elements of a list differ.

/// The keys by which an element of a list is known, the best first.
const IDENTITIES: [&str; 4] = ["name", "key", "id", "host"];

/// How long the search for the smallest difference may take; then a larger one is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// Finds where two lists differ.
fn compare_elements(label: &str, before: &[Value], after: &[Value], leaves: &mut Vec<Leaf>) {
    if let Some(matched) = by_identity(before, after) {
        let known = leaves.len();
        for (identity, (old, new)) in matched {
            if old != new {
                let label = format!("{label}[{}]", escape::plain(identity));
                compare(label, old, new, leaves);
            }
        }
        if leaves.len() > known {
            return;
        }
        // Only the order differs: that is told by positions.
    }
    by_position(label, before, after, leaves);
}

/// An element's value on each side.
type Sides<'a> = (Option<&'a Value>, Option<&'a Value>);

/// The elements of both lists by what they are known by, where they all have that, and each its
/// own.
fn by_identity<'a>(
    before: &'a [Value],
    after: &'a [Value],
) -> Option<BTreeMap<&'a str, Sides<'a>>> {
    IDENTITIES.iter().find_map(|identity| {
        let mut matched: BTreeMap<&str, Sides<'_>> = BTreeMap::new();
        for value in before {
            let known = matched.entry(value.get(identity)?.as_str()?).or_default();
            if known.0.replace(value).is_some() {
                return None;
            }
        }
        for value in after {
            let known = matched.entry(value.get(identity)?.as_str()?).or_default();
            if known.1.replace(value).is_some() {
                return None;
            }
        }
        Some(matched)
    })
}

/// The elements of a list, each with what it is known by, or with its position.
fn labelled(items: &[Value]) -> Vec<(String, &Value)> {
    match by_identity(items, &[]) {
        Some(known) => {
            let known = known.into_iter();
            known.filter_map(|(identity, (item, _))| Some((identity.to_owned(), item?))).collect()
        }
        None => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
    }
}

fn by_position(label: &str, before: &[Value], after: &[Value], leaves: &mut Vec<Leaf>) {
    let texts = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>();
    let deadline = Instant::now().checked_add(PATIENCE);
    let (old, new) = (texts(before), texts(after));
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old, &new, deadline) {
        let (old, new) = (op.old_range(), op.new_range());
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        for step in 0..old.len().max(new.len()) {
            let at =
                |range: &std::ops::Range<usize>| (step < range.len()).then(|| range.start + step);
            let (old, new) = (at(&old), at(&new));
            let label = format!("{label}[{}]", new.or(old).unwrap_or_default());
            let side =
                |values: &[Value], at: Option<usize>| at.and_then(|at| values.get(at)).cloned();
            compare(label, side(before, old).as_ref(), side(after, new).as_ref(), leaves);
        }
    }
}

// Line differences inside long texts.

/// How many equal lines are shown around a change.
const CONTEXT: usize = 3;

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiffLine {
    /// The change of it.
    pub(crate) sign: LineSign,
    /// Its text.
    pub(crate) text: String,
}

/// The change of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineSign {
    /// It stayed.
    Same,
    /// It came.
    Added,
    /// It went.
    Removed,
    /// No line of the text: which lines follow.
    Place,
}

impl LineSign {
    /// The sign in column 0.
    pub(crate) fn as_char(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Added => '+',
            Self::Removed => '-',
            Self::Place => '@',
        }
    }
}

/// Whether a text gets lines of its own.
fn is_long(text: &str) -> bool {
    text.contains('\n') || text.chars().count() > LONGEST_BESIDE
}

/// The lines in which two texts differ, with three equal ones around each change.
fn between(before: &str, after: &str) -> Vec<DiffLine> {
    let (before, after) = without_the_end_of_both(before, after);
    let (before, after) = (split(before), split(after));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&before, &after);
    let groups = diff.grouped_ops(CONTEXT);
    let mut lines = Vec::new();
    for group in &groups {
        let first = group.first().map_or(0, |op| op.new_range().start);
        if first > 0 || groups.len() > 1 {
            let text = format!("@@ line {} @@", first + 1);
            lines.push(DiffLine { sign: LineSign::Place, text });
        }
        let changes = group.iter().flat_map(|op| diff.iter_changes(op));
        lines.extend(changes.map(|change| {
            let text = escape::plain(change.value());
            DiffLine { sign: sign_of(change.tag()), text }
        }));
    }
    lines
}

/// The texts without the line end that both end with: what follows it is no line.
fn without_the_end_of_both<'t>(before: &'t str, after: &'t str) -> (&'t str, &'t str) {
    let stripped = before.strip_suffix('\n').zip(after.strip_suffix('\n'));
    stripped
        .filter(|(before, after)| !before.is_empty() && !after.is_empty())
        .unwrap_or((before, after))
}

/// The lines of a text; a last one without an end differs from one with.
fn split(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('\n').collect() }
}

fn sign_of(tag: ChangeTag) -> LineSign {
    match tag {
        ChangeTag::Equal => LineSign::Same,
        ChangeTag::Insert => LineSign::Added,
        ChangeTag::Delete => LineSign::Removed,
    }
}

#[cfg(test)]
mod tests;
