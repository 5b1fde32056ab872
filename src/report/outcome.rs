//! Views of what came of applying a plan.

mod json;
mod markdown;
mod text;

use crate::plan::{Change, ChangeResult, Counts, TargetPlan, with_reason};

pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::{progress, text};

use super::groups::{self, Group, Why};
use super::{escape, words};

/// The one line that says what came of it.
fn line(outcomes: &[TargetPlan]) -> String {
    let counts = Counts::of(outcomes);
    let failed = outcomes.iter().filter(|outcome| !outcome.errors.is_empty()).count();
    let made = words::listed(&[
        (counts.done, "done"),
        (counts.degraded, "saved but not deployed"),
        (counts.failed, "failed"),
        (counts.blocked, "blocked"),
        (counts.held, "held"),
        (counts.drifted, "drifted"),
        (counts.not_started, "not started"),
        (counts.adopted, "adopted as they are"),
        (failed, if failed == 1 { "target with errors" } else { "targets with errors" }),
    ]);
    // A run that made nothing says so, beside what kept it from it.
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

/// The changes that were not made, those together that one reason kept from it.
fn not_made(outcome: &TargetPlan) -> Vec<Group<'_>> {
    let not_made = outcome.results().filter(|(_, result)| !result.is_success());
    groups::grouped(not_made.map(|(change, result)| {
        let reason = match ending(change, result) {
            (word, Some(why)) => with_reason(word, &why),
            (word, None) => word.to_owned(),
        };
        (change, Some(Why { reason, advice: None }))
    }))
}

/// How a change ended, in one word or two, and why.
fn ending(change: &Change, result: &ChangeResult) -> (&'static str, Option<String>) {
    let why = |reason: &str| (!reason.is_empty()).then(|| escape::plain(reason));
    match result {
        ChangeResult::Done => ("done", None),
        ChangeResult::NotNeeded => ("found in sync", None),
        ChangeResult::Degraded(reason) => ("saved but not deployed", why(reason)),
        ChangeResult::Failed(reason) => ("failed", why(reason)),
        ChangeResult::Blocked(reason) => ("blocked", why(reason)),
        ChangeResult::Held(reason) => ("held", why(reason).or_else(|| words::reason(change))),
        ChangeResult::Reported => ("drift, only reported", None),
        ChangeResult::NotStarted => ("not started", None),
    }
}

#[cfg(test)]
mod tests;
