//! One reconcile of one target as the daemon makes it: the newest commit, or the last good one
//! where the newest is refused; and `run --once`, which makes one of every target.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::after::{self, Given, Wait};
use super::status::TargetState;
use super::{Daemon, EngineAndSource, FINISHING, LOCK_TIMEOUT, Lasting};
use crate::api::RetryPolicy;
use crate::audit::Asked;
use crate::config::Target;
use crate::leadership::{Alone, Leadership, Term};
use crate::name::CommitId;
use crate::plan::{
    Change, ChangeResult, ConnectionState, Counts, Plan, RunRequests, TargetPlan, for_the_shell,
};
use crate::reconcile::{self, Engine, Prepared, ReadBackMode, RunOptions, Step, carry_out};
use crate::source::{CheckedSnapshot, Commit, Source, SourceError};

/// The last good commit, where one is known.
#[derive(Clone, Debug)]
pub(super) struct InForce(pub(super) Option<CommitId>);

/// The result of one reconcile.
#[derive(Clone, Debug, Default)]
pub(super) struct TargetResult {
    pub(super) plan: TargetPlan,
    /// How the reconcile ended; known once it has.
    pub(super) outcome: TargetState,
    /// The newest commit is refused, and this one is in force.
    pub(super) refused: Option<InForce>,
    pub(super) suspended: bool,
    /// Whether the target was only looked at: in a dry run, or since it is suspended.
    pub(super) only_looked_at: bool,
    /// Whether the commit counts as applied.
    pub(super) applied: bool,
    /// Whether the server refused the credentials or is not trusted.
    pub(super) credentials_refused: bool,
    /// The step that failed, where the target could not be looked at.
    pub(super) failed_step: Option<Step>,
    /// The commit that the reconcile was about; `None`: the working tree, or none could be read.
    pub(super) commit: Option<Commit>,
    /// The newer commit that the target waits to be given.
    pub(super) wait: Option<Wait>,
    /// Whether the followers have to look again: the commit stands applied whole from now on, for long enough,
    /// or no more.
    pub(super) wakes_followers: bool,
    /// Whether the state says for how long the commit has stood applied whole.
    pub(super) is_noted: bool,
}

impl TargetResult {
    /// Whether live could be looked at, so that the entries are those of now.
    pub(super) fn was_looked_at(&self) -> bool {
        !self.plan.entries.is_empty() || (self.plan.errors.is_empty() && !self.gets_nothing_yet())
    }

    /// The commit that the entries are of; `None`: the working tree, or none is known.
    pub(super) fn commit_in_force(&self) -> Option<&CommitId> {
        match &self.refused {
            Some(InForce(good)) => good.as_ref(),
            None => self.commit.as_ref().map(|commit| &commit.id),
        }
    }

    /// Whether the target waits for its predecessor and has no commit to stay on.
    pub(super) fn gets_nothing_yet(&self) -> bool {
        self.wait.is_some() && self.commit.is_none()
    }

    /// Whether something failed that another try may mend. A refused commit is no such failure: it waits for
    /// a newer one, as held, blocked and suspended targets wait for a person.
    pub(super) fn has_failed(&self) -> bool {
        let Counts { failed, not_started, .. } = Counts::of([&self.plan]);
        let is_left = !self.only_looked_at && not_started > 0;
        let refusals = usize::from(self.refused.is_some());
        failed > 0 || is_left || self.plan.errors.len() > refusals
    }

    /// How the reconcile ended, by the first that holds. `interrupted`: a shutdown or a newer commit asked it
    /// to end.
    pub(super) fn ended_as(&self, interrupted: bool) -> TargetState {
        let Counts { done, adopted, blocked, held, drifted, not_started, .. } =
            Counts::of([&self.plan]);
        if self.refused.is_some() {
            TargetState::Refused
        } else if self.has_failed() {
            // A failure in a reconcile that had to end was perhaps only not tried again.
            if interrupted { TargetState::Interrupted } else { TargetState::Failing }
        } else if self.suspended && self.only_looked_at {
            TargetState::Suspended
        } else if blocked > 0 {
            TargetState::Blocked
        } else if self.plan.has(ConnectionState::Degraded) {
            // Also one that waits for its next write: it is still not deployed.
            TargetState::Degraded
        } else if held > 0 {
            TargetState::Held
        } else if not_started > 0 || self.gets_nothing_yet() {
            TargetState::Pending
        } else if drifted > 0 {
            TargetState::Drifted
        } else if !self.only_looked_at && done + adopted > 0 {
            TargetState::Applied
        } else {
            TargetState::InSync
        }
    }

