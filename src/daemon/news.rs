//! Finds the news in a reconcile: each thing is told once, when it comes up, and not at every
//! resync.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::log::{LogThrottle, TargetThrottle};
use super::status::TargetState;
use super::target_reconcile::TargetResult;
use crate::config::{NotifyEvent, TargetKey};
use crate::name::{CommitId, ConnectionName};
use crate::notify::{Notice, NoticeSubject};
use crate::plan::{Change, ChangeResult, ConnectionState, Entry};
use crate::source::Commit;

/// The news that were told of each target and of the source, and what the log said of them. They outlive
/// a config that is read again.
#[derive(Clone, Debug, Default)]
pub(super) struct NewsMemory {
    targets: Arc<Mutex<BTreeMap<TargetKey, ToldNews>>>,
    is_source_failing: Arc<AtomicBool>,
    throttles: Arc<Mutex<BTreeMap<TargetKey, Arc<TargetThrottle>>>>,
    reading: Arc<LogThrottle<()>>,
    fetching: Arc<LogThrottle<()>>,
}

/// The news that were told of one target.
#[derive(Debug, Default)]
struct ToldNews {
    /// The commit that was told to be applied, or was so at the start.
    applied: Option<CommitId>,
    /// The commit of the failure that was told.
    failed: Option<Option<CommitId>>,
    held: BTreeSet<ConnectionName>,
    not_converging: BTreeSet<ConnectionName>,
    /// The fields that drifted and were not put right yet.
    drifted: BTreeMap<ConnectionName, BTreeSet<String>>,
}

/// The news after one reconcile.
#[derive(Debug, Default)]
pub(super) struct News {
    /// A commit has been applied whole that had not been before.
    pub(super) is_newly_applied: bool,
    /// The changes of connections that drifted since the last look.
    pub(super) drifted: Vec<Change>,
    /// The events to tell, in order.
    pub(super) events: Vec<NotifyEvent>,
}

impl NewsMemory {
    /// Remembers what a target's state says was applied, if nothing is remembered yet.
    pub(super) fn begin(&self, target: &TargetKey, applied: Option<CommitId>) {
        let mut memories = self.targets.lock();
        let fresh = || ToldNews { applied, ..ToldNews::default() };
        memories.entry(target.clone()).or_insert_with(fresh);
    }

    /// Finds out what is new, and remembers it as told.
    pub(super) fn learn(
        &self,
        target: &TargetKey,
        result: &TargetResult,
        commit: Option<&CommitId>,
    ) -> News {
        let mut memories = self.targets.lock();
        memories.entry(target.clone()).or_default().learn(result, commit)
    }

    /// How often the log repeats failures of a target under the config that comes into force.
    pub(super) fn throttle(&self, target: &TargetKey) -> Arc<TargetThrottle> {
        let mut throttles = self.throttles.lock();
        let throttle = throttles.entry(target.clone()).or_default();
        throttle.forget_all();
        Arc::clone(throttle)
    }

    /// The same of failures to read the source, and to fetch it.
    pub(super) fn source_throttles(&self) -> [Arc<LogThrottle<()>>; 2] {
        let throttles = [&self.reading, &self.fetching];
        throttles.iter().for_each(|throttle| throttle.forget_all());
        throttles.map(Arc::clone)
    }

    /// The news in how the source stands, remembered as told.
    pub(super) fn learn_source(&self, is_failing: bool) -> Option<NotifyEvent> {
        let was_failing = self.is_source_failing.swap(is_failing, Ordering::Relaxed);
        let event = if is_failing { NotifyEvent::SourceFailed } else { NotifyEvent::Recovered };
        (was_failing != is_failing).then_some(event)
    }
}

impl ToldNews {
    fn learn(&mut self, result: &TargetResult, commit: Option<&CommitId>) -> News {
        use TargetState::{Blocked, Degraded, Failing, Interrupted, Refused};
        let mut news = News::default();
        if result.outcome == Interrupted {
            return news;
        }
        let mut is_rewritten = false;
        if result.was_looked_at() {
            news.drifted = self.newly_drifted(result);
            let now = names_in(result, ConnectionState::NotConverging);
            is_rewritten = !now.is_subset(&self.not_converging);
            self.not_converging = now;
        }
        if is_rewritten || !news.drifted.is_empty() {
            news.events.push(NotifyEvent::Drift);
        }
        if result.applied && commit.is_some() && self.applied.as_ref() != commit {
            self.applied = commit.cloned();
            news.is_newly_applied = true;
            news.events.push(NotifyEvent::Applied);
        }
        let was_in_trouble = self.failed.is_some() || !self.held.is_empty();
        if matches!(result.outcome, Failing | Blocked | Degraded | Refused) {
            if self.failed.as_ref() != Some(&commit.cloned()) {
                self.failed = Some(commit.cloned());
                news.events.push(NotifyEvent::Failed);
            }
        } else {
            self.failed = None;
        }
        if result.was_looked_at() {
            let held = names_in(result, ConnectionState::Held);
            if !held.is_subset(&self.held) {
                news.events.push(NotifyEvent::Held);
            }
            self.held = held;
        }
        if was_in_trouble && result.went_well() && self.held.is_empty() {
            news.events.push(NotifyEvent::Recovered);
        }
        news
    }

