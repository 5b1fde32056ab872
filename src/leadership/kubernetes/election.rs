//! Winning a target's Lease, keeping it, and giving it back.
//!
//! The holder counts from the moment before it sent a renewal, the others from the moment after
//! they saw it, each on its own monotonic clock; so the holder is always the first to think that
//! the Lease has run out. It stops earlier still: `MARGIN` for clocks that run at different
//! speeds, and the longest call, because a write that was sent has to be over by then.
//!
//! A holder that writes nothing renews late. One that is about to write renews as well, and where
//! the last renewal is too old for the write to be over in time, the write waits for the next one.
//!
//! One call reads the Leases of the namespace for all targets of this process: what a look costs does
//! not grow with the targets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::cluster::{Cluster, ClusterError, Kind, Written};
use super::lease::{Look, Observed};
use super::{Standby, Term, lease};
use crate::api::{LimitMover, WriteLimit};
use crate::leadership::Renewal;

/// The list, read anew when a look asks for a newer one.
#[derive(Debug)]
pub(super) struct LeaseList {
    cluster: Arc<Cluster>,
    // The pause between two lists.
    pause: Duration,
    // Locked while the list is read: all who wait for it take the same answer.
    last: Mutex<Option<Answer>>,
}

#[derive(Debug)]
struct Answer {
    asked_at: Instant,
    next: Instant,
    leases: Result<BTreeMap<String, Value>, ClusterError>,
}

/// A look at one Lease.
pub(super) struct Found {
    /// The Lease, if there is one.
    pub(super) lease: Result<Option<Value>, ClusterError>,
    /// When it was asked for.
    pub(super) asked_at: Instant,
    /// The time of the next look: by then all targets need a newer list.
    pub(super) next: Instant,
}

impl Answer {
    fn find(&self, name: &str) -> Found {
        let lease = self.leases.as_ref().map(|leases| leases.get(name).cloned());
        let lease = lease.map_err(Clone::clone);
        Found { lease, asked_at: self.asked_at, next: self.next }
    }
}

impl LeaseList {
    pub(super) fn new(cluster: Arc<Cluster>, pause: Duration) -> Self {
        Self { cluster, pause, last: Mutex::default() }
    }

    /// Looks at a Lease as it was after that moment. Those who saw the same list before take the same
    /// newer one, whichever of them asks for it.
    pub(super) async fn look(&self, name: &str, after: Instant) -> Found {
        let mut last = self.last.lock().await;
        let found = match &*last {
            Some(answer) if answer.asked_at > after => answer.find(name),
            before => {
                let failed_before = before.as_ref().is_some_and(|answer| answer.leases.is_err());
                last.insert(self.read(failed_before).await).find(name)
            }
        };
        drop(last);
        match &found.lease {
            // The Role of an earlier release has no `list`.
            Err(error) if error.is_forbidden() => {
                Found { lease: self.cluster.get(Kind::Lease, name).await, ..found }
            }
            _ => found,
        }
    }

    async fn read(&self, failed_before: bool) -> Answer {
        let asked_at = Instant::now();
        let leases = self.cluster.list(Kind::Lease).await;
        match &leases {
            Err(_) if failed_before => {}
            Err(error) if error.is_forbidden() => {
                warn!("{error}; until it has them, each Lease is read by a call of its own");
            }
            Err(error) => warn!("the leases cannot be read: {error}"),
            Ok(_) if failed_before => info!("the leases can be read again"),
            Ok(_) => {}
        }
        // Replicas do not ask in step.
        let pause = self.pause.mul_f64(fastrand::f64().mul_add(0.2, 0.9));
        Answer { asked_at, next: Instant::now() + pause, leases }
    }
}

/// The Leases are looked at so often in their duration, and one whose holder writes is renewed so often.
const LOOKS: u32 = 9;

/// The share of its duration after which a Lease is renewed whose holder writes nothing. What is left
/// is for renewals that fail.
const IDLE: f64 = 0.7;

/// The share of a Lease's duration that is left unused at its end.
const MARGIN: u32 = 10;

/// A replica waits before it takes a Lease that is free, the longer the more it holds already: one that
/// holds fewer gets it. With all Leases but one it waits so long, so that many targets are handed over
/// within seconds too.
const LONGEST_MODESTY: Duration = Duration::from_secs(3);

/// But for each Lease that it holds it waits for no more than this share of the duration.
const LARGEST_STEP: u32 = 30;

/// How long giving a Lease back may take at a shutdown, which others wait for.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// The election for one target.
#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) cluster: Arc<Cluster>,
    pub(super) list: Arc<LeaseList>,
    pub(super) identity: String,
    pub(super) target: String,
    pub(super) lease: String,
    pub(super) lasts: Duration,
    // The wait for a free Lease for each that this process holds.
    pub(super) modesty: Duration,
    // Whether a Secret keeps the state, and so tells whether a replica ever acted.
    pub(super) state_in_secret: bool,
    // A conflict on the state: another replica may hold the Lease.
    pub(super) doubt: Arc<Notify>,
    // How many Leases this process holds. Locked while one is taken, so that they are taken one
    // at a time, each with the count before it.
    pub(super) held: Arc<Mutex<u32>>,
}

