//! The orders for the loop of one target.
//!
//! Orders that come while a reconcile is under way are kept for the next one, so nothing is lost
//! and many become one. A newer commit also ends the reconcile of an older one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outcome::Cause;
use crate::config::Target;
use crate::name::CommitId;

/// How many reconciles in a row may be ended by newer commits. One more is left to finish, or a
/// branch that moves all the time would never be applied.
const MOST_ENDED_EARLY: u32 = 3;

/// A request to suspend or resume a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    /// Whether it is suspended from now on.
    pub(super) suspended: bool,
    /// Where it came from.
    pub(super) from: IpAddr,
}

/// A request to reconcile, whose answer somebody may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Its number among those of this daemon: no clock tells which of two came first, since one may be set
    /// back.
    pub(super) number: u64,
    /// When it came.
    pub(super) at: Instant,
    /// Where it came from.
    pub(super) from: IpAddr,
    /// Why the newest commit of the source was not read for it.
    pub(super) unread: Option<String>,
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

/// The mailboxes of the targets; clones are the same. An order belongs to a project at its URL, as the state
/// does: it outlives the loop that serves it, and a config that calls the target otherwise or lacks it.
#[derive(Clone, Debug, Default)]
pub(super) struct Mailboxes {
    inner: Arc<Mutex<MailboxesInner>>,
}

#[derive(Debug, Default)]
struct MailboxesInner {
    /// By the project at its URL, each with the last name of its target.
    by_project: BTreeMap<String, (String, Arc<Mailbox>)>,
    /// The projects of the config in force.
    current: Vec<String>,
    /// No suspension is taken any more: no loop would save it.
    is_closed: bool,
}

impl Mailboxes {
    /// The mailboxes of the targets of a config, which is in force from now on.
    pub(super) fn set_targets(&self, targets: &[Target]) -> Vec<Arc<Mailbox>> {
        let mut inner = self.inner.lock();
        let mut all = Vec::with_capacity(targets.len());
        for target in targets {
            let before = inner.current(Some(&target.name)).ok();
            let awaited = before.and_then(|found| found.first()?.1.awaited());
            let (name, mailbox) = inner.by_project.entry(target.project_at_url()).or_default();
            name.clone_from(&target.name);
            // A request is for a name, wherever the config points it by now.
            mailbox.inner.lock().wait_for(awaited);
            all.push(Arc::clone(mailbox));
        }
        inner.current = targets.iter().map(Target::project_at_url).collect();
        all
    }

    /// The names of the targets: of the one that is named, or of all.
    pub(super) fn names(&self, named: Option<&str>) -> Result<Vec<String>, RequestError> {
        let inner = self.inner.lock();
        Ok(inner.current(named)?.into_iter().map(|(name, _)| name.clone()).collect())
    }

    /// Has the target of a name, or all, suspended or resumed.
    pub(super) fn suspend(
        &self,
        named: Option<&str>,
        suspension: Suspension,
    ) -> Result<(), RequestError> {
        let inner = self.inner.lock();
        if inner.is_closed {
            return Err(RequestError::Ending);
        }
        let targets = inner.current(named)?;
        targets.into_iter().for_each(|(_, mailbox)| mailbox.suspend(suspension));
        Ok(())
    }

    /// Takes no more suspensions: the loops are to end, and save those that were taken.
    pub(super) fn close(&self) {
        self.inner.lock().is_closed = true;
    }

    /// The names of the targets with a suspension that the state does not show yet.
    pub(super) fn unsaved(&self) -> Vec<String> {
        let inner = self.inner.lock();
        let all = inner.by_project.values().filter(|(_, mailbox)| mailbox.suspension().is_some());
        all.map(|(name, _)| name.clone()).collect()
    }
}

impl MailboxesInner {
    fn current(&self, named: Option<&str>) -> Result<Vec<&(String, Arc<Mailbox>)>, RequestError> {
        let all = self.current.iter().filter_map(|project| self.by_project.get(project));
        let found: Vec<_> = all.filter(|(name, _)| named.is_none_or(|one| name == one)).collect();
        match named {
            Some(name) if found.is_empty() => Err(RequestError::UnknownTarget(name.to_owned())),
            _ => Ok(found),
        }
    }
}

/// The mailbox of one target.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    posted: Notify,
    // A wait for suspensions beside a reconcile takes no notice of other orders.
    suspension_posted: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    // Why a reconcile is due; empty: none is.
    causes: BTreeSet<Cause>,
    // The last request for a reconcile, until it is answered.
    awaited: Option<Request>,
    // The reconcile waits for no resyncs of other targets.
    is_urgent: bool,
    // The target is to be suspended or resumed, in this order. Each stays until the state says so, so that
    // one that is taken back at once is told of too.
    suspensions: VecDeque<Suspension>,
    // The commit of the last reconcile, or of the one under way.
    looked_at: Option<CommitId>,
    // Ends the reconcile that is under way.
    running: Option<CancellationToken>,
    // The commit that ended it.
    ended_by: Option<CommitId>,
    ended_early: u32,
}

