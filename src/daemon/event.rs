//! The events of the daemon, the one channel through which it receives them, and the wait that makes
//! one reconcile of a burst of events.
//!
//! Most events only say that there is something to look at; `Reconcile` names targets. No event waits for a
//! reconcile: the source loop takes it at once, and what it asks of a target waits in that target's mailbox
//! and causes another reconcile. A suspension is no event: it is in the mailbox once it is accepted.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::mailbox::{Mailboxes, Request, RequestError, Suspension};
use super::outcome::Cause;
use crate::config::Target;

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
}

/// Sends events to the daemon; clones send to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    /// Whether the daemon writes anything.
    writes: bool,
    last_request: Arc<Mutex<u64>>,
    events: UnboundedSender<DaemonEvent>,
    pub(super) mailboxes: Mailboxes,
}

/// Receives the events of a [`Trigger`].
#[derive(Debug)]
pub(crate) struct Events(UnboundedReceiver<DaemonEvent>);

impl Trigger {
    /// Makes the channel of a daemon that begins with these targets.
    ///
    /// It has no bound, since a watcher of the file system cannot wait. An event is a few bytes,
    /// and the daemon takes them out before it reads the source.
    #[must_use]
    pub(crate) fn channel(targets: &[Target], writes: bool) -> (Self, Events) {
        let (events, receiver) = unbounded_channel();
        let (last_request, mailboxes) = (Arc::default(), Mailboxes::default());
        mailboxes.set_targets(targets);
        (Self { writes, last_request, events, mailboxes }, Events(receiver))
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
        self.mailboxes.suspend(target, Suspension { suspended, from })
    }

    /// Asks for a reconcile of a target, or of all of them, after a fetch; the number by which its
    /// outcome is found on the board, and the names of the targets that it was taken for.
    ///
    /// # Errors
    /// There is no such target, or the daemon is ending.
    pub(crate) fn reconcile(
        &self,
        target: Option<&str>,
        from: IpAddr,
    ) -> Result<(u64, Vec<String>), RequestError> {
        let targets = self.mailboxes.names(target)?;
        // Locked until it is sent, so that they come in the order of their numbers.
        let mut number = self.last_request.lock();
        *number += 1;
        let request = Request { number: *number, at: Instant::now(), from, unread: None };
        self.send(DaemonEvent::Reconcile { targets: targets.clone(), request })?;
        Ok((*number, targets))
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
}

/// A burst is over after this long without another event. What git writes for one commit comes
/// within a few milliseconds. A single commit waits for it too, since the next commit of a script
/// may put back what this one removes.
const WINDOW: Duration = Duration::from_millis(10);

/// The longest wait for the end of a burst.
const LONGEST: Duration = Duration::from_millis(100);

/// The requests of the events of one burst, or of several for which no order was posted yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Why the source is to be read; empty: it is not.
    pub(super) causes: BTreeSet<Cause>,
    /// Why a url is to be fetched first; empty: it is not.
    pub(super) fetch: BTreeSet<Cause>,
    /// The targets that somebody asked to reconcile; each waits for a fetch that begins after it.
    pub(super) requests: Vec<(String, Request)>,
    /// Whether the config is to be read again.
    pub(super) reload: bool,
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
                self.requests.extend(targets.into_iter().map(|name| (name, request.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_targets_are_refused() {
        let (trigger, _events) = Trigger::channel(&[], true);
        let from = IpAddr::from([127, 0, 0, 1]);
        let unknown = RequestError::UnknownTarget("x".to_owned());
        assert_eq!(trigger.suspend(Some("x"), true, from), Err(unknown.clone()));
        assert_eq!(trigger.reconcile(Some("x"), from), Err(unknown));
        assert_eq!(trigger.suspend(None, false, from), Ok(()));
    }

    #[test]
    fn requests_are_numbered_whatever_the_clock_says() {
        let (trigger, _events) = Trigger::channel(&[], true);
        let numbers = [(); 3].map(|()| trigger.reconcile(None, [127, 0, 0, 1].into()));
        assert_eq!(numbers.map(|taken| taken.unwrap().0), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_ends_after_a_pause_or_after_the_longest_wait() {
        let (trigger, mut events) = Trigger::channel(&[], true);
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
        let (trigger, mut events) = Trigger::channel(&[], true);
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
