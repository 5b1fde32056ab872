//! The log lines about a reconcile.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::pass::PassResult;
use super::status::{Counts, ReconcileOutcome, Wait};
use super::throttle::{LogThrottle, more_than_0};
use crate::audit::Asked;
use crate::document::{Diagnostic, Severity};
use crate::name::{CommitId, ConnectionName};
use crate::plan::{State, with_reason};
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
    /// Changes were not made, and no connection says why.
    NotMade,
    /// A connection is not as git declares it: the state's word, and its name.
    Connection(&'static str, ConnectionName),
    /// Connections stay so: the state's word.
    Standing(&'static str),
}

/// How the log repeats what is wrong with one target.
pub(super) type TargetThrottle = LogThrottle<(Option<CommitId>, FailureKind)>;

/// One reconcile of a target, for the log.
pub(super) struct TargetLog<'a> {
    pub(super) target: &'a str,
    pub(super) commit: Option<&'a CommitId>,
    /// Why it was made, and who asked for it.
    pub(super) asked: &'a Asked,
    pub(super) throttle: &'a TargetThrottle,
    /// The wait for the target before it, as it was so far.
    pub(super) waited_for: Option<&'a Wait>,
    /// The problems of its documents that were told already.
    pub(super) warned: &'a [Diagnostic],
}