/// The pause between two looks at the Leases.
pub(super) fn pause(lasts: Duration) -> Duration {
    lasts / LOOKS
}

/// The wait for a free Lease, for each that a replica holds of so many.
pub(super) fn modesty(lasts: Duration, targets: u32) -> Duration {
    (LONGEST_MODESTY / targets.max(1)).min(lasts / LARGEST_STEP)
}

impl Election {
    /// Waits until the Lease is won; `None`: the process ends before.
    pub(super) async fn win(
        &self,
        shutdown: &CancellationToken,
        told: &(dyn Fn(Standby) + Send + Sync),
    ) -> Option<Term> {
        let mut observed = Observed::default();
        let mut counted_from = None;
        let mut after = Instant::now();
        while !shutdown.is_cancelled() {
            // Not left in the middle: a claim without its answer would have to run out.
            let found = self.list.look(&self.lease, after).await;
            let (asked_at, next) = (found.asked_at, found.next);
            let tried = self.attempt(found, &mut observed, &mut counted_from, shutdown).await;
            let refused = tried.as_ref().is_err_and(|error| error.pause().is_none());
            let (again_at, holder, problem) = match tried {
                Ok(Attempt::Won(term)) => return Some(term),
                Ok(Attempt::NotBefore(at)) => (at.min(next), None, None),
                Ok(Attempt::Conflict) => (next, None, None),
                Ok(Attempt::Held { by, until }) => (until.min(next), Some(by), None),
                Err(error) => (next, None, Some(error.to_string())),
            };
            // Until the next look the same list will do.
            if again_at == next {
                after = asked_at;
            }
            told(Standby { holder, problem, refused, again_in: self.lasts });
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(again_at) => {}
            }
        }
        None
    }

    async fn attempt(
        &self,
        Found { lease: found, next, .. }: Found,
        observed: &mut Observed,
        counted_from: &mut Option<Instant>,
        shutdown: &CancellationToken,
    ) -> Result<Attempt, ClusterError> {
        let (found, now) = (found?, Instant::now());
        if found.is_none() && observed.is_empty() && self.state_in_secret {
            // Without an answer nothing is written anyway.
            let state = self.cluster.get(Kind::Secret, &self.lease).await;
            if state.is_ok_and(|state| state.is_some()) {
                observed.suppose_deleted(self.lasts, now);
            }
        }
        let mut held = self.held.lock().await;
        match observed.look(found.as_ref(), &self.identity, now) {
            Look::Held { by, until } => {
                *counted_from = None;
                return Ok(Attempt::Held { by, until });
            }
            Look::Free => {
                let from =
                    counted_from.get_or_insert_with(|| now + self.until_all_looked(found.as_ref()));
                let at = *from + (self.modesty * *held).min(self.lasts);
                // One that holds none need not be modest.
                if *held > 0 && at > Instant::now() {
                    return Ok(Attempt::NotBefore(at));
                }
            }
            // A claim of ours whose answer was lost.
            Look::Own => {}
        }
        let began = Instant::now();
        match self.write(found.as_ref()).await? {
            Written::Conflict => Ok(Attempt::Conflict),
            Written::Done(lease) => {
                *held += 1;
                info!(target = %self.target, lease = %self.lease, "this replica acts for the target");
                Ok(Attempt::Won(self.begin(lease, began, next, shutdown)))
            }
        }
    }

    /// How long until all replicas that wait have looked at a Lease since it became free: whoever looks
    /// first must not get more of them. When that was is told by the clock of the last holder, which may be
    /// wrong, so no more than the pause between two looks is waited for it.
    fn until_all_looked(&self, lease: Option<&Value>) -> Duration {
        let pause = pause(self.lasts);
        let free_at = lease.and_then(lease::free_at);
        let left = free_at.map(|at| at.duration_since(Timestamp::now()));
        let left = left
            .map(|left| left.saturating_add(SignedDuration::try_from(pause).unwrap_or_default()));
        Duration::try_from(left.unwrap_or_default()).unwrap_or_default().min(pause)
    }

    fn begin(
        &self,
        lease: Value,
        began: Instant,
        look_at: Instant,
        shutdown: &CancellationToken,
    ) -> Term {
        let over = shutdown.child_token();
        let (limit, mover) = WriteLimit::at(self.until(began));
        let giving_back = CancellationToken::new();
        let keeping = self.clone().keep(Kept {
            lease,
            until: self.until(began),
            soonest: began + pause(self.lasts),
            renew_at: began + self.lasts.mul_f64(IDLE),
            seen: Instant::now(),
            look_at,
            over: over.clone(),
            limit: mover,
            giving_back: giving_back.clone(),
        });
        let task = AbortOnDropHandle::new(tokio::spawn(keeping));
        Term { over, limit, renewal: Some(Renewal { giving_back, task }) }
    }

    /// Renews the Lease until it is given back or lost; frees it once it is given back.
    async fn keep(self, mut kept: Kept) {
        let mut failing = false;
        let why = loop {
            if !self.has_to_renew(&mut kept).await {
                break "it gives it back".to_owned();
            }
            let began = Instant::now();
            match tokio::time::timeout_at(kept.until, self.renew(&mut kept.lease)).await {
                Ok(Ok(Renewed::Done)) => {
                    kept.until = self.until(began);
                    kept.limit.move_to(kept.until);
                    kept.soonest = began + pause(self.lasts);
                    kept.renew_at = began + self.lasts.mul_f64(IDLE);
                    failing = false;
                }
                Ok(Ok(Renewed::Lost(why))) => {
                    warn!(target = %self.target, "the lease is lost: {why}");
                    kept.limit.move_to(began);
                    break why;
                }
                Ok(Err(error)) => {
                    if !failing {
                        warn!(target = %self.target, "the lease cannot be renewed: {error}");
                    }
                    failing = true;
                    kept.soonest = Instant::now() + self.lasts / LARGEST_STEP;
                    kept.renew_at = kept.soonest.min(kept.until);
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
    async fn has_to_renew(&self, kept: &mut Kept) -> bool {
        let (limit, soonest) = (&kept.limit, kept.soonest);
        // A stream of writes asks for one renewal in each pause.
        let write_begins = async {
            tokio::time::sleep_until(soonest).await;
            limit.wanted().await;
        };
        tokio::pin!(write_begins);
        loop {
            tokio::select! {
                biased;
                () = kept.giving_back.cancelled() => return false,
                () = self.doubt.notified() => {}
                () = tokio::time::sleep_until(kept.renew_at) => return true,
                () = &mut write_begins => return true,
                Found { lease, asked_at, next } = self.look_at(kept.look_at, kept.seen) => {
                    (kept.look_at, kept.seen) = (next, asked_at);
                    let is_own = |lease: Option<Value>| lease.is_some_and(|lease| self.is_own(&lease));
                    if lease.ok().is_none_or(is_own) {
                        continue;
                    }
                }
            }
            // No write begins before the renewal has shown whose Lease it is.
            limit.move_to(Instant::now());
            return true;
        }
    }

    async fn look_at(&self, moment: Instant, after: Instant) -> Found {
        tokio::time::sleep_until(moment).await;
        self.list.look(&self.lease, after).await
    }

    fn is_own(&self, lease: &Value) -> bool {
        lease::holder(lease) == Some(self.identity.as_str())
    }

    async fn renew(&self, lease: &mut Value) -> Result<Renewed, ClusterError> {
        if let Written::Done(renewed) = self.write(Some(lease)).await? {
            *lease = renewed;
            return Ok(Renewed::Done);
        }
        // The Lease changed: by a renewal of ours without an answer, a label, or another holder.
        let found = match self.list.look(&self.lease, Instant::now()).await.lease? {
            Some(found) if self.is_own(&found) => found,
            found => return Ok(Renewed::Lost(how_lost(found.as_ref()))),
        };
        *lease = found;
        match self.write(Some(lease)).await? {
            Written::Done(renewed) => {
                *lease = renewed;
                Ok(Renewed::Done)
            }
            Written::Conflict => Err(ClusterError::NoAnswer {
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
            if let Written::Done(_) = self.cluster.replace(Kind::Lease, &freed).await? {
                return Ok(());
            }
            match self.list.look(&self.lease, Instant::now()).await.lease? {
                Some(found) if self.is_own(&found) => *lease = found,
                _ => return Ok(()),
            }
        }
    }

    async fn write(&self, lease: Option<&Value>) -> Result<Written, ClusterError> {
        let now = Timestamp::now();
        let held = lease::held(lease, &self.lease, &self.identity, self.lasts, now);
        match lease {
            Some(_) => self.cluster.replace(Kind::Lease, &held).await,
            None => self.cluster.create(Kind::Lease, &held).await,
        }
    }

    /// The time by which every call has to be over that a renewal sent at `sent` allows.
    fn until(&self, sent: Instant) -> Instant {
        sent + (self.lasts - self.lasts / MARGIN)
    }
}

fn how_lost(found: Option<&Value>) -> String {
    match found.map(lease::holder) {
        Some(Some(holder)) => format!("{holder} took it"),
        Some(None) => "it was freed by hand".to_owned(),
        None => "it was deleted".to_owned(),
    }
}

/// The result of one attempt to win.
enum Attempt {
    Won(Term),
    /// Replicas that hold fewer Leases may take it until then.
    NotBefore(Instant),
    Held {
        by: String,
        until: Instant,
    },
    Conflict,
}

/// The result of one renewal.
enum Renewed {
    Done,
    Lost(String),
}

/// The values of the task that renews.
struct Kept {
    lease: Value,
    // By when every write is over.
    until: Instant,
    // The next renewal, if a write is about to begin and if none is.
    soonest: Instant,
    renew_at: Instant,
    // The last and the next look whether it is still held.
    seen: Instant,
    look_at: Instant,
    over: CancellationToken,
    limit: LimitMover,
    giving_back: CancellationToken,
}
