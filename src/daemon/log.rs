//! The log lines about a reconcile, and how often a failure is repeated in the log.

use std::collections::{BTreeMap, btree_map};
use std::time::Duration;

use parking_lot::Mutex;
use strum::VariantArray as _;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::after::Wait;
use super::status::{TargetState, TargetStatus};
use super::target_reconcile::TargetResult;
use crate::api::before_the_end;
use crate::audit::Asked;
use crate::document::{Diagnostic, Severity};
use crate::name::{CommitId, ConnectionName, first_few};
use crate::plan::{ConnectionState, Counts, Entry, TargetPlan, with_reason};
use crate::reconcile::Step;

/// How long a kind is remembered that does not come again.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How many problems of a refused commit, or names of connections in one line, are logged.
const MOST_NAMED: usize = 5;

/// A kind of failure, each of one commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailureKind {
    /// The commit is refused.
    Refused,
    /// The server refused the credentials.
    Credentials,
    /// A step of the reconcile failed.
    Step(Step),
    /// The plan could not be carried out.
    CarryOut,
    /// A suspension could not be saved.
    Suspension,
    /// Changes were not made, and no connection says why.
    NotMade,
    /// A connection is not as git declares it: the state's word, and its name.
    Connection(&'static str, ConnectionName),
    /// Connections stay so: the state's word.
    Standing(&'static str),
}

/// How often the log repeats the failures of one target.
pub(super) type TargetThrottle = LogThrottle<(Option<CommitId>, FailureKind)>;

/// One reconcile of a target, for the log.
pub(super) struct TargetLog<'a> {
    pub(super) target: &'a str,
    pub(super) commit: Option<&'a CommitId>,
    /// Why it was made, and who asked for it.
    pub(super) asked: &'a Asked,
    pub(super) throttle: &'a TargetThrottle,
    /// How the target stood before.
    pub(super) before: Option<&'a TargetStatus>,
}

/// How many causes of failures are told in one sentence.
const MOST_CAUSES: usize = 3;

/// The failures of a run that was ended while it tried again. That it ended is told beside them, so
/// they do not say it, and calls that were not sent for it are no failures.
pub(super) fn retried(plan: &TargetPlan) -> Option<String> {
    let failed = plan.entries.iter().filter(|entry| entry.state == ConnectionState::Failed);
    let failed = failed.filter_map(|entry| entry.reason.as_ref());
    let failures = plan.errors.iter().chain(failed);
    let mut causes: Vec<&str> = failures.filter_map(|text| before_the_end(text)).collect();
    causes.dedup();
    causes.truncate(MOST_CAUSES);
    (!causes.is_empty()).then(|| causes.join("; "))
}