    /// The changes with a field that drifted since the last look.
    fn newly_drifted(&mut self, result: &TargetResult) -> Vec<Change> {
        let mut new = Vec::new();
        let mut still = BTreeMap::new();
        // A list may be late: drift that the read before its write contradicts was none.
        let was_there = |change: &&Change| change.result != Some(ChangeResult::NotNeeded);
        for change in result.plan.changes().into_iter().filter(was_there) {
            let fields: BTreeSet<String> = change.drifted_fields().cloned().collect();
            if fields.is_empty() {
                continue;
            }
            if self.drifted.get(&change.name).is_none_or(|known| !fields.is_subset(known)) {
                new.push(change.clone());
            }
            if !change.is_made() {
                still.insert(change.name.clone(), fields);
            }
        }
        self.drifted = still;
        new
    }
}

fn names_in(result: &TargetResult, state: ConnectionState) -> BTreeSet<ConnectionName> {
    let entries = result.plan.entries.iter().filter(|entry| entry.state == state);
    entries.map(|entry| entry.name.clone()).collect()
}

/// Puts an event into words for the receivers.
pub(super) fn notice(
    event: NotifyEvent,
    (target, source): (&TargetKey, &str),
    commit: Option<&Commit>,
    result: &TargetResult,
    news: &News,
) -> Notice {
    let errors = &result.plan.errors;
    let tells_errors = event == NotifyEvent::Failed && !errors.is_empty();
    Notice {
        event,
        target: Some(target.clone()),
        source: source.to_owned(),
        commit: commit.cloned(),
        state: result.outcome.outcome(),
        time: Timestamp::now(),
        error: tells_errors.then(|| errors.join("; ")),
        subjects: subjects(event, result, news),
    }
}

