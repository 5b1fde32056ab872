//! The events of the daemon, the one channel through which it receives them, and the wait that makes
//! one reconcile of a burst of events.
//!
//! Most events only say that there is something to look at; `Reconcile` and `Suspend` name targets.
//! No event waits for a reconcile: the source loop takes it at once, and what it asks of a target waits in
//! that target's mailbox and causes another reconcile.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::outcome::Cause;
use super::status::Board;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DaemonEvent {
    /// There may be something new to read.
    Wake(Cause),
    /// There may be something new at the url of the source, which is fetched first.
    Fetch(Cause),
    /// The config is to be read again.
    Reload,
    /// Targets are to be reconciled. The url of the source is fetched first.
    Reconcile { targets: Vec<String>, request: Request },
    /// Targets are to be suspended or resumed.
    Suspend { targets: Vec<String>, suspension: Suspension },
}

/// A request to reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Its number among those of this daemon: no clock tells which of two came first, since one may be set
    /// back.
    pub(super) number: u64,
    /// When it came.
    pub(super) at: Instant,
    /// Where it came from.
    pub(super) from: IpAddr,
}

/// A request to suspend or resume a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    /// Whether it is suspended from now on.
    pub(super) suspended: bool,
    /// Where it came from.
    pub(super) from: IpAddr,
}

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// The config has no target of that name.
    #[error("the config has no target `{0}`")]
    UnknownTarget(String),
    /// The daemon ends.
    #[error("the daemon is ending")]
    Ending,
    /// The daemon writes nothing.
    #[error("a dry run suspends and resumes nothing")]
    DryRun,
}

/// Sends events to the daemon; clones send to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    board: Board,
    /// Whether the daemon writes anything.
    writes: bool,
    last_request: Arc<Mutex<u64>>,
    events: UnboundedSender<DaemonEvent>,
}

/// Receives the events of a [`Trigger`].
#[derive(Debug)]
pub(crate) struct Events(UnboundedReceiver<DaemonEvent>);

impl Trigger {
    /// Makes the channel of a daemon that shows itself on this board.
    ///
    /// It has no bound, since a watcher of the file system cannot wait. An event is a few bytes,
    /// and the daemon takes them out before it reads the source.
    #[must_use]
    pub(crate) fn channel(board: Board, writes: bool) -> (Self, Events) {
        let (events, receiver) = unbounded_channel();
        let last_request = Arc::default();
        (Self { board, writes, last_request, events }, Events(receiver))
    }

    /// Says that there may be something new to read.
    pub(crate) fn wake(&self, cause: Cause) {
        let _ = self.send(DaemonEvent::Wake(cause));
    }

    /// Says that there may be something new at the url of the source: it is fetched first, and
    /// whatever comes of that, the targets are reconciled. A `path` is read at once.
    pub(crate) fn fetch_and_reconcile(&self, cause: Cause) {
        let _ = self.send(DaemonEvent::Fetch(cause));
    }

    /// Has the config read again, and then everything looked at.
    pub(crate) fn reload(&self) {
        let _ = self.send(DaemonEvent::Reload);
    }

    /// Suspends a target, or all of them, or resumes: a suspended one is looked at and not written.
    ///
    /// # Errors
    /// There is no such target, the daemon writes nothing, or it is ending.
    pub(crate) fn suspend(
        &self,
        target: Option<&str>,
        suspended: bool,
        from: IpAddr,
    ) -> Result<(), RequestError> {
        if !self.writes {
            return Err(RequestError::DryRun);
        }
        let suspension = Suspension { suspended, from };
        self.send(DaemonEvent::Suspend { targets: self.named(target)?, suspension })
    }

    /// Asks for a reconcile of a target, or of all of them, after a fetch; the number by which its
    /// outcome is found on the board.
    ///
    /// # Errors
    /// There is no such target, or the daemon is ending.
    pub(crate) fn reconcile(
        &self,
        target: Option<&str>,
        from: IpAddr,
    ) -> Result<u64, RequestError> {
        let targets = self.named(target)?;
        // Locked until it is sent, so that they come in the order of their numbers.
        let mut number = self.last_request.lock();
        *number += 1;
        let request = Request { number: *number, at: Instant::now(), from };
        self.send(DaemonEvent::Reconcile { targets, request })?;
        Ok(*number)
    }

    fn named(&self, target: Option<&str>) -> Result<Vec<String>, RequestError> {
        let status = self.board.status();
        match target {
            Some(name) if status.target(name).is_none() => {
                Err(RequestError::UnknownTarget(name.to_owned()))
            }
            Some(name) => Ok(vec![name.to_owned()]),
            None => Ok(status.targets.iter().map(|target| target.key.name.clone()).collect()),
        }
    }

    /// Sends an event; without a receiver the daemon has ended.
    fn send(&self, event: DaemonEvent) -> Result<(), RequestError> {
        self.events.send(event).map_err(|_| RequestError::Ending)
    }
}

impl Events {
    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> DaemonEvent {
        match self.0.recv().await {
            Some(event) => event,
            // The daemon itself holds a trigger, so this is not reached while it runs.
            None => std::future::pending().await,
        }
    }

