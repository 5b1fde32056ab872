//! Winning a target's Lease, keeping it, and giving it back.
//!
//! The holder counts from the moment before it sent a renewal, the others from the moment after
//! they saw it, each on its own monotonic clock; so the holder is always the first to think that
//! the Lease has run out. It stops earlier still: `MARGIN` for clocks that run at different
//! speeds, and the longest call, because a write that was sent has to be over by then.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::cluster::{Cluster, ClusterError, Kind, Written};
use super::lease::{self, Look, Observed};
use super::{Standby, Term};
use crate::api::WriteLimit;
use crate::leadership::Renewal;

/// A Lease is renewed, and looked at by those who want it, so often in its duration.
const LOOKS: u32 = 10;

/// The share of a Lease's duration that is left unused at its end.
const MARGIN: u32 = 10;

/// A replica waits before it takes a Lease that is free, the longer the more it holds already: one that
/// holds fewer gets it. With all Leases but one it waits so long, so that many targets are handed over
/// within seconds too.
const LONGEST_MODESTY: Duration = Duration::from_secs(5);

/// But for each Lease that it holds it waits for no more than this share of the duration.
const LARGEST_STEP: u32 = 30;

/// How long giving a Lease back may take at a shutdown, which others wait for.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// The election for one target.
#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) cluster: Arc<Cluster>,
    pub(super) identity: String,
    pub(super) target: String,
    pub(super) lease: String,
    pub(super) lasts: Duration,
    // The wait for a free Lease for each that this process holds.
    pub(super) modesty: Duration,
    pub(super) longest_call: Duration,
    // A conflict on the state: another replica may hold the Lease.
    pub(super) doubt: Arc<Notify>,
    // How many Leases this process holds. Locked while one is taken, so that they are taken one
    // at a time, each with the count before it.
    pub(super) held: Arc<Mutex<u32>>,
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
        let mut free_since = None;
        while !shutdown.is_cancelled() {
            // Not left in the middle: a claim without its answer would have to run out.
            let tried = self.attempt(&mut observed, &mut free_since, shutdown).await;
            let (wait, holder, problem) = match tried {
                Ok(Attempt::Won(term)) => return Some(term),
                Ok(Attempt::NotYet(wait)) => (wait, None, None),
                Ok(Attempt::Held(by)) => (self.pause(), Some(by), None),
                Err(error) => (self.pause(), None, Some(error.to_string())),
            };
            told(Standby { holder, problem, again_in: self.lasts });
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(wait.mul_f64(fastrand::f64().mul_add(0.2, 0.9))) => {}
            }
        }
        None
    }

    async fn attempt(
        &self,
        observed: &mut Observed,
        free_since: &mut Option<Instant>,
        shutdown: &CancellationToken,
    ) -> Result<Attempt, ClusterError> {
        let found = self.cluster.get(Kind::Lease, &self.lease).await?;
        let now = Instant::now();
        let mut held = self.held.lock().await;
        match observed.look(found.as_ref(), &self.identity, now) {
            Look::Held { by, .. } => {
                *free_since = None;
                return Ok(Attempt::Held(by));
            }
            Look::Free => {
                let since = *free_since.get_or_insert(now);
                let modesty = (self.modesty * *held).min(self.lasts);
                let left = (since + modesty).saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Ok(Attempt::NotYet(left.min(self.pause())));
                }
            }
            // A claim of ours whose answer was lost.
            Look::Own => {}
        }
        let began = Instant::now();
        match self.write(found.as_ref()).await? {
            Written::Conflict => Ok(Attempt::NotYet(self.lasts / LARGEST_STEP)),
            Written::Done(lease) => {
                *held += 1;
                info!(target = %self.target, lease = %self.lease, "this replica acts for the target");
                Ok(Attempt::Won(self.begin(lease, began, shutdown)))
            }
        }
    }

    fn begin(&self, lease: Value, began: Instant, shutdown: &CancellationToken) -> Term {
        let over = shutdown.child_token();
        let limit = WriteLimit::at(self.until(began));
        let giving_back = CancellationToken::new();
        let keeping = self.clone().keep(Kept {
            lease,
            until: self.until(began),
            over: over.clone(),
            limit: limit.clone(),
            giving_back: giving_back.clone(),
        });
        let task = AbortOnDropHandle::new(tokio::spawn(keeping));
        Term { over, limit, renewal: Some(Renewal { giving_back, task }) }
    }

    /// Renews the Lease until it is given back or lost; frees it once it is given back.
    async fn keep(self, mut kept: Kept) {
        let mut renew_at = Instant::now() + self.pause();
        let mut failing = false;
        let why = loop {
            tokio::select! {
                biased;
                () = kept.giving_back.cancelled() => break "it gives it back",
                () = self.doubt.notified() => kept.limit.move_to(Instant::now()),
                () = tokio::time::sleep_until(renew_at) => {}
            }
            // Past this, no write could begin that would be over in time.
            let last_moment = kept.until.checked_sub(self.longest_call).unwrap_or(kept.until);
            let began = Instant::now();
            match tokio::time::timeout_at(last_moment, self.renew(&mut kept.lease)).await {
                Ok(Ok(Renewed::Done)) => {
                    kept.until = self.until(began);
                    kept.limit.move_to(kept.until);
                    renew_at = began + self.pause();
                    failing = false;
                }
                Ok(Ok(Renewed::Taken(by))) => {
                    warn!(target = %self.target, "the lease was taken by {by}");
                    kept.limit.move_to(began);
                    break "another replica took it";
                }
                Ok(Err(error)) => {
                    if !failing {
                        warn!(target = %self.target, "the lease cannot be renewed: {error}");
                    }
                    failing = true;
                    renew_at = (Instant::now() + self.lasts / LARGEST_STEP).min(last_moment);
                }
                Err(_) => break "it could not be renewed in time",
            }
        };
        kept.over.cancel();
        *self.held.lock().await -= 1;
        info!(target = %self.target, lease = %self.lease, "this replica no longer acts for the target: {why}");
        kept.giving_back.cancelled().await;
        self.give_back().await;
    }

    async fn renew(&self, lease: &mut Value) -> Result<Renewed, ClusterError> {
        if let Written::Done(renewed) = self.write(Some(lease)).await? {
            *lease = renewed;
            return Ok(Renewed::Done);
        }
        // The Lease changed: by a renewal of ours without an answer, a label, or another holder.
        let Some(found) = self.cluster.get(Kind::Lease, &self.lease).await? else {
            return Ok(Renewed::Taken("no replica: it was deleted".to_owned()));
        };
        if lease::holder(&found) != Some(self.identity.as_str()) {
            return Ok(Renewed::Taken(lease::holder(&found).unwrap_or("no replica").to_owned()));
        }
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

    async fn give_back(&self) {
        let target = &self.target;
        let freeing = async {
            let mut answer = self.free().await;
            while answer.as_ref().is_err_and(|error| error.pause().is_some()) {
                tokio::time::sleep(self.lasts / LARGEST_STEP).await;
                answer = self.free().await;
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
    async fn free(&self) -> Result<(), ClusterError> {
        loop {
            let Some(found) = self.cluster.get(Kind::Lease, &self.lease).await? else {
                return Ok(());
            };
            if lease::holder(&found) != Some(self.identity.as_str()) {
                return Ok(());
            }
            let freed = lease::given_back(&found, Timestamp::now());
            if let Written::Done(_) = self.cluster.replace(Kind::Lease, &freed).await? {
                return Ok(());
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

    fn pause(&self) -> Duration {
        self.lasts / LOOKS
    }
}

/// The result of one attempt to win.
enum Attempt {
    Won(Term),
    NotYet(Duration),
    Held(String),
}

/// The result of one renewal.
enum Renewed {
    Done,
    Taken(String),
}

/// The values of the task that renews.
struct Kept {
    lease: Value,
    until: Instant,
    over: CancellationToken,
    limit: WriteLimit,
    giving_back: CancellationToken,
}
