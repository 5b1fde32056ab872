//! The task that keeps one target: it waits for an order or for its own next turn, reconciles,
//! and tells the board what came of it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::cause::Cause;
use super::follow::{Seen, Source};
use super::measure::{self, measure};
use super::news::{self, Memories};
use super::orders::Orders;
use super::pass::{Ending, Manner, Pass, Passed, pass, set_suspended};
use super::quiet::Quiet;
use super::schedule::{Standing, Turn};
use super::status::{
    Board, Counts, HistoryEntry, KEPT, ReconcileOutcome, ShownPlan, TargetKey, TargetState,
    TargetStatus,
};
use super::telling;
use super::watchdog::Watched;
use crate::config::Target;
use crate::leadership::{Leadership, Standby, Term};
use crate::name::CommitId;
use crate::notify::Notifier;
use crate::plan::State;
use crate::reconcile::Engine;
use crate::source::Commit;

/// How long one reconcile may take before the probe calls it stuck.
const LONGEST_PASS: Duration = Duration::from_secs(15 * 60);

/// The pause before a suspension that could not be remembered is tried again.
const SUSPENSION_PAUSE: Duration = Duration::from_secs(1);

/// What the keeper of a target works with.
pub(super) struct Keeper {
    pub(super) engine: Arc<Engine>,
    pub(super) target: Target,
    pub(super) key: TargetKey,
    pub(super) source: Source,
    /// The newest that the supervisor saw of the source.
    pub(super) seen: watch::Receiver<Option<Seen>>,
    pub(super) orders: Arc<Orders>,
    pub(super) board: Board,
    pub(super) watched: Watched,
    /// What was told already.
    pub(super) memories: Memories,
    /// Whom to tell.
    pub(super) notifier: Notifier,
    pub(super) writes: bool,
    /// Decides whether this process may act for the target.
    pub(super) leadership: Arc<dyn Leadership>,
    /// Ends the task.
    pub(super) shutdown: CancellationToken,
}

/// A reconcile that was made, beside what it gave.
struct Reconciled<'a> {
    seen: &'a Seen,
    outcome: ReconcileOutcome,
    causes: &'a BTreeSet<Cause>,
    /// When it began, by the calendar and by the clock.
    began: (Timestamp, Instant),
    /// When the next one is due.
    turn: Turn,
}

impl Keeper {
    /// Keeps the target until the shutdown, whenever this process may.
    pub(super) async fn keep(self) {
        while let Some(term) = self.elected().await {
            self.act(&term).await;
            if !term.is_for_good() && self.board.shows(&self.key) {
                // What was counted is another replica's to count from now on.
                measure::nothing(&self.target.name);
            }
            term.give_back().await;
        }
        // A wish that was taken on outlives the end, whatever it came beside.
        self.remember_suspension().await;
        debug!(target = %self.target.name, "the keeper ends with the daemon");
    }

    /// Waits until this process may act; a suspension is remembered by whoever is asked for it.
    async fn elected(&self) -> Option<Term> {
        // Beside each other: a state that somebody else has locked holds up no election.
        let told = |standby| self.stand_by(standby);
        tokio::select! {
            biased;
            term = self.leadership.elected(&self.target, &self.shutdown, &told) => term,
            never = self.remember_suspensions() => match never {},
        }
    }

    async fn remember_suspensions(&self) -> Infallible {
        loop {
            self.orders.wished().await;
            self.suspend_as_wished().await;
        }
    }

    fn stand_by(&self, standby: Standby) {
        let Standby { holder, problem, again_in } = standby;
        self.watched.expect(again_in);
        self.board.edit_target(&self.key, |status| {
            // How things stand is for the one that acts to say; what was known is old by now.
            let TargetStatus { name, project, url, history, last_reconcile, .. } =
                std::mem::take(status);
            let state = if problem.is_some() { TargetState::Failing } else { TargetState::Standby };
            *status = TargetStatus {
                name,
                project,
                url,
                history,
                last_reconcile,
                state,
                ..TargetStatus::default()
            };
            status.notices =
                holder.map(|by| format!("{by} acts for this target")).into_iter().collect();
            status.error = problem;
        });
    }

