//! The task that fetches the url of the source, and what is told of the source to board, log, metrics
//! and receivers.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span, info, warn};

use super::event::Trigger;
use super::log::{LogThrottle, more_than_0};
use super::news::NewsMemory;
use super::outcome::Cause;
use super::report::since_1970;
use super::status::Board;
use super::target_loop::spread;
use crate::notify::{Notice, Notifier};
use crate::source::{Commit, FetchStatus, Mirror, Seen, SourceError};

/// Fetches the url of the source: at the start, every `poll` with some jitter, and when asked.
pub(super) struct FetchLoop {
    pub(super) mirror: Mirror,
    pub(super) poll: Duration,
    /// Why a fetch is wanted. One that is asked for during a fetch is made after it, since that one
    /// may have missed the commit.
    pub(super) wanted: UnboundedReceiver<Cause>,
    pub(super) trigger: Trigger,
    pub(super) board: Board,
    pub(super) ending: CancellationToken,
}

impl FetchLoop {
    /// Fetches until the task is to end.
    pub(super) async fn run(mut self) {
        let throttle = LogThrottle::default();
        let mut causes = BTreeSet::from([Cause::Fetch]);
        loop {
            while let Ok(cause) = self.wanted.try_recv() {
                causes.insert(cause);
            }
            let fetching = self.mirror.fetch(&self.ending).instrument(debug_span!("git fetch"));
            let fetched = fetching.await;
            if self.ending.is_cancelled() {
                break;
            }
            match &fetched {
                Ok(_) => fetched_now(),
                Err(_) => count_failures(1),
            }
            log_fetch(fetched.err(), &throttle);
            let FetchStatus { fetched_at, error, branch, .. } = self.mirror.status();
            self.board.edit_source(|shown| {
                shown.fetched_at = fetched_at;
                shown.error = error;
                shown.branch = branch.or_else(|| shown.branch.clone());
            });
            self.trigger.fetched(std::mem::replace(&mut causes, [Cause::Fetch].into()));
            tokio::select! {
                () = self.ending.cancelled() => break,
                cause = self.wanted.recv() => match cause {
                    Some(cause) => causes.extend([cause]),
                    None => break,
                },
                () = tokio::time::sleep(spread(self.poll, 0.2, fastrand::f64())) => {}
            }
        }
        tracing::debug!("fetching ends");
    }
}

fn log_fetch(failure: Option<SourceError>, throttle: &LogThrottle<()>) {
    let now = Instant::now();
    match failure {
        Some(error) => {
            if let Some(repeated) = throttle.count((), now).map(more_than_0) {
                warn!(repeated, "the source cannot be fetched: {error}");
            }
        }
        None if throttle.is_over(now) => info!("the source can be fetched again"),
        None => {}
    }
}

/// Tells what becomes of the source.
pub(super) struct SourceReporter {
    /// The url or path as the config has it.
    location: String,
    /// Whether it is fetched; a path is only read.
    is_fetched: bool,
    board: Board,
    memory: NewsMemory,
    notifier: Notifier,
    throttle: LogThrottle<()>,
}

impl SourceReporter {
    pub(super) fn new(
        location: &str,
        is_fetched: bool,
        board: &Board,
        memory: &NewsMemory,
        notifier: &Notifier,
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
            throttle: LogThrottle::default(),
        }
    }

    /// The source was read; perhaps only the commits that an earlier fetch brought.
    pub(super) fn readable(&self, seen: &Seen, fetch_error: Option<&String>) {
        let commit = seen.snapshot.commit();
        self.board.edit_source(|shown| {
            shown.commit = commit.cloned();
            shown.branch.clone_from(&seen.branch);
            shown.error = fetch_error.cloned();
        });
        if self.throttle.is_over(Instant::now()) {
            info!("the source can be read again");
        }
        if !self.is_fetched {
            fetched_now();
        }
        self.notify(fetch_error.or(seen.refused.as_ref()), commit);
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
        self.notify(Some(&problem.to_owned()), None);
    }

    fn notify(&self, problem: Option<&String>, commit: Option<&Commit>) {
        let Some(event) = self.memory.learn_source(problem.is_some()) else { return };
        self.notifier.tell(Notice {
            event,
            target: None,
            source: self.location.clone(),
            commit: commit.cloned(),
            state: if problem.is_some() { "failing" } else { "readable" },
            time: Timestamp::now(),
            error: problem.cloned(),
            subjects: Vec::new(),
        });
    }
}

/// Notes that the source answered: a url to a fetch, a path to being read.
fn fetched_now() {
    last_fetch().set(since_1970(Timestamp::now()));
}

fn last_fetch() -> metrics::Gauge {
    metrics::gauge!("apinizer_gitops_source_last_fetch_timestamp_seconds")
}

/// Counts fetches, or readings of a path, that failed.
fn count_failures(more: u64) {
    metrics::counter!("apinizer_gitops_source_fetch_failures_total").increment(more);
}