impl Inner {
    /// The next reconcile answers this request too.
    fn wait_for(&mut self, request: Option<Request>) {
        let requests = self.awaited.take().into_iter().chain(request);
        self.awaited = requests.max_by_key(|request| request.number);
    }
}

/// An order: there is something to reconcile.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// Why.
    pub(super) causes: BTreeSet<Cause>,
    /// The newest commit, where one could be read.
    pub(super) tip: Option<CommitId>,
    /// The request that it answers.
    pub(super) awaited: Option<Request>,
    /// Whether it waits for no resyncs of other targets.
    pub(super) is_urgent: bool,
    /// Whether the system tells of what changes.
    pub(super) is_watched: bool,
}

impl Order {
    /// Whether a commit that was looked at already answers it: the system reports a change in the
    /// repository's folder whatever it was about.
    fn is_old(&self, looked_at: Option<&CommitId>) -> bool {
        match &self.tip {
            Some(tip) => self.causes.iter().all(|c| c.is_a_hint()) && Some(tip) == looked_at,
            // Files have no commit that tells whether they changed.
            None => self.is_watched && self.causes.iter().all(|cause| *cause == Cause::Look),
        }
    }
}

impl Mailbox {
    /// Posts an order, unless it says nothing new to this target.
    pub(super) fn post(&self, order: &Order) {
        let mut inner = self.inner.lock();
        if order.causes.is_empty() || order.is_old(inner.looked_at.as_ref()) {
            return;
        }
        inner.causes.extend(&order.causes);
        inner.wait_for(order.awaited.clone());
        inner.is_urgent |= order.is_urgent;
        let is_newer = order.tip.is_some() && order.tip != inner.looked_at;
        if is_newer
            && inner.ended_early < MOST_ENDED_EARLY
            && let Some(running) = inner.running.take()
        {
            inner.ended_early += 1;
            inner.ended_by.clone_from(&order.tip);
            running.cancel();
        }
        drop(inner);
        self.posted.notify_one();
    }

    /// Has the target suspended or resumed. The reconcile of a target that is to be suspended ends.
    pub(super) fn suspend(&self, suspension: Suspension) {
        let mut inner = self.inner.lock();
        inner.suspensions.push_back(suspension);
        inner.causes.insert(Cause::Suspension(suspension.from));
        inner.running.iter().filter(|_| suspension.suspended).for_each(CancellationToken::cancel);
        drop(inner);
        self.posted.notify_one();
        self.suspension_posted.notify_one();
    }

    /// Waits until there is an order.
    pub(super) async fn posted(&self) {
        self.posted.notified().await;
    }

    /// Waits until there is an urgent order.
    pub(super) async fn urgent(&self) {
        while !self.inner.lock().is_urgent {
            self.posted().await;
        }
    }

    /// Waits until the target is to be suspended or resumed; orders stay.
    pub(super) async fn suspension_posted(&self) {
        while self.suspension().is_none() {
            self.suspension_posted.notified().await;
        }
    }

    /// The first request to suspend or resume the target.
    pub(super) fn suspension(&self) -> Option<Suspension> {
        self.inner.lock().suspensions.front().copied()
    }

    /// The state says that the target is suspended or resumed; newer requests for that stay.
    pub(super) fn suspension_saved(&self, suspension: Suspension) {
        let mut inner = self.inner.lock();
        if inner.suspensions.front() == Some(&suspension) {
            inner.suspensions.pop_front();
        }
    }

    /// Takes why a reconcile is due.
    pub(super) fn take(&self) -> BTreeSet<Cause> {
        let mut inner = self.inner.lock();
        inner.is_urgent = false;
        std::mem::take(&mut inner.causes)
    }

    /// The last request for a reconcile that is not answered yet.
    pub(super) fn awaited(&self) -> Option<Request> {
        self.inner.lock().awaited.clone()
    }

    /// A reconcile answers this request; a newer one still waits.
    pub(super) fn answered(&self, number: u64) {
        self.inner.lock().awaited.take_if(|awaited| awaited.number <= number);
    }

    /// A reconcile looks at this commit from now on; a newer one ends it by `stop`.
    pub(super) fn begin(&self, commit: Option<CommitId>, stop: CancellationToken) {
        let mut inner = self.inner.lock();
        inner.looked_at = commit;
        if inner.suspensions.iter().any(|one| one.suspended) {
            stop.cancel();
        }
        inner.running = Some(stop);
        inner.ended_by = None;
    }

