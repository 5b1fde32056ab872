//! The task that keeps one target: it waits for an order or for its own next turn, reconciles,
//! and tells the board what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::follow::{Seen, Source};
use super::orders::Orders;
use super::pass::{Manner, Passed, pass, set_suspended};
use super::quiet::{Hearing, Quiet};
use super::schedule::{Standing, Turn};
use super::status::{
    Board, Counts, HistoryEntry, ReconcileOutcome, ShownPlan, TargetState, TargetStatus,
};
use super::trigger::Cause;
use crate::apply::{ChangeResult, TargetOutcome};
use crate::config::Target;
use crate::plan::State;
use crate::reconcile::Engine;

/// How long one reconcile may take before the probe calls it stuck.
const LONGEST_PASS: Duration = Duration::from_secs(15 * 60);

/// What the keeper of a target works with.
pub(super) struct Keeper {
    pub(super) engine: Arc<Engine>,
    pub(super) target: Target,
    pub(super) source: Source,
    /// The newest that the supervisor saw of the source.
    pub(super) seen: watch::Receiver<Option<Seen>>,
    pub(super) orders: Arc<Orders>,
    pub(super) board: Board,
    pub(super) writes: bool,
    /// Ends the task.
    pub(super) shutdown: CancellationToken,
}

impl Keeper {
    /// Keeps the target until the shutdown.
    pub(super) async fn keep(self) {
        let mut quiet = Quiet::default();
        let mut failures = 0;
        let mut next = None;
        loop {
            let Some(causes) = self.next_turn(next).await else { break };
            let Some(seen) = self.seen.borrow().clone() else { continue };
            let began = (Timestamp::now(), Instant::now());
            self.board.watchdog().expect(&self.target.name, LONGEST_PASS);
            self.board.edit_target(&self.target.name, |status| status.reconciling = true);
            let stop = self.shutdown.child_token();
            let commit = seen.snapshot.commit().map(|commit| commit.id.clone());
            self.orders.begin(commit, stop.clone());
            let manner = Manner { writes: self.writes, once: false };
            let passed =
                pass(&self.engine, &self.target, &self.source, &seen, manner, stop.clone()).await;
            self.orders.end();
            let outcome = self.outcome_of(&passed, stop.is_cancelled());
            failures = if outcome.is_success() { 0 } else { failures_after(outcome, failures) };
            let turn = self.standing(failures).next(fastrand::f64());
            self.tell(&seen, passed, outcome, &causes, began, turn, &mut quiet);
            next = Some((Instant::now() + turn.after, turn.cause));
            self.board.watchdog().expect(&self.target.name, turn.after);
        }
        self.board.watchdog().forget(&self.target.name);
        debug!(target = %self.target.name, "the keeper ends with the daemon");
    }

