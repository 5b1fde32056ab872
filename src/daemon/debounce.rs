//! The wait after an event that makes one reconcile of a burst of events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::cause::Cause;
use super::event::{Event, Events, Request, Suspension};

/// A burst is over after this long without another event. What git writes for one commit comes
/// within a few milliseconds. A single commit waits for it too, since the next commit of a script
/// may put back what this one removes.
const WINDOW: Duration = Duration::from_millis(10);

/// The longest wait for the end of a burst.
const LONGEST: Duration = Duration::from_millis(100);

/// A burst of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Debounce {
    first: Instant,
    last: Instant,
}

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
    /// The targets to suspend or resume, by name.
    pub(super) suspensions: BTreeMap<String, Suspension>,
}

impl Debounce {
    fn start(now: Instant) -> Self {
        Self { first: now, last: now }
    }

    fn extend(&mut self, now: Instant) {
        self.last = now;
    }

    fn ends_at(&self) -> Instant {
        (self.last + WINDOW).min(self.first + LONGEST)
    }

    /// Gathers the events of a burst, from its first one until it is over.
    pub(super) async fn gather(first: Event, events: &mut Events) -> Batch {
        let mut burst = Self::start(Instant::now());
        let mut batch = Batch::default();
        batch.add(first);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(burst.ends_at()) => return batch,
                event = events.next() => {
                    batch.add(event);
                    burst.extend(Instant::now());
                }
            }
        }
    }
}

impl Batch {
    /// Adds an event.
    pub(super) fn add(&mut self, event: Event) {
        match event {
            Event::Wake(cause) => {
                self.causes.insert(cause);
            }
            Event::Fetch(cause) => {
                self.fetch.insert(cause);
            }
            Event::Fetched(causes) => self.causes.extend(causes),
            Event::Reload => self.reload = true,
            Event::Reconcile { targets, request } => {
                self.fetch.insert(Cause::Request(request.from));
                self.requests.extend(targets.into_iter().map(|name| (name, request)));
            }
            Event::Suspend { targets, order } => {
                self.suspensions.extend(targets.into_iter().map(|name| (name, order)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::{Board, Trigger};

    #[tokio::test(start_paused = true)]
    async fn a_burst_ends_after_a_pause_or_after_the_longest_wait() {
        let start = Instant::now();
        let mut burst = Debounce::start(start);
        assert_eq!(burst.ends_at(), start + Duration::from_millis(10));
        burst.extend(start + Duration::from_millis(8));
        assert_eq!(burst.ends_at(), start + Duration::from_millis(18));
        for millis in (0..200).step_by(5) {
            burst.extend(start + Duration::from_millis(millis));
        }
        assert_eq!(burst.ends_at(), start + Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_batch_and_no_event_is_lost() {
        let (trigger, mut events) = Trigger::channel(Board::default());
        for _ in 0..100 {
            trigger.wake(Cause::Repository);
        }
        trigger.reload();
        let first = events.next().await;
        let batch = Debounce::gather(first, &mut events).await;
        assert_eq!(batch.causes, BTreeSet::from([Cause::Repository]));
        assert!(batch.reload && batch.fetch.is_empty());
        let webhook = Cause::Webhook([127, 0, 0, 1].into());
        trigger.fetch_and_reconcile(webhook);
        let first = events.next().await;
        let batch = Debounce::gather(first, &mut events).await;
        assert_eq!(batch, Batch { fetch: [webhook].into(), ..Batch::default() });
    }
}
