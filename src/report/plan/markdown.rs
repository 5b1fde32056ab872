//! A plan as a comment on a pull request.

use crate::plan::{Action, Change, Plan, TargetPlan};
use crate::report::comment::Comment;
use crate::report::difference::{Kind, Leaf, LineSign, leaves};
use crate::report::style::Style;
use crate::report::{diagnostics, escape, words};

/// The hidden first line by which a comment is found again, to be updated in place.
pub(crate) const MARKER: &str = "<!-- apinizer-gitops:plan -->";

/// How many deletes and replaces are called out above the differences.
const CALLED_OUT: usize = 50;

/// The plan as a comment: summary first, deletes called out, differences folded. It is always
/// under 65,000 characters; what gives way are the differences.
#[must_use]
pub(crate) fn markdown(plan: &Plan, style: &Style) -> String {
    let mut comment = Comment::new(MARKER);
    comment.always(&format!("### {}\n", words::plan_line(plan)));
    comment.line(&format!("\n{}", escape::code_span(&words::source(plan))));
    comment.said_of(&plan.targets, &diagnostics::warning_lines(&plan.targets));
    call_out(&mut comment, plan);
    let mut left_out = 0;
    for target in &plan.targets {
        left_out += folded(&mut comment, target);
    }
    if style.list_unmanaged {
        for target in &plan.targets {
            left_out += unmanaged(&mut comment, target);
        }
    }
    let last = if left_out > 0 {
        format!("\n{left_out} more did not fit here; `plan --output text` shows them all.\n")
    } else {
        String::new()
    };
    comment.finish(&last)
}

/// Says what would be deleted, replaced or is held, where nobody has to unfold anything.
fn call_out(comment: &mut Comment, plan: &Plan) {
    let several = plan.targets.len() > 1;
    let pieces: Vec<Vec<String>> = plan
        .targets
        .iter()
        .flat_map(|target| target.changes().into_iter().map(move |change| (target, change)))
        .filter(|(_, change)| matches!(change.action, Action::Delete | Action::Replace))
        .map(|(target, change)| {
            let of =
                if several { format!(" ({})", escape::plain(&target.name)) } else { String::new() };
            let mut piece = head(change);
            if let Some(first) = piece.first_mut() {
                first.push_str(&of);
            }
            piece
        })
        .collect();
    let shown = pieces.get(..CALLED_OUT.min(pieces.len())).unwrap_or_default();
    let written = comment.block("\n**Deletes and replaces**\n\n", shown, "");
    if written < pieces.len() {
        comment.line(&format!("\nand {} more", pieces.len() - written));
    }
}

/// Writes the changes of a target, folded: with their differences while there is room, else the
/// heads alone. Says how many changes had no room at all.
fn folded(comment: &mut Comment, target: &TargetPlan) -> usize {
    let changes = words::reading_order(target);
    if changes.is_empty() {
        return 0;
    }
    let counts = words::counts(&target.summary());
    let name = [&target.name, &target.project].map(|text| escape::html(text));
    let before =
        format!("\n<details><summary><b>{}</b> ({}): {counts}</summary>\n\n", name[0], name[1]);
    let after = "\n</details>\n";
    let whole: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let mut piece = head(change);
            for field in &change.fields {
                // All fields of a created connection come from git.
                let origin = match change.action {
                    Action::Create => String::new(),
                    _ => format!(" ({})", words::origin(field.origin)),
                };
                piece.extend(leaves(field).iter().flat_map(|leaf| rows(leaf, &origin)));
            }
            piece
        })
        .collect();
    let size: usize = whole.iter().flatten().map(|line| line.len() + 1).sum();
    let pieces: Vec<Vec<String>> = if size + before.len() + after.len() + 20 < comment.room() {
        whole
    } else {
        fitted(&changes, whole, comment.room().saturating_sub(before.len() + after.len() + 20))
    };
    changes.len() - comment.block(&before, &pieces, after)
}

/// Drops differences, those of the last changes first, until the rest has room.
fn fitted(changes: &[&Change], whole: Vec<Vec<String>>, room: usize) -> Vec<Vec<String>> {
    let size = |piece: &[String]| piece.iter().map(|line| line.len() + 1).sum::<usize>();
    let heads: Vec<Vec<String>> = changes.iter().map(|change| short_head(change)).collect();
    let mut used: usize = heads.iter().map(|head| size(head)).sum();
    heads
        .into_iter()
        .zip(whole)
        .map(|(head, whole)| {
            let more = size(&whole).saturating_sub(size(&head));
            if used + more <= room {
                used += more;
                whole
            } else {
                head
            }
        })
        .collect()
}

/// The line of a change without its reason, marked as cut.
fn short_head(change: &Change) -> Vec<String> {
    let mut lines = head(change);
    lines.truncate(1);
    if let (Some(line), false) = (lines.first_mut(), change.fields.is_empty()) {
        line.push_str(" ...");
    }
    lines
}

fn head(change: &Change) -> Vec<String> {
    let sign = words::column(change.action);
    let held = if change.held { " (held)" } else { "" };
    let action = change.action.as_str();
    let type_name = escape::plain(&change.type_name);
    let mut lines = vec![format!("{sign} {action} {type_name} {}{held}", words::name(change))];
    lines.extend(words::reason(change).map(|reason| format!("#     {reason}")));
    let advice = change.advice.as_deref().map(escape::plain);
    lines.extend(advice.map(|advice| format!("#     to proceed: {advice}")));
    lines
}

/// A leaf as lines with their sign in column 0.
fn rows(leaf: &Leaf, origin: &str) -> Vec<String> {
    let label = format!("{}{origin}", leaf.label);
    match &leaf.kind {
        Kind::Added(text) => vec![format!("+     {label}: {text}")],
        Kind::Removed(text) => vec![format!("-     {label}: {text}")],
        Kind::Replaced(before, after) => {
            vec![format!("-     {label}: {before}"), format!("+     {label}: {after}")]
        }
        Kind::Hidden(text) => vec![format!("!     {label}: {text} (another value)")],
        Kind::Lines(lines) => std::iter::once(format!("      {label}:"))
            .chain(lines.iter().map(|line| {
                let text: String = line.pieces.iter().map(|(_, piece)| piece.as_str()).collect();
                match line.sign {
                    LineSign::Place => text,
                    sign => format!("{}         {text}", sign.as_char()),
                }
            }))
            .collect(),
    }
}

fn unmanaged(comment: &mut Comment, target: &TargetPlan) -> usize {
    let pieces: Vec<Vec<String>> = target
        .unmanaged()
        .map(|entry| {
            let name = escape::plain(entry.name.as_str());
            vec![format!("      {} {name}", escape::plain(&entry.type_name))]
        })
        .collect();
    if pieces.is_empty() {
        return 0;
    }
    let name = escape::html(&target.name);
    let before = format!("\n<details><summary>Unmanaged on {name}, never touched</summary>\n\n");
    pieces.len() - comment.block(&before, &pieces, "\n</details>\n")
}
