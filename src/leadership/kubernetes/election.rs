//! Winning a target's Lease, keeping it, and giving it back.
//!
//! The holder counts from the moment before it sent a renewal, the others from the moment after
//! they saw it, each on its own monotonic clock; so the holder is always the first to think that
//! the Lease has run out. It stops earlier still: a margin for clocks that run at different
//! speeds, and the longest call, because a write that was sent has to be over by then.
//!
//! A holder that writes nothing renews late. One that is about to write renews as well, and where
//! the last renewal is too old for the write to be over in time, the write waits for the next one.
//!
//! One watch shows the Leases of the namespace for all targets of this process. Nothing is lost by a
//! watch that shows too little: a Lease is written at the version that was seen, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Mutex, Notify, OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::cluster::{Cluster, ClusterError, ObjectKind};
use super::lease::{self, LeaseTurn, ObservedLease, Times};
use super::{Standby, Term};
use crate::api::{LimitMover, WriteLimit};
use crate::leadership::Renewal;
use crate::state::StateFile;

/// How often a replica that waits looks at the Leases again within their duration.
const LOOKS: u32 = 9;

/// How many durations of a Lease one watch lasts.
const WATCH: u32 = 10;

/// A replica waits before it takes a Lease that is free, the longer the more it holds already: one that
/// holds fewer gets it. With all Leases but one it waits so long, so that many targets are handed over
/// within seconds too.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// But for each Lease that it holds it waits for no more than this share of the duration.
const LARGEST_STEP: u32 = 30;

/// How long giving a Lease back may take at a shutdown, which others wait for.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// The Leases of the namespace, for all targets of this process.
#[derive(Debug)]
pub(super) struct Leases {
    cluster: Arc<Cluster>,
    lasts: Duration,
    // Made when the first target asks: the view, and the task that keeps it.
    view: OnceCell<(watch::Receiver<View>, AbortOnDropHandle<()>)>,
}

/// The Leases by name as they were last seen.
#[derive(Debug, Default)]
struct View {
    leases: BTreeMap<String, Value>,
    problem: Option<ClusterError>,
}

/// The task that keeps the view.
struct LeaseWatcher {
    cluster: Arc<Cluster>,
    lasts: Duration,
    view: watch::Sender<View>,
    // The last problem that was logged, until the watch works again.
    told: Option<String>,
}

impl Leases {
    pub(super) fn new(cluster: Arc<Cluster>, lasts: Duration) -> Self {
        Self { cluster, lasts, view: OnceCell::new() }
    }

    /// The Leases from now on, which were read once already.
    async fn follow(&self) -> watch::Receiver<View> {
        let begin = async || {
            let (sender, view) = watch::channel(View::default());
            let (cluster, lasts) = (Arc::clone(&self.cluster), self.lasts);
            let mut watcher = LeaseWatcher { cluster, lasts, view: sender, told: None };
            let version = watcher.list().await;
            (view, AbortOnDropHandle::new(tokio::spawn(watcher.run(version))))
        };
        self.view.get_or_init(begin).await.0.clone()
    }
}

impl LeaseWatcher {
    async fn run(mut self, mut version: Option<String>) {
        loop {
            if let Some(version) = version
                && let Err(error) = self.watch(&version).await
            {
                self.tell(&error, "until it has them, the leases are listed again and again");
            }
            // Replicas do not ask in step.
            let pause = (self.lasts / LOOKS).mul_f64(fastrand::f64().mul_add(0.2, 0.9));
            tokio::time::sleep(pause).await;
            version = self.list().await;
        }
    }

    /// Lists the Leases; the version from which on changes have to be watched.
    async fn list(&mut self) -> Option<String> {
        match self.cluster.list(ObjectKind::Lease).await {
            Ok((leases, version)) => {
                self.view.send_replace(View { leases, problem: None });
                Some(version)
            }
            Err(error) => {
                self.tell(&error, "until it has them, each Lease is read by a call of its own");
                self.view.send_modify(|view| view.problem = Some(error));
                None
            }
        }
    }

    /// Shows changes until the watch ends. One that shows nothing for as long as it takes until a Lease
    /// is renewed may have been cut.
    async fn watch(&mut self, version: &str) -> Result<(), ClusterError> {
        let mut changes =
            self.cluster.watch(ObjectKind::Lease, version, self.lasts * WATCH).await?;
        if self.told.take().is_some() {
            info!("the leases can be read again");
        }
        while let Ok(Some((name, lease))) = tokio::time::timeout(self.lasts, changes.next()).await {
            self.view.send_modify(|view| {
                match lease {
                    Some(lease) => view.leases.insert(name, lease),
                    None => view.leases.remove(&name),
                };
            });
        }
        Ok(())
    }

    fn tell(&mut self, error: &ClusterError, in_place: &str) {
        let text = error.to_string();
        if self.told.as_ref() != Some(&text) {
            if error.is_forbidden() {
                warn!("{text}; {in_place}");
            } else {
                warn!("the leases cannot be read: {text}");
            }
            self.told = Some(text);
        }
    }
}

