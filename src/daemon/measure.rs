//! The metrics of a reconcile.

use std::time::Duration;

use jiff::Timestamp;

use super::news::News;
use super::pass::PassResult;
use super::status::ReconcileOutcome;
use crate::plan::{Entry, State};

/// Counts and measures one reconcile of a target; `committed` is when its commit was made, in
/// seconds since 1970.
pub(super) fn measure(
    target: &str,
    result: &PassResult,
    outcome: ReconcileOutcome,
    news: &News,
    duration: Duration,
    committed: Option<i64>,
) {
    let label = || [("target", target.to_owned())];
    let labels = [("target", target.to_owned()), ("outcome", outcome.as_str().to_owned())];
    metrics::counter!("apinizer_gitops_reconciles_total", &labels).increment(1);
    metrics::histogram!("apinizer_gitops_reconcile_duration_seconds", &label())
        .record(duration.as_secs_f64());
    metrics::counter!("apinizer_gitops_drift_detected_total", &label())
        .increment(u64::try_from(news.drifted.len()).unwrap_or(u64::MAX));
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let now = Timestamp::now().as_second() as f64;
    if outcome.is_success() {
        metrics::gauge!("apinizer_gitops_last_success_timestamp_seconds", &label()).set(now);
    }
    if let Some(committed) = committed.filter(|_| news.is_newly_applied) {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
        let seconds = (now - committed as f64).max(0.0);
        metrics::histogram!("apinizer_gitops_commit_to_applied_seconds", &label()).record(seconds);
    }
    for ((rule, effect), count) in &result.plan.rule_matches {
        let labels = [
            ("target", target.to_owned()),
            ("rule", rule.clone()),
            ("effect", (*effect).to_owned()),
        ];
        let count = f64::from(u32::try_from(*count).unwrap_or(u32::MAX));
        metrics::gauge!("apinizer_gitops_rule_matches", &labels).set(count);
    }
    measure_suspended(target, result.suspended);
    // A target that could not be looked at keeps its last counts.
    if !result.was_looked_at() {
        return;
    }
    set_counts(target, |state: State| {
        let stands = |entry: &&Entry| entry.state == state && !entry.is_deleted();
        let count = result.plan.entries.iter().filter(stands).count();
        f64::from(u32::try_from(count).unwrap_or(u32::MAX))
    });
}

/// Takes back the counts of a target: another replica counts for it from now on.
pub(super) fn take_back(target: &str) {
    set_counts(target, |_| 0.0);
    measure_suspended(target, false);
    measure_wait(target, None);
}

/// Shows whether a target is suspended.
pub(super) fn measure_suspended(target: &str, suspended: bool) {
    let label = [("target", target.to_owned())];
    metrics::gauge!("apinizer_gitops_suspended", &label).set(f64::from(u8::from(suspended)));
}

/// Shows since when a target waits for the one before it.
pub(super) fn measure_wait(target: &str, since: Option<Timestamp>) {
    let label = [("target", target.to_owned())];
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let since = since.map_or(0.0, |since| since.as_second() as f64);
    metrics::gauge!("apinizer_gitops_waits_since_timestamp_seconds", &label).set(since);
}

fn set_counts(target: &str, count: impl Fn(State) -> f64) {
    let label = || [("target", target.to_owned())];
    for state in State::ALL {
        let labels = [("target", target.to_owned()), ("state", state.as_str().to_owned())];
        metrics::gauge!("apinizer_gitops_connections", &labels).set(count(state));
    }
    metrics::gauge!("apinizer_gitops_deletes_held", &label()).set(count(State::Held));
    metrics::gauge!("apinizer_gitops_not_converging", &label()).set(count(State::NotConverging));
}