    /// The reconcile is over: the newer commit that ended it, if one did.
    pub(super) fn end(&self) -> Option<CommitId> {
        let mut inner = self.inner.lock();
        if inner.running.take().is_some() {
            inner.ended_early = 0;
        }
        inner.ended_by.take()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.inner.lock().causes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(cause: Cause, tip: &str) -> Order {
        Order {
            causes: BTreeSet::from([cause]),
            tip: id(tip),
            is_watched: true,
            ..Order::default()
        }
    }

    fn id(text: &str) -> Option<CommitId> {
        Some(CommitId(text.to_owned()))
    }

    #[test]
    fn an_order_during_a_reconcile_causes_another_one() {
        let mailbox = Mailbox::default();
        mailbox.post(&order(Cause::Start, "a"));
        assert_eq!(mailbox.take(), BTreeSet::from([Cause::Start]));
        let stop = CancellationToken::new();
        mailbox.begin(id("a"), stop.clone());
        let from = [127, 0, 0, 1].into();
        mailbox.post(&order(Cause::Request(from), "a"));
        mailbox.post(&order(Cause::Webhook(from), "a"));
        assert!(!stop.is_cancelled(), "the same commit ends nothing");
        assert_eq!(mailbox.end(), None);
        assert_eq!(mailbox.take(), BTreeSet::from([Cause::Request(from), Cause::Webhook(from)]));
        assert_eq!(mailbox.take(), BTreeSet::new());
    }

    #[test]
    fn a_change_without_another_commit_is_no_order() {
        let mailbox = Mailbox::default();
        mailbox.begin(id("a"), CancellationToken::new());
        mailbox.post(&order(Cause::Repository, "a"));
        assert_eq!(mailbox.take(), BTreeSet::new());
        // A commit that cannot be read is one.
        mailbox.post(&Order { tip: None, ..order(Cause::Repository, "a") });
        assert_eq!(mailbox.take(), BTreeSet::from([Cause::Repository]));
    }

    #[test]
    fn watched_files_are_not_looked_at_in_between() {
        let mailbox = Mailbox::default();
        let files = |cause| Order { tip: None, ..order(cause, "") };
        mailbox.begin(None, CancellationToken::new());
        mailbox.post(&files(Cause::Look));
        assert_eq!(mailbox.take(), BTreeSet::new());
        for cause in [Cause::Files, Cause::Repository, Cause::Return] {
            mailbox.post(&files(cause));
            assert_eq!(mailbox.take(), BTreeSet::from([cause]));
        }
        mailbox.post(&Order { is_watched: false, ..files(Cause::Look) });
        assert_eq!(mailbox.take(), BTreeSet::from([Cause::Look]));
    }

    #[test]
    fn a_newer_commit_ends_an_older_one_but_not_for_ever() {
        let mailbox = Mailbox::default();
        let mut ended = 0;
        for round in 0..8 {
            let stop = CancellationToken::new();
            let newer = (round + 1).to_string();
            mailbox.begin(id(&round.to_string()), stop.clone());
            mailbox.post(&order(Cause::Repository, &newer));
            ended += u32::from(stop.is_cancelled());
            assert_eq!(mailbox.end(), id(&newer).filter(|_| stop.is_cancelled()));
        }
        assert_eq!(ended, 6, "three ended, one finished, three ended, one finished");
    }

    #[tokio::test(start_paused = true)]
    async fn an_urgent_order_is_waited_for_beside_others_until_it_is_taken() {
        let mailbox = Mailbox::default();
        let is_urgent = || async {
            tokio::time::timeout(std::time::Duration::from_secs(1), mailbox.urgent()).await.is_ok()
        };
        mailbox.post(&order(Cause::Repository, "a"));
        assert!(!is_urgent().await);
        mailbox.post(&Order { is_urgent: true, ..order(Cause::Repository, "b") });
        mailbox.post(&order(Cause::Repository, "c"));
        assert!(is_urgent().await && is_urgent().await);
        mailbox.take();
        assert!(!is_urgent().await);
    }

    #[test]
    fn each_suspension_is_saved_one_after_the_other() {
        let mailbox = Mailbox::default();
        let from = [127, 0, 0, 1].into();
        let order = |suspended| Suspension { suspended, from };
        mailbox.suspend(order(true));
        assert_eq!(mailbox.take(), BTreeSet::from([Cause::Suspension(from)]));
        mailbox.suspend(order(false));
        assert_eq!(mailbox.suspension(), Some(order(true)), "it stays until the state says so");
        mailbox.suspension_saved(order(true));
        assert_eq!(mailbox.suspension(), Some(order(false)));
        mailbox.suspension_saved(order(false));
        assert_eq!(mailbox.suspension(), None);
    }
}