fn subjects(event: NotifyEvent, result: &TargetResult, news: &News) -> Vec<NoticeSubject> {
    let subject = |change: &Change, what, why| NoticeSubject {
        type_name: change.type_name.clone(),
        name: change.name.clone(),
        what,
        why,
    };
    let in_state = |wanted: &[ConnectionState]| -> Vec<NoticeSubject> {
        let entries = result.plan.entries.iter().filter(|entry| wanted.contains(&entry.state));
        let subject = |entry: &Entry| NoticeSubject {
            type_name: entry.type_name.clone(),
            name: entry.name.clone(),
            what: entry.state.into_str(),
            why: entry.reason.clone(),
        };
        entries.map(subject).collect()
    };
    match event {
        NotifyEvent::Applied => {
            let made = result.plan.changes().into_iter().filter(|change| change.is_made());
            made.map(|change| subject(change, change.action.into_str(), change.reason.clone()))
                .collect()
        }
        NotifyEvent::Failed => in_state(&[
            ConnectionState::Failed,
            ConnectionState::Blocked,
            ConnectionState::Degraded,
        ]),
        NotifyEvent::Held => in_state(&[ConnectionState::Held]),
        // The names of the fields are enough: their values do not belong into a chat.
        NotifyEvent::Drift => {
            let drifted = news.drifted.iter().map(|change| {
                let fields: BTreeSet<&String> = change.drifted_fields().collect();
                let fields = fields.iter().map(|path| path.trim_start_matches('/'));
                let what = if change.is_made() { "put right" } else { "drifted" };
                subject(change, what, Some(fields.collect::<Vec<_>>().join(", ")))
            });
            drifted.chain(in_state(&[ConnectionState::NotConverging])).collect()
        }
        NotifyEvent::Recovered | NotifyEvent::SourceFailed => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, FieldChange, Origin, TargetPlan};

    fn commit(text: &str) -> CommitId {
        CommitId(text.repeat(40))
    }

    fn drifted(name: &str, path: &str) -> Change {
        Change {
            action: Action::Update,
            type_name: "email".to_owned(),
            name: name.into(),
            previous_name: None,
            reason: None,
            advice: None,
            fields: vec![FieldChange {
                path: path.to_owned(),
                before: None,
                after: None,
                base: None,
                sensitive: false,
                origin: Origin::Drift,
            }],
            held: false,
            rules: Vec::new(),
            place: None,
            edited: None,
            result: None,
        }
    }

    fn held(name: &str) -> Entry {
        Entry::new(name.into(), "email".to_owned(), ConnectionState::Held)
    }

    fn written(change: Change, result: ChangeResult) -> Entry {
        let mut entry =
            Entry::new(change.name.clone(), "email".to_owned(), ConnectionState::Pending);
        entry.change = Some(Box::new(change));
        entry.end(result);
        entry
    }

    fn looked_at(entries: Vec<Entry>) -> TargetResult {
        let plan = TargetPlan { entries, ..TargetPlan::default() };
        TargetResult { plan, ..TargetResult::default() }
    }

    fn failing() -> TargetResult {
        let mut result = looked_at(Vec::new());
        result.plan.errors.push("the API is down".to_owned());
        result
    }

    #[derive(Default)]
    struct Told(ToldNews);

    impl Told {
        fn of(
            &mut self,
            result: &TargetResult,
            outcome: TargetState,
            at: &str,
        ) -> Vec<NotifyEvent> {
            let result = TargetResult { outcome, ..result.clone() };
            self.0.learn(&result, Some(&commit(at))).events
        }
    }

    #[test]
    fn a_commit_is_applied_once() {
        let mut told = Told::default();
        let applied = TargetResult { applied: true, ..looked_at(Vec::new()) };
        assert_eq!(told.of(&applied, TargetState::Applied, "a"), [NotifyEvent::Applied]);
        assert!(told.of(&applied, TargetState::InSync, "a").is_empty());
        assert_eq!(told.of(&applied, TargetState::InSync, "b"), [NotifyEvent::Applied]);
        let memories = NewsMemory::default();
        let prod = TargetKey { name: "prod".to_owned(), ..TargetKey::default() };
        memories.begin(&prod, Some(commit("c")));
        memories.begin(&prod, Some(commit("d")));
        let after_a_restart = memories.learn(&prod, &applied, Some(&commit("c")));
        assert!(after_a_restart.events.is_empty() && !after_a_restart.is_newly_applied);
    }

    #[test]
    fn a_failure_is_told_once_for_each_commit_and_so_is_its_end() {
        let mut told = Told::default();
        let fine = looked_at(Vec::new());
        assert!(told.of(&fine, TargetState::InSync, "a").is_empty());
        assert_eq!(told.of(&failing(), TargetState::Failing, "a"), [NotifyEvent::Failed]);
        assert!(told.of(&failing(), TargetState::Failing, "a").is_empty());
        assert!(told.of(&fine, TargetState::Interrupted, "a").is_empty());
        assert_eq!(told.of(&failing(), TargetState::Failing, "b"), [NotifyEvent::Failed]);
        assert_eq!(told.of(&fine, TargetState::InSync, "b"), [NotifyEvent::Recovered]);
        assert!(told.of(&fine, TargetState::InSync, "b").is_empty());
        // In a dry run the changes of a target that answers again stay pending.
        let _ = told.of(&failing(), TargetState::Failing, "b");
        assert_eq!(told.of(&fine, TargetState::Pending, "b"), [NotifyEvent::Recovered]);
    }

    #[test]
    fn drift_is_told_when_it_comes_up() {
        let mut told = Told::default();
        let kept = |path| looked_at(vec![written(drifted("a", path), ChangeResult::Reported)]);
        assert_eq!(told.of(&kept("/port"), TargetState::Drifted, "a"), [NotifyEvent::Drift]);
        assert!(told.of(&kept("/port"), TargetState::Drifted, "a").is_empty());
        // A target that cannot be looked at has not recovered.
        let _ = told.of(&failing(), TargetState::Failing, "a");
        let recovered = told.of(&kept("/port"), TargetState::Drifted, "a");
        assert_eq!(recovered, [NotifyEvent::Recovered]);
        assert_eq!(told.of(&kept("/host"), TargetState::Drifted, "a"), [NotifyEvent::Drift]);
        // Drift that was corrected and comes again is news; a write that fails is the same drift.
        let corrected = looked_at(vec![written(drifted("a", "/host"), ChangeResult::Done)]);
        assert!(told.of(&corrected, TargetState::Applied, "a").is_empty());
        assert_eq!(told.of(&corrected, TargetState::Applied, "a"), [NotifyEvent::Drift]);
    }

    #[test]
    fn what_is_held_is_told_when_it_grows() {
        let mut told = Told::default();
        let with = |names: &[&str]| looked_at(names.iter().map(|name| held(name)).collect());
        assert_eq!(told.of(&with(&["a"]), TargetState::Held, "a"), [NotifyEvent::Held]);
        assert!(told.of(&with(&["a"]), TargetState::Held, "a").is_empty());
        assert_eq!(told.of(&with(&["a", "b"]), TargetState::Held, "b"), [NotifyEvent::Held]);
        assert!(told.of(&with(&["b"]), TargetState::Held, "b").is_empty());
        assert_eq!(told.of(&with(&[]), TargetState::InSync, "b"), [NotifyEvent::Recovered]);
    }
}
