//! The one place that tells how a reconcile of a target ended: to board, log, metrics and receivers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strum::VariantArray as _;
use tokio::time::Instant;
use tracing::warn;

use super::log::{FailureKind, TargetLog, TargetThrottle, more_than_0, retried};
use super::mailbox::{Awaited, Suspension};
use super::news::{self, News, NewsMemory, RuleEffect};
use super::outcome::Cause;
use super::status::{Board, ReconcileOutcome, RequestAnswer, TargetState, TargetStatus, Trouble};
use super::target_reconcile::TargetResult;
use crate::audit::{MOST_CHANGES, PastReconcile, Reconciled, ShownPast, Trail};
use crate::config::TargetKey;
use crate::leadership::Standby;
use crate::name::CommitId;
use crate::notify::Notifier;
use crate::plan::{ConnectionState, Counts, Entry};
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
    pub(super) answers: Option<Awaited>,
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

    /// The gauges of the target's name count no more: another replica acts for the target from now on, or
    /// the name was of another target.
    pub(super) fn take_back(&self) {
        if self.board.shows(&self.key) {
            self.zero_gauges();
        }
    }

    /// The target is suspended or resumed from now on.
    pub(super) fn suspended(&self, suspension: Suspension) {
        let Suspension { suspended, from } = suspension;
        self.trail.of_run(None, &Cause::Suspension(from).asked()).suspended(suspended);
        measure_suspended(&self.key.name, suspended);
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
        // Taken out of the result, which goes to the board.
        let commit = result.commit.clone();
        let commit = commit.as_ref();
        let id = commit.map(|commit| &commit.id);
        let name = &self.key.name;
        let asked = ended.cause.asked();
        let status = self.board.status();
        let log = TargetLog {
            target: name,
            commit: id,
            asked: &asked,
            throttle: &self.throttle,
            newest: ended.checked.snapshot.commit().map(|commit| &commit.id),
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
        if result.was_looked_at() {
            self.measure_rules(&result.plan.rule_matches);
        }
        for event in &news.events {
            let target = (&self.key, self.source.as_str());
            self.notifier.tell(news::notice(*event, target, commit, &result, &news));
        }
        self.board.edit_target(&self.key, |status| {
            show(status, result, ended);
        });
        self.show_past(|past| {
            if let Some(newest) = past.reconciles.first() {
                self.trail.reconciled(&newest.ended);
            }
        });
        let status = self.board.status();
        let wait = status.target(name).and_then(|status| status.trouble.wait.as_ref());
        measure_wait(name, wait.map(|(_, since)| *since));
    }
}

impl Reporter {
    fn zero_gauges(&self) {
        let target = &self.key.name;
        set_counts(target, |_| 0.0);
        gauge("apinizer_gitops_deletes_held", target).set(0.0);
        measure_suspended(target, false);
        measure_wait(target, None);
        self.measure_rules(&BTreeMap::new());
    }

    /// Measures how often each rule of the user matches; one that the config no longer has matches nothing.
    fn measure_rules(&self, matches: &BTreeMap<RuleEffect, usize>) {
        let gone = self.memory.measured(&self.key.name, matches.keys().cloned().collect());
        let gone = gone.iter().map(|rule| (rule, &0_usize));
        for ((rule, effect), count) in matches.iter().chain(gone) {
            let labels = [
                ("target", self.key.name.clone()),
                ("rule", rule.clone()),
                ("effect", (*effect).to_owned()),
            ];
            let count = f64::from(u32::try_from(*count).unwrap_or(u32::MAX));
            metrics::gauge!("apinizer_gitops_rule_matches", &labels).set(count);
        }
    }
}