impl TargetLog<'_> {
    /// Logs how the reconcile ended.
    pub(super) fn outcome(&self, result: &PassResult, outcome: ReconcileOutcome) {
        let (target, commit, now) = (self.target, self.short(), Instant::now());
        self.warnings(&result.plan.diagnostics);
        debug!(target, commit, errors = ?result.plan.errors, "reconciled: {}", outcome.as_str());
        self.throttle.forget(REMEMBERED, now);
        // Neither says anything about a failure.
        if matches!(outcome, ReconcileOutcome::Interrupted | ReconcileOutcome::Suspended) {
            return;
        }
        if let Some(wait) = result.wait.as_ref().filter(|wait| self.waits_anew(wait)) {
            info!(target, commit = wait.commit.short(), "{}", wait.reason);
        }
        if !outcome.is_success() {
            return self.failures(result);
        }
        if self.throttle.is_over(now) {
            info!(target, commit, "recovered");
        }
        if outcome == ReconcileOutcome::Applied {
            let Counts { done, adopted, .. } = Counts::of([&result.plan]);
            info!(target, commit, changed = done, adopted, "the commit is applied");
        }
    }

    /// Logs the warnings about the documents of a commit once; `validate` shows all of them.
    fn warnings(&self, diagnostics: &[Diagnostic]) {
        let (target, commit, event) = (self.target, self.short(), "warning");
        let is_new =
            |one: &&Diagnostic| one.severity == Severity::Warning && !self.warned.contains(*one);
        let new: Vec<&Diagnostic> = diagnostics.iter().filter(is_new).collect();
        for Diagnostic { code, mark, message, .. } in new.iter().take(MOST_NAMED) {
            warn!(target, event, commit, code, "{mark}: {message}");
        }
        let more = new.len().saturating_sub(MOST_NAMED);
        if more > 0 {
            warn!(target, event, commit, "{more} more warnings, which `validate` shows");
        }
    }

    /// Logs that a newer commit ended the retries of this one.
    pub(super) fn cut_short(&self, result: &PassResult, newer: &CommitId) {
        let (target, commit, newer) = (self.target, self.short(), newer.short());
        let retried = result.plan.retried();
        info!(target, commit, newer, retried, "a newer commit ended the retries of this one");
    }

    /// Whether this is the first reconcile that waits for the commit.
    fn waits_anew(&self, wait: &Wait) -> bool {
        self.waited_for.is_none_or(|waited| waited.commit != wait.commit)
    }

    fn short(&self) -> &str {
        self.commit.map_or("worktree", CommitId::short)
    }

    /// Whether a failure is to be logged now, and how often it came since it was last.
    fn due(&self, kind: FailureKind) -> Option<u64> {
        self.throttle.count((self.commit.cloned(), kind), Instant::now())
    }

    fn failures(&self, result: &PassResult) {
        let (target, commit) = (self.target, self.short());
        for (state, words) in TROUBLE {
            self.connections(result, state, words);
        }
        let gets_nothing_yet = result.wait.is_some() && result.commit.is_none();
        let (kind, text) = if !result.plan.errors.is_empty() {
            (FailureKind::of(result), result.plan.errors.join("; "))
        } else if gets_nothing_yet || TROUBLE.iter().any(|(state, _)| result.plan.has(*state)) {
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
        for Diagnostic { code, mark, message, .. } in errors.take(MOST_NAMED) {
            error!(target, event = "refused", commit, code, "{mark}: {message}");
        }
    }

    /// Logs the connections in one state: a line for each that is new, and every 5 minutes one for
    /// all that stay, however many take turns.
    fn connections(&self, result: &PassResult, state: State, words: &str) {
        let (target, commit) = (self.target, self.short());
        let mut standing = Vec::new();
        for known in result.plan.entries.iter().filter(|known| known.state == state) {
            let (kind, name) = (known.type_name.as_str(), &known.name);
            match self.due(FailureKind::Connection(state.as_str(), name.clone())) {
                Some(0) => {
                    let reason = known.reason.as_deref().unwrap_or("the reason is not known");
                    let (cause, by) = (self.asked.cause.as_str(), self.asked.by.as_deref());
                    let event = state.as_str();
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
            && self.due(FailureKind::Standing(state.as_str())).is_some_and(|repeated| repeated > 0);
        if is_due {
            let more = count.saturating_sub(MOST_NAMED);
            standing.truncate(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names = standing.join(", ");
            warn!(target, event = state.as_str(), commit, count, "still: {names}{more}");
        }
    }
}

impl FailureKind {
    /// The kind of what is wrong with a target as a whole.
    fn of(result: &PassResult) -> Self {
        match result.failed_step {
            _ if result.refused.is_some() => Self::Refused,
            _ if result.credentials_refused => Self::Credentials,
            Some(step) => Self::Step(step),
            None => Self::CarryOut,
        }
    }
}

/// The states in which a connection is not as git declares it, and their words.
const TROUBLE: [(State, &str); 4] = [
    (State::Failed, "failed"),
    (State::Blocked, "is blocked"),
    (State::Held, "is held"),
    (State::Degraded, "is saved but not deployed"),
];

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::plan::{Entry, TargetPlan};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A server that fails other lists and other connections at each pass, every 20 seconds.
    #[tokio::test(start_paused = true)]
    async fn failures_that_take_turns_are_logged_by_kind() {
        let lines = Lines::default();
        let (throttle, asked) = (TargetThrottle::default(), Asked::default());
        for pass in 0..30 {
            let entry = |name: &str| Entry::new(name.into(), "email".to_owned(), State::Failed);
            let names = if pass % 2 == 0 { ["a", "b"] } else { ["c", "d"] };
            let plan = TargetPlan {
                entries: names.map(entry).into(),
                errors: vec![format!("the list of type {pass} is not complete")],
                ..TargetPlan::default()
            };
            let result = PassResult { plan, ..PassResult::default() };
            let log = TargetLog {
                target: "t",
                commit: None,
                asked: &asked,
                throttle: &throttle,
                waited_for: None,
                warned: &[],
            };
            let made = lines.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || made.clone()).finish();
            tracing::subscriber::with_default(subscriber, || {
                log.outcome(&result, ReconcileOutcome::Failed);
            });
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let count = |words: &str| said.matches(words).count();
        assert_eq!(
            [count("failed: "), count("still: "), count("the list of")],
            [4, 1, 2],
            "{said}"
        );
    }
}
