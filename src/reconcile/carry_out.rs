//! From a plan to what came of it.

use std::collections::{BTreeMap, BTreeSet};

use tracing::Instrument as _;

use super::pass::compare_rules;
use super::{Engine, Options, Prepared, Ready, now};
use crate::apply::{self, ChangeResult, Job, Proofs, TargetOutcome};
use crate::config::Target;
use crate::desired::Resolution;
use crate::name::{self, CommitId, ConnectionName};
use crate::plan::compare::Keys;
use crate::plan::{Change, ConnectionState, Observed, State, TargetPlan};
use crate::record::{GoodCommit, Owned, Record};
use crate::state::Ledger;

/// The outcome of one pass over one target.
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
    let Prepared { target, plan, mut states, ready, protected, .. } = prepared;
    let file = options.base.is_none().then(|| engine.state_file(target));
    let Some(ready) = ready else {
        let mut outcome = apply::only_planned(&plan);
        if let (Some((record, lock)), Some(file), true) = (protected, file, options.writes) {
            let ledger = Ledger::new(Record::default(), Some(file), lock);
            ledger.edit(|known| *known = record);
            outcome.errors.extend(ledger.save().await.err().map(|error| error.to_string()));
        }
        return Outcome { target: outcome, states, applied: false };
    };
    let ledger = Ledger::new(ready.record_before.clone(), file, ready.lock.clone());
    keep_last_good(engine, target, &ready, options).await;
    let record = with_commit(&ready);
    if record != ready.record_before {
        ledger.edit(|known| *known = record);
    }
    let calls = Calls { engine, target, plan: &plan, ready: &ready, ledger: &ledger, options };
    let mut outcome = calls.make(strict, progress).await;
    settle(&mut states, &outcome, &ledger);
    let applied = is_applied(&outcome);
    if let (true, Some(GoodCommit { commit, .. })) = (applied, &ready.good) {
        remember_applied(&ledger, commit, &mut outcome).await;
    }
    Outcome { target: outcome, states, applied }
}

/// The inputs of the calls of a plan.
struct Calls<'a> {
    engine: &'a Engine,
    target: &'a Target,
    plan: &'a TargetPlan,
    ready: &'a Ready,
    ledger: &'a Ledger,
    options: &'a Options,
}

impl Calls<'_> {
    /// Makes the calls.
    async fn make(
        &self,
        strict: bool,
        progress: &(dyn Fn(&Change, &ChangeResult) + Sync),
    ) -> TargetOutcome {
        let Self { engine, target, plan, ready, ledger, options } = *self;
        let Ready { desired, live, singles, record, connection, key_is_known, .. } = ready;
        let keys = Keys { key: &connection.key, is_known: *key_is_known };
        let lookalikes = name::lookalikes(live.connections.keys().chain(desired.keys()));
        let (nothing_unread, proofs) = (BTreeMap::new(), Proofs::default());
        let job = Job {
            plan,
            desired,
            observed: Observed { live, singles, unread: &nothing_unread },
            planned: record,
            read_back: &ready.read_back,
            rules: compare_rules(target, options, keys, record),
            resolution: Resolution {
                vars: &target.vars,
                environment: Some(&engine.environment),
                redactor: &engine.redactor,
            },
            lookalikes: &lookalikes,
            proofs: &proofs,
            client: &connection.client,
            ledger,
            strict,
            concurrency: target.concurrency,
            now: now(),
            stop: &options.stop,
            progress,
        };
        let commit = ready.commit.as_ref().map_or("worktree", CommitId::short);
        let span = tracing::info_span!("apply", target = %target.name, commit);
        match apply::apply(&job).instrument(span).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let mut outcome = apply::only_planned(plan);
                outcome.results.clear();
                outcome.errors.push(error.to_string());
                outcome
            }
        }
    }
}

/// The record as the plan leaves it, with this commit as the last good one: the deletes that it asked
/// for are noted in there too.
fn with_commit(ready: &Ready) -> Record {
    let mut record = ready.record.clone();
    if let Some(good) = &ready.good {
        record.last_good = Some(good.clone());
    }
    record
}

/// Keeps the commit in the mirror from now on, so that neither a force-push nor `git gc` takes
/// away what deletes are decided by. Without it deletes are held, so that it is no error.
async fn keep_last_good(engine: &Engine, target: &Target, ready: &Ready, options: &Options) {
    let (Some(mirror), Some(good), None) = (&engine.mirror, &ready.good, &options.base) else {
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
    use ChangeResult::{Done, NotNeeded, Reported};
    outcome.errors.is_empty()
        && outcome.results.iter().all(|(_, result)| matches!(result, Done | NotNeeded | Reported))
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
            ChangeResult::Done | ChangeResult::NotNeeded => (State::InSync, None),
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
            let owned = record.owned(&state.name);
            state.last_change = owned.and_then(|owned| owned.last_change);
            state.unverified = owned.is_some_and(Owned::is_unverified);
        }
    });
}
