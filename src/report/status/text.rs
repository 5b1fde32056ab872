//! The status for people at a terminal.

use serde_json::Value;

use crate::report::style::{Role, Style};
use crate::report::wrap::{pieces, sentence};
use crate::report::{groups, line};

use super::model::{
    Alike, Named, alike, counts, facts, heading, notes, source, source_error, told, told_of,
    totals, warnings,
};

/// The status as text: the source, and of each target what has to be said first, what is not in
/// sync, and its counts.
pub(crate) fn text(status: &Value, style: &Style) -> String {
    let mut out = String::new();
    let say = |out: &mut String, text: &str, role| sentence(out, (0, 2), text, role, style);
    say(&mut out, &source(status), Role::Plain);
    if let Some(error) = source_error(status) {
        say(&mut out, &format!("error: {error}"), Role::Wrong);
    }
    if let Some(totals) = totals(status) {
        say(&mut out, &totals, Role::Heading);
    }
    let (targets, in_sync) = told_of(status, style.verbose);
    for target in targets {
        line(&mut out, "");
        one(&mut out, target, style);
    }
    if in_sync > 0 {
        line(&mut out, "");
        let more = format!("{in_sync} targets are in sync; `--verbose` lists them");
        say(&mut out, &more, Role::Aside);
    }
    out
}

fn one(out: &mut String, target: &Value, style: &Style) {
    let say = |out: &mut String, text: &str, role| sentence(out, (2, 4), text, role, style);
    let state = told(target, "state").unwrap_or_default();
    let role = match state.as_str() {
        "in_sync" => Role::Added,
        "failing" | "blocked" | "refused" => Role::Wrong,
        "waiting" | "suspended" => Role::Aside,
        _ => Role::Attention,
    };
    let state = style.paint(role, state.replace('_', " "));
    line(out, format!("{}: {state}", style.paint(Role::Heading, heading(target))));
    if let Some(error) = told(target, "error") {
        say(out, &format!("error: {error}"), Role::Wrong);
    }
    for note in notes(target) {
        say(out, &format!("note: {note}"), Role::Attention);
    }
    for warning in warnings(target) {
        say(out, &format!("warning: {warning}"), Role::Attention);
    }
    let facts = facts(target);
    if !facts.is_empty() {
        say(out, &facts.join(", "), Role::Aside);
    }
    let groups = alike(target, style.list_unmanaged);
    let noted = || groups.iter().flat_map(|group| &group.noted);
    let types = noted().map(|one| one.type_name.chars().count()).max().unwrap_or_default().min(30);
    let alone = groups.iter().filter(|group| group.noted.len() == 1);
    let alone = alone.flat_map(|group| &group.noted).map(|one| one.name.chars().count());
    let widths = (types, alone.max().unwrap_or_default().min(30));
    groups.iter().for_each(|group| together(out, group, widths, style));
    let counts = counts(std::iter::once(target));
    if !counts.is_empty() {
        say(out, &counts, Role::Plain);
    }
}

/// Writes connections that stand alike: one in a line, several below their reason.
fn together(out: &mut String, group: &Alike, (types, names): (usize, usize), style: &Style) {
    let is_alone = group.noted.len() == 1;
    let role = match group.noted.first() {
        Some(one) if one.is_wrong => Role::Wrong,
        _ => Role::Attention,
    };
    if !is_alone {
        sentence(out, (2, 4), group.state(), role, style);
    }
    let advice = group.advice.iter().map(|advice| format!("to proceed: {advice}"));
    let advice = |out: &mut String, indents| {
        advice.for_each(|advice| sentence(out, indents, &advice, Role::Aside, style));
    };
    if !is_alone {
        advice(out, (2, 4));
        for named in group.named(style.verbose) {
            line(
                out,
                match named {
                    Named::One(one) => {
                        format!("  {} {:<types$}  {}", one.sign, one.type_name, one.name)
                    }
                    Named::Count(type_name, count) => {
                        format!("    {type_name:<types$}  {}", groups::names(count))
                    }
                },
            );
        }
        return;
    }
    for one in &group.noted {
        let type_name = format!("{:<types$}", one.type_name);
        let lead = (format!("  {} {type_name}  ", one.sign), 6 + type_name.chars().count());
        let name = (format!("{:<names$}", one.name), Role::Plain);
        pieces(out, (&lead.0, lead.1), 6, &[name, (one.state.clone(), role)], style);
    }
    advice(out, (6, 6));
}
