//! From a plan to what came of it.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Engine, Options, Prepared, Ready, now};
use crate::apply::{self, ChangeResult, Job, TargetOutcome};
use crate::config::Target;
use crate::inventory::{GoodCommit, Record};
use crate::name::{CommitId, ConnectionName};
use crate::plan::{Change, ConnectionState, State};
use crate::state::Ledger;

/// What came of one pass over one target.
#[derive(Debug)]
pub struct Outcome {
    /// Each change with its result.
    pub target: TargetOutcome,
    /// How each connection stands now.
    pub states: Vec<ConnectionState>,
    /// Whether the commit counts as applied: nothing failed, nothing was held.
    pub applied: bool,
}

/// Carries a plan out and remembers what came of it.
pub async fn carry_out(
    engine: &Engine,
    prepared: Prepared<'_>,
    options: &Options,
    strict: bool,
    progress: &(dyn Fn(&Change, &ChangeResult) + Sync),
) -> Outcome {
    let corrects_drift = prepared.corrects_drift();
    let Prepared { target, plan, mut states, ready, .. } = prepared;
    let mut outcome = TargetOutcome {
        name: plan.name.clone(),
        project: plan.project.clone(),
        url: plan.url.clone(),
        errors: plan.errors.clone(),
        notices: plan.notices.clone(),
        ..TargetOutcome::default()
    };
    let Some(ready) = ready else {
        return Outcome { target: outcome, states, applied: false };
    };
    let file = (!ready.stateless).then(|| engine.state_file(target));
    let ledger = Ledger::new(ready.record_before.clone(), file, ready.lock.clone());
    let record = with_commit(&ready);
    keep_last_good(engine, target, &ready).await;
    if record != ready.record_before {
        ledger.edit(|known| *known = record);
    }
    let stop: &CancellationToken = &options.stop;
    let commit = ready.commit.as_ref().map_or("worktree", CommitId::short);
    let span = tracing::info_span!("apply", target = %target.name, commit);
    let applied = apply::apply(&Job {
        plan: &plan,
        desired: &ready.desired,
        live: &ready.live,
        singles: &ready.singles,
        canaries: &ready.canaries,
        client: &ready.client,
        ledger: &ledger,
        unstable: &ready.record.unstable,
        key: &ready.key,
        key_is_known: ready.key_is_known,
        stateless: ready.stateless,
        corrects_drift,
        resend_secrets: options.resend_secrets,
        strict,
        vars: &target.vars,
        environment: &engine.environment,
        redactor: &engine.redactor,
        concurrency: target.concurrency,
        now: now(),
        stop,
        progress,
    })
    .instrument(span)
    .await;
    match applied {
        Ok(done) => outcome = done,
        Err(error) => outcome.errors.push(error.to_string()),
    }
    settle(&mut states, &outcome, &ledger);
    let applied = is_applied(&outcome);
    if let (true, Some(GoodCommit { commit, .. })) = (applied, &ready.good) {
        remember_applied(&ledger, commit, &mut outcome).await;
    }
    Outcome { target: outcome, states, applied }
}

/// The record as the plan leaves it, with this commit as the last good one: the notes of the
/// deletes that it asked for are in there too.
fn with_commit(ready: &Ready) -> Record {
    let mut record = ready.record.clone();
    if let Some(good) = &ready.good {
        record.last_good = Some(good.clone());
    }
    record
}

/// Keeps the commit in the mirror from now on, so that neither a force-push nor `git gc` takes
/// away what deletes are decided by. Without it deletes are held, so that it is no error.
async fn keep_last_good(engine: &Engine, target: &Target, ready: &Ready) {
    let (Some(mirror), Some(good), false) = (&engine.mirror, &ready.good, ready.stateless) else {
        return;
    };
    let key = format!("{} {}", target.url, target.project);
    if let Err(error) = mirror.keep(&key, &good.commit).await {
        tracing::warn!(target = %target.name, %error, "the last good commit is not kept");
    }
}

async fn remember_applied(ledger: &Ledger, commit: &CommitId, outcome: &mut TargetOutcome) {
    if ledger.read(|record| record.last_applied.as_ref() == Some(commit)) {
        return;
    }
    ledger.edit(|record| record.last_applied = Some(commit.clone()));
    if let Err(error) = ledger.save().await {
        outcome.errors.push(error.to_string());
    }
}

/// Nothing failed, nothing was held, nothing is left.
fn is_applied(outcome: &TargetOutcome) -> bool {
    outcome.errors.is_empty()
        && outcome
            .results
            .iter()
            .all(|(_, result)| matches!(result, ChangeResult::Done | ChangeResult::Reported))
}

/// Brings the states up to what came of the changes.
fn settle(states: &mut Vec<ConnectionState>, outcome: &TargetOutcome, ledger: &Ledger) {
    let mut gone = BTreeSet::new();
    let changed: BTreeSet<&ConnectionName> =
        outcome.results.iter().map(|(change, _)| &change.name).collect();
    let mut places: BTreeMap<&ConnectionName, usize> = BTreeMap::new();
    for (place, state) in states.iter().enumerate() {
        if let Some(name) = changed.get(&state.name) {
            places.entry(name).or_insert(place);
        }
    }
    for (change, result) in &outcome.results {
        let (state, reason) = match result {
            ChangeResult::Done => (State::InSync, None),
            ChangeResult::Degraded(why) => (State::Degraded, Some(why)),
            ChangeResult::Failed(why) => (State::Failed, Some(why)),
            ChangeResult::Blocked(why) => (State::Blocked, Some(why)),
            ChangeResult::Held(why) => (State::Held, Some(why)),
            ChangeResult::Reported | ChangeResult::NotStarted => continue,
        };
        if change.action == crate::plan::Action::Delete && state == State::InSync {
            gone.insert(&change.name);
            continue;
        }
        if let Some(known) = places.get(&change.name).and_then(|place| states.get_mut(*place)) {
            known.state = state;
            known.reason = reason.cloned();
        }
    }
    states.retain(|known| !gone.contains(&known.name));
    ledger.read(|record| {
        for state in states.iter_mut() {
            let owned = record.inventory.get(&state.name);
            state.last_change = owned.and_then(|owned| owned.last_change);
            state.unverified = owned.is_some_and(|owned| owned.base.is_unverified());
        }
    });
}
