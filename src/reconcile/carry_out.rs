//! From a plan to its outcome.

use std::sync::Arc;

use tracing::Instrument as _;

use super::load::LoadedTarget;
use super::prepare::{Opened, Reconcile};
use super::{Engine, Prepared, Ready, RunOptions, blocking, now};
use crate::apply::{self, Job, LastCommits, ReadableNow, RunControl};
use crate::name::{self, CommitId, ConnectionName};
use crate::plan::{Action, Change, ChangeResult, Entry, TargetPlan};
use crate::record::{GoodCommit, LastCommit, Owned, Record};
use crate::source::{Commit, Repository, Snapshot, SourceError};
use crate::state::Ledger;

/// Carries a plan out and remembers its results, which the returned plan holds.
pub async fn carry_out(
    engine: &Engine,
    prepared: Prepared<'_>,
    options: &RunOptions,
    strict: bool,
    progress: &(dyn Fn(&Change, &ChangeResult) + Sync),
) -> TargetPlan {
    let Prepared { target, plan, ready, commit, refused, .. } = prepared;
    let mut plan = plan.without_calls();
    let trail = engine.trail(target, options.base_revision.is_none());
    let mut trail = trail.of_run(commit.as_ref().map(|commit| &commit.id), &options.asked);
    let Some(ready) = ready else {
        if refused {
            trail.refused(&plan.errors.join("; "));
        }
        return plan;
    };
    let reconcile = Reconcile { engine, target, snapshot: &ready.snapshot, options };
    trail.consented_by_flags(&options.requests);
    ready.consents.iter().for_each(|consent| trail.consented_by_trailer(consent));
    let Opened { before, ledger, .. } = &ready.opened;
    trail.found_done(&ready.found_done);
    let ledger = ledger.clone().unwrap_or_else(|| Ledger::new(before.clone(), None, None));
    plan.notices.extend(reconcile.keep_last_good(ready.good.as_ref()).await);
    // The deletes that the commit asked for are noted in the same save as the commit.
    let mut record = ready.record.clone();
    record.last_good = ready.good.clone().or(record.last_good);
    if record != *before {
        // The target may have been suspended since the record was read.
        ledger.edit(|known| *known = Record { suspended: known.suspended, ..record });
    }
    let progress = |change: &Change, result: &ChangeResult| {
        trail.wrote(change, result);
        progress(change, result);
    };
    reconcile.make_calls(&ready, &ledger, &mut plan, strict, &progress).await;
    trail.tell_drift(&plan);
    trail.tell_standing(&plan, &options.requests.filter, true);
    ledger.read(|record| {
        for entry in &mut plan.entries {
            let owned = record.owned(&entry.name);
            entry.tell_last_write(owned);
            entry.unverified = owned.is_some_and(Owned::is_unverified);
        }
    });
    if let (true, Some(GoodCommit { commit, .. })) = (plan.is_applied(), &ready.good) {
        remember_applied(&ledger, commit, &mut plan).await;
    }
    plan
}

impl Reconcile<'_> {
    /// Makes the calls of a plan.
    async fn make_calls(
        &self,
        ready: &Ready,
        ledger: &Ledger,
        plan: &mut TargetPlan,
        strict: bool,
        progress: &(dyn Fn(&Change, &ChangeResult) + Sync),
    ) {
        let Self { engine, target, snapshot, options } = *self;
        let Ready { opened, observed, record, .. } = ready;
        let Opened { loaded, desired, connection, before, .. } = opened;
        let lookalikes = name::lookalikes(observed.live.connections.keys().chain(desired.keys()));
        let readable_now = ReadableNow::default();
        let last_good = before.last_good.as_ref().map(|good| &good.commit);
        let last_commits = last_commits_of(snapshot, loaded, last_good, plan);
        let job = Job {
            target,
            desired,
            observed,
            record_of_plan: record,
            compare_by: self.compare_settings(opened, record),
            judge: self.judge(&ready.tally),
            resolution: engine.resolution(target, options),
            lookalikes: &lookalikes,
            readable_now: &readable_now,
            client: &connection.client,
            ledger,
            control: RunControl {
                strict,
                now: now(),
                commit: snapshot.commit().map(|commit| &commit.id),
                last_commits: &last_commits,
                stop: &options.stop,
                progress,
            },
        };
        let commit = snapshot.commit().map_or("worktree", |commit| commit.id.short());
        let span = tracing::info_span!("apply", target = %target.name, commit);
        if let Err(error) = apply::apply(&job, plan).instrument(span).await {
            plan.errors.push(error.to_string());
        }
        let has_left =
            |record: &Record| record.last_good.as_ref().is_some_and(|good| !good.left.is_empty());
        let commit = snapshot.commit().filter(|_| options.follows && ledger.read(has_left));
        let is_declared = |name: &ConnectionName| desired.contains_key(name);
        if let Some(commit) = commit
            && ledger.edit(|record| record.take_in_again(&commit.id, is_declared))
        {
            save(ledger, plan).await;
        }
    }

    /// Keeps the commit in the mirror from now on, so that neither a force-push nor `git gc` takes
    /// away what deletes are decided by. Without it deletes are held, so that it is a notice and no
    /// error.
    async fn keep_last_good(&self, good: Option<&GoodCommit>) -> Option<String> {
        let Self { engine, target, options, .. } = *self;
        let (Some(mirror), Some(good), None) = (&engine.mirror, good, &options.base_revision)
        else {
            return None;
        };
        let key = format!("{} {}", target.manager.url, target.project);
        let kept = mirror.keep(&key, &good.commit).await;
        kept.err().map(|error| format!("the last good commit is not kept: {error}"))
    }
}