    /// The last events: those that are there already. No more are taken.
    pub(super) fn last(&mut self) -> Batch {
        self.0.close();
        let mut last = Batch::default();
        std::iter::from_fn(|| self.0.try_recv().ok()).for_each(|event| last.add(event));
        last
    }
}

/// A burst is over after this long without another event. What git writes for one commit comes
/// within a few milliseconds. A single commit waits for it too, since the next commit of a script
/// may put back what this one removes.
const WINDOW: Duration = Duration::from_millis(10);

/// The longest wait for the end of a burst.
const LONGEST: Duration = Duration::from_millis(100);

/// The requests of the events of one burst.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Why the source is to be read; empty: it is not.
    pub(super) causes: BTreeSet<Cause>,
    /// Why a url is to be fetched first; empty: it is not.
    pub(super) fetch: BTreeSet<Cause>,
    /// The targets that somebody asked to reconcile, by name.
    pub(super) requests: BTreeMap<String, Request>,
    /// Whether the config is to be read again.
    pub(super) reload: bool,
    /// The targets to suspend or resume, by name, in the order in which that was asked for.
    pub(super) suspensions: Vec<(String, Suspension)>,
}

/// The debounce: gathers the events of a burst, from its first one until it is over.
pub(super) async fn gather(event: DaemonEvent, events: &mut Events) -> Batch {
    let first = Instant::now();
    let mut last = first;
    let mut batch = Batch::default();
    batch.add(event);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until((last + WINDOW).min(first + LONGEST)) => return batch,
            event = events.next() => {
                batch.add(event);
                last = Instant::now();
            }
        }
    }
}

impl Batch {
    /// Adds an event.
    pub(super) fn add(&mut self, event: DaemonEvent) {
        match event {
            DaemonEvent::Wake(cause) => {
                self.causes.insert(cause);
            }
            DaemonEvent::Fetch(cause) => {
                self.fetch.insert(cause);
            }
            DaemonEvent::Reload => self.reload = true,
            DaemonEvent::Reconcile { targets, request } => {
                self.fetch.insert(Cause::Request(request.from));
                self.requests.extend(targets.into_iter().map(|name| (name, request)));
            }
            DaemonEvent::Suspend { targets, suspension } => {
                self.suspensions.extend(targets.into_iter().map(|name| (name, suspension)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::{Board, Trigger};

    #[test]
    fn unknown_targets_are_refused() {
        let (trigger, _events) = Trigger::channel(Board::default(), true);
        let from = IpAddr::from([127, 0, 0, 1]);
        let unknown = RequestError::UnknownTarget("x".to_owned());
        assert_eq!(trigger.suspend(Some("x"), true, from), Err(unknown.clone()));
        assert_eq!(trigger.reconcile(Some("x"), from), Err(unknown));
        assert_eq!(trigger.suspend(None, false, from), Ok(()));
    }

    #[test]
    fn requests_are_numbered_whatever_the_clock_says() {
        let (trigger, _events) = Trigger::channel(Board::default(), true);
        let numbers = [(); 3].map(|()| trigger.reconcile(None, [127, 0, 0, 1].into()));
        assert_eq!(numbers, [Ok(1), Ok(2), Ok(3)]);
    }

    #[test]
    fn requests_that_come_too_late_are_refused_and_earlier_ones_are_there() {
        let (trigger, mut events) = Trigger::channel(Board::default(), true);
        let from = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(trigger.suspend(None, true, from), Ok(()));
        trigger.reload();
        assert!(events.last().reload);
        assert_eq!(trigger.suspend(None, false, from), Err(RequestError::Ending));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_ends_after_a_pause_or_after_the_longest_wait() {
        let (trigger, mut events) = Trigger::channel(Board::default(), true);
        for (pause, ends_after) in [(8, 100), (60, 10)] {
            let sender = trigger.clone();
            let burst = tokio::spawn(async move {
                for _ in 0..20 {
                    sender.wake(Cause::Repository);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            });
            let first = events.next().await;
            let start = Instant::now();
            gather(first, &mut events).await;
            assert_eq!(start.elapsed(), Duration::from_millis(ends_after), "{pause} ms");
            burst.abort();
            while events.0.try_recv().is_ok() {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_batch_and_no_event_is_lost() {
        let (trigger, mut events) = Trigger::channel(Board::default(), true);
        for _ in 0..100 {
            trigger.wake(Cause::Repository);
        }
        trigger.reload();
        let first = events.next().await;
        let batch = gather(first, &mut events).await;
        assert_eq!(batch.causes, BTreeSet::from([Cause::Repository]));
        assert!(batch.reload && batch.fetch.is_empty());
        let webhook = Cause::Webhook([127, 0, 0, 1].into());
        trigger.fetch_and_reconcile(webhook);
        let first = events.next().await;
        let batch = gather(first, &mut events).await;
        assert_eq!(batch, Batch { fetch: [webhook].into(), ..Batch::default() });
    }
}
