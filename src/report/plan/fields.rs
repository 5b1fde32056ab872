//! The differences of one connection as lines of text: who moved it, what, from what to what.

use crate::plan::{Action, Change, FieldChange, Origin};
use crate::report::difference::{Kind, Leaf, Line, LineSign, leaves};
use crate::report::style::{Role, Style};
use crate::report::{line, words};

/// Where the lines below the head of a change begin.
pub(super) const INDENT: usize = 6;

/// The word for a side that has no value.
const UNSET: &str = "unset";

/// The widest column of labels.
const WIDEST_LABEL: usize = 30;

/// How the sides of a difference are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    /// A connection is created or deleted: there is one.
    One,
    /// Git moved the field: from one value to another.
    FromTo,
    /// Live moved it: each value with whose it is.
    Named,
}

/// Writes the differences of a change.
pub(super) fn write(out: &mut String, change: &Change, style: &Style) {
    let is_whole = matches!(change.action, Action::Create | Action::Delete);
    let sides_of = |origin| match origin {
        _ if is_whole => Sides::One,
        Origin::Git => Sides::FromTo,
        Origin::Drift | Origin::Both => Sides::Named,
    };
    let leaves_of = |field: &FieldChange| {
        let (origin, sides) = (words::origin(field.origin), sides_of(field.origin));
        let origin = if is_whole { "" } else { origin };
        leaves(field).into_iter().map(move |leaf| (origin, sides, leaf))
    };
    let rows: Vec<(&str, Sides, Leaf)> = change.fields.iter().flat_map(leaves_of).collect();
    let widest = rows.iter().map(|(_, _, leaf)| leaf.label.chars().count());
    let label_width = widest.filter(|width| *width <= WIDEST_LABEL).max().unwrap_or_default();
    let origin_width = rows.iter().map(|(origin, _, _)| origin.len()).max().unwrap_or_default();
    for (origin, sides, leaf) in &rows {
        let gap = if origin_width == 0 { "" } else { "  " };
        let origin = style.paint(Role::Aside, format!("{origin:<origin_width$}"));
        let lead = format!("{:INDENT$}{origin}{gap}{:<label_width$}", "", leaf.label);
        let column =
            INDENT + origin_width + gap.len() + label_width.max(leaf.label.chars().count());
        row(out, &lead, column, &leaf.kind, *sides, style);
    }
}

fn row(out: &mut String, lead: &str, column: usize, kind: &Kind, sides: Sides, style: &Style) {
    let [added, removed] =
        [Role::Added, Role::Removed].map(|role| move |text: &str| style.paint(role, text));
    let [from, to, between] = match sides {
        Sides::Named => ["live ", "git ", ", "],
        Sides::One | Sides::FromTo => ["", "", " -> "],
    };
    let mut one = |text: &str, painted: &str| beside(out, lead, column, painted, text, style);
    match (kind, sides) {
        (Kind::Added(text), Sides::One) => one(text, &added(text)),
        (Kind::Removed(text), Sides::One) => one(text, &removed(text)),
        (Kind::Added(text), Sides::FromTo) => one(text, &added(&format!("+ {text}"))),
        (Kind::Removed(text), Sides::FromTo) => one(text, &removed(&format!("- {text}"))),
        (Kind::Base(text), _) => {
            let text = format!("base {text}");
            one(&text, &style.paint(Role::Aside, &text));
        }
        (Kind::Hidden(text), _) => line(out, format!("{lead}  {text} (another value)")),
        (Kind::Added(_) | Kind::Removed(_) | Kind::Replaced(..), _) => {
            let (before, after) = match kind {
                Kind::Added(text) => (UNSET, text.as_str()),
                Kind::Removed(text) => (text.as_str(), UNSET),
                Kind::Replaced(before, after) => (before.as_str(), after.as_str()),
                _ => return,
            };
            let length = format!("{from}{before}{between}{to}{after}").chars().count();
            if column + 2 + length <= style.width {
                let (before, after) = (removed(before), added(after));
                line(out, format!("{lead}  {from}{before}{between}{to}{after}"));
            } else {
                line(out, lead);
                let (before, after) = (format!("- {from}{before}"), format!("+ {to}{after}"));
                line(out, format!("{:w$}{}", "", removed(&before), w = INDENT + 4));
                line(out, format!("{:w$}{}", "", added(&after), w = INDENT + 4));
            }
        }
        (Kind::Lines(lines), _) => {
            line(out, lead);
            for changed in lines {
                line(out, format!("{:w$}{}", "", painted(changed, style), w = INDENT + 4));
            }
        }
    }
}

/// Writes a value beside its label, or below where it would not fit.
fn beside(out: &mut String, lead: &str, column: usize, painted: &str, text: &str, style: &Style) {
    if column + 4 + text.chars().count() <= style.width {
        line(out, format!("{lead}  {painted}"));
    } else {
        line(out, lead);
        line(out, format!("{:w$}{painted}", "", w = INDENT + 4));
    }
}

fn painted(line: &Line, style: &Style) -> String {
    let (role, part) = match line.sign {
        LineSign::Added => (Role::Added, Role::AddedPart),
        LineSign::Removed => (Role::Removed, Role::RemovedPart),
        LineSign::Same | LineSign::Place => (Role::Aside, Role::Aside),
    };
    // The place begins with its own sign.
    let sign = match line.sign {
        LineSign::Place => String::new(),
        sign => style.paint(role, format!("{} ", sign.as_char())),
    };
    let pieces = line
        .pieces
        .iter()
        .map(|(changed, text)| style.paint(if *changed { part } else { role }, text));
    std::iter::once(sign).chain(pieces).collect()
}
