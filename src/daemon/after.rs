//! One target after another (rule 11): a target with `after` gets a commit only once its predecessor, the
//! target that `after` names, has applied the commit whole for long enough. How long is kept in the
//! predecessor's state: that outlives a restart, and another replica may act for that target. The targets
//! that come after one are its followers.

use std::time::Duration;

use jiff::Timestamp;

use super::LOCK_TIMEOUT;
use super::outcome::TargetState;
use crate::config::{After, Target};
use crate::name::CommitId;
use crate::reconcile::{Engine, now};
use crate::record::{Record, Soak};
use crate::source::{CheckedSnapshot, Snapshot, Source, SourceError};
use crate::state::StateError;

/// How many commits are remembered that a target applied whole.
const KEPT: usize = 100;

/// The wait of a target for its predecessor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The newest commit.
    pub(crate) commit: CommitId,
    /// Its predecessor: the target that comes first.
    pub(crate) after: String,
    /// When that target has applied the commit for long enough, if nothing goes wrong; `None`: it has
    /// not applied the commit whole, or not known.
    pub(crate) until: Option<Timestamp>,
    /// Why it waits, in words.
    pub(crate) reason: String,
    /// The state of the predecessor; `None`: it could not be read.
    predecessor: Option<PredecessorState>,
}

/// The part of a target's state that those after it wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PredecessorState {
    last: Option<Soak>,
    suspended: bool,
}

impl PredecessorState {
    /// That part of a record.
    fn of(record: &Record) -> Self {
        Self { last: record.soaks.last().cloned(), suspended: record.suspended }
    }
}

/// The commit that a target may be given now.
pub(super) struct Given {
    /// The newest of the source, or an older commit; `None`: nothing yet.
    pub(super) checked: Option<CheckedSnapshot>,
    /// The wait for a newer one.
    pub(super) wait: Option<Wait>,
    /// Why the older commit cannot be read.
    pub(super) problem: Option<String>,
}

/// Finds out what a target may be given. Blocks.
pub(super) fn give(
    engine: &Engine,
    source: &Source,
    target: &Target,
    checked: &CheckedSnapshot,
) -> Given {
    let newest = || Given { checked: Some(checked.clone()), wait: None, problem: None };
    let (Some(after), None) = (&target.after, &checked.refused) else { return newest() };
    let Snapshot::Commit { repository, commit: tip } = &checked.snapshot else { return newest() };
    let predecessor = predecessor_of(engine, target);
    let known = engine.state_file(target).read().map_err(|error| error.to_string());
    let good = known.map(|known| known.last_good.map(|good| good.commit));
    let reaches =
        |from: &CommitId, to: &CommitId| Ok(repository.reaches(from, to)?.unwrap_or(false));
    let chosen = match (&predecessor, &good) {
        (Ok(Record { soaks, .. }), Ok(good)) => {
            newest_soaked(soaks, after.soak, &tip.id, good.as_ref(), &reaches)
                .map_err(|error| error.to_string())
        }
        (Err(problem), _) | (_, Err(problem)) => Err(problem.clone()),
    };
    if matches!(&chosen, Ok(Some(id)) if *id == tip.id) {
        return newest();
    }
    let predecessor = predecessor.ok();
    let until = predecessor.as_ref().and_then(|known| due_at(known, after, &tip.id));
    let reason = match &chosen {
        Ok(_) => {
            let is_suspended = predecessor.as_ref().is_some_and(|known| known.suspended);
            in_words(&tip.id, after, until, is_suspended)
        }
        Err(problem) => format!(
            "commit {} waits: whether `{}` has applied it is not known: {problem}",
            tip.id.short(),
            after.target
        ),
    };
    let predecessor = predecessor.as_ref().map(PredecessorState::of);
    let (commit, after) = (tip.id.clone(), after.target.clone());
    let wait = Some(Wait { commit, after, until, reason, predecessor });
    let older = |id: CommitId| match source.older(&id) {
        Ok(Some(snapshot)) => Ok(CheckedSnapshot { snapshot, ..checked.clone() }),
        Ok(None) => Err(format!("the repository no longer has commit {}", id.short())),
        Err(error) => Err(error.to_string()),
    };
    let chosen = chosen.unwrap_or_else(|_| good.unwrap_or_default());
    match chosen.map(older).transpose() {
        Ok(checked) => Given { checked, wait, problem: None },
        Err(problem) => Given { checked: None, wait, problem: Some(problem) },
    }
}

fn in_words(tip: &CommitId, after: &After, until: Option<Timestamp>, is_suspended: bool) -> String {
    let (tip, predecessor) = (tip.short(), &after.target);
    let soak = jiff::SignedDuration::try_from(after.soak).unwrap_or(jiff::SignedDuration::MAX);
    let long = if after.soak.is_zero() { String::new() } else { format!(" for {soak:#}") };
    match until {
        Some(until) => format!(
            "commit {tip} waits until {until:.0}: `{predecessor}` has to have applied it whole{long}"
        ),
        None => {
            let suspended = if is_suspended {
                format!(", and `{predecessor}` is suspended")
            } else {
                String::new()
            };
            format!(
                "commit {tip} waits until `{predecessor}` has applied it whole{long}{suspended}"
            )
        }
    }
}

