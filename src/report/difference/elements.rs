//! Which elements of a list differ.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use super::Leaf;
use crate::report::escape;

/// The keys by which an element of a list is known, the best first.
const IDENTITIES: [&str; 4] = ["name", "key", "id", "host"];

/// How long the search for the smallest difference may take; then a larger one is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// Finds where two lists differ.
pub(super) fn compare(label: &str, before: &[Value], after: &[Value], leaves: &mut Vec<Leaf>) {
    if let Some(matched) = by_identity(before, after) {
        let known = leaves.len();
        for (identity, (old, new)) in matched {
            if old != new {
                let label = format!("{label}[{}]", escape::plain(identity));
                super::compare(label, old, new, leaves);
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
pub(super) fn labelled(items: &[Value]) -> Vec<(String, &Value)> {
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
                |values: &'_ [Value], at: Option<usize>| at.and_then(|at| values.get(at)).cloned();
            super::compare(label, side(before, old).as_ref(), side(after, new).as_ref(), leaves);
        }
    }
}
