//! Views of what came of applying a plan.

use serde_json::{Value, json};

use crate::plan::{Change, ChangeResult, Counts, TargetPlan, with_reason};
use crate::report::comment::Comment;
use crate::report::groups::{self, Group};
use crate::report::plan::{self, head, heads, told};
use crate::report::style::{Role, Style, sentence};
use crate::report::{FORMAT_VERSION, diagnostics, escape, exit, line, words};

/// The one line that says what came of it.
fn closing_line(outcomes: &[TargetPlan]) -> String {
    let counts = Counts::of(outcomes);
    let failed = outcomes.iter().filter(|outcome| !outcome.errors.is_empty()).count();
    let mut made = words::ended(&counts);
    made.push((counts.adopted, "adopted as they are"));
    made.push((failed, if failed == 1 { "target with errors" } else { "targets with errors" }));
    let made = words::listed(&made);
    // A run that made nothing says so.
    let tried = counts.failed + counts.blocked + counts.held + counts.not_started;
    let made = if counts.done == 0 && tried > 0 { format!("0 done, {made}") } else { made };
    let in_sync = words::listed(&[(counts.unchanged, "in sync")]);
    match (made.is_empty(), in_sync.is_empty()) {
        (true, true) => "Nothing to do.".to_owned(),
        (true, false) => format!("Nothing to do; {in_sync}."),
        (false, true) => format!("Applied: {made}."),
        (false, false) => format!("Applied: {made}; {in_sync} before."),
    }
}

/// The changes that were not made, grouped by the reason.
fn not_made(outcome: &TargetPlan) -> Vec<Group<&Change>> {
    let not_made = outcome.results().filter(|(_, result)| !result.is_success());
    groups::grouped(not_made.map(|(change, result)| {
        let reason = match ending(change, result) {
            (word, Some(why)) => with_reason(word, &why),
            (word, None) => word.to_owned(),
        };
        (change, Some(reason))
    }))
}

/// How a change ended, for people: in a word or two, and why.
fn ending(change: &Change, result: &ChangeResult) -> (&'static str, Option<String>) {
    let (word, why) = match result {
        ChangeResult::Done => ("done", None),
        ChangeResult::NotNeeded => ("found in sync", None),
        ChangeResult::Degraded(why) => ("saved but not deployed", Some(why)),
        ChangeResult::Failed(why) => ("failed", Some(why)),
        ChangeResult::Blocked(why) => ("blocked", Some(why)),
        ChangeResult::Held(why) => ("held", Some(why)),
        ChangeResult::Reported => ("drift, only reported", None),
        ChangeResult::NotStarted => ("not started", None),
    };
    let why = why.filter(|why| !why.is_empty()).map(|why| escape::plain(why));
    let is_held = matches!(result, ChangeResult::Held(_));
    (word, why.or_else(|| words::reason(change).filter(|_| is_held)))
}

// An outcome for programs. Fields are only added, never changed.

/// The outcome as JSON, `format_version` 1.0: each change as in the plan, with its `result`
/// and, where it did not simply succeed, the `message` that says why.
pub(crate) fn json(outcomes: &[TargetPlan]) -> Value {
    json!({
        "format_version": FORMAT_VERSION,
        "exit_code": exit::of_outcomes(outcomes),
        "targets": outcomes.iter().map(target).collect::<Vec<_>>(),
    })
}

fn target(outcome: &TargetPlan) -> Value {
    let changes: Vec<&Change> = outcome.results().map(|(change, _)| change).collect();
    let counts = Counts::of([outcome]);
    let summary = json!({
        "done": counts.done,
        "degraded": counts.degraded,
        "failed": counts.failed,
        "blocked": counts.blocked,
        "held": counts.held,
        "drift": counts.drifted,
        "not_started": counts.not_started,
        "adopted": counts.adopted,
        "unchanged": counts.unchanged,
    });
    plan::target(outcome, &changes, summary)
}

// An outcome as a comment on a pull request or in a job's summary.

/// The outcome as a comment: the counts, the changes that were not made and why, and folded the
/// others. It is always under 65,000 characters.
pub(crate) fn markdown(outcomes: &[TargetPlan]) -> String {
    let mut comment = Comment::of("apply");
    comment.always(&format!("### {}\n", closing_line(outcomes)));
    let several = outcomes.len() > 1;
    comment.said_of(outcomes, diagnostics::lines(outcomes));
    let mut left_out = 0;
    for outcome in outcomes {
        let groups = not_made(outcome);
        let of =
            if several { format!(" ({})", escape::plain(&outcome.name)) } else { String::new() };
        let pieces: Vec<Vec<String>> = groups.iter().map(heads).collect();
        let written = comment.block(&format!("\n**Not made{of}**\n\n"), &pieces, "");
        left_out += groups.iter().skip(written).map(|group| group.members.len()).sum::<usize>();
    }
    for outcome in outcomes {
        let pieces = outcome.results().map(|(change, result)| {
            let (action, name) = (words::column(change.action), words::named(change));
            vec![format!("{action} {name}: {}", ending(change, result).0)]
        });
        let pieces: Vec<Vec<String>> = pieces.collect();
        let name = escape::html(&outcome.name);
        let before = format!("\n<details><summary><b>{name}</b></summary>\n\n");
        left_out += pieces.len() - comment.block(&before, &pieces, "\n</details>\n");
    }
    comment.finish(left_out, "")
}

// An outcome for people at a terminal.

/// The outcome as text: the changes that were made, those that were not with why and the way past,
/// and last the counts. Where the style asks for a summary, the changes that were made are left out: they
/// were shown as they were made.
pub(crate) fn text(outcomes: &[TargetPlan], style: &Style) -> String {
    let mut out = diagnostics::text_of(outcomes, style);
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
    say(&mut out, &closing_line(outcomes), Role::Heading);
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

#[cfg(test)]
mod tests;
