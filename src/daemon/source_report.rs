//! The one place that tells how the source stands: to board, log, metrics and receivers.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use super::log::{LogThrottle, more_than_0};
use super::news::NewsMemory;
use super::report::since_1970;
use super::status::Board;
use crate::notify::{Notice, Notifier};
use crate::source::{CheckedSnapshot, Commit};

/// Tells how the source stands.
pub(super) struct SourceReporter {
    /// The url or path as the config has it.
    location: String,
    /// Whether it is fetched; a path is only read.
    is_fetched: bool,
    board: Board,
    memory: NewsMemory,
    notifier: Notifier,
    throttle: Arc<LogThrottle<()>>,
}

impl SourceReporter {
    pub(super) fn new(
        location: &str,
        is_fetched: bool,
        board: &Board,
        memory: &NewsMemory,
        notifier: &Notifier,
        throttle: Arc<LogThrottle<()>>,
    ) -> Self {
        // They are there from the start, so that an alert on them fires though nothing ever answers.
        count_failures(0);
        last_fetch().increment(0.0);
        Self {
            location: location.to_owned(),
            is_fetched,
            board: board.clone(),
            memory: memory.clone(),
            notifier: notifier.clone(),
            throttle,
        }
    }

    /// Commits of an earlier fetch were read, and the first fetch has not ended: how the server stands is
    /// not known, and what was told of it stays.
    pub(super) fn readable_before_a_fetch(&self, checked: &CheckedSnapshot) {
        self.board.edit_source(|shown| {
            shown.commit = checked.snapshot.commit().cloned();
            shown.branch.clone_from(&checked.branch);
        });
    }

    /// The source was read; perhaps only the commits that an earlier fetch brought.
    pub(super) fn readable(&self, checked: &CheckedSnapshot, fetch_error: Option<&String>) {
        let commit = checked.snapshot.commit();
        self.readable_before_a_fetch(checked);
        self.board.edit_source(|shown| shown.error = fetch_error.cloned());
        if self.throttle.is_over(Instant::now()) {
            info!("the source can be read again");
        }
        if !self.is_fetched {
            fetched_now();
        }
        self.notify(fetch_error.or(checked.refused.as_ref()).map(String::as_str), commit);
    }

    /// The source could not be read.
    pub(super) fn cannot_be_read(&self, problem: &str) {
        if let Some(repeated) = self.throttle.count((), Instant::now()).map(more_than_0) {
            warn!(repeated, "the source cannot be read: {problem}");
        }
        self.board.edit_source(|shown| shown.error = Some(problem.to_owned()));
        if !self.is_fetched {
            count_failures(1);
        }
        self.notify(Some(problem), None);
    }

    fn notify(&self, problem: Option<&str>, commit: Option<&Commit>) {
        let Some(event) = self.memory.learn_source(problem.is_some()) else { return };
        self.notifier.tell(Notice {
            event,
            target: None,
            source: self.location.clone(),
            commit: commit.cloned(),
            state: if problem.is_some() { "failing" } else { "readable" },
            time: Timestamp::now(),
            error: problem.map(str::to_owned),
            subjects: Vec::new(),
        });
    }
}

/// Notes that the source answered: a url to a fetch, a path to being read.
pub(super) fn fetched_now() {
    last_fetch().set(since_1970(Timestamp::now()));
}

fn last_fetch() -> metrics::Gauge {
    metrics::gauge!("apinizer_gitops_source_last_fetch_timestamp_seconds")
}

/// Counts fetches, or readings of a path, that failed.
pub(super) fn count_failures(more: u64) {
    metrics::counter!("apinizer_gitops_source_fetch_failures_total").increment(more);
}