    /// Waits for an order or for the own next turn; `None`: the daemon ends.
    async fn next_turn(&self, next: Option<(Instant, Cause)>) -> Option<BTreeSet<Cause>> {
        let own_turn = async {
            match next {
                Some((at, cause)) => {
                    tokio::time::sleep_until(at).await;
                    cause
                }
                None => std::future::pending().await,
            }
        };
        let cause = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return None,
            () = self.orders.raised() => None,
            cause = own_turn => Some(cause),
        };
        let mut order = self.orders.take();
        order.causes.extend(cause);
        if let Some(suspend) = order.suspend
            && self.writes
            && let Err(error) = set_suspended(&self.engine, &self.target, suspend).await
        {
            warn!(target = %self.target.name, "the suspension could not be remembered: {error}");
            self.orders.put_back(suspend);
        }
        Some(order.causes)
    }

    fn standing(&self, failures: u32) -> Standing {
        let record = self.engine.state_file(&self.target).read();
        let due = record.ok().and_then(|record| {
            record.degraded.values().filter(|d| !d.deleted).map(|d| d.next).min()
        });
        let degraded_in = due.map(|due| {
            let seconds = due.saturating_sub(Timestamp::now().as_second()).max(0);
            Duration::from_secs(seconds.unsigned_abs())
        });
        Standing { resync: self.target.resync, failures, degraded_in }
    }

    fn outcome_of(&self, passed: &Passed, interrupted: bool) -> ReconcileOutcome {
        if passed.refused.is_some() {
            return ReconcileOutcome::Refused;
        }
        let Some(outcome) = &passed.outcome else { return looked_at(passed) };
        ReconcileOutcome::of(outcome, &Counts::of(outcome), interrupted)
    }

    #[expect(clippy::too_many_arguments, reason = "one reconcile, told once")]
    fn tell(
        &self,
        seen: &Seen,
        passed: Passed,
        outcome: ReconcileOutcome,
        causes: &BTreeSet<Cause>,
        (time, started): (Timestamp, Instant),
        turn: Turn,
        quiet: &mut Quiet,
    ) {
        let commit = seen.snapshot.commit().cloned();
        let duration = started.elapsed();
        self.log(&passed, outcome, commit.as_ref().map(|c| c.id.short()), quiet);
        self.count(&passed, outcome, duration, commit.as_ref().map(|c| c.time));
        let ended = Timestamp::now();
        let id = commit.map(|commit| commit.id);
        self.board.edit_target(&self.target.name, |status| {
            status.reconciling = false;
            status.suspended = passed.suspended;
            status.state = state_of(&passed, outcome);
            status.commit_seen.clone_from(&id);
            if passed.applied {
                status.commit_applied.clone_from(&id);
            }
            status.last_reconcile = Some(ended);
            status.next_reconcile = jiff::SignedDuration::try_from(turn.after)
                .ok()
                .and_then(|after| ended.checked_add(after).ok());
            let errors = passed.outcome.as_ref().map_or(&passed.plan.errors, |o| &o.errors);
            status.error = (!errors.is_empty()).then(|| errors.join("; "));
            status.remember(HistoryEntry {
                time,
                cause: causes.iter().next().copied().unwrap_or(Cause::Resync),
                commit: id.clone(),
                outcome,
                counts: passed.outcome.as_ref().map(Counts::of).unwrap_or_default(),
                error: status.error.clone(),
                duration,
            });
            show(status, passed, id.as_ref(), ended);
        });
    }

    fn log(
        &self,
        passed: &Passed,
        outcome: ReconcileOutcome,
        commit: Option<&str>,
        quiet: &mut Quiet,
    ) {
        let (target, commit) = (self.target.name.as_str(), commit.unwrap_or("worktree"));
        let errors = passed.outcome.as_ref().map_or(&passed.plan.errors, |o| &o.errors);
        if !outcome.is_success() {
            let text = match errors.first() {
                Some(_) => errors.join("; "),
                None => what_is_left(passed.outcome.as_ref()),
            };
            match quiet.hear(&text, Instant::now()) {
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

    fn count(
        &self,
        passed: &Passed,
        outcome: ReconcileOutcome,
        duration: Duration,
        committed: Option<i64>,
    ) {
        let target = self.target.name.clone();
        let label = || [("target", target.clone())];
        metrics::counter!("apinizer_gitops_reconciles_total",
            "target" => target.clone(), "outcome" => outcome.as_str())
        .increment(1);
        metrics::histogram!("apinizer_gitops_reconcile_duration_seconds", &label())
            .record(duration.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "seconds and counts are small")]
        let gauge = |name: &'static str, value: i64| {
            metrics::gauge!(name, &label()).set(value as f64);
        };
        let now = Timestamp::now().as_second();
        if outcome.is_success() {
            gauge("apinizer_gitops_last_success_timestamp_seconds", now);
        }
        let is_new = passed.applied && outcome == ReconcileOutcome::Applied;
        if let Some(committed) = committed.filter(|_| is_new) {
            let seconds = now.saturating_sub(committed).max(0).unsigned_abs();
            metrics::histogram!("apinizer_gitops_commit_to_applied_seconds", &label())
                .record(Duration::from_secs(seconds).as_secs_f64());
        }
        for state in State::ALL {
            let count = passed.states.iter().filter(|s| s.state == state).count();
            let labels = [("target", target.clone()), ("state", state.as_str().to_owned())];
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("apinizer_gitops_connections", &labels).set(f64::from(count));
        }
        let of = |state: State| {
            let count = passed.states.iter().filter(|s| s.state == state).count();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        gauge("apinizer_gitops_deletes_held", of(State::Held));
        gauge("apinizer_gitops_not_converging", of(State::NotConverging));
        let drifted = passed.plan.changes.iter().filter(|change| {
            change.fields.iter().any(|field| field.origin != crate::plan::Origin::Git)
        });
        metrics::counter!("apinizer_gitops_drift_detected_total", &label())
            .increment(u64::try_from(drifted.count()).unwrap_or(u64::MAX));
    }
}

/// What a reconcile that only looked found.
fn looked_at(passed: &Passed) -> ReconcileOutcome {
    let summary = &passed.plan.summary;
    if !passed.plan.errors.is_empty() {
        ReconcileOutcome::Failed
    } else if passed.suspended {
        ReconcileOutcome::Suspended
    } else if summary.blocked > 0 {
        ReconcileOutcome::Blocked
    } else if summary.held > 0 {
        ReconcileOutcome::Held
    } else if passed.plan.changes.is_empty() {
        ReconcileOutcome::InSync
    } else {
        ReconcileOutcome::Pending
    }
}

/// Held, blocked and suspended targets wait for a person, not for another try.
fn failures_after(outcome: ReconcileOutcome, failures: u32) -> u32 {
    match outcome {
        ReconcileOutcome::Failed | ReconcileOutcome::Interrupted => failures.saturating_add(1),
        _ => 0,
    }
}

fn state_of(passed: &Passed, outcome: ReconcileOutcome) -> TargetState {
    let has = |state: State| passed.states.iter().any(|s| s.state == state);
    match outcome {
        _ if passed.suspended => TargetState::Suspended,
        ReconcileOutcome::Refused => TargetState::Refused,
        ReconcileOutcome::Failed | ReconcileOutcome::Interrupted => TargetState::Failing,
        ReconcileOutcome::Blocked => TargetState::Blocked,
        ReconcileOutcome::Degraded => TargetState::Degraded,
        ReconcileOutcome::Held => TargetState::Held,
        ReconcileOutcome::Pending => TargetState::Pending,
        _ if has(State::Degraded) => TargetState::Degraded,
        _ if has(State::NotConverging) => TargetState::NotConverging,
        ReconcileOutcome::Drifted => TargetState::Drifted,
        _ => TargetState::InSync,
    }
}

fn what_is_left(outcome: Option<&TargetOutcome>) -> String {
    let results = outcome.into_iter().flat_map(|outcome| &outcome.results);
    let mut words: Vec<String> = Vec::new();
    let mut more = 0;
    for (change, result) in results {
        let (kind, why) = match result {
            ChangeResult::Failed(why) => ("failed", why),
            ChangeResult::Blocked(why) => ("blocked", why),
            ChangeResult::Held(why) => ("held", why),
            ChangeResult::Degraded(why) => ("not deployed", why),
            _ => continue,
        };
        if words.len() < 5 {
            words.push(format!("`{}` {kind}: {why}", change.name));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    if words.is_empty() { "something is left to be made".to_owned() } else { words.join("; ") }
}

/// Puts the plan, the states and the holds of a reconcile on the board.
fn show(
    status: &mut TargetStatus,
    passed: Passed,
    commit: Option<&crate::name::CommitId>,
    time: Timestamp,
) {
    status.notices = passed.plan.notices.clone();
    status.refused = passed.refused.is_some();
    status.diagnostics = Arc::new(passed.diagnostics);
    status.held = passed
        .states
        .iter()
        .filter(|state| state.state == State::Held)
        .map(|state| (state.name.clone(), state.reason.clone().unwrap_or_default()))
        .collect();
    status.connections = Arc::new(passed.states);
    let changed = passed.outcome.as_ref().is_some_and(|outcome| {
        outcome.results.iter().any(|(_, result)| *result == ChangeResult::Done)
    });
    let mut pending = passed.plan.clone();
    if let Some(outcome) = &passed.outcome {
        let done = |change: &crate::plan::Change| {
            outcome.results.iter().any(|(made, result)| {
                made.name == change.name
                    && made.action == change.action
                    && *result == ChangeResult::Done
            })
        };
        pending.changes.retain(|change| !done(change));
    }
    let shown = |plan| ShownPlan { time, commit: commit.cloned(), plan: Arc::new(plan) };
    status.pending = (!pending.changes.is_empty()).then(|| shown(pending));
    if changed {
        status.applied = Some(shown(passed.plan));
    }
}
