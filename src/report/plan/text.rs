//! A plan for people at a terminal.

use crate::plan::{Action, Change, FieldChange, Origin, Plan, TargetPlan};
use crate::report::difference::{DiffLine, Leaf, LeafKind, LineSign, leaves};
use crate::report::groups::{self, Group, Heading, Named};
use crate::report::style::{Role, Style, pieces, sentence, wrapped};
use crate::report::{diagnostics, escape, line, words};

/// The plan as text: the target, what has to be said first, the changes with the deletes last, one
/// line that sums up. Nothing is said of a connection that is in sync.
pub(crate) fn text(plan: &Plan, style: &Style) -> String {
    let mut out = String::new();
    let say = |out: &mut String, text: &str, role| sentence(out, (0, INDENT), text, role, style);
    let several = plan.targets.len() > 1;
    if let ([target], false) = (&plan.targets[..], several) {
        say(&mut out, &words::target(target), Role::Heading);
    }
    for target in &plan.targets {
        let of = if several { escape::plain(&target.name) + ": " } else { String::new() };
        for notice in &target.notices {
            let notice = format!("note: {of}{}", escape::plain(notice));
            say(&mut out, &notice, Role::Attention);
        }
    }
    out.push_str(&diagnostics::text_of(&plan.targets, style));
    say(&mut out, &words::source(plan), Role::Aside);
    for target in &plan.targets {
        if several {
            let counts = words::counts(target.entries.iter());
            let counts = if counts.is_empty() { counts } else { format!(" ({counts})") };
            line(&mut out, "");
            say(&mut out, &format!("{}{counts}", words::target(target)), Role::Heading);
        }
        for error in &target.errors {
            say(&mut out, &format!("error: {}", escape::plain(error)), Role::Wrong);
        }
        body(&mut out, target, style);
    }
    line(&mut out, "");
    say(&mut out, &words::plan_line(plan), Role::Heading);
    out
}

fn body(out: &mut String, target: &TargetPlan, style: &Style) {
    let changes = target.changes();
    let type_width = changes.iter().map(|change| change.type_name.chars().count()).max();
    let type_width = type_width.unwrap_or_default().min(16);
    let mut is_apart = true;
    for group in groups::of_plan(changes, style.summary) {
        // With `--summary` the changes without a reason are lines of one list.
        let is_line = style.summary && group.heading.is_none();
        if !is_line || is_apart {
            line(out, "");
        }
        is_apart = !is_line;
        told(out, &group, style, |out, change| one(out, change, type_width, &group, style));
    }
    if style.list_unmanaged && target.unmanaged().next().is_some() {
        line(out, "");
        line(out, "Unmanaged, never touched:");
        for entry in target.unmanaged() {
            let (type_name, name) =
                (escape::plain(&entry.type_name), escape::plain(entry.name.as_str()));
            line(out, style.paint(Role::Aside, format!("      {type_name}  {name}")));
        }
    }
}

/// Writes a group: the reason and the way past it, where they stand above the names, and the names.
pub(in crate::report) fn told(
    out: &mut String,
    group: &Group<&Change>,
    style: &Style,
    one: impl Fn(&mut String, &Change),
) {
    if let Some(Heading { reason, advice }) = &group.heading {
        sentence(out, (0, 0), reason, Role::Attention, style);
        if let Some(advice) = advice {
            sentence(out, (0, 0), &format!("to proceed: {advice}"), Role::Aside, style);
        }
    }
    let lists_all = style.verbose || group.heading.is_none();
    let mut is_counted = false;
    for named in group.named(lists_all) {
        match named {
            Named::One(change) => one(out, change),
            Named::Count(first, count) => {
                is_counted = true;
                let (type_name, names) =
                    (escape::plain(&first.type_name), words::counted(count, "name"));
                line(out, format!("{} {type_name}  {names}", sign(first.action, style)));
            }
        }
    }
    if is_counted {
        line(out, style.paint(Role::Aside, format!("{:INDENT$}`--verbose` lists the names", "")));
    }
}

pub(in crate::report) fn sign(action: Action, style: &Style) -> String {
    style.paint(words::role(action), format!("{:>3}", words::sign(action)))
}

/// Writes the line of a change: its sign and type, and behind them its name and what else is told.
pub(in crate::report) fn head(
    out: &mut String,
    change: &Change,
    type_width: usize,
    told: &[(String, Role)],
    style: &Style,
) {
    let type_name = escape::plain(&change.type_name);
    let column = INDENT + type_width.max(type_name.chars().count());
    let lead = format!("{} {type_name:<type_width$}  ", sign(change.action, style));
    pieces(out, (&lead, column), INDENT, told, style);
}

