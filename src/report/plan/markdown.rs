//! A plan as a comment on a pull request.

use std::collections::BTreeSet;

use crate::plan::{Action, Change, FieldChange, Origin, Plan, TargetPlan};
use crate::report::comment::Comment;
use crate::report::difference::{DiffLine, Leaf, LeafKind, LineSign, leaves};
use crate::report::groups::{self, Group, Named};
use crate::report::style::Style;
use crate::report::{diagnostics, escape, words};

/// How many groups of a kind are called out above the differences.
const CALLED_OUT: usize = 50;

/// How many files are linked to.
const LINKED: usize = 20;

/// The plan as a comment: summary first, deletes called out, differences folded. It is always
/// under 65,000 characters; what gives way are the differences.
pub(crate) fn markdown(plan: &Plan, style: &Style) -> String {
    let mut comment = Comment::of("plan");
    comment.always(&format!("### {}\n", words::plan_line(plan)));
    comment.line(&format!("\n{}", escape::code_span(&words::source(plan))));
    links(&mut comment, plan);
    comment.said_of(&plan.targets, diagnostics::lines(&plan.targets));
    let parts: Vec<[Vec<Change>; 2]> = plan.targets.iter().map(parts).collect();
    let drift: Vec<&Vec<Change>> = parts.iter().map(|[_, drift]| drift).collect();
    let own: Vec<&Vec<Change>> = parts.iter().map(|[own, _]| own).collect();
    call_out(&mut comment, plan, "Blocked", &own, |change| change.action == Action::Blocked);
    call_out(&mut comment, plan, "Deletes and replaces", &own, |change| {
        matches!(change.action, Action::Delete | Action::Replace)
    });
    call_out(&mut comment, plan, "Drift that no commit made", &drift, |_| true);
    let mut left_out = 0;
    for (target, [own, drift]) in plan.targets.iter().zip(&parts) {
        let counts = words::counts(target.entries.iter());
        left_out += folded(&mut comment, target, own, &counts, style);
        left_out += folded(&mut comment, target, drift, "drift that no commit made", style);
    }
    if style.list_unmanaged {
        for target in &plan.targets {
            left_out += unmanaged(&mut comment, target);
        }
    }
    comment.finish(left_out, "; `plan --output text` shows them all")
}

/// The changes of a target in two parts: those that git asks for, and drift that no commit made. An
/// update that is both is in each with the fields of that part.
fn parts(target: &TargetPlan) -> [Vec<Change>; 2] {
    let [mut own, mut drift] = [Vec::new(), Vec::new()];
    for change in target.changes() {
        let is_write = matches!(change.action, Action::Create | Action::Update | Action::Rename);
        let (moved, asked): (Vec<FieldChange>, Vec<_>) =
            change.fields.iter().cloned().partition(|field| field.origin == Origin::Drift);
        let is_of_git = !asked.is_empty() || change.action == Action::Rename;
        if change.action == Action::Drift || (is_write && !moved.is_empty() && !is_of_git) {
            drift.push(change.clone());
        } else if is_write && !moved.is_empty() {
            let (action, fields) = (Action::Update, moved);
            let (previous_name, reason, advice) = (None, None, None);
            drift.push(Change { action, fields, previous_name, reason, advice, ..change.clone() });
            own.push(Change { fields: asked, edited: None, ..change.clone() });
        } else {
            own.push(change.clone());
        }
    }
    [own, drift]
}

/// Links to the commit and to the files of the changes, where the host is known.
fn links(comment: &mut Comment, plan: &Plan) {
    let (Some(links), Some(commit)) = (&plan.links, &plan.commit) else { return };
    let id = &commit.id;
    let mut pages =
        vec![format!("[commit {}](<{}>)", escape::code_span(id.short()), links.to_commit(&id.0))];
    let changes = plan.targets.iter().flat_map(TargetPlan::changes);
    let places: BTreeSet<(&str, u32)> =
        changes.filter_map(|c| c.place.as_ref()).map(|place| (&*place.file, place.line)).collect();
    pages.extend(places.iter().take(LINKED).map(|(file, line)| {
        let text = escape::code_span(&format!("{file}:{line}"));
        format!("[{text}](<{}>)", links.to_line(&id.0, file, *line))
    }));
    if places.len() > LINKED {
        pages.push(format!("and {} more files", places.len() - LINKED));
    }
    comment.line(&format!("\n{}", pages.join(" · ")));
}

/// Says what nobody should have to unfold: a reason, the way past it, and names.
fn call_out(
    comment: &mut Comment,
    plan: &Plan,
    title: &str,
    changes: &[&Vec<Change>],
    is_it: fn(&Change) -> bool,
) {
    let several = plan.targets.len() > 1;
    let mut pieces: Vec<(usize, Vec<String>)> = Vec::new();
    for (target, changes) in plan.targets.iter().zip(changes) {
        let of =
            if several { format!(" ({})", escape::plain(&target.name)) } else { String::new() };
        let changes: Vec<&Change> = changes.iter().filter(|change| is_it(change)).collect();
        // Below one reason too many names are counted, and here the first are named.
        let is_short = changes.len() <= CALLED_OUT;
        for mut group in groups::of_plan(changes, is_short) {
            // A change that is alone with its reason is told as any other.
            group.heading = group.heading.filter(|_| group.members.len() > 1);
            let mut piece = heads(&group);
            if let Some(first) = piece.first_mut() {
                first.push_str(&of);
            }
            pieces.push((group.members.len(), piece));
        }
    }
    let shown: Vec<_> = pieces.iter().take(CALLED_OUT).map(|(_, piece)| piece.clone()).collect();
    if shown.is_empty() {
        return;
    }
    let written = comment.block(&format!("\n**{title}**\n\n"), &shown, "");
    let left_out: usize = pieces.iter().skip(written).map(|(count, _)| count).sum();
    if left_out > 0 {
        comment.line(&format!("\nand {left_out} more"));
    }
}

