//! The order of targets (rule 11): a target with `after` gets a commit only once the target before it
//! has applied the commit whole for long enough. The first target's state holds for how long, so that
//! outlives a restart, and the first may be another replica's.

use std::time::Duration;

use jiff::Timestamp;

use super::LOCK_TIMEOUT;
use super::source::{Seen, Source};
use super::status::{ReconcileOutcome, Wait};
use crate::config::{After, Target};
use crate::name::CommitId;
use crate::reconcile::{Engine, now};
use crate::record::{Record, Soak};
use crate::source::{Repository, Snapshot, SourceError};
use crate::state::StateError;

/// How many commits are remembered that a target applied whole.
const KEPT: usize = 100;

/// The commit that a target may be given now.
pub(super) struct Given {
    /// The newest of the source, or an older commit; `None`: nothing yet.
    pub(super) seen: Option<Seen>,
    /// The wait for a newer one.
    pub(super) wait: Option<Wait>,
    /// Why the older commit cannot be read.
    pub(super) problem: Option<String>,
}

/// Finds out what a target may be given. Blocks.
pub(super) fn give(engine: &Engine, source: &Source, target: &Target, seen: &Seen) -> Given {
    let newest = |wait| Given { seen: Some(seen.clone()), wait, problem: None };
    let (Some(after), None) = (&target.after, &seen.refused) else { return newest(None) };
    let Snapshot::Commit { repository, commit: tip } = &seen.snapshot else {
        return newest(None);
    };
    let found = choose(engine, target, after, repository, &tip.id);
    let wait =
        |until, reason| Wait { commit: tip.id.clone(), after: after.target.clone(), until, reason };
    let (chosen, wait) = match found {
        Ok(found) if found.commit.as_ref() == Some(&tip.id) => return newest(None),
        Ok(found) => {
            let reason = in_words(&tip.id, after, found.until);
            (found.commit, wait(found.until, reason))
        }
        Err(problem) => {
            let reason = format!(
                "commit {} waits: whether `{}` has applied it is not known: {problem}",
                tip.id.short(),
                after.target
            );
            (last_good(engine, target), wait(None, reason))
        }
    };
    let older = |id: CommitId| match source.older(&id) {
        Ok(Some(snapshot)) => Ok(Seen { snapshot, ..seen.clone() }),
        Ok(None) => Err(format!("the repository no longer has commit {}", id.short())),
        Err(error) => Err(error.to_string()),
    };
    let (seen, problem) = match chosen.map(older).transpose() {
        Ok(seen) => (seen, None),
        Err(problem) => (None, Some(problem)),
    };
    Given { seen, wait: Some(wait), problem }
}

fn last_good(engine: &Engine, target: &Target) -> Option<CommitId> {
    engine.state_file(target).read().ok()?.last_good.map(|good| good.commit)
}

fn in_words(tip: &CommitId, after: &After, until: Option<Timestamp>) -> String {
    let (tip, first) = (tip.short(), &after.target);
    let soak = jiff::SignedDuration::try_from(after.soak).unwrap_or(jiff::SignedDuration::MAX);
    match until {
        Some(until) => format!(
            "commit {tip} waits until {until:.0}: `{first}` has to have applied it whole for {soak:#}"
        ),
        None if after.soak.is_zero() => {
            format!("commit {tip} waits until `{first}` has applied it whole")
        }
        None => format!("commit {tip} waits until `{first}` has applied it whole for {soak:#}"),
    }
}

/// The commit for a target, and when the newest one is due.
struct Chosen {
    commit: Option<CommitId>,
    until: Option<Timestamp>,
}

fn choose(
    engine: &Engine,
    target: &Target,
    after: &After,
    repository: &Repository,
    tip: &CommitId,
) -> Result<Chosen, String> {
    let first = engine.config.targets.iter().find(|other| other.name == after.target);
    let first = first.ok_or("it is not among the targets of this run")?;
    let read = |target| engine.state_file(target).read().map_err(|error| error.to_string());
    let soaks = read(first)?.soaks;
    let good = read(target)?.last_good.map(|good| good.commit);
    let reaches = |from: &CommitId, to: &CommitId| repository.reaches(from, to);
    let commit = newest_soaked(&soaks, after.soak, tip, good.as_ref(), &reaches);
    let open = soaks.last().filter(|soak| soak.commit == *tip && !soak.is_over);
    let seconds = i64::try_from(after.soak.as_secs()).unwrap_or(i64::MAX);
    let until = open.and_then(|soak| Timestamp::from_second(soak.since.checked_add(seconds)?).ok());
    Ok(Chosen { commit: commit.map_err(|error| error.to_string())?, until })
}

