//! A plan for people at a terminal.

use crate::plan::{Action, Change, Plan, TargetPlan};
use crate::report::groups::{self, Group, Named, Why};
use crate::report::style::{Role, Style};
use crate::report::wrap::{pieces, sentence};
use crate::report::{diagnostics, escape, line, words};

use super::fields::{self, INDENT};

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
    out.push_str(&diagnostics::warnings_text(&plan.targets, style));
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
    let changes = words::reading_order(target);
    let type_width = changes.iter().map(|change| change.type_name.chars().count()).max();
    let type_width = type_width.unwrap_or_default().min(16);
    let mut is_apart = true;
    for group in groups::of_plan(changes, style.summary) {
        // With `--summary` the changes without a reason are lines of one list.
        let is_line = style.summary && group.why.is_none();
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
    group: &Group<'_>,
    style: &Style,
    one: impl Fn(&mut String, &Change),
) {
    if let Some(Why { reason, advice }) = &group.why {
        sentence(out, (0, 0), reason, Role::Attention, style);
        if let Some(advice) = advice {
            sentence(out, (0, 0), &format!("to proceed: {advice}"), Role::Aside, style);
        }
    }
    let lists_all = style.verbose || group.why.is_none();
    let mut is_counted = false;
    for named in group.named(lists_all) {
        match named {
            Named::Change(change) => one(out, change),
            Named::Count(action, type_name, count) => {
                is_counted = true;
                let (type_name, names) = (escape::plain(type_name), groups::names(count));
                line(out, format!("{} {type_name}  {names}", sign(action, style)));
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

fn one(out: &mut String, change: &Change, type_width: usize, group: &Group<'_>, style: &Style) {
    let held = (change.held && group.why.is_none()).then(|| ("(held)".to_owned(), Role::Attention));
    let place = change.place.as_ref().map(|place| (words::place(place), Role::Aside));
    let name = (words::name(change), words::role(change.action));
    let all: Vec<_> = std::iter::once(name).chain(held).chain(place).collect();
    head(out, change, type_width, &all, style);
    if style.summary {
        return;
    }
    if group.why.is_none() {
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
    if group.why.is_none() || style.verbose || change.action != Action::Delete {
        fields::write(out, change, style);
    }
}
