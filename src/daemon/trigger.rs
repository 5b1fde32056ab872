//! What wakes the daemon.
//!
//! A trigger carries no work: it notes that there is something to look at and raises a
//! generation. However many come before the loop looks, they are one; one that comes while a
//! reconcile is under way causes another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::cause::Cause;
use super::status::Board;

/// There is no target of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the config has no target `{0}`")]
pub struct UnknownTarget(pub String);

/// Wakes the daemon; clones wake the same one.
#[derive(Clone, Debug)]
pub struct Trigger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    board: Board,
    wanted: Mutex<Wanted>,
    raised: Notify,
    // Why a fetch is wanted that has not begun.
    fetch_causes: Mutex<BTreeSet<Cause>>,
    fetch: Notify,
}

/// What was asked for since the loop last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Why; empty: nothing was asked for.
    pub causes: BTreeSet<Cause>,
    /// The config is to be read again.
    pub reload: bool,
    /// Which targets are to be suspended (`true`) or resumed.
    pub suspensions: BTreeMap<String, bool>,
}

impl Trigger {
    /// Makes the handle of a daemon that shows itself on this board.
    #[must_use]
    pub fn new(board: Board) -> Self {
        let shared = Shared {
            board,
            wanted: Mutex::default(),
            raised: Notify::new(),
            fetch_causes: Mutex::default(),
            fetch: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Says that there may be something new to read.
    pub fn wake(&self, cause: Cause) {
        self.ask(|wanted| {
            wanted.causes.insert(cause);
        });
    }

    /// Says that there may be something new at the url of the source: it is fetched first, and
    /// whatever comes of that, the targets are reconciled. A `path` is read at once.
    pub fn fetch_and_reconcile(&self, cause: Cause) {
        if self.shared.board.status().source.is_url {
            self.fetch_causes().insert(cause);
            self.shared.fetch.notify_one();
        } else {
            self.wake(cause);
        }
    }

    /// Has the config read again, and then everything looked at.
    pub fn reload(&self) {
        self.ask(|wanted| wanted.reload = true);
    }

    /// Suspends a target, or all of them: they are looked at and not written.
    ///
    /// # Errors
    /// There is no such target.
    pub fn suspend(&self, target: Option<&str>) -> Result<(), UnknownTarget> {
        self.set_suspended(target, true)
    }

    /// Ends the suspension of a target, or of all of them.
    ///
    /// # Errors
    /// There is no such target.
    pub fn resume(&self, target: Option<&str>) -> Result<(), UnknownTarget> {
        self.set_suspended(target, false)
    }

    fn set_suspended(&self, target: Option<&str>, suspended: bool) -> Result<(), UnknownTarget> {
        let status = self.shared.board.status();
        let names: Vec<String> = match target {
            Some(name) if status.target(name).is_none() => {
                return Err(UnknownTarget(name.to_owned()));
            }
            Some(name) => vec![name.to_owned()],
            None => status.targets.iter().map(|target| target.name.clone()).collect(),
        };
        self.ask(|wanted| {
            wanted.suspensions.extend(names.into_iter().map(|name| (name, suspended)));
        });
        Ok(())
    }

    fn ask(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.wanted());
        self.shared.raised.notify_one();
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is asked for.
    pub(super) async fn raised(&self) {
        self.shared.raised.notified().await;
    }

    /// Waits until somebody wants the url to be fetched.
    pub(super) async fn fetch_wanted(&self) {
        self.shared.fetch.notified().await;
    }

    /// Takes why a fetch is wanted, before it begins: who asks while it runs may know of
    /// something that it misses, and gets another.
    pub(super) fn take_fetch_causes(&self) -> BTreeSet<Cause> {
        std::mem::take(&mut *self.fetch_causes())
    }

    /// Wakes the loop after a fetch.
    pub(super) fn fetched(&self, causes: BTreeSet<Cause>) {
        self.ask(|wanted| wanted.causes.extend(causes));
    }

    fn fetch_causes(&self) -> MutexGuard<'_, BTreeSet<Cause>> {
        self.shared.fetch_causes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was asked for.
    pub(super) fn take(&self) -> Wanted {
        std::mem::take(&mut *self.wanted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_one_and_nothing_is_lost() {
        let trigger = Trigger::new(Board::default());
        for _ in 0..100 {
            trigger.wake(Cause::Repository);
        }
        trigger.reload();
        trigger.raised().await;
        let wanted = trigger.take();
        assert_eq!(wanted.causes, BTreeSet::from([Cause::Repository]));
        assert!(wanted.reload);
        trigger.wake(Cause::Request);
        trigger.raised().await;
        assert_eq!(trigger.take().causes, BTreeSet::from([Cause::Request]));
    }

    #[test]
    fn unknown_targets_are_refused() {
        let trigger = Trigger::new(Board::default());
        assert_eq!(trigger.suspend(Some("x")), Err(UnknownTarget("x".to_owned())));
        assert_eq!(trigger.resume(None), Ok(()));
    }
}