/// Shows a reconcile on the board.
fn show(status: &mut TargetStatus, result: TargetResult, ended: &Ended<'_>) {
    let commit = result.commit.clone();
    let id = commit.as_ref().map(|commit| commit.id.clone());
    let now = Timestamp::now();
    status.reconciling = false;
    // A reconcile that was interrupted does not say how the target stands.
    if result.outcome != ReconcileOutcome::Interrupted {
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
    if let Some(Awaited { request, unread }) = ended.answers.clone() {
        let waits = result.wait.as_ref().map(|wait| wait.reason.clone());
        status.answered = Some(RequestAnswer { request, outcome: result.outcome, unread, waits });
    }
    let after = SignedDuration::try_from(ended.next_in).ok();
    status.next_reconcile = after.and_then(|after| now.checked_add(after).ok());
    let errors = &result.plan.errors;
    status.trouble.error = match &ended.newer {
        Some(newer) => {
            let ended =
                format!("a newer commit, {}, ended the reconcile of this one", newer.short());
            let retried = retried(&result.plan);
            Some(retried.map_or(ended.clone(), |retried| format!("{retried}; {ended}")))
        }
        None => (!errors.is_empty()).then(|| errors.join("; ")),
    };
    let sent = result.plan.changes().into_iter().filter(|change| change.was_sent());
    let changes = sent.take(MOST_CHANGES).cloned().collect();
    let reconciled = Reconciled {
        time: ended.time,
        outcome: result.outcome.into_str().to_owned(),
        commit: id,
        cause: ended.cause.into_str().to_owned(),
        counts: if result.only_looked_at { Counts::default() } else { Counts::of([&result.plan]) },
        error: status.trouble.error.clone(),
        seconds: ended.duration.as_secs_f64(),
    };
    status.past.remember(PastReconcile { ended: reconciled, changes });
    show_plan(status, result);
}

fn state_of(result: &TargetResult) -> TargetState {
    match result.outcome {
        _ if result.suspended => TargetState::Suspended,
        ReconcileOutcome::Refused => TargetState::Refused,
        ReconcileOutcome::Failed | ReconcileOutcome::Interrupted => TargetState::Failing,
        ReconcileOutcome::Blocked => TargetState::Blocked,
        ReconcileOutcome::Degraded => TargetState::Degraded,
        ReconcileOutcome::Held => TargetState::Held,
        ReconcileOutcome::Pending => TargetState::Pending,
        _ if result.plan.has(ConnectionState::NotConverging) => TargetState::NotConverging,
        ReconcileOutcome::Drifted => TargetState::Drifted,
        _ => TargetState::InSync,
    }
}

/// Shows the entries of a reconcile.
fn show_plan(status: &mut TargetStatus, result: TargetResult) {
    status.trouble.refused = result.refused.is_some();
    let looked_at = result.was_looked_at();
    status.trouble.notices = result.plan.notices;
    status.trouble.diagnostics = Arc::new(result.plan.diagnostics);
    // Connections that could not be looked at keep their last state.
    if looked_at {
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
    let labels = [("target", target.to_owned()), ("outcome", result.outcome.into_str().to_owned())];
    metrics::counter!("apinizer_gitops_reconciles_total", &labels).increment(1);
    metrics::histogram!("apinizer_gitops_reconcile_duration_seconds", &label())
        .record(duration.as_secs_f64());
    metrics::counter!("apinizer_gitops_drift_detected_total", &label())
        .increment(u64::try_from(news.drifted.len()).unwrap_or(u64::MAX));
    let now = Timestamp::now();
    if result.went_well() {
        gauge("apinizer_gitops_last_success_timestamp_seconds", target).set(since_1970(now));
    }
    if let Some(committed) = committed.filter(|_| news.is_newly_applied) {
        let seconds = (now.as_second() - committed).max(0);
        let seconds = SignedDuration::from_secs(seconds).as_secs_f64();
        metrics::histogram!("apinizer_gitops_commit_to_applied_seconds", &label()).record(seconds);
    }
    measure_suspended(target, result.suspended);
    // A target that could not be looked at keeps its last counts.
    if !result.was_looked_at() {
        return;
    }
    let count = |counts: &dyn Fn(&Entry) -> bool| {
        let entries = result.plan.entries.iter().filter(|entry| !entry.is_deleted());
        f64::from(u32::try_from(entries.filter(|entry| counts(entry)).count()).unwrap_or(u32::MAX))
    };
    set_counts(target, |state| count(&|entry| entry.state == state));
    let deletes_held = count(&|entry| entry.state == ConnectionState::Held && entry.deletes());
    gauge("apinizer_gitops_deletes_held", target).set(deletes_held);
}

/// Shows whether a target is suspended.
fn measure_suspended(target: &str, suspended: bool) {
    gauge("apinizer_gitops_suspended", target).set(f64::from(u8::from(suspended)));
}

/// Shows since when a target waits for its predecessor.
fn measure_wait(target: &str, since: Option<Timestamp>) {
    let since = since.map_or(0.0, since_1970);
    gauge("apinizer_gitops_waits_since_timestamp_seconds", target).set(since);
}

/// A moment as Prometheus has it.
pub(super) fn since_1970(moment: Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}

/// A gauge of one target.
fn gauge(name: &'static str, target: &str) -> metrics::Gauge {
    metrics::gauge!(name, "target" => target.to_owned())
}

fn set_counts(target: &str, count: impl Fn(ConnectionState) -> f64) {
    for state in ConnectionState::VARIANTS {
        let labels = [("target", target.to_owned()), ("state", state.into_str().to_owned())];
        metrics::gauge!("apinizer_gitops_connections", &labels).set(count(*state));
    }
    gauge("apinizer_gitops_not_converging", target).set(count(ConnectionState::NotConverging));
}
