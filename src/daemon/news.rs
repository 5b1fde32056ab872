//! What of a reconcile is news: each thing is told once when it comes up, not at every resync.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::pass::Passed;
use super::status::ReconcileOutcome;
use crate::apply::ChangeResult;
use crate::config::{NotifyEvent, Target};
use crate::name::{CommitId, ConnectionName};
use crate::notify::{Notice, Subject};
use crate::plan::{Change, Origin, State};
use crate::source::Commit;

/// What was told of each target. It outlives a config that is read again.
#[derive(Clone, Debug, Default)]
pub(super) struct Memories(Arc<Mutex<BTreeMap<String, Memory>>>);

/// What was told of one target.
#[derive(Debug, Default)]
struct Memory {
    /// The commit that was told to be applied, or was so at the start.
    applied: Option<CommitId>,
    /// The commit of the failure that was told.
    failed: Option<Option<CommitId>>,
    held: BTreeSet<ConnectionName>,
    /// The fields that drifted and were not put right yet.
    drifted: BTreeMap<ConnectionName, BTreeSet<String>>,
}

/// What is new after one reconcile.
#[derive(Debug, Default)]
pub(super) struct News {
    /// A commit has been applied whole that had not been before.
    pub(super) is_newly_applied: bool,
    /// The connections that drifted since the last look.
    pub(super) drifted: Vec<Change>,
    /// What is told of, in order.
    pub(super) events: Vec<NotifyEvent>,
}

impl Memories {
    /// Remembers what a target's state says was applied, if nothing is remembered yet.
    pub(super) fn begin(&self, target: &str, applied: Option<CommitId>) {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Memory { applied, ..Memory::default() };
        memories.entry(target.to_owned()).or_insert_with(fresh);
    }

    /// Finds out what is new, and remembers it as told.
    pub(super) fn learn(
        &self,
        target: &str,
        passed: &Passed,
        outcome: ReconcileOutcome,
        commit: Option<&CommitId>,
    ) -> News {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memories.entry(target.to_owned()).or_default().learn(passed, outcome, commit)
    }
}

impl Memory {
    fn learn(
        &mut self,
        passed: &Passed,
        outcome: ReconcileOutcome,
        commit: Option<&CommitId>,
    ) -> News {
        use ReconcileOutcome::{Blocked, Degraded, Failed, Interrupted, Refused};
        let mut news = News::default();
        if outcome == Interrupted {
            return news;
        }
        if passed.was_looked_at() {
            news.drifted = self.newly_drifted(passed);
        }
        if !news.drifted.is_empty() {
            news.events.push(NotifyEvent::Drift);
        }
        if passed.applied && commit.is_some() && self.applied.as_ref() != commit {
            self.applied = commit.cloned();
            news.is_newly_applied = true;
            news.events.push(NotifyEvent::Applied);
        }
        let was_in_trouble = self.failed.is_some() || !self.held.is_empty();
        if matches!(outcome, Failed | Blocked | Degraded | Refused) {
            if self.failed.as_ref() != Some(&commit.cloned()) {
                self.failed = Some(commit.cloned());
                news.events.push(NotifyEvent::Failed);
            }
        } else {
            self.failed = None;
        }
        if passed.was_looked_at() {
            let held = passed.states.iter().filter(|known| known.state == State::Held);
            let held: BTreeSet<_> = held.map(|known| known.name.clone()).collect();
            if !held.is_subset(&self.held) {
                news.events.push(NotifyEvent::Held);
            }
            self.held = held;
        }
        if was_in_trouble && outcome.is_success() && self.held.is_empty() {
            news.events.push(NotifyEvent::Recovered);
        }
        news
    }

    /// The changes with a field that drifted since the last look.
    fn newly_drifted(&mut self, passed: &Passed) -> Vec<Change> {
        let made = passed.made();
        let mut new = Vec::new();
        let mut still = BTreeMap::new();
        for change in &passed.plan.changes {
            let fields = drifted_fields(change);
            if fields.is_empty() {
                continue;
            }
            if self.drifted.get(&change.name).is_none_or(|known| !fields.is_subset(known)) {
                new.push(change.clone());
            }
            if !made.has(change) {
                still.insert(change.name.clone(), fields);
            }
        }
        self.drifted = still;
        new
    }
}

fn drifted_fields(change: &Change) -> BTreeSet<String> {
    let drifted = change.fields.iter().filter(|field| field.origin != Origin::Git);
    drifted.map(|field| field.path.clone()).collect()
}

/// Puts news into words; they are sent by somebody else.
pub(super) fn notice(
    event: NotifyEvent,
    target: &Target,
    source: &str,
    commit: Option<&Commit>,
    passed: &Passed,
    outcome: ReconcileOutcome,
    news: &News,
) -> Notice {
    let errors = passed.outcome.as_ref().map_or(&passed.plan.errors, |outcome| &outcome.errors);
    let tells_errors = event == NotifyEvent::Failed && !errors.is_empty();
    Notice {
        event,
        target: target.name.clone(),
        project: target.project_as_written.clone(),
        url: target.url_as_written.clone(),
        source: source.to_owned(),
        commit: commit.cloned(),
        state: outcome.as_str(),
        time: Timestamp::now(),
        error: tells_errors.then(|| errors.join("; ")),
        subjects: subjects(event, passed, news),
    }
}

fn subjects(event: NotifyEvent, passed: &Passed, news: &News) -> Vec<Subject> {
    let subject = |change: &Change, what, why| Subject {
        type_name: change.type_name.clone(),
        name: change.name.clone(),
        what,
        why,
    };
    let made = passed.made();
    let results = passed.outcome.iter().flat_map(|outcome| &outcome.results);
    match event {
        NotifyEvent::Applied => results
            .filter(|(_, result)| *result == ChangeResult::Done)
            .map(|(change, _)| subject(change, change.action.as_str(), change.reason.clone()))
            .collect(),
        NotifyEvent::Failed => results
            .filter_map(|(change, result)| match result {
                ChangeResult::Failed(why) => Some(subject(change, "failed", Some(why.clone()))),
                ChangeResult::Blocked(why) => Some(subject(change, "blocked", Some(why.clone()))),
                ChangeResult::Degraded(why) => {
                    Some(subject(change, "not deployed", Some(why.clone())))
                }
                _ => None,
            })
            .collect(),
        // The names of the fields are enough; what they hold is nobody's business in a chat.
        NotifyEvent::Drift => news
            .drifted
            .iter()
            .map(|change| {
                let fields: Vec<_> = drifted_fields(change).into_iter().collect();
                let fields = fields.iter().map(|path| path.trim_start_matches('/'));
                let what = if made.has(change) { "put right" } else { "drifted" };
                subject(change, what, Some(fields.collect::<Vec<_>>().join(", ")))
            })
            .collect(),
        NotifyEvent::Held => passed
            .states
            .iter()
            .filter(|known| known.state == State::Held)
            .map(|known| Subject {
                type_name: known.type_name.clone(),
                name: known.name.clone(),
                what: "held",
                why: known.reason.clone(),
            })
            .collect(),
        NotifyEvent::Recovered => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
