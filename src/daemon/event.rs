//! The events of the daemon, and the one channel through which it receives them.
//!
//! An event carries no work: it says that there is something to look at. Events that come during a
//! reconcile stay in the channel and cause another one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cause::Cause;
use super::status::Board;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// There may be something new to read.
    Wake(Cause),
    /// There may be something new at the url of the source, which is fetched first.
    Fetch(Cause),
    /// A fetch ended, which was made for these causes.
    Fetched(BTreeSet<Cause>),
    /// The config is to be read again.
    Reload,
    /// Targets are to be reconciled. The url of the source is fetched first.
    Reconcile { targets: Vec<String>, request: Request },
    /// Targets are to be suspended or resumed.
    Suspend { targets: Vec<String>, order: Suspension },
}

/// A request to reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// When it came, in microseconds since 1970.
    pub(super) asked: i64,
    /// Where it came from.
    pub(super) from: IpAddr,
}

/// An order to suspend or resume a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    /// Whether it is suspended from now on.
    pub(super) suspended: bool,
    /// Where the request came from.
    pub(super) from: IpAddr,
}

/// Why an order is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    /// The config has no target of that name.
    #[error("the config has no target `{0}`")]
    UnknownTarget(String),
    /// The daemon ends.
    #[error("the daemon is ending")]
    Ending,
}

/// Sends events to the daemon; clones send to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    board: Board,
    events: UnboundedSender<Event>,
}

/// Receives the events of a [`Trigger`].
#[derive(Debug)]
pub(crate) struct Events(UnboundedReceiver<Event>);

impl Trigger {
    /// Makes the channel of a daemon that shows itself on this board.
    ///
    /// It has no bound, since a watcher of the file system cannot wait. An event is a few bytes,
    /// and the daemon takes all of them out each time that it reads the source.
    #[must_use]
    pub(crate) fn channel(board: Board) -> (Self, Events) {
        let (events, receiver) = unbounded_channel();
        (Self { board, events }, Events(receiver))
    }

    /// Says that there may be something new to read.
    pub(crate) fn wake(&self, cause: Cause) {
        self.send(Event::Wake(cause));
    }

    /// Says that there may be something new at the url of the source: it is fetched first, and
    /// whatever comes of that, the targets are reconciled. A `path` is read at once.
    pub(crate) fn fetch_and_reconcile(&self, cause: Cause) {
        self.send(Event::Fetch(cause));
    }

    /// Has the config read again, and then everything looked at.
    pub(crate) fn reload(&self) {
        self.send(Event::Reload);
    }

    /// Suspends a target, or all of them: they are looked at and not written.
    ///
    /// # Errors
    /// There is no such target.
    pub(crate) fn suspend(&self, target: Option<&str>, from: IpAddr) -> Result<(), OrderError> {
        self.set_suspended(target, Suspension { suspended: true, from })
    }

    /// Ends the suspension of a target, or of all of them.
    ///
    /// # Errors
    /// There is no such target.
    pub(crate) fn resume(&self, target: Option<&str>, from: IpAddr) -> Result<(), OrderError> {
        self.set_suspended(target, Suspension { suspended: false, from })
    }

    /// Asks for a reconcile of a target, or of all of them, after a fetch; the moment by which its
    /// outcome is found on the board.
    ///
    /// # Errors
    /// There is no such target.
    pub(crate) fn reconcile(&self, target: Option<&str>, from: IpAddr) -> Result<i64, OrderError> {
        let asked = jiff::Timestamp::now().as_microsecond();
        let request = Request { asked, from };
        self.order(Event::Reconcile { targets: self.named(target)?, request })?;
        Ok(asked)
    }

    fn set_suspended(&self, target: Option<&str>, order: Suspension) -> Result<(), OrderError> {
        self.order(Event::Suspend { targets: self.named(target)?, order })
    }

    fn order(&self, event: Event) -> Result<(), OrderError> {
        self.events.send(event).map_err(|_| OrderError::Ending)
    }

    fn named(&self, target: Option<&str>) -> Result<Vec<String>, OrderError> {
        let status = self.board.status();
        match target {
            Some(name) if status.target(name).is_none() => {
                Err(OrderError::UnknownTarget(name.to_owned()))
            }
            Some(name) => Ok(vec![name.to_owned()]),
            None => Ok(status.targets.iter().map(|target| target.key.name.clone()).collect()),
        }
    }

    /// Says that a fetch ended.
    pub(super) fn fetched(&self, causes: BTreeSet<Cause>) {
        self.send(Event::Fetched(causes));
    }

    fn send(&self, event: Event) {
        // Without a receiver the daemon has ended.
        let _ = self.events.send(event);
    }
}

impl Events {
    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> Event {
        match self.0.recv().await {
            Some(event) => event,
            // The daemon itself holds a trigger, so this is not reached while it runs.
            None => std::future::pending().await,
        }
    }

    /// Takes no more events; those that are there already can still be taken.
    pub(super) fn close(&mut self) {
        self.0.close();
    }

    /// Takes an event that is there already.
    pub(super) fn take(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_targets_are_refused() {
        let (trigger, _events) = Trigger::channel(Board::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        let unknown = OrderError::UnknownTarget("x".to_owned());
        assert_eq!(trigger.suspend(Some("x"), from), Err(unknown.clone()));
        assert_eq!(trigger.reconcile(Some("x"), from), Err(unknown));
        assert_eq!(trigger.resume(None, from), Ok(()));
    }

    #[test]
    fn orders_that_come_too_late_are_refused_and_earlier_ones_are_there() {
        let (trigger, mut events) = Trigger::channel(Board::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(trigger.suspend(None, from), Ok(()));
        events.close();
        assert_eq!(trigger.resume(None, from), Err(OrderError::Ending));
        assert!(matches!(events.take(), Some(Event::Suspend { .. })));
        assert_eq!(events.take(), None);
    }
}
