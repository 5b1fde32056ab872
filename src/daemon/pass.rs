//! One reconcile of one target as the daemon makes it: the newest commit, or the last good one
//! where the newest is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::follow::{Seen, Source};
use crate::api::{RetryPolicy, WriteLimit};
use crate::apply::{ChangeResult, TargetOutcome};
use crate::config::Target;
use crate::document::Diagnostic;
use crate::name::ConnectionName;
use crate::plan::{Change, ConnectionState, RunRules, TargetPlan};
use crate::reconcile::{self, Engine, Options, Prepared, ReadBackMode, carry_out};

/// How long another process on the same state is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// After this long without one success a reconcile ends and the target is shown as failing; the
/// keeper tries again by itself.
const GIVE_UP: Duration = Duration::from_secs(15);

/// How a daemon reconciles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether anything is written.
    pub(super) writes: bool,
    /// Whether this is the only reconcile, so that nothing is put off.
    pub(super) once: bool,
}

/// What ends a reconcile.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// Nothing more is begun once it is cancelled.
    pub(super) stop: CancellationToken,
    /// By when every write has to be over.
    pub(super) limit: WriteLimit,
}

/// What came of one reconcile.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) plan: TargetPlan,
    pub(super) states: Arc<Vec<ConnectionState>>,
    pub(super) diagnostics: Arc<Vec<Diagnostic>>,
    /// Why the newest commit is refused.
    pub(super) refused: Option<String>,
    pub(super) suspended: bool,
    /// What carrying the plan out gave; `None`: it was only looked at.
    pub(super) outcome: Option<TargetOutcome>,
    /// Whether the commit counts as applied.
    pub(super) applied: bool,
    /// Whether the server refused the credentials or is not trusted.
    pub(super) credentials_refused: bool,
}

impl Passed {
    /// Whether live could be looked at, so that the states say how things stand.
    pub(super) fn was_looked_at(&self) -> bool {
        !self.states.is_empty() || self.plan.errors.is_empty()
    }

    /// The changes of the plan that were made.
    pub(super) fn made(&self) -> Made {
        let results = self.outcome.iter().flat_map(|outcome| &outcome.results);
        let made = results.filter(|(_, result)| *result == ChangeResult::Done);
        Made(made.map(|(change, _)| (change.name.clone(), change.action.as_str())).collect())
    }
}

