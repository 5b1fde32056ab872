//! Gates: calls wait at them until a test lets them on.

use std::sync::Arc;

use tokio::sync::watch;

use super::Pattern;

/// Where a gate holds a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before anything was done.
    Before,
    /// When all was done, before the answer is sent.
    After,
}

/// Holds calls until it is opened or dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pattern: Pattern,
    pub(super) moment: Moment,
    pub(super) arrived: watch::Sender<usize>,
    pub(super) bar: watch::Sender<Bar>,
}

/// The action of a gate on the calls that come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bar {
    /// They wait.
    Down,
    /// They go on.
    Up,
    /// They go no further, as if they had never come.
    Gone,
}

impl Gate {
    /// How many calls it has held so far.
    pub(crate) fn arrived(&self) -> usize {
        *self.shared.arrived.borrow()
    }

    /// Waits until it has held so many calls.
    pub(crate) async fn wait_for(&self, calls: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        // The sender lives as long as the gate, so the wait cannot fail.
        let _ = arrived.wait_for(|count| *count >= calls).await;
    }

    /// Lets the calls on that it holds, and those that would come.
    pub(crate) fn open(self) {
        drop(self);
    }

    /// Lets none of the calls on that it holds: those held before anything was done leave no
    /// trace, as when the client dies before its request is out.
    pub(crate) fn abandon(self) {
        self.shared.bar.send_replace(Bar::Gone);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if *self.shared.bar.borrow() == Bar::Down {
            self.shared.bar.send_replace(Bar::Up);
        }
    }
}