/// The newest commit that has soaked, that the tip comes from, and that is not older than the last
/// good one; else the last good one. Pure.
fn newest_soaked(
    soaks: &[Soak],
    soak: Duration,
    tip: &CommitId,
    good: Option<&CommitId>,
    reaches: &dyn Fn(&CommitId, &CommitId) -> Result<bool, SourceError>,
) -> Result<Option<CommitId>, SourceError> {
    let has_soaked = |one: &&Soak| one.lasted() >= soak;
    for one in soaks.iter().rev().filter(has_soaked) {
        let is_older = || good.map_or(Ok(false), |good| reaches(good, &one.commit));
        // The branch may have been moved back to the tip.
        if one.commit == *tip || (reaches(tip, &one.commit)? && !is_older()?) {
            return Ok(Some(one.commit.clone()));
        }
    }
    Ok(good.cloned())
}

/// Notes whether a target has applied a commit whole, if others come after it; `true`: it does so
/// from now on. A newest commit that is refused ends that for the last good one too.
///
/// # Errors
/// The state cannot be read or written.
pub(super) async fn note(
    engine: &Engine,
    target: &Target,
    commit: &CommitId,
    outcome: ReconcileOutcome,
) -> Result<bool, StateError> {
    let soaks = wanted_after(engine, target);
    // A reconcile that was interrupted does not say how the target stands.
    if outcome == ReconcileOutcome::Interrupted || soaks.is_empty() {
        return Ok(false);
    }
    let file = engine.state_file(target);
    let stands = |mut record: Record| {
        let changes = stand(&mut record.soaks, commit, outcome.is_success(), now(), &soaks);
        changes.then_some(record)
    };
    if stands(tokio::task::block_in_place(|| file.read())?).is_none() {
        return Ok(false);
    }
    let _lock = file.lock(LOCK_TIMEOUT, "run").await?;
    let record = stands(tokio::task::block_in_place(|| file.read())?);
    record.iter().try_for_each(|record| tokio::task::block_in_place(|| file.write(record)))?;
    Ok(record.is_some() && outcome.is_success())
}

/// For how long the targets that come after one want a commit to stand there.
fn wanted_after(engine: &Engine, target: &Target) -> Vec<Duration> {
    let all = engine.config.targets.iter().filter_map(|other| other.after.as_ref());
    all.filter(|after| after.target == target.name).map(|after| after.soak).collect()
}

/// Notes whether a commit stands applied whole now; `true`: a target that comes after may have to know.
/// `wanted` are the times for which such targets want it to. Pure.
fn stand(
    soaks: &mut Vec<Soak>,
    commit: &CommitId,
    is_whole: bool,
    now: i64,
    wanted: &[Duration],
) -> bool {
    let open = soaks.last_mut().filter(|soak| !soak.is_over);
    if let Some(open) = open {
        if is_whole && open.commit == *commit {
            let seen_now = Soak { seen: now, ..open.clone() };
            let is_enough = |wanted: &Duration| seen_now.lasted() >= *wanted;
            let is_news = wanted.iter().any(|wanted| is_enough(wanted) && open.lasted() < *wanted);
            if is_news {
                *open = seen_now;
            }
            return is_news;
        }
        open.is_over = true;
    } else if !is_whole {
        return false;
    }
    if is_whole {
        soaks.push(Soak { commit: commit.clone(), since: now, seen: now, is_over: false });
        soaks.drain(..soaks.len().saturating_sub(KEPT));
    }
    true
}

/// How long until a commit has stood applied whole for long enough for the next of the targets that
/// come after. Blocks.
pub(super) fn due_in(engine: &Engine, target: &Target) -> Option<Duration> {
    let wanted = wanted_after(engine, target);
    if wanted.is_empty() {
        return None;
    }
    let soaks = engine.state_file(target).read().ok()?.soaks;
    let open = soaks.last().filter(|soak| !soak.is_over)?;
    let missing = wanted.into_iter().filter(|wanted| *wanted > open.lasted()).min()?;
    Some(missing.saturating_sub(Soak { seen: now(), ..open.clone() }.lasted()))
}

#[cfg(test)]
mod tests;