async fn remember_applied(ledger: &Ledger, commit: &CommitId, plan: &mut TargetPlan) {
    if ledger.read(|record| record.last_applied.as_ref() == Some(commit)) {
        return;
    }
    ledger.edit(|record| {
        if record.last_applied.replace(commit.clone()).is_some() {
            record.lost_at = None;
        }
    });
    save(ledger, plan).await;
}

async fn save(ledger: &Ledger, plan: &mut TargetPlan) {
    if let Err(error) = ledger.save().await {
        plan.errors.push(error.to_string());
    }
}

/// How many commits one reconcile looks at to find the last one of each connection; of those that it has
/// not found by then the tip is told.
const MOST_LOOKS: usize = 2_000;

/// The last commit of each connection that git changes in this plan. `last_good` and what came before it
/// changed nothing.
fn last_commits_of(
    snapshot: &Snapshot,
    loaded: &LoadedTarget,
    last_good: Option<&CommitId>,
    plan: &TargetPlan,
) -> LastCommits {
    let changed = plan.entries.iter().filter(|entry| {
        entry.change.as_ref().is_some_and(|change| {
            change.action.is_write() && change.is_of_git() && change.action != Action::Delete
        })
    });
    let Snapshot::Commit { repository, commit: tip } = snapshot else {
        return changed.map(|entry| (entry.name.clone(), None)).collect();
    };
    let changed: Vec<&Entry> = changed.collect();
    if changed.is_empty() {
        return LastCommits::new();
    }
    let mut files = loaded.files();
    let mut looks = MOST_LOOKS;
    let found = changed.into_iter().map(|entry| {
        let files = files.remove(&entry.name).unwrap_or_default();
        let found = last_change(repository, &tip.id, last_good, &files, &mut looks);
        let found = found.unwrap_or_else(|error| {
            tracing::debug!(connection = %entry.name, "its last commit is not known: {error}");
            None
        });
        let Commit { id, author, time, .. } = found.unwrap_or_else(|| tip.clone());
        (entry.name.clone(), Some(Arc::new(LastCommit { id, author, time })))
    });
    blocking(|| found.collect())
}

/// Goes back from the tip to the commit that changed the files: each of its parents has them otherwise.
/// `None`: none is found. A var may have changed, or the clone is shallow.
fn last_change(
    repository: &Repository,
    tip: &CommitId,
    last_good: Option<&CommitId>,
    files: &[String],
    looks: &mut usize,
) -> Result<Option<Commit>, SourceError> {
    let mut at = tip.clone();
    while last_good != Some(&at) && *looks > 0 {
        *looks -= 1;
        let Some(commit) = repository.commit_with_consents(&at)? else { return Ok(None) };
        let mut same = None;
        for parent in commit.parents {
            if !repository.has_commit(&parent)? {
                return Ok(None);
            }
            if repository.is_same_at(&at, &parent, files)? {
                same = Some(parent);
                break;
            }
        }
        match same {
            Some(parent) => at = parent,
            None => return repository.commit(&at),
        }
    }
    Ok(None)
}