    /// Whether the target was looked at and nothing went wrong. A dry run leaves changes pending; that is
    /// no failure.
    pub(super) fn went_well(&self) -> bool {
        self.outcome.is_success()
            || (self.outcome == TargetState::Pending && !self.gets_nothing_yet())
    }
}

/// One reconcile that is to be made.
#[derive(Clone, Copy)]
pub(super) struct TargetReconcile<'a> {
    pub(super) engine: &'a Engine,
    pub(super) target: &'a Target,
    pub(super) source: &'a Source,
    /// The newest of the source, or the older commit that `after` allows.
    pub(super) checked: &'a CheckedSnapshot,
    pub(super) options: &'a RunOptions,
    /// Told after each change.
    pub(super) progress: &'a (dyn Fn() + Sync),
}

/// Makes one reconcile, up to what ends it.
pub(super) async fn reconcile_target(reconcile: TargetReconcile<'_>) -> TargetResult {
    let commit = reconcile.checked.snapshot.commit().map_or("worktree", |commit| commit.id.short());
    let span = tracing::debug_span!("reconcile", target_name = %reconcile.target.name, commit);
    given_commit(reconcile).instrument(span).await
}

/// Reconciles with the commit that the target may be given: `after` may keep the newest one back.
async fn given_commit(reconcile: TargetReconcile<'_>) -> TargetResult {
    let TargetReconcile { engine, target, source, options, .. } = reconcile;
    let give = || after::give(engine, source, target, reconcile.checked);
    // Only a target that comes after another one reads anything here.
    let given = if target.after.is_some() { tokio::task::block_in_place(give) } else { give() };
    let Given { checked, wait, problem } = given;
    let mut result = match &checked {
        Some(checked) => commit_or_last_good(TargetReconcile { checked, ..reconcile }).await,
        None => nothing(target, problem, is_suspended(engine, target)),
    };
    result.commit = checked.and_then(|checked| checked.snapshot.commit().cloned());
    result.plan.notices.extend(wait.iter().map(|wait| wait.reason.clone()));
    result.wait = wait;
    if let Some(commit) = result.commit.as_ref().filter(|_| options.writes) {
        let outcome = result.ended_as(options.stop.is_cancelled());
        match after::note(engine, target, &commit.id, outcome).await {
            Ok(wakes_followers) => {
                (result.wakes_followers, result.is_noted) = (wakes_followers, true);
            }
            Err(error) => result.plan.notices.push(format!(
                "later targets wait longer, since the state could not be saved: {error}"
            )),
        }
    }
    result
}

async fn commit_or_last_good(reconcile: TargetReconcile<'_>) -> TargetResult {
    let TargetReconcile { engine, target, source, checked, options, .. } = reconcile;
    let (reason, diagnostics) = match &checked.refused {
        Some(reason) => (reason.clone(), Vec::new()),
        None => {
            let newest = reconcile::prepare(engine, target, &checked.snapshot, options).await;
            if !newest.refused {
                engine.trail(target, options.writes).of_run(None, &options.asked).accepted();
                return finish(reconcile, newest).await;
            }
            (newest.plan.errors.join("; "), newest.plan.diagnostics)
        }
    };
    let refused_commit = checked.snapshot.commit().map(|commit| &commit.id);
    engine.trail(target, options.writes).of_run(refused_commit, &options.asked).refused(&reason);
    // The drift of the last good commit is still corrected.
    let good = engine.state_file(target).read().ok().and_then(|record| record.last_good);
    let good = good.map(|good| good.commit);
    let older = good.as_ref().map(|good| tokio::task::block_in_place(|| source.older(good)));
    let mut result = match older {
        Some(Ok(Some(snapshot))) => {
            let prepared = reconcile::prepare(engine, target, &snapshot, options).await;
            finish(reconcile, prepared).await
        }
        other => {
            let error = other.and_then(Result::err).map(|error| error.to_string());
            nothing(target, error, is_suspended(engine, target))
        }
    };
    result.plan.diagnostics = diagnostics;
    result.plan.count_matches(&target.rules);
    result.applied = false;
    result.plan.errors.insert(0, reason);
    result.refused = Some(InForce(good));
    result
}

async fn finish(reconcile: TargetReconcile<'_>, prepared: Prepared<'_>) -> TargetResult {
    let TargetReconcile { engine, target, options, .. } = reconcile;
    let suspended = prepared.is_suspended().unwrap_or_else(|| is_suspended(engine, target));
    let result = TargetResult {
        suspended,
        credentials_refused: prepared.credentials_refused,
        failed_step: prepared.failed_step,
        ..TargetResult::default()
    };
    if !options.writes || suspended {
        let trail = engine.trail(target, options.writes);
        let commit = prepared.commit.as_ref().map(|commit| &commit.id);
        let trail = trail.of_run(commit, &options.asked);
        trail.tell_drift(&prepared.plan);
        trail.tell_standing(&prepared.plan, &options.requests.filter, false);
        let plan = prepared.plan.without_calls();
        return TargetResult { plan, only_looked_at: true, ..result };
    }
    let progress = |_: &Change, _: &ChangeResult| (reconcile.progress)();
    let plan = carry_out(engine, prepared, options, false, &progress).await;
    TargetResult { applied: plan.is_applied(), plan, ..result }
}