/// The election for one target.
#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) cluster: Arc<Cluster>,
    pub(super) leases: Arc<Leases>,
    pub(super) identity: String,
    pub(super) target: String,
    pub(super) lease: String,
    pub(super) lasts: Duration,
    // The wait for a free Lease for each that this process holds.
    pub(super) wait_per_lease: Duration,
    // The state of the target tells whether a replica ever acted.
    pub(super) state: StateFile,
    // A conflict on the state: another replica may hold the Lease.
    pub(super) doubt: Arc<Notify>,
    // How many Leases this process holds. Locked while one is taken, so that they are taken one
    // at a time, each with the count before it.
    pub(super) held: Arc<Mutex<u32>>,
}

/// How long a replica waits for a free Lease, for each that it holds already.
pub(super) fn wait_per_lease(lasts: Duration, targets: u32) -> Duration {
    (LONGEST_WAIT / targets.max(1)).min(lasts / LARGEST_STEP)
}

impl Election {
    /// Waits until the Lease is won; `None`: the process ends before.
    pub(super) async fn win(
        &self,
        shutdown: &CancellationToken,
        told: &(dyn Fn(Standby) + Send + Sync),
    ) -> Option<Term> {
        let mut view = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            view = self.leases.follow() => view,
        };
        let mut observed = ObservedLease::default();
        while !shutdown.is_cancelled() {
            let (shown, problem) = {
                let view = view.borrow_and_update();
                (view.leases.get(&self.lease).cloned(), view.problem.clone())
            };
            let found = match problem {
                None => Ok(shown.clone()),
                // The Role of an earlier release has no `list`.
                Some(error) if error.is_forbidden() => {
                    self.cluster.get(ObjectKind::Lease, &self.lease).await
                }
                Some(error) => Err(error),
            };
            // Not left in the middle: a claim without its answer would have to run out.
            let tried = match found {
                Ok(found) => self.attempt(found.as_ref(), &mut observed).await,
                Err(error) => Err(error),
            };
            let next = Instant::now() + self.lasts / LOOKS;
            let (again_at, holder, problem) = match tried {
                Ok(Attempt::Won(lease, times)) => {
                    return Some(self.begin(lease, times, shown, view, shutdown));
                }
                Ok(Attempt::Wait { holder, until }) => (until.min(next), holder, None),
                Ok(Attempt::Conflict) => (next, None, None),
                Err(error) => (next, None, Some(error)),
            };
            let refused = problem.as_ref().is_some_and(|error| error.pause().is_none());
            let problem = problem.map(|error| error.to_string());
            told(Standby { holder, problem, refused, again_in: self.lasts });
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                Ok(_) = view.wait_for(|view| view.leases.get(&self.lease) != shown.as_ref()) => {}
                () = tokio::time::sleep_until(again_at) => {}
            }
        }
        None
    }

    async fn attempt(
        &self,
        found: Option<&Value>,
        observed: &mut ObservedLease,
    ) -> Result<Attempt, ClusterError> {
        // A replica acted before: there is a state, or this one saw who held the Lease.
        if found.is_none() && (self.state.exists() || observed.saw_a_holder()) {
            let deleted = lease::deleted(&self.lease, self.lasts, Timestamp::now());
            self.cluster.write(ObjectKind::Lease, &deleted).await?;
            return Ok(Attempt::Conflict);
        }
        let mut held = self.held.lock().await;
        let wait = (self.wait_per_lease * *held).min(self.lasts);
        let turn = observed.turn(found, &self.identity, wait, Instant::now());
        if let LeaseTurn::Wait { holder, until } = turn {
            return Ok(Attempt::Wait { holder, until });
        }
        let sent = Instant::now();
        match self.write(found).await? {
            None => Ok(Attempt::Conflict),
            Some(lease) => {
                *held += 1;
                info!(target = %self.target, lease = %self.lease, "this replica acts for the target");
                Ok(Attempt::Won(lease, Times::renewed(self.lasts, sent)))
            }
        }
    }

    fn begin(
        &self,
        lease: Value,
        times: Times,
        shown: Option<Value>,
        view: watch::Receiver<View>,
        shutdown: &CancellationToken,
    ) -> Term {
        let over = shutdown.child_token();
        let (limit, mover) = WriteLimit::at(times.until);
        let giving_back = CancellationToken::new();
        let keeping = self.clone().keep(KeptLease {
            lease,
            times,
            shown,
            view,
            over: over.clone(),
            limit: mover,
            giving_back: giving_back.clone(),
        });
        let task = AbortOnDropHandle::new(tokio::spawn(keeping));
        Term { over, limit, renewals: vec![Renewal { giving_back, task }] }
    }

    /// Renews the Lease until it is given back or lost; frees it once it is given back.
    async fn keep(self, mut kept: KeptLease) {
        let mut failing = false;
        let why = loop {
            if !self.has_to_renew(&mut kept).await {
                break "it gives it back".to_owned();
            }
            let sent = Instant::now();
            match tokio::time::timeout_at(kept.times.until, self.renew(&mut kept.lease)).await {
                Ok(Ok(None)) => {
                    kept.times = Times::renewed(self.lasts, sent);
                    kept.limit.move_to(kept.times.until);
                    failing = false;
                }
                Ok(Ok(Some(why))) => {
                    warn!(target = %self.target, "the lease is lost: {why}");
                    kept.limit.move_to(sent);
                    break why;
                }
                Ok(Err(error)) => {
                    if !failing {
                        warn!(target = %self.target, "the lease cannot be renewed: {error}");
                    }
                    failing = true;
                    kept.times = kept.times.failed(Instant::now());
                }
                Err(_) => break "it could not be renewed in time".to_owned(),
            }
        };
        kept.over.cancel();
        // Writes that wait for more time get none.
        drop(kept.limit);
        *self.held.lock().await -= 1;
        info!(target = %self.target, lease = %self.lease, "this replica no longer acts for the target: {why}");
        kept.giving_back.cancelled().await;
        self.give_back(kept.lease).await;
    }

    /// Waits until the Lease has to be renewed; `false`: it is given back.
    async fn has_to_renew(&self, kept: &mut KeptLease) -> bool {
        let KeptLease { times, limit, giving_back, view, shown, .. } = kept;
        // A stream of writes asks for one renewal in each pause.
        let write_begins = async {
            tokio::time::sleep_until(times.soonest).await;
            limit.wanted().await;
        };
        tokio::select! {
            biased;
            () = giving_back.cancelled() => return false,
            () = self.doubt.notified() => {}
            () = tokio::time::sleep_until(times.renew_at) => return true,
            () = write_begins => return true,
            () = self.is_taken(view, shown) => {}
        }
        // No write begins before the renewal has shown whose Lease it is.
        limit.move_to(Instant::now());
        true
    }

    /// Waits until the view shows the Lease another way than before, and not as ours.
    async fn is_taken(&self, view: &mut watch::Receiver<View>, shown: &mut Option<Value>) {
        let is_taken = |view: &View| {
            let lease = view.leases.get(&self.lease);
            let is_new = lease != shown.as_ref();
            *shown = lease.cloned();
            is_new && lease.and_then(lease::holder) != Some(&*self.identity)
        };
        if view.wait_for(is_taken).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Renews the Lease; why it is lost, if it is.
    async fn renew(&self, lease: &mut Value) -> Result<Option<String>, ClusterError> {
        if let Some(renewed) = self.write(Some(lease)).await? {
            *lease = renewed;
            return Ok(None);
        }
        // The Lease changed: by a renewal of ours without an answer, a label, or another holder.
        let found = self.cluster.get(ObjectKind::Lease, &self.lease).await?;
        let why = lease::how_lost(found.as_ref(), &self.identity);
        let (None, Some(found)) = (&why, found) else { return Ok(why) };
        *lease = found;
        match self.write(Some(lease)).await? {
            Some(renewed) => {
                *lease = renewed;
                Ok(None)
            }
            None => Err(ClusterError::NoAnswer {
                call: format!("PUT Lease {}", self.lease),
                problem: "another client keeps changing it".to_owned(),
            }),
        }
    }

    async fn give_back(&self, mut lease: Value) {
        let target = &self.target;
        let freeing = async {
            let mut answer = self.free(&mut lease).await;
            while answer.as_ref().is_err_and(|error| error.pause().is_some()) {
                tokio::time::sleep(self.lasts / LARGEST_STEP).await;
                answer = self.free(&mut lease).await;
            }
            answer
        };
        match tokio::time::timeout(GIVING_BACK, freeing).await {
            Ok(Ok(())) => debug!(%target, "the lease is free"),
            Ok(Err(error)) => warn!(%target, "the lease could not be released: {error}"),
            Err(_) => warn!(%target, "the lease could not be released: no answer in time"),
        }
    }

    /// Frees the Lease if it still names us, also where we gave up renewing it: no call is under
    /// way any more.
    async fn free(&self, lease: &mut Value) -> Result<(), ClusterError> {
        loop {
            let freed = lease::given_back(lease, Timestamp::now());
            if self.cluster.write(ObjectKind::Lease, &freed).await?.is_some() {
                return Ok(());
            }
            match self.cluster.get(ObjectKind::Lease, &self.lease).await? {
                Some(found) if lease::how_lost(Some(&found), &self.identity).is_none() => {
                    *lease = found;
                }
                _ => return Ok(()),
            }
        }
    }

    async fn write(&self, lease: Option<&Value>) -> Result<Option<Value>, ClusterError> {
        let now = Timestamp::now();
        let held = lease::held(lease, &self.lease, &self.identity, self.lasts, now);
        self.cluster.write(ObjectKind::Lease, &held).await
    }
}

/// The result of one attempt to win.
enum Attempt {
    Won(Value, Times),
    /// Another replica holds it, or may take it, until then.
    Wait {
        holder: Option<String>,
        until: Instant,
    },
    Conflict,
}

/// The values of the task that renews.
struct KeptLease {
    lease: Value,
    times: Times,
    // The Lease in the view when it was last looked at.
    shown: Option<Value>,
    view: watch::Receiver<View>,
    over: CancellationToken,
    limit: LimitMover,
    giving_back: CancellationToken,
}
