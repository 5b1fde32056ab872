//! The differences of one connection as lines of text: who moved it, what, from what to what.

use crate::plan::{Action, Change};
use crate::report::difference::{Kind, Leaf, Line, LineSign, leaves};
use crate::report::style::{Role, Style};
use crate::report::{line, words};

/// Where the lines below the head of a change begin.
pub(super) const INDENT: usize = 6;

/// The widest column of labels.
const WIDEST_LABEL: usize = 30;

/// Writes the differences of a change.
pub(super) fn write(out: &mut String, change: &Change, style: &Style) {
    // All fields of a created connection come from git.
    let is_new = change.action == Action::Create;
    let rows: Vec<(&str, Leaf)> = change
        .fields
        .iter()
        .flat_map(|field| {
            let origin = if is_new { "" } else { words::origin(field.origin) };
            leaves(field).into_iter().map(move |leaf| (origin, leaf))
        })
        .collect();
    let widest = rows.iter().map(|(_, leaf)| leaf.label.chars().count());
    let label_width = widest.filter(|width| *width <= WIDEST_LABEL).max().unwrap_or_default();
    let origin_width = rows.iter().map(|(origin, _)| origin.len()).max().unwrap_or_default();
    for (origin, leaf) in &rows {
        let gap = if origin_width == 0 { "" } else { "  " };
        let origin = style.paint(Role::Aside, format!("{origin:<origin_width$}"));
        let lead = format!("{:INDENT$}{origin}{gap}{:<label_width$}", "", leaf.label);
        let column =
            INDENT + origin_width + gap.len() + label_width.max(leaf.label.chars().count());
        row(out, &lead, column, &leaf.kind, is_new, style);
    }
}

fn row(out: &mut String, lead: &str, column: usize, kind: &Kind, is_new: bool, style: &Style) {
    let added = |text: &str| style.paint(Role::Added, text);
    let removed = |text: &str| style.paint(Role::Removed, text);
    match kind {
        Kind::Added(text) if is_new => beside(out, lead, column, &added(text), text, style),
        Kind::Added(text) => beside(out, lead, column, &added(&format!("+ {text}")), text, style),
        Kind::Removed(text) => {
            beside(out, lead, column, &removed(&format!("- {text}")), text, style);
        }
        Kind::Hidden(text) => line(out, format!("{lead}  {text} (another value)")),
        Kind::Replaced(before, after) => {
            let length = before.chars().count() + after.chars().count() + 4;
            if column + 2 + length <= style.width {
                line(out, format!("{lead}  {} -> {}", removed(before), added(after)));
            } else {
                line(out, lead);
                line(out, format!("{:w$}{}", "", removed(&format!("- {before}")), w = INDENT + 4));
                line(out, format!("{:w$}{}", "", added(&format!("+ {after}")), w = INDENT + 4));
            }
        }
        Kind::Lines(lines) => {
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
