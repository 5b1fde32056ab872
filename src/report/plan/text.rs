//! A plan for people at a terminal.

use std::fmt::Write as _;

use crate::plan::{Action, Change, Plan, TargetPlan};
use crate::report::style::{Role, Style};
use crate::report::{diagnostics, escape, line, words};

use super::fields::{self, INDENT};

/// The plan as text: what has to be said first, the changes with the deletes last, one line that
/// sums up. Nothing is said of a connection that is in sync.
#[must_use]
pub(crate) fn text(plan: &Plan, style: &Style) -> String {
    let mut out = String::new();
    for target in &plan.targets {
        for notice in &target.notices {
            let of =
                if plan.targets.len() > 1 { heading_name(target) + ": " } else { String::new() };
            let notice = format!("{of}{}", escape::plain(notice));
            line(&mut out, style.paint(Role::Attention, format!("note: {notice}")));
        }
    }
    out.push_str(&diagnostics::warnings_text(&plan.targets, style));
    line(&mut out, style.paint(Role::Aside, words::source(plan)));
    for target in &plan.targets {
        if plan.targets.len() > 1 {
            line(&mut out, "");
            line(&mut out, heading(target, style));
        }
        body(&mut out, target, style);
    }
    line(&mut out, "");
    line(&mut out, style.paint(Role::Heading, words::plan_line(plan)));
    out
}

fn heading_name(target: &TargetPlan) -> String {
    escape::plain(&target.name)
}

fn heading(target: &TargetPlan, style: &Style) -> String {
    let name = style.paint(Role::Heading, heading_name(target));
    let (project, url) = (escape::plain(&target.project), escape::plain(&target.url));
    let counts = words::counts(&target.summary());
    let counts = if counts.is_empty() { counts } else { format!(": {counts}") };
    format!("{name} ({project} at {url}){counts}")
}

fn body(out: &mut String, target: &TargetPlan, style: &Style) {
    for error in &target.errors {
        line(out, style.paint(Role::Wrong, format!("error: {}", escape::plain(error))));
    }
    let changes = words::reading_order(target);
    let type_width = changes.iter().map(|change| change.type_name.chars().count()).max();
    for change in changes {
        line(out, "");
        one(out, change, type_width.unwrap_or_default().min(16), style);
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

fn one(out: &mut String, change: &Change, type_width: usize, style: &Style) {
    let role = words::role(change.action);
    let sign = style.paint(role, format!("{:>3}", words::sign(change.action)));
    let type_name = escape::plain(&change.type_name);
    let mut head =
        format!("{sign} {type_name:<type_width$}  {}", style.paint(role, words::name(change)));
    if change.held {
        let _ = write!(head, "  {}", style.paint(Role::Attention, "(held)"));
    }
    let is_told = style.verbose || change.action == Action::Blocked;
    if let Some(place) = change.place.as_ref().filter(|_| is_told) {
        let _ = write!(head, "  {}", style.paint(Role::Aside, words::place(place)));
    }
    line(out, head);
    let role = match change.action {
        Action::Blocked => Role::Wrong,
        _ if change.held => Role::Attention,
        _ => Role::Aside,
    };
    if let Some(reason) = words::reason(change) {
        wrapped(out, &reason, role, style);
    }
    if let Some(advice) = &change.advice {
        wrapped(out, &format!("to proceed: {}", escape::plain(advice)), Role::Aside, style);
    }
    fields::write(out, change, style);
}

/// A sentence below a change, broken between words.
fn wrapped(out: &mut String, sentence: &str, role: Role, style: &Style) {
    let width = style.width.saturating_sub(INDENT).max(20);
    let mut current = String::new();
    for word in sentence.split(' ') {
        if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > width {
            line(out, format!("{:w$}{}", "", style.paint(role, &current), w = INDENT));
            current.clear();
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    line(out, format!("{:w$}{}", "", style.paint(role, &current), w = INDENT));
}