/// The changes that were made.
pub(super) struct Made(BTreeSet<(ConnectionName, &'static str)>);

impl Made {
    /// Whether a change is among them.
    pub(super) fn has(&self, change: &Change) -> bool {
        self.0.contains(&(change.name.clone(), change.action.as_str()))
    }

    /// Whether nothing was made.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One reconcile that is to be made.
pub(super) struct Pass<'a> {
    pub(super) engine: &'a Engine,
    pub(super) target: &'a Target,
    pub(super) source: &'a Source,
    /// The newest of the source.
    pub(super) seen: &'a Seen,
    pub(super) manner: Manner,
    pub(super) ending: Ending,
}

/// Makes one reconcile, up to what ends it.
pub(super) async fn pass(pass: Pass<'_>) -> Passed {
    let commit = pass.seen.snapshot.commit().map_or("worktree", |commit| commit.id.short());
    let span = tracing::debug_span!("reconcile", target_name = %pass.target.name, commit);
    look_and_make(pass).instrument(span).await
}

async fn look_and_make(pass: Pass<'_>) -> Passed {
    let Pass { engine, target, source, seen, manner, ending } = pass;
    let options = options(manner, ending);
    let mut refused = seen.refused.clone();
    let mut prepared = None;
    if refused.is_none() {
        let newest = reconcile::prepare(engine, target, &seen.snapshot, &options).await;
        if newest.refused {
            refused = Some(newest.plan.errors.join("; "));
        }
        prepared = Some(newest);
    }
    let Some(reason) = refused else {
        // Present, since nothing was refused.
        let Some(prepared) = prepared else {
            return nothing(target, None, is_suspended(engine, target));
        };
        return finish(engine, prepared, &options).await;
    };
    let diagnostics = prepared.map(|p| p.diagnostics).unwrap_or_default();
    // The drift of the last good commit is still corrected.
    let good = engine.state_file(target).read().ok().and_then(|record| record.last_good);
    let older = good.map(|good| tokio::task::block_in_place(|| source.older(&good.commit)));
    let mut passed = match older {
        Some(Ok(Some(snapshot))) => {
            let prepared = reconcile::prepare(engine, target, &snapshot, &options).await;
            finish(engine, prepared, &options).await
        }
        Some(Err(error)) => nothing(target, Some(error.to_string()), is_suspended(engine, target)),
        _ => nothing(target, None, is_suspended(engine, target)),
    };
    passed.diagnostics = Arc::new(diagnostics);
    passed.applied = false;
    passed.plan.errors.insert(0, reason.clone());
    if let Some(outcome) = &mut passed.outcome {
        outcome.errors.insert(0, reason.clone());
    }
    passed.refused = Some(reason);
    passed
}

async fn finish(engine: &Engine, mut prepared: Prepared<'_>, options: &Options) -> Passed {
    let target = prepared.target;
    let suspended = prepared.is_suspended().unwrap_or_else(|| is_suspended(engine, target));
    let mut passed = Passed {
        plan: prepared.plan.clone(),
        states: Arc::default(),
        diagnostics: Arc::new(std::mem::take(&mut prepared.diagnostics)),
        refused: None,
        suspended,
        outcome: None,
        applied: false,
        credentials_refused: prepared.credentials_refused,
    };
    if !options.writes || suspended {
        passed.states = Arc::new(prepared.states);
        return passed;
    }
    let silent = |_: &crate::plan::Change, _: &ChangeResult| {};
    let done = carry_out(engine, prepared, options, false, &silent).await;
    Passed {
        states: Arc::new(done.states),
        outcome: Some(done.target),
        applied: done.applied,
        ..passed
    }
}

/// Whether somebody suspended a target that was not looked at; one whose state cannot be read is
/// shown with that problem.
fn is_suspended(engine: &Engine, target: &Target) -> bool {
    engine.state_file(target).read().is_ok_and(|known| known.suspended)
}

/// A target that could not be looked at.
pub(super) fn nothing(target: &Target, error: Option<String>, suspended: bool) -> Passed {
    let plan = TargetPlan {
        name: target.name.clone(),
        project: target.project_as_written.clone(),
        url: target.url_as_written.clone(),
        errors: error.into_iter().collect(),
        ..TargetPlan::default()
    };
    let outcome = TargetOutcome {
        name: plan.name.clone(),
        project: plan.project.clone(),
        url: plan.url.clone(),
        errors: plan.errors.clone(),
        ..TargetOutcome::default()
    };
    Passed {
        plan,
        states: Arc::default(),
        diagnostics: Arc::default(),
        refused: None,
        suspended,
        outcome: Some(outcome),
        applied: false,
        credentials_refused: false,
    }
}

fn options(manner: Manner, Ending { stop, limit }: Ending) -> Options {
    Options {
        writes: manner.writes,
        rules: RunRules { degraded_at_once: manner.once, ..RunRules::default() },
        base: None,
        resend_secrets: false,
        with_secrets: true,
        follows: true,
        read_back: if manner.once { ReadBackMode::Due } else { ReadBackMode::Spread },
        lock_timeout: LOCK_TIMEOUT,
        retries: if manner.once {
            RetryPolicy::command()
        } else {
            RetryPolicy { give_up_after: GIVE_UP, ..RetryPolicy::daemon() }
        },
        holder: "run".to_owned(),
        stop,
        limit,
    }
}

/// Sets or lifts the suspension of a target, in its state.
pub(super) async fn set_suspended(
    engine: &Engine,
    target: &Target,
    suspended: bool,
) -> Result<(), crate::state::StateError> {
    let file = engine.state_file(target);
    let _lock = file.lock(LOCK_TIMEOUT, "run").await?;
    let mut record = file.read()?;
    record.suspended = suspended;
    file.write(&record)
}