/// Writes the changes of a target, folded: with their differences while there is room, else the
/// heads alone. Says how many changes had no room at all.
fn folded(
    comment: &mut Comment,
    target: &TargetPlan,
    changes: &[Change],
    title: &str,
    style: &Style,
) -> usize {
    let groups = groups::of_plan(changes.iter().collect(), style.summary);
    if groups.is_empty() {
        return 0;
    }
    let name = [&target.name, &target.project].map(|text| escape::html(text));
    let before =
        format!("\n<details><summary><b>{}</b> ({}): {title}</summary>\n\n", name[0], name[1]);
    let after = "\n</details>\n";
    let whole: Vec<Vec<String>> = groups
        .iter()
        .map(|group| if style.summary { heads(group) } else { with_fields(group) })
        .collect();
    let size: usize = whole.iter().flatten().map(|line| line.len() + 1).sum();
    let pieces: Vec<Vec<String>> = if size + before.len() + after.len() + 20 < comment.room() {
        whole
    } else {
        fitted(&groups, whole, comment.room().saturating_sub(before.len() + after.len() + 20))
    };
    let written = comment.block(&before, &pieces, after);
    groups.iter().skip(written).map(|group| group.members.len()).sum()
}

/// Keeps the differences of each group, in order, that still have room.
fn fitted(groups: &[Group<&Change>], whole: Vec<Vec<String>>, room: usize) -> Vec<Vec<String>> {
    let size = |piece: &[String]| piece.iter().map(|line| line.len() + 1).sum::<usize>();
    let heads: Vec<Vec<String>> = groups.iter().map(short).collect();
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

/// The line of a change without its reason, marked as cut; of several with one reason their heads.
fn short(group: &Group<&Change>) -> Vec<String> {
    let mut lines = heads(group);
    if group.heading.is_none() {
        lines.truncate(1);
    }
    let has_fields = group.members.iter().any(|change| !change.fields.is_empty());
    if let (Some(line), true) = (lines.first_mut(), has_fields) {
        line.push_str(" ...");
    }
    lines
}

/// A group without its differences: the reason, the way past it, and the names.
pub(in crate::report) fn heads(group: &Group<&Change>) -> Vec<String> {
    drawn(group, |_| Vec::new())
}

fn with_fields(group: &Group<&Change>) -> Vec<String> {
    drawn(group, |change| {
        if change.action == Action::Delete && group.heading.is_some() {
            return Vec::new();
        }
        // Of a connection that is created or deleted there is one side.
        let origin = |origin: Origin| match change.action {
            Action::Create | Action::Delete => String::new(),
            _ => format!(" ({})", origin.into_str()),
        };
        let rows_of = |field: &FieldChange| {
            let (said, is_named) = (origin(field.origin), field.origin != Origin::Git);
            leaves(field).into_iter().flat_map(move |leaf| rows(&leaf, &said, is_named))
        };
        change.fields.iter().flat_map(rows_of).collect()
    })
}

fn drawn(group: &Group<&Change>, below: impl Fn(&Change) -> Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(heading) = &group.heading {
        lines.push(format!("# {}", heading.reason));
        lines.extend(heading.advice.iter().map(|advice| format!("#     to proceed: {advice}")));
    }
    for named in group.named(group.heading.is_none()) {
        match named {
            Named::One(change) => {
                lines.push(name_line(change));
                if group.heading.is_none() {
                    lines.extend(words::reason(change).map(|reason| format!("#     {reason}")));
                    let advice = change.advice.as_deref().map(escape::plain);
                    lines.extend(advice.map(|advice| format!("#     to proceed: {advice}")));
                }
                lines.extend(words::edited(change).map(|edited| format!("#     {edited}")));
                lines.extend(below(change));
            }
            Named::Count(first, count) => {
                let (sign, word) = (words::column(first.action), first.action.into_str());
                let type_name = escape::plain(&first.type_name);
                lines.push(format!("{sign} {word} {type_name}: {}", words::counted(count, "name")));
            }
        }
    }
    lines
}

fn name_line(change: &Change) -> String {
    let sign = words::column(change.action);
    let held = if change.held { " (held)" } else { "" };
    let place = change.place.as_ref().map(|place| format!("  {}", words::place(place)));
    format!("{sign} {}{held}{}", words::named(change), place.unwrap_or_default())
}

/// A leaf as lines with their sign in column 0.
fn rows(leaf: &Leaf, origin: &str, is_named: bool) -> Vec<String> {
    let label = format!("{}{origin}", leaf.label);
    let [live, git] = if is_named { ["live ", "git "] } else { ["", ""] };
    match &leaf.kind {
        LeafKind::Base(text) => vec![format!("      {label}: base {text}")],
        LeafKind::Added(text) => vec![format!("+     {label}: {git}{text}")],
        LeafKind::Removed(text) => vec![format!("-     {label}: {live}{text}")],
        LeafKind::Replaced(before, after) => {
            vec![format!("-     {label}: {live}{before}"), format!("+     {label}: {git}{after}")]
        }
        LeafKind::Sensitive(text) => vec![format!("!     {label}: {text} (another value)")],
        LeafKind::Lines(lines) => std::iter::once(format!("      {label}:"))
            .chain(lines.iter().map(|DiffLine { sign, text }| match sign {
                LineSign::Place => text.clone(),
                sign => format!("{}         {text}", sign.as_char()),
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
