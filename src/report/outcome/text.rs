//! An outcome for people at a terminal.

use crate::plan::{Change, ChangeResult, TargetPlan};
use crate::report::style::{Role, Style};
use crate::report::{diagnostics, escape, line, words};

use super::{ending, told_again};

/// The outcome as text: one line for each change, the counts, and again the changes that were not
/// made with why and the way past.
#[must_use]
pub(crate) fn text(outcomes: &[TargetPlan], style: &Style) -> String {
    let mut out = diagnostics::warnings_text(outcomes, style);
    let several = outcomes.len() > 1;
    for outcome in outcomes {
        if several {
            let name = style.paint(Role::Heading, escape::plain(&outcome.name));
            let (project, url) = (escape::plain(&outcome.project), escape::plain(&outcome.url));
            line(&mut out, format!("{name} ({project} at {url})"));
        }
        for notice in &outcome.notices {
            let notice = format!("note: {}", escape::plain(notice));
            line(&mut out, style.paint(Role::Attention, notice));
        }
        for error in &outcome.errors {
            line(&mut out, style.paint(Role::Wrong, format!("error: {}", escape::plain(error))));
        }
        for (change, result) in outcome.results() {
            line(&mut out, progress(change, result, style));
        }
    }
    if !out.is_empty() {
        line(&mut out, "");
    }
    line(&mut out, style.paint(Role::Heading, super::line(outcomes)));
    for (outcome, change, result) in told_again(outcomes) {
        let of =
            if several { format!("{}: ", escape::plain(&outcome.name)) } else { String::new() };
        let (word, why) = ending(change, result);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let name = words::name(change);
        line(
            &mut out,
            format!(
                "  {of}{} {name} {}{why}",
                escape::plain(&change.type_name),
                style.paint(role(result), word)
            ),
        );
        if let Some(advice) = &change.advice {
            line(&mut out, format!("      to proceed: {}", escape::plain(advice)));
        }
    }
    out
}

/// One change as it ended, in one line, as it is told while the run goes on.
#[must_use]
pub(crate) fn progress(change: &Change, result: &ChangeResult, style: &Style) -> String {
    let sign =
        style.paint(words::role(change.action), format!("{:>3}", words::sign(change.action)));
    let (word, _) = ending(change, result);
    let word = style.paint(role(result), word);
    format!("{sign} {}  {}: {word}", escape::plain(&change.type_name), words::name(change))
}

fn role(result: &ChangeResult) -> Role {
    match result {
        ChangeResult::Done | ChangeResult::NotNeeded => Role::Added,
        ChangeResult::Failed(_) | ChangeResult::Blocked(_) => Role::Wrong,
        ChangeResult::Degraded(_)
        | ChangeResult::Held(_)
        | ChangeResult::Reported
        | ChangeResult::NotStarted => Role::Attention,
    }
}