fn one(
    out: &mut String,
    change: &Change,
    type_width: usize,
    group: &Group<&Change>,
    style: &Style,
) {
    let held =
        (change.held && group.heading.is_none()).then(|| ("(held)".to_owned(), Role::Attention));
    let place = change.place.as_ref().map(|place| (words::place(place), Role::Aside));
    let name = (words::name(change), words::role(change.action));
    // Below a summary no line says who moved what.
    let drift = words::drifted(change).filter(|_| style.summary);
    let drift = drift.map(|words| (format!("({words})"), Role::Aside));
    let all: Vec<_> = std::iter::once(name).chain(held).chain(drift).chain(place).collect();
    head(out, change, type_width, &all, style);
    if style.summary {
        return;
    }
    if group.heading.is_none() {
        let role = match change.action {
            Action::Blocked => Role::Wrong,
            _ if change.held => Role::Attention,
            _ => Role::Aside,
        };
        let indents = (INDENT, INDENT);
        if let Some(reason) = words::reason(change) {
            sentence(out, indents, &reason, role, style);
        }
        if let Some(advice) = &change.advice {
            let advice = format!("to proceed: {}", escape::plain(advice));
            sentence(out, indents, &advice, Role::Aside, style);
        }
    }
    if let Some(edited) = words::edited(change) {
        sentence(out, (INDENT, INDENT), &edited, Role::Aside, style);
    }
    // Below one reason there may be hundreds of deletes.
    if group.heading.is_none() || style.verbose || change.action != Action::Delete {
        write(out, change, style);
    }
}

// The differences of one connection as lines of text: who moved it, what, from what to what.

/// Where the lines below the head of a change begin.
pub(super) const INDENT: usize = 6;

/// The word for a side that has no value.
const UNSET: &str = "unset";

/// The widest column of labels.
const WIDEST_LABEL: usize = 30;

/// How the sides of a difference are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SidesTold {
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
        _ if is_whole => SidesTold::One,
        Origin::Git => SidesTold::FromTo,
        Origin::Drift | Origin::Both => SidesTold::Named,
    };
    let leaves_of = |field: &FieldChange| {
        let (origin, sides) = (field.origin.into_str(), sides_of(field.origin));
        let origin = if is_whole { "" } else { origin };
        leaves(field).into_iter().map(move |leaf| (origin, sides, leaf))
    };
    let rows: Vec<(&str, SidesTold, Leaf)> = change.fields.iter().flat_map(leaves_of).collect();
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

fn row(
    out: &mut String,
    lead: &str,
    column: usize,
    kind: &LeafKind,
    sides: SidesTold,
    style: &Style,
) {
    let [from, to, between] = match sides {
        SidesTold::Named => ["live ", "git ", ", "],
        SidesTold::One | SidesTold::FromTo => ["", "", " -> "],
    };
    let mut one = |sign: &str, text: &str, role| {
        if column + 4 + sign.len() + text.chars().count() <= style.width {
            line(out, format!("{lead}  {}", style.paint(role, format!("{sign}{text}"))));
        } else {
            line(out, lead);
            below(out, sign, text, role, style);
        }
    };
    match (kind, sides) {
        (LeafKind::Added(text), SidesTold::One) => one("", text, Role::Added),
        (LeafKind::Removed(text), SidesTold::One) => one("", text, Role::Removed),
        (LeafKind::Added(text), SidesTold::FromTo) => one("+ ", text, Role::Added),
        (LeafKind::Removed(text), SidesTold::FromTo) => one("- ", text, Role::Removed),
        (LeafKind::Base(text), _) => one("", &format!("base {text}"), Role::Aside),
        (LeafKind::Sensitive(text), _) => one("", &format!("{text} (another value)"), Role::Plain),
        (LeafKind::Added(_) | LeafKind::Removed(_) | LeafKind::Replaced(..), _) => {
            let (before, after) = match kind {
                LeafKind::Added(text) => (UNSET, text.as_str()),
                LeafKind::Removed(text) => (text.as_str(), UNSET),
                LeafKind::Replaced(before, after) => (before.as_str(), after.as_str()),
                _ => return,
            };
            let length = format!("{from}{before}{between}{to}{after}").chars().count();
            if column + 2 + length <= style.width {
                let before = style.paint(Role::Removed, before);
                let after = style.paint(Role::Added, after);
                line(out, format!("{lead}  {from}{before}{between}{to}{after}"));
            } else {
                line(out, lead);
                below(out, "- ", &format!("{from}{before}"), Role::Removed, style);
                below(out, "+ ", &format!("{to}{after}"), Role::Added, style);
            }
        }
        (LeafKind::Lines(lines), _) => {
            line(out, lead);
            for DiffLine { sign, text } in lines {
                match sign {
                    LineSign::Added => below(out, "+ ", text, Role::Added, style),
                    LineSign::Removed => below(out, "- ", text, Role::Removed, style),
                    LineSign::Same => below(out, "  ", text, Role::Aside, style),
                    // It begins with its own sign.
                    LineSign::Place => below(out, "", text, Role::Aside, style),
                }
            }
        }
    }
}

/// Writes a value below its label, behind a sign. A terminal breaks a line wherever it ends, so there a
/// long text is broken between words; a word that is longer than a line, such as a URL, stays whole.
fn below(out: &mut String, sign: &str, text: &str, role: Role, style: &Style) {
    let column = INDENT + 4;
    let lines = match style.is_terminal {
        true => wrapped(text, style.width.saturating_sub(column + sign.len())),
        false => vec![text.to_owned()],
    };
    for (number, text) in lines.iter().enumerate() {
        let sign = if number == 0 { sign } else { "  " };
        line(out, format!("{:column$}{}", "", style.paint(role, format!("{sign}{text}"))));
    }
}