impl TargetLog<'_> {
    /// Logs how the reconcile ended.
    pub(super) fn outcome(&self, result: &TargetResult) {
        let outcome = result.outcome;
        let (target, commit, now) = (self.target, self.short(), Instant::now());
        self.warnings(&result.plan.diagnostics);
        debug!(target, commit, errors = ?result.plan.errors, "reconciled: {}", outcome.outcome());
        self.throttle.forget(now);
        // Neither says anything about a failure.
        if matches!(outcome, TargetState::Interrupted | TargetState::Suspended) {
            return;
        }
        if let Some(wait) = result.wait.as_ref().filter(|wait| self.waits_anew(wait)) {
            info!(target, commit = wait.commit.short(), "{}", wait.reason);
        }
        let of_entries = TargetLog { commit: result.commit_in_force(), ..*self };
        ConnectionState::VARIANTS.iter().for_each(|state| of_entries.connections(result, *state));
        if !result.went_well() {
            return self.failures(result);
        }
        if !result.plan.has(ConnectionState::NotConverging) && self.throttle.is_over(now) {
            info!(target, commit, "recovered");
        }
        let count = pending(&result.plan.entries);
        if count > self.before.map_or(0, |before| pending(&before.connections)) {
            info!(
                target,
                event = "pending",
                commit,
                count,
                "changes are pending: a dry run writes nothing"
            );
        }
        if outcome == TargetState::Applied {
            let Counts { done, adopted, .. } = Counts::of([&result.plan]);
            info!(target, commit, changed = done, adopted, "the commit is applied");
        }
    }

    /// Logs the warnings about the documents of a commit once; `validate` shows all of them.
    fn warnings(&self, diagnostics: &[Diagnostic]) {
        let (target, commit, event) = (self.target, self.short(), "warning");
        let before = self.before.map(|before| &before.trouble);
        let told = before.filter(|before| before.commit_given.as_ref() == self.commit);
        let told = told.map(|before| &before.diagnostics);
        let is_new = |one: &&Diagnostic| {
            one.severity == Severity::Warning && !told.is_some_and(|told| told.contains(*one))
        };
        let new: Vec<&Diagnostic> = diagnostics.iter().filter(is_new).collect();
        for problem in new.iter().take(MOST_NAMED) {
            warn!(target, event, commit, code = problem.code, "{problem}");
        }
        let more = new.len().saturating_sub(MOST_NAMED);
        if more > 0 {
            warn!(target, event, commit, "{more} more warnings, which `validate` shows");
        }
    }

    /// Logs that a newer commit ended this reconcile.
    pub(super) fn cut_short(&self, result: &TargetResult, newer: &CommitId) {
        let (target, commit, newer) = (self.target, self.short(), newer.short());
        let retried = retried(&result.plan);
        info!(target, commit, newer, retried, "a newer commit ended the reconcile of this one");
    }

    /// Whether this is the first reconcile that waits for the commit.
    fn waits_anew(&self, wait: &Wait) -> bool {
        let waited_for = self.before.and_then(|before| before.trouble.wait.as_ref());
        waited_for.is_none_or(|(waited, _)| waited.commit != wait.commit)
    }

    fn short(&self) -> &str {
        self.commit.map_or("worktree", CommitId::short)
    }

    /// Whether a failure is to be logged now, and how often it came since it was last.
    fn due(&self, kind: FailureKind) -> Option<u64> {
        self.throttle.count((self.commit.cloned(), kind), Instant::now())
    }

    fn failures(&self, result: &TargetResult) {
        let (target, commit) = (self.target, self.short());
        let (kind, text) = if !result.plan.errors.is_empty() {
            (FailureKind::of(result), result.plan.errors.join("; "))
        } else if result.gets_nothing_yet()
            || result.plan.entries.iter().any(|entry| entry.state.trouble().is_some())
        {
            return;
        } else {
            let count = result.plan.changes().len();
            (FailureKind::NotMade, format!("{count} changes of the plan are not made"))
        };
        let is_refused = kind == FailureKind::Refused;
        let Some(repeated) = self.due(kind) else { return };
        if is_refused {
            self.diagnostics(&result.plan.diagnostics);
        }
        let (cause, by) = (self.asked.cause.as_str(), self.asked.by.as_deref());
        let event = if is_refused { "refused" } else { "failed" };
        warn!(target, event, commit, cause, by, repeated = more_than_0(repeated), "{text}");
    }

    /// Logs the first errors in the documents of a refused commit; `validate` shows all of them.
    fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        let (target, commit) = (self.target, self.short());
        let errors = diagnostics.iter().filter(|problem| problem.severity == Severity::Error);
        for problem in errors.take(MOST_NAMED) {
            error!(target, event = "refused", commit, code = problem.code, "{problem}");
        }
    }

    /// Logs the connections in one state of trouble: a line for each that is new, and every 5 minutes one for
    /// all that stay, however many take turns.
    fn connections(&self, result: &TargetResult, state: ConnectionState) {
        let Some(words) = state.trouble() else { return };
        let (target, commit) = (self.target, self.short());
        let mut standing = Vec::new();
        for known in result.plan.entries.iter().filter(|known| known.state == state) {
            let (kind, name) = (known.type_name.as_str(), &known.name);
            match self.due(FailureKind::Connection(state.into_str(), name.clone())) {
                Some(0) => {
                    let reason = known.reason.as_deref().unwrap_or("the reason is not known");
                    let (cause, by) = (self.asked.cause.as_str(), self.asked.by.as_deref());
                    let event = state.into_str();
                    warn!(
                        target, event, commit, r#type = kind, connection = %name, cause, by,
                        "{kind} `{name}` {}", with_reason(words, reason)
                    );
                }
                _ => standing.push(format!("`{name}`")),
            }
        }
        let count = standing.len();
        // The first time each of them has just had a line of its own.
        let is_due = count > 0
            && self
                .due(FailureKind::Standing(state.into_str()))
                .is_some_and(|repeated| repeated > 0);
        if is_due {
            let names = first_few(&standing, MOST_NAMED);
            warn!(target, event = state.into_str(), commit, count, "still: {names}");
        }
    }
}

/// How many connections wait for a change that a dry run does not make.
fn pending(entries: &[Entry]) -> usize {
    entries.iter().filter(|entry| entry.state == ConnectionState::Pending).count()
}

impl FailureKind {
    /// The kind of the failure of a target as a whole.
    fn of(result: &TargetResult) -> Self {
        match result.failed_step {
            _ if result.refused.is_some() => Self::Refused,
            _ if result.credentials_refused => Self::Credentials,
            Some(step) => Self::Step(step),
            None => Self::CarryOut,
        }
    }
}

/// How often a failure of one kind is logged while it lasts.
const EVERY: Duration = Duration::from_secs(300);