/// The state of the predecessor. Blocks.
fn predecessor_of(engine: &Engine, target: &Target) -> Result<Record, String> {
    let of = |after: &After| engine.config.targets.iter().find(|other| other.name == after.target);
    let predecessor = target.after.as_ref().and_then(of);
    let predecessor = predecessor.ok_or("it is not among the targets of this run")?;
    engine.state_file(predecessor).read().map_err(|error| error.to_string())
}

/// Whether the state of the predecessor has changed since a wait began. Another replica may act for that
/// target, and only the state shows which commits it applied. Blocks.
pub(super) fn has_changed(engine: &Engine, target: &Target, wait: &Wait) -> bool {
    let known = wait.predecessor.as_ref();
    predecessor_of(engine, target).is_ok_and(|now| known != Some(&PredecessorState::of(&now)))
}

/// When the predecessor has applied the newest commit for long enough, if nothing goes wrong.
fn due_at(predecessor: &Record, after: &After, tip: &CommitId) -> Option<Timestamp> {
    let is_open = |soak: &&Soak| soak.commit == *tip && !soak.is_over && !predecessor.suspended;
    let open = predecessor.soaks.last().filter(is_open)?;
    let seconds = i64::try_from(after.soak.as_secs()).unwrap_or(i64::MAX);
    let due = Timestamp::from_second(open.since.checked_add(seconds)?).ok()?;
    // A time that is over is none: the predecessor has not looked since.
    (due > Timestamp::now()).then_some(due)
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

/// Notes whether a target has applied a commit whole, if it has followers; `true`: they have to look again.
/// If the newest commit is refused, the last good one no longer counts as applied whole.
///
/// # Errors
/// The state cannot be read or written.
pub(super) async fn note(
    engine: &Engine,
    target: &Target,
    commit: &CommitId,
    outcome: TargetState,
) -> Result<bool, StateError> {
    let soaks = wanted_after(engine, target);
    // A reconcile that was interrupted does not say how the target stands.
    if outcome == TargetState::Interrupted || soaks.is_empty() {
        return Ok(false);
    }
    let file = engine.state_file(target);
    let stands =
        |record: &mut Record| stand(&mut record.soaks, commit, outcome.is_success(), now(), &soaks);
    if !stands(&mut tokio::task::block_in_place(|| file.read())?) {
        return Ok(false);
    }
    file.edit(LOCK_TIMEOUT, "run", stands).await
}

/// For how long the followers of a target want a commit to stand there.
fn wanted_after(engine: &Engine, target: &Target) -> Vec<Duration> {
    let all = engine.config.targets.iter().filter_map(|other| other.after.as_ref());
    all.filter(|after| after.target == target.name).map(|after| after.soak).collect()
}

/// Notes whether a commit stands applied whole now; `true`: the followers have to look again.
/// `wanted` are the times for which they want it to stand. Pure.
fn stand(
    soaks: &mut Vec<Soak>,
    commit: &CommitId,
    is_whole: bool,
    now: i64,
    wanted: &[Duration],
) -> bool {
    let open = soaks.last_mut().filter(|soak| !soak.is_over);
    if let Some(open) = open {
        let was_set_back = open.since > now;
        if was_set_back {
            // Until the clock is there again nothing would count.
            (open.since, open.until) = (now, now);
        }
        if is_whole && open.commit == *commit {
            let so_far = Soak { until: now, ..open.clone() };
            let is_reached = |soak: &Duration| so_far.lasted() >= *soak && open.lasted() < *soak;
            let is_long_enough = wanted.iter().any(is_reached);
            if is_long_enough {
                *open = so_far;
            }
            return is_long_enough || was_set_back;
        }
        open.is_over = true;
    } else if !is_whole {
        return false;
    }
    if is_whole {
        soaks.push(Soak { commit: commit.clone(), since: now, until: now, is_over: false });
        soaks.drain(..soaks.len().saturating_sub(KEPT));
    }
    true
}

/// How long until a commit has stood applied whole for long enough for the next of the followers.
pub(super) fn due_in(engine: &Engine, target: &Target) -> Option<Duration> {
    let wanted = wanted_after(engine, target);
    if wanted.is_empty() {
        return None;
    }
    let soaks = tokio::task::block_in_place(|| engine.state_file(target).read()).ok()?.soaks;
    let open = soaks.last().filter(|soak| !soak.is_over)?;
    let missing = wanted.into_iter().filter(|wanted| *wanted > open.lasted()).min()?;
    Some(missing.saturating_sub(Soak { until: now(), ..open.clone() }.lasted()))
}

#[cfg(test)]
mod tests {
    //! Random histories of two targets, one after the other, against what may be said of them from the outside.

    use proptest::prelude::*;

    use super::*;

    const SOAK: i64 = 10;

    #[derive(Clone, Debug)]
    enum Event {
        /// A commit on top of the newest.
        Commit,
        /// A commit on top of the one this far back, which takes those between away.
        ForcePush(usize),
        /// The branch goes back this far.
        Back(usize),
        /// The predecessor looks at the newest commit: whether it is applied whole.
        Look(bool),
        Wait(i64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => Just(Event::Commit),
            1 => (1..4_usize).prop_map(Event::ForcePush),
            1 => (1..4_usize).prop_map(Event::Back),
            5 => prop::bool::weighted(0.8).prop_map(Event::Look),
            5 => (1..SOAK + 2).prop_map(Event::Wait),
        ]
    }

    /// The commits, each with the one that it was made from.
    struct Git {
        parents: Vec<Option<usize>>,
        tip: usize,
    }

    impl Git {
        fn back(&self, from: usize, steps: usize) -> usize {
            (0..steps).fold(from, |at, _| self.parents[at].unwrap_or(at))
        }

        fn commit_on(&mut self, parent: usize) {
            self.tip = self.parents.len();
            self.parents.push(Some(parent));
        }

        fn reaches(&self, from: usize, to: usize) -> bool {
            std::iter::successors(Some(from), |at| self.parents[*at]).any(|at| at == to)
        }
    }

    fn id(commit: usize) -> CommitId {
        CommitId(commit.to_string())
    }

    fn number(id: &CommitId) -> usize {
        id.0.parse().unwrap()
    }

    /// Whether looks so far apart, with none between them that says otherwise, show the predecessor with a
    /// commit applied whole.
    fn has_soaked(log: &[(i64, usize, bool)], commit: usize) -> bool {
        let mut since = None;
        for (at, of, is_whole) in log.iter().copied() {
            let stands = of == commit && is_whole;
            since = since.filter(|_| stands).or(stands.then_some(at));
            if since.is_some_and(|since| at - since >= SOAK) {
                return true;
            }
        }
        false
    }

    proptest! {
        #[test]
        fn the_second_target_gets_what_the_first_one_has_applied_for_long_enough(
            events in prop::collection::vec(event(), 1..60)
        ) {
            let mut git = Git { parents: vec![None], tip: 0 };
            let (mut now, mut log, mut soaks, mut good) = (0, Vec::new(), Vec::new(), None);
            let soak = Duration::from_secs(SOAK.unsigned_abs());
            for event in events {
                match event {
                    Event::Commit => git.commit_on(git.tip),
                    Event::ForcePush(steps) => git.commit_on(git.back(git.tip, steps)),
                    Event::Back(steps) => git.tip = git.back(git.tip, steps),
                    Event::Look(is_whole) => {
                        stand(&mut soaks, &id(git.tip), is_whole, now, &[soak]);
                        log.push((now, git.tip, is_whole));
                    }
                    Event::Wait(seconds) => now += seconds,
                }
                let reaches = |from: &CommitId, to: &CommitId| Ok(git.reaches(number(from), number(to)));
                let known = good.map(id);
                let given = newest_soaked(&soaks, soak, &id(git.tip), known.as_ref(), &reaches);
                let given = given.unwrap().as_ref().map(number);
                if given != good {
                    let given = given.unwrap();
                    prop_assert!(has_soaked(&log, given), "{given} has not soaked: {log:?}");
                    prop_assert!(git.reaches(git.tip, given), "{given} was taken away");
                    let is_older = good.is_some_and(|good| git.reaches(good, given));
                    prop_assert!(given == git.tip || !is_older, "{given} is older than {good:?}");
                }
                if has_soaked(&log, git.tip) {
                    prop_assert_eq!(given, Some(git.tip));
                }
                good = given;
            }
        }
    }

    #[test]
    fn a_commit_soaks_anew_when_the_clock_is_set_back() {
        let (day, wanted) = (86_400, [Duration::from_secs(SOAK.unsigned_abs())]);
        let mut soaks = Vec::new();
        let mut look = |now| stand(&mut soaks, &id(1), true, now, &wanted);
        assert!(look(day), "it stands");
        assert!(look(5), "that is saved");
        assert!(!look(6));
        assert!(look(5 + SOAK), "it has stood for long enough");
        assert_eq!(soaks[0].lasted(), wanted[0]);
    }

    #[test]
    fn only_the_last_commits_are_remembered() {
        let mut soaks = Vec::new();
        for commit in 0..KEPT + 5 {
            assert!(stand(&mut soaks, &id(commit), true, 0, &[]));
            assert!(!stand(&mut soaks, &id(commit), true, 1, &[]), "it stands as it did");
        }
        assert_eq!(soaks.len(), KEPT);
        assert_eq!(soaks[0].commit, id(5));
    }
}
