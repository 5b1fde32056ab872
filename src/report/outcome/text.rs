//! An outcome for people at a terminal.

use crate::plan::{Change, ChangeResult, TargetPlan};
use crate::report::plan::{head, told};
use crate::report::style::{Role, Style};
use crate::report::wrap::sentence;
use crate::report::{diagnostics, escape, line, words};

use super::{ending, not_made};

/// The outcome as text: the changes that were made, those that were not with why and the way past,
/// and last the counts. With `--summary` the changes that were made are left out: whoever reads it
/// has seen them.
pub(crate) fn text(outcomes: &[TargetPlan], style: &Style) -> String {
    let mut out = diagnostics::warnings_text(outcomes, style);
    let several = outcomes.len() > 1;
    let say = |out: &mut String, text: &str, role| sentence(out, (0, 6), text, role, style);
    for outcome in outcomes {
        if several {
            say(&mut out, &words::target(outcome), Role::Heading);
        }
        for notice in &outcome.notices {
            say(&mut out, &format!("note: {}", escape::plain(notice)), Role::Attention);
        }
        for error in &outcome.errors {
            say(&mut out, &format!("error: {}", escape::plain(error)), Role::Wrong);
        }
        let made = outcome.results().filter(|(_, result)| result.is_success() && !style.summary);
        for (change, result) in made {
            out.push_str(&progress(change, result, style));
        }
        for group in not_made(outcome) {
            if !out.is_empty() && !out.ends_with("\n\n") {
                line(&mut out, "");
            }
            told(&mut out, &group, style, |out, change| {
                let name = (words::name(change), words::role(change.action));
                head(out, change, 0, &[name], style);
            });
        }
    }
    if !out.is_empty() {
        line(&mut out, "");
    }
    say(&mut out, &super::line(outcomes), Role::Heading);
    out
}

/// One change as it ended, as it is told while the run goes on.
pub(crate) fn progress(change: &Change, result: &ChangeResult, style: &Style) -> String {
    let mut out = String::new();
    let ended = format!("{}: {}", words::name(change), ending(change, result).0);
    head(&mut out, change, 0, &[(ended, role(result))], style);
    out
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
