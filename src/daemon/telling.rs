//! What the log says of a reconcile.

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::pass::Passed;
use super::quiet::{Hearing, Quiet};
use super::status::ReconcileOutcome;
use crate::apply::ChangeResult;
use crate::document::{Diagnostic, Severity};
use crate::plan::State;

/// How many problems of a refused commit, or of what is left to be made, are logged.
const MOST_TOLD: usize = 5;

/// Tells what came of a reconcile; the same trouble only once in a while.
pub(super) fn tell(
    target: &str,
    commit: Option<&str>,
    passed: &Passed,
    outcome: ReconcileOutcome,
    quiet: &mut Quiet,
) {
    let commit = commit.unwrap_or("worktree");
    let errors = passed.outcome.as_ref().map_or(&passed.plan.errors, |o| &o.errors);
    // These say nothing of what is wrong: a newer commit or the end is next, or somebody asked.
    if matches!(outcome, ReconcileOutcome::Interrupted | ReconcileOutcome::Suspended) {
        debug!(target, commit, outcome = outcome.as_str(), "reconciled");
        return;
    }
    if !outcome.is_success() {
        let text = match errors.first() {
            Some(_) => errors.join("; "),
            None => what_is_left(passed),
        };
        let hearing = quiet.hear(&text, Instant::now());
        if passed.refused.is_some() && matches!(hearing, Hearing::Loud(_)) {
            refusal_told(target, commit, &passed.diagnostics);
        }
        match hearing {
            Hearing::Loud(0) => warn!(target, commit, outcome = outcome.as_str(), "{text}"),
            Hearing::Loud(more) => {
                warn!(target, commit, outcome = outcome.as_str(), repeated = more, "{text}");
            }
            Hearing::Quiet(times) => {
                debug!(target, commit, outcome = outcome.as_str(), times, "{text}");
            }
        }
        return;
    }
    if quiet.is_over() {
        info!(target, commit, "recovered");
    }
    match outcome {
        ReconcileOutcome::Applied => info!(target, commit, "applied"),
        outcome => debug!(target, commit, outcome = outcome.as_str(), "reconciled"),
    }
}

/// Tells what is wrong with the documents of a commit that is refused; the first few are enough
/// to find it, and `validate` shows all of them.
fn refusal_told(target: &str, commit: &str, diagnostics: &[Diagnostic]) {
    let errors = diagnostics.iter().filter(|problem| problem.severity == Severity::Error);
    for problem in errors.take(MOST_TOLD) {
        let place = &problem.mark;
        error!(
            target,
            commit,
            code = problem.code,
            "{}:{}:{}: {}",
            place.file,
            place.line,
            place.column,
            problem.message
        );
    }
}

/// What of a plan was not made, and why.
fn what_is_left(passed: &Passed) -> String {
    let results = passed.outcome.iter().flat_map(|outcome| &outcome.results);
    let not_made = results.filter_map(|(change, result)| {
        let (kind, why) = match result {
            ChangeResult::Failed(why) => ("failed", why),
            ChangeResult::Blocked(why) => ("blocked", why),
            ChangeResult::Held(why) => ("held", why),
            ChangeResult::Degraded(why) => ("not deployed", why),
            _ => return None,
        };
        let name = &change.name;
        // The reason of a hold begins with that word.
        Some(if why.starts_with(kind) {
            format!("`{name}` {why}")
        } else {
            format!("`{name}` {kind}: {why}")
        })
    });
    let mut words: Vec<String> = not_made.collect();
    if words.is_empty() {
        let waiting = passed.states.iter().filter(|state| state.state == State::Degraded);
        words.extend(waiting.map(|state| {
            format!("`{}` not deployed: {}", state.name, state.reason.as_deref().unwrap_or(""))
        }));
    }
    let more = words.len().saturating_sub(MOST_TOLD);
    words.truncate(MOST_TOLD);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    if words.is_empty() { "something is left to be made".to_owned() } else { words.join("; ") }
}