/// Whether a target that was not looked at is suspended. One whose state cannot be read is shown
/// with that problem.
fn is_suspended(engine: &Engine, target: &Target) -> bool {
    engine.state_file(target).read().is_ok_and(|known| known.suspended)
}

/// The result for a target that could not be looked at.
fn nothing(target: &Target, error: Option<String>, suspended: bool) -> TargetResult {
    let plan = TargetPlan { errors: error.into_iter().collect(), ..reconcile::plan_of(target) };
    TargetResult { plan, suspended, ..TargetResult::default() }
}

/// The options of a reconcile of the daemon, for as long as it has the right to act.
pub(super) fn options(writes: bool, asked: Asked, term: &Term) -> RunOptions {
    RunOptions {
        writes,
        requests: RunRequests::default(),
        base_revision: None,
        resend_secrets: false,
        with_secrets: true,
        follows: true,
        read_back: ReadBackMode::Spread,
        lock_timeout: LOCK_TIMEOUT,
        retries: RetryPolicy::daemon(),
        asked,
        stop: term.over().child_token(),
        limit: term.limit().clone(),
    }
}

/// How long a single reconcile waits for the right to act where replicas share the targets.
const ELECTION: Duration = Duration::from_secs(30);

/// Makes one reconcile of every target: the plan, with the results where it was carried out.
///
/// # Errors
/// The source cannot be read.
pub(crate) async fn once(daemon: &Daemon) -> Result<Plan, SourceError> {
    let EngineAndSource { engine, source } =
        daemon.open(daemon.config.clone(), &Lasting::default())?;
    if let Some(mirror) = source.mirror() {
        mirror.fetch(&daemon.shutdown).await?;
    }
    let checked = tokio::task::block_in_place(|| source.look())?;
    let leadership: &dyn Leadership =
        if daemon.writes { engine.leadership.as_ref() } else { &Alone };
    let (engine, source, checked) = (&engine, &source, &checked);
    let targets = &engine.config.targets;
    let ends: BTreeMap<&str, CancellationToken> =
        targets.iter().map(|target| (target.name.as_str(), CancellationToken::new())).collect();
    let reconciles = targets.iter().map(async |target| {
        let _end = ends.get(&*target.name).cloned().map(CancellationToken::drop_guard);
        // In the order of `after`: a target sees what its predecessor has applied in this run.
        if let Some(predecessor) = target.after.as_ref().and_then(|after| ends.get(&*after.target)) {
            predecessor.cancelled().await;
        }
        let term = match leadership.elected_within(target, ELECTION, &daemon.shutdown).await {
            Ok(term) => term,
            Err(problem) => return nothing(target, Some(problem), false),
        };
        // Nothing is put off to a later reconcile.
        let options = &RunOptions {
            requests: RunRequests { degraded_at_once: true, ..RunRequests::default() },
            read_back: ReadBackMode::Due,
            retries: RetryPolicy::command(),
            ..options(daemon.writes, daemon.asked.clone(), &term)
        };
        let progress = &|| ();
        let reconcile = TargetReconcile { engine, target, source, checked, options, progress };
        let result = tokio::select! {
            result = reconcile_target(reconcile) => result,
            () = too_long_after(&daemon.shutdown) => {
                let problem = format!("some calls did not end within {} s and are left", FINISHING.as_secs());
                nothing(target, Some(problem), false)
            }
        };
        term.give_back().await;
        result
    });
    let results = futures_util::future::join_all(reconciles).await;
    let ended = |mut result: TargetResult| {
        if result.suspended {
            result.plan.hold_suspended();
        }
        result.plan.waits = result.wait.is_some();
        if result.plan.waits {
            let target = for_the_shell(&result.plan.name);
            let way_past = format!("`apinizer-gitops apply --target {target}` does not wait");
            result.plan.notices.push(way_past);
        }
        if result.only_looked_at { result.plan.without_calls() } else { result.plan }
    };
    Ok(Plan {
        commit: checked.snapshot.commit().cloned(),
        source: engine.config.source.as_written.clone(),
        targets: results.into_iter().map(ended).collect(),
        links: engine.links(),
    })
}

/// Waits until the calls in flight have had their time after the shutdown.
async fn too_long_after(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(FINISHING).await;
}