    /// Acts for the target until the term is over.
    async fn act(&self, term: &Term) {
        let mut quiet = Quiet::default();
        let mut failures = 0;
        // The last reconcile, where nothing was to be done.
        self.recall();
        // Who takes over from another replica looks at once; else the start is an order.
        let mut next = (!term.is_for_good()).then(|| (Instant::now(), Cause::Start));
        loop {
            let Some(causes) = self.next_turn(next.take(), term.over()).await else { break };
            let Some(seen) = self.seen.borrow().clone() else { continue };
            let began = (Timestamp::now(), Instant::now());
            self.watched.expect(LONGEST_PASS);
            self.board.edit_target(&self.key, |status| status.reconciling = true);
            let stop = term.over().child_token();
            let commit = seen.snapshot.commit().map(|commit| commit.id.clone());
            self.orders.begin(commit, stop.clone());
            let manner = Manner { writes: self.writes, once: false };
            let ending = Ending { stop: stop.clone(), limit: term.limit().clone() };
            let passed = pass(Pass {
                engine: &self.engine,
                target: &self.target,
                source: &self.source,
                seen: &seen,
                manner,
                ending,
            })
            .await;
            self.orders.end();
            let outcome = self.outcome_of(&passed, stop.is_cancelled());
            failures = if outcome.is_success() { 0 } else { failures_after(outcome, failures) };
            let turn = self.standing(failures, &passed).next(fastrand::f64());
            let made = Reconciled { seen: &seen, outcome, causes: &causes, began, turn };
            self.tell(passed, &made, &mut quiet);
            next = Some((Instant::now() + turn.after, turn.cause));
            self.watched.expect(turn.after);
        }
    }

    /// Takes from the state what an earlier run of the daemon applied last.
    fn recall(&self) {
        let record = self.engine.state_file(&self.target).read();
        let Some(id) = record.ok().and_then(|record| record.last_applied) else { return };
        self.memories.begin(&self.target.name, Some(id.clone()));
        // Its words are in the repository, unless that cannot be read or has forgotten it.
        let known = tokio::task::block_in_place(|| self.source.older(&id)).ok().flatten();
        let unknown = Commit { id, subject: String::new(), author: String::new(), time: 0 };
        let commit = known.and_then(|known| known.commit().cloned()).unwrap_or(unknown);
        self.board.edit_target(&self.key, |status| {
            status.commit_applied.get_or_insert(commit);
        });
    }

