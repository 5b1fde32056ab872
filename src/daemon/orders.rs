//! What the supervisor tells the keeper of one target.
//!
//! Orders that come while a reconcile is under way are kept for the next one, so nothing is lost
//! and many become one. A newer commit also ends what an older one still waits for.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::cause::Cause;
use crate::name::CommitId;

/// How many reconciles in a row may be ended by newer commits. One more is left to finish, or a
/// branch that moves all the time would never be applied.
const MOST_ENDED_EARLY: u32 = 3;

/// The mailbox of one target's keeper.
#[derive(Debug, Default)]
pub(super) struct Orders {
    inner: Mutex<Inner>,
    raised: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    // Why something is to be done; empty: nothing is.
    causes: BTreeSet<Cause>,
    // The target is to be suspended (`true`) or resumed. It stays until that was carried out.
    wish: Option<bool>,
    // The commit that the last reconcile looks or looked at.
    looked_at: Option<CommitId>,
    running: Option<CancellationToken>,
    ended_early: u32,
}

/// What the supervisor found out.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// Why there is something to look at.
    pub(super) causes: BTreeSet<Cause>,
    /// The newest commit, where one could be read.
    pub(super) tip: Option<CommitId>,
    /// Whether the system tells of what changes.
    pub(super) is_watched: bool,
}

impl News {
    /// Whether a commit that was looked at already answers them: the system tells of a change in
    /// the repository's folder whatever it was about.
    fn is_old(&self, looked_at: Option<&CommitId>) -> bool {
        match &self.tip {
            Some(tip) => {
                let only_hints = self.causes.iter().all(|cause| cause.is_a_hint());
                only_hints && Some(tip) == looked_at
            }
            // Files have no commit that tells whether they changed.
            None => self.is_watched && self.causes.iter().all(|cause| *cause == Cause::Look),
        }
    }
}

impl Orders {
    /// Passes news on, if they are any to this target.
    pub(super) fn raise(&self, news: &News) {
        let mut inner = self.inner();
        if news.causes.is_empty() || news.is_old(inner.looked_at.as_ref()) {
            return;
        }
        inner.causes.extend(&news.causes);
        let is_newer = news.tip.is_some() && news.tip != inner.looked_at;
        if is_newer
            && inner.ended_early < MOST_ENDED_EARLY
            && let Some(running) = inner.running.take()
        {
            inner.ended_early += 1;
            running.cancel();
        }
        drop(inner);
        self.raised.notify_one();
    }

    /// Asks for the target to be suspended or resumed.
    pub(super) fn suspend(&self, suspend: bool) {
        let mut inner = self.inner();
        inner.wish = Some(suspend);
        inner.causes.insert(Cause::Suspension);
        drop(inner);
        self.raised.notify_one();
    }

    /// Waits until there is an order.
    pub(super) async fn raised(&self) {
        self.raised.notified().await;
    }

    /// Waits until the target is to be suspended or resumed; other orders stay.
    pub(super) async fn wished(&self) {
        while self.wish().is_none() {
            self.raised().await;
        }
    }

    /// Whether the target is to be suspended or resumed.
    pub(super) fn wish(&self) -> Option<bool> {
        self.inner().wish
    }

    /// A wish was carried out; a newer one stays.
    pub(super) fn carried_out(&self, wish: bool) {
        self.inner().wish.take_if(|newest| *newest == wish);
    }

    /// Takes why something is to be done.
    pub(super) fn take(&self) -> BTreeSet<Cause> {
        std::mem::take(&mut self.inner().causes)
    }

    /// A reconcile looks at this commit from now on; a newer one ends it by `stop`.
    pub(super) fn begin(&self, commit: Option<CommitId>, stop: CancellationToken) {
        let mut inner = self.inner();
        inner.looked_at = commit;
        inner.running = Some(stop);
    }

    /// The reconcile is over.
    pub(super) fn end(&self) {
        let mut inner = self.inner();
        if inner.running.take().is_some() {
            inner.ended_early = 0;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(cause: Cause, tip: &str) -> News {
        News {
            causes: BTreeSet::from([cause]),
            tip: Some(CommitId(tip.to_owned())),
            is_watched: true,
        }
    }

    fn id(text: &str) -> Option<CommitId> {
        Some(CommitId(text.to_owned()))
    }

    #[test]
    fn what_comes_during_a_reconcile_causes_another() {
        let orders = Orders::default();
        orders.raise(&news(Cause::Start, "a"));
        assert_eq!(orders.take(), BTreeSet::from([Cause::Start]));
        let stop = CancellationToken::new();
        orders.begin(id("a"), stop.clone());
        orders.raise(&news(Cause::Request, "a"));
        orders.raise(&news(Cause::Webhook, "a"));
        assert!(!stop.is_cancelled(), "the same commit ends nothing");
        orders.end();
        assert_eq!(orders.take(), BTreeSet::from([Cause::Request, Cause::Webhook]));
        assert_eq!(orders.take(), BTreeSet::new());
    }

    #[test]
    fn a_change_that_brings_no_other_commit_is_no_news() {
        let orders = Orders::default();
        orders.begin(id("a"), CancellationToken::new());
        orders.raise(&news(Cause::Repository, "a"));
        assert_eq!(orders.take(), BTreeSet::new());
        // A commit that cannot be read is.
        orders.raise(&News { tip: None, ..news(Cause::Repository, "a") });
        assert_eq!(orders.take(), BTreeSet::from([Cause::Repository]));
    }

    #[test]
    fn files_that_are_watched_are_not_looked_at_in_between() {
        let orders = Orders::default();
        let files = |cause| News { tip: None, ..news(cause, "") };
        orders.begin(None, CancellationToken::new());
        orders.raise(&files(Cause::Look));
        assert_eq!(orders.take(), BTreeSet::new());
        for cause in [Cause::Files, Cause::Repository, Cause::Return] {
            orders.raise(&files(cause));
            assert_eq!(orders.take(), BTreeSet::from([cause]));
        }
        orders.raise(&News { is_watched: false, ..files(Cause::Look) });
        assert_eq!(orders.take(), BTreeSet::from([Cause::Look]));
    }

    #[test]
    fn a_newer_commit_ends_an_older_one_but_not_for_ever() {
        let orders = Orders::default();
        let mut ended = 0;
        for round in 0..8 {
            let stop = CancellationToken::new();
            orders.begin(id(&round.to_string()), stop.clone());
            orders.raise(&news(Cause::Repository, &(round + 1).to_string()));
            ended += u32::from(stop.is_cancelled());
            orders.end();
        }
        assert_eq!(ended, 6, "three ended, one finished, three ended, one finished");
    }

    #[test]
    fn the_last_wish_about_a_suspension_counts() {
        let orders = Orders::default();
        orders.suspend(true);
        assert_eq!(orders.take(), BTreeSet::from([Cause::Suspension]));
        assert_eq!(orders.wish(), Some(true), "it stays until it was carried out");
        orders.suspend(false);
        orders.carried_out(true);
        assert_eq!(orders.wish(), Some(false));
        orders.carried_out(false);
        assert_eq!(orders.wish(), None);
    }
}
