//! The one place that tells how a reconcile of a target ended: to board, log, metrics and receivers.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::warn;

use super::log::{FailureKind, TargetLog, TargetThrottle, more_than_0, retried};
use super::mailbox::{Request, Suspension};
use super::news::{self, News, NewsMemory};
use super::outcome::Cause;
use super::status::{Board, RequestAnswer, TargetState, TargetStatus, Trouble};
use super::target_reconcile::TargetResult;
use crate::audit::{MOST_CHANGES, PastReconcile, Reconciled, ShownPast, Trail};
use crate::config::TargetKey;
use crate::leadership::Standby;
use crate::name::CommitId;
use crate::notify::Notifier;
use crate::plan::{ConnectionState, Counts};
use crate::source::{CheckedSnapshot, Commit};
use crate::state::StateError;

/// Tells what happens to one target.
pub(super) struct Reporter {
    key: TargetKey,
    /// Where the documents come from, as the config has it.
    source: String,
    board: Board,
    memory: NewsMemory,
    notifier: Notifier,
    trail: Arc<Trail>,
    throttle: Arc<TargetThrottle>,
}

/// How one reconcile ended, beside its result.
pub(super) struct Ended<'a> {
    pub(super) checked: &'a CheckedSnapshot,
    /// The newer commit that ended it.
    pub(super) newer: Option<CommitId>,
    pub(super) cause: Cause,
    /// The request that it answers.
    pub(super) answers: Option<Request>,
    /// When it began.
    pub(super) time: Timestamp,
    pub(super) duration: Duration,
    /// How long until the next one.
    pub(super) next_in: Duration,
}

impl Reporter {
    pub(super) fn new(
        key: TargetKey,
        source: &str,
        board: &Board,
        memory: &NewsMemory,
        notifier: &Notifier,
        trail: Arc<Trail>,
    ) -> Self {
        let reporter = Self {
            source: source.to_owned(),
            board: board.clone(),
            memory: memory.clone(),
            notifier: notifier.clone(),
            trail,
            throttle: memory.throttle(&key),
            key,
        };
        reporter.show_past(|_| ());
        reporter
    }

    /// Shows the past of the target with what the trail knows. The history file is read before the board is
    /// locked: a disk that hangs holds up no other target.
    fn show_past(&self, tell: impl FnOnce(&ShownPast)) {
        let status = self.board.status();
        let mut past =
            status.target(&self.key.name).map(|known| known.past.clone()).unwrap_or_default();
        tell(&past);
        self.trail.show(&mut past);
        self.board.edit_target(&self.key, |status| status.past = past);
    }

    /// A reconcile begins.
    pub(super) fn begins(&self) {
        self.board.edit_target(&self.key, |status| status.reconciling = true);
    }

    /// An earlier run of the daemon applied this commit last.
    pub(super) fn applied_before(&self, commit: Commit) {
        self.memory.begin(&self.key, Some(commit.id.clone()));
        self.board.edit_target(&self.key, |status| {
            status.commit_applied.get_or_insert(commit);
        });
    }

    /// Another replica acts for the target, or it is not known which one does.
    pub(super) fn stand_by(&self, Standby { holder, problem, .. }: Standby) {
        self.board.edit_target(&self.key, |status| {
            // Only the replica that acts reports the status; what is known here is old by now.
            let TargetStatus { key, past, last_reconcile, .. } = std::mem::take(status);
            let state = if problem.is_some() { TargetState::Failing } else { TargetState::Standby };
            let notices = holder.map(|by| format!("{by} acts for this target"));
            let notices = notices.into_iter().collect();
            *status = TargetStatus {
                key,
                past,
                last_reconcile,
                state,
                trouble: Trouble { error: problem, notices, ..Trouble::default() },
                ..TargetStatus::default()
            };
        });
    }

    /// The target is suspended or resumed from now on.
    pub(super) fn suspended(&self, suspension: Suspension) {
        let Suspension { suspended, from } = suspension;
        self.trail.of_run(None, &Cause::Suspension(from).asked()).suspended(suspended);
        self.board.edit_target(&self.key, |status| status.suspended = suspended);
        self.show_past(|_| ());
    }

    /// The state could not be written to suspend or resume the target.
    pub(super) fn suspension_not_saved(&self, error: &StateError) {
        let (target, kind) = (&self.key.name, (None, FailureKind::Suspension));
        let problem = format!("the suspension could not be remembered: {error}");
        if let Some(repeated) = self.throttle.count(kind, Instant::now()).map(more_than_0) {
            warn!(target, repeated, "{problem}");
        }
        self.board.edit_target(&self.key, |status| {
            status.state = TargetState::Failing;
            status.trouble.error = Some(problem);
        });
    }

    /// A reconcile ended.
    pub(super) fn report(&self, result: TargetResult, ended: &Ended<'_>) {
        let commit = result.commit.as_ref();
        let id = commit.map(|commit| &commit.id);
        let name = &self.key.name;
        let asked = ended.cause.asked();
        let status = self.board.status();
        let log = TargetLog {
            target: name,
            commit: id,
            asked: &asked,
            throttle: &self.throttle,
            before: status.target(name),
        };
        match &ended.newer {
            Some(newer) => log.cut_short(&result, newer),
            None => log.outcome(&result),
        }
        // A newer config may have pointed the name elsewhere meanwhile.
        if !self.board.shows(&self.key) {
            return;
        }
        let news = self.memory.learn(&self.key, &result, id);
        let committed = commit.map(|commit| commit.time);
        measure(name, &result, &news, ended.duration, committed);
        for event in &news.events {
            let target = (&self.key, self.source.as_str());
            self.notifier.tell(news::notice(*event, target, commit, &result, &news));
        }
        self.board.edit_target(&self.key, |status| show(status, result, ended));
        self.show_past(|past| {
            if let Some(newest) = past.reconciles.first() {
                self.trail.reconciled(&newest.ended);
            }
        });
    }
}