    /// Waits for an order or for the own next turn; `None`: the term is over.
    async fn next_turn(
        &self,
        next: Option<(Instant, Cause)>,
        over: &CancellationToken,
    ) -> Option<BTreeSet<Cause>> {
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
            () = over.cancelled() => return None,
            () = self.orders.raised() => None,
            cause = own_turn => Some(cause),
        };
        let mut causes = self.orders.take();
        causes.extend(cause);
        // A reconcile that does not know of a suspension would write against it.
        tokio::select! {
            biased;
            () = over.cancelled() => None,
            () = self.suspend_as_wished() => Some(causes),
        }
    }

    /// Remembers what is wished about a suspension, however often that has to be tried.
    async fn suspend_as_wished(&self) {
        while !self.remember_suspension().await {
            tokio::time::sleep(SUSPENSION_PAUSE).await;
        }
    }

    /// Remembers what is wished about a suspension; `false`: it could not be.
    async fn remember_suspension(&self) -> bool {
        while let Some(suspend) = self.orders.wish() {
            if self.writes
                && let Err(error) = set_suspended(&self.engine, &self.target, suspend).await
            {
                let problem = format!("the suspension could not be remembered: {error}");
                warn!(target = %self.target.name, "{problem}");
                self.watched.expect(LONGEST_PASS);
                self.board.edit_target(&self.key, |status| {
                    status.state = TargetState::Failing;
                    status.error = Some(problem);
                });
                return false;
            }
            self.orders.carried_out(suspend);
        }
        true
    }

    fn standing(&self, failures: u32, passed: &Passed) -> Standing {
        let refused = passed.credentials_refused;
        let record = self.engine.state_file(&self.target).read();
        let now = Timestamp::now().as_second();
        // What is overdue after a reconcile could not be written by it (blocked, suspended, a dry
        // run), so it waits for the next turn like everything else.
        let due = record.ok().and_then(|record| record.next_degraded_write(now));
        let degraded_in = due.map(|due| Duration::from_secs((due - now).unsigned_abs()));
        Standing { resync: self.target.resync, failures, refused, degraded_in }
    }

    fn outcome_of(&self, passed: &Passed, interrupted: bool) -> ReconcileOutcome {
        if passed.refused.is_some() {
            return ReconcileOutcome::Refused;
        }
        let Some(outcome) = &passed.outcome else { return looked_at(passed) };
        let outcome = ReconcileOutcome::of(outcome, &Counts::of(outcome), interrupted);
        // What waits for its next write is still not deployed, though this pass had nothing to do.
        let waits = passed.states.iter().any(|state| state.state == State::Degraded);
        if waits && outcome.is_success() { ReconcileOutcome::Degraded } else { outcome }
    }

    /// Tells the board, the log, the metrics and the receivers of news what came of a reconcile.
    fn tell(&self, passed: Passed, made: &Reconciled<'_>, quiet: &mut Quiet) {
        let Reconciled { seen, outcome, causes, began: (time, started), turn } = *made;
        let commit = seen.snapshot.commit().cloned();
        let duration = started.elapsed();
        let id = commit.as_ref().map(|commit| commit.id.clone());
        let name = &self.target.name;
        telling::tell(name, id.as_ref().map(CommitId::short), &passed, outcome, quiet);
        // A newer config may have pointed the name elsewhere meanwhile.
        if !self.board.shows(&self.key) {
            return;
        }
        let news = self.memories.learn(name, &passed, outcome, id.as_ref());
        measure(name, &passed, outcome, &news, duration, commit.as_ref().map(|c| c.time));
        for event in &news.events {
            let source = &self.engine.config.source.as_written;
            let commit = commit.as_ref();
            let notice =
                news::notice(*event, &self.target, source, commit, &passed, outcome, &news);
            self.notifier.tell(notice);
        }
        let ended = Timestamp::now();
        self.board.edit_target(&self.key, |status| {
            status.reconciling = false;
            status.suspended = passed.suspended;
            // One that was interrupted says nothing of how the target stands.
            if outcome != ReconcileOutcome::Interrupted {
                status.state = state_of(&passed, outcome);
            }
            status.commit_seen.clone_from(&commit);
            if passed.applied {
                status.commit_applied.clone_from(&commit);
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
        _ if has(State::NotConverging) => TargetState::NotConverging,
        ReconcileOutcome::Drifted => TargetState::Drifted,
        _ => TargetState::InSync,
    }
}

/// Puts the plan, the states and the holds of a reconcile on the board.
fn show(status: &mut TargetStatus, passed: Passed, commit: Option<&CommitId>, time: Timestamp) {
    let (made, was_looked_at) = (passed.made(), passed.was_looked_at());
    status.notices = passed.plan.notices.clone();
    status.refused = passed.refused.is_some();
    status.diagnostics = passed.diagnostics;
    status.held = passed
        .states
        .iter()
        .filter(|state| state.state == State::Held)
        .map(|state| (state.name.clone(), state.reason.clone().unwrap_or_default()))
        .collect();
    // What could not be looked at stands as it was last seen to.
    if was_looked_at {
        status.connections = passed.states;
    }
    let mut pending = passed.plan.clone();
    pending.changes.retain(|change| !made.has(change));
    let shown =
        |plan, more| ShownPlan { time, commit: commit.cloned(), plan: Arc::new(plan), more };
    status.pending = (!pending.changes.is_empty()).then(|| shown(pending, 0));
    if !made.is_empty() {
        let mut applied = passed.plan;
        applied.changes.retain(|change| made.has(change));
        let more = applied.changes.len().saturating_sub(KEPT);
        applied.changes.truncate(KEPT);
        applied.changes.shrink_to_fit();
        status.applied = Some(shown(applied, more));
    }
}