/// Limits how often a failure of one kind is logged: at once, and then every 5 minutes, whatever
/// the texts say and whatever other kinds take turns with it. Its end is logged as seldom, and the next
/// failure after that at once, so that the last word of the log is true or is of a failure.
#[derive(Debug)]
pub(crate) struct LogThrottle<K> {
    logged: Mutex<Logged<K>>,
}

#[derive(Debug)]
struct Logged<K> {
    by_kind: BTreeMap<K, (Instant, u64)>,
    // A failure was logged, and not yet that it is over.
    in_trouble: bool,
    // When it was last logged that failures are over.
    over_at: Option<Instant>,
}

impl<K> Default for LogThrottle<K> {
    fn default() -> Self {
        let logged = Logged { by_kind: BTreeMap::new(), in_trouble: false, over_at: None };
        Self { logged: Mutex::new(logged) }
    }
}

impl<K: Ord> LogThrottle<K> {
    /// Counts a failure. `Some`: it is to be logged now, with how often it came since it was last.
    pub(crate) fn count(&self, kind: K, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock();
        let (at, repeats) = match logged.by_kind.entry(kind) {
            btree_map::Entry::Vacant(entry) => {
                entry.insert((now, 0));
                logged.in_trouble = true;
                return Some(0);
            }
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
        };
        *repeats += 1;
        if now.duration_since(*at) < EVERY {
            return None;
        }
        *at = now;
        let repeats = std::mem::take(repeats);
        logged.in_trouble = true;
        Some(repeats)
    }

    /// Nothing fails any more: whether that is news to a reader of the log.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let mut logged = self.logged.lock();
        let was_told = logged.over_at.is_some_and(|at| now.duration_since(at) < EVERY);
        if !logged.in_trouble || was_told {
            return false;
        }
        *logged = Logged { by_kind: BTreeMap::new(), in_trouble: false, over_at: Some(now) };
        true
    }

    /// Has the next failure logged at once, whatever its kind.
    pub(super) fn forget_all(&self) {
        self.logged.lock().by_kind.clear();
    }

    /// Forgets the kinds that were last logged long ago.
    fn forget(&self, now: Instant) {
        self.logged.lock().by_kind.retain(|_, (at, _)| now.duration_since(*at) < REMEMBERED);
    }
}

/// A field that a log line only has where there is something to count.
pub(super) fn more_than_0(count: u64) -> Option<u64> {
    Some(count).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A server that fails other lists and other connections at each reconcile, every 20 seconds.
    #[tokio::test(start_paused = true)]
    async fn failures_that_take_turns_are_logged_by_kind() {
        let lines = Lines::default();
        let (throttle, asked) = (TargetThrottle::default(), Asked::default());
        for round in 0..30 {
            let entry =
                |name: &str| Entry::new(name.into(), "email".to_owned(), ConnectionState::Failed);
            let names = if round % 2 == 0 { ["a", "b"] } else { ["c", "d"] };
            let plan = TargetPlan {
                entries: names.map(entry).into(),
                errors: vec![format!("the list of type {round} is not complete")],
                ..TargetPlan::default()
            };
            let outcome = TargetState::Failing;
            let result = TargetResult { plan, outcome, ..TargetResult::default() };
            let log = TargetLog {
                target: "t",
                commit: None,
                asked: &asked,
                throttle: &throttle,
                before: None,
            };
            let made = lines.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || made.clone()).finish();
            tracing::subscriber::with_default(subscriber, || log.outcome(&result));
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        let said = String::from_utf8(lines.0.lock().clone()).unwrap();
        let count = |words: &str| said.matches(words).count();
        assert_eq!(
            [count("failed: "), count("still: "), count("the list of")],
            [4, 1, 2],
            "{said}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_logged_at_once_and_then_every_five_minutes() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        let count = |kind, seconds| throttle.count(kind, start + Duration::from_secs(seconds));
        assert_eq!(count("refused", 0), Some(0));
        assert_eq!(count("timed out", 1), Some(0));
        assert_eq!(count("refused", 10), None);
        assert_eq!(count("timed out", 11), None, "two kinds that take turns");
        assert_eq!(count("refused", 299), None);
        assert_eq!(count("refused", 300), Some(3));
        assert_eq!(count("timed out", 302), Some(2));
        assert_eq!(count("refused", 301), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_comes_and_goes_is_logged_no_more_often() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.count("refused", start), Some(0));
        assert!(throttle.is_over(later(10)));
        assert_eq!(throttle.count("refused", later(20)), Some(0), "the log said that it is over");
        assert!(!throttle.is_over(later(30)), "that is said at most every five minutes too");
        assert_eq!(throttle.count("refused", later(40)), None, "the log says that it fails");
        assert!(throttle.is_over(later(310)));
        assert!(!throttle.is_over(later(311)));
    }
}