/// Shows a reconcile on the board.
fn show(status: &mut TargetStatus, result: TargetResult, ended: &Ended<'_>) {
    let commit = result.commit.clone();
    let id = commit.as_ref().map(|commit| commit.id.clone());
    let now = Timestamp::now();
    status.reconciling = false;
    // A reconcile that was interrupted does not say how the target stands.
    if result.outcome != TargetState::Interrupted {
        status.suspended = result.suspended;
        status.state = state_of(&result);
    }
    status.commit_seen = ended.checked.snapshot.commit().cloned();
    let known = status.trouble.wait.take();
    // It waits on while newer commits come; a commit that it was given ends the wait.
    let applied = status.commit_applied.as_ref().map(|commit| &commit.id);
    let known = known.filter(|_| applied.is_none() || applied == id.as_ref());
    status.trouble.wait =
        result.wait.clone().map(|wait| (wait, known.map_or(now, |(_, since)| since)));
    if result.applied {
        status.commit_applied = commit;
    }
    status.last_reconcile = Some(now);
    if let Some(Request { number, unread, .. }) = ended.answers.clone() {
        let waits = result.wait.as_ref().map(|wait| wait.reason.clone());
        let outcome = result.outcome;
        status.answered = Some(RequestAnswer { request: number, outcome, unread, waits });
    }
    let delay = SignedDuration::try_from(ended.next_in).ok();
    status.next_reconcile = delay.and_then(|delay| now.checked_add(delay).ok());
    let errors = &result.plan.errors;
    status.trouble.error = match &ended.newer {
        Some(newer) => {
            let why = format!("a newer commit, {}, ended the reconcile of this one", newer.short());
            let causes = retried(&result.plan);
            Some(causes.into_iter().chain([why]).collect::<Vec<_>>().join("; "))
        }
        None => (!errors.is_empty()).then(|| errors.join("; ")),
    };
    let sent = result.plan.changes().into_iter().filter(|change| change.was_sent());
    let changes = sent.take(MOST_CHANGES).cloned().collect();
    let reconciled = Reconciled {
        time: ended.time,
        outcome: result.outcome.outcome().to_owned(),
        commit: id,
        cause: ended.cause.into_str().to_owned(),
        counts: if result.only_looked_at { Counts::default() } else { Counts::of([&result.plan]) },
        error: status.trouble.error.clone(),
        seconds: ended.duration.as_secs_f64(),
    };
    status.past.remember(PastReconcile { ended: reconciled, changes });
    show_plan(status, result);
}

/// How a target stands after a reconcile. A suspended one is shown as that, whatever went wrong beside it:
/// its error stands below.
fn state_of(result: &TargetResult) -> TargetState {
    match result.outcome {
        _ if result.suspended => TargetState::Suspended,
        outcome if outcome.is_success() && result.plan.has(ConnectionState::NotConverging) => {
            TargetState::NotConverging
        }
        TargetState::Applied => TargetState::InSync,
        outcome => outcome,
    }
}

/// Shows the entries of a reconcile.
fn show_plan(status: &mut TargetStatus, result: TargetResult) {
    let in_force = result.was_looked_at().then(|| result.commit_in_force().cloned());
    status.trouble.refused = result.refused.is_some();
    status.trouble.commit_given = result.commit.as_ref().map(|commit| commit.id.clone());
    status.trouble.notices = result.plan.notices;
    status.trouble.diagnostics = Arc::new(result.plan.diagnostics);
    // Connections that could not be looked at keep their last state.
    if let Some(in_force) = in_force {
        status.trouble.looked_at = true;
        status.trouble.commit_in_force = in_force;
        status.trouble.rule_matches = Arc::new(result.plan.rule_matches);
        let mut entries = result.plan.entries;
        entries.retain(|entry| !entry.is_deleted());
        for entry in &mut entries {
            entry.change.take_if(|change| change.is_made());
        }
        status.connections = Arc::new(entries);
    }
}

/// Counts and measures one reconcile of a target; `committed` is when its commit was made, in
/// seconds since 1970.
fn measure(
    target: &str,
    result: &TargetResult,
    news: &News,
    duration: Duration,
    committed: Option<i64>,
) {
    let label = || [("target", target.to_owned())];
    let labels = [("target", target.to_owned()), ("outcome", result.outcome.outcome().to_owned())];
    metrics::counter!("apinizer_gitops_reconciles_total", &labels).increment(1);
    metrics::histogram!("apinizer_gitops_reconcile_duration_seconds", &label())
        .record(duration.as_secs_f64());
    metrics::counter!("apinizer_gitops_drift_detected_total", &label())
        .increment(u64::try_from(news.drifted.len()).unwrap_or(u64::MAX));
    let now = Timestamp::now();
    if result.went_well() {
        metrics::gauge!("apinizer_gitops_last_success_timestamp_seconds", &label())
            .set(since_1970(now));
    }
    if let Some(committed) = committed.filter(|_| news.is_newly_applied) {
        let seconds = (now.as_second() - committed).max(0);
        let seconds = SignedDuration::from_secs(seconds).as_secs_f64();
        metrics::histogram!("apinizer_gitops_commit_to_applied_seconds", &label()).record(seconds);
    }
}

/// A moment as Prometheus has it.
pub(crate) fn since_1970(moment: Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}
