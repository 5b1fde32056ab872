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
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::Standby;
use super::lease::{self, Look, Observed};
use crate::api::WriteLimit;
use crate::cluster::{Cluster, ClusterError, Kind, Written, object_name};
use crate::config::Target;
use crate::reconcile::Engine;

/// A Lease is renewed, and looked at by those who want it, so often in its duration.
const LOOKS: u32 = 10;

/// The share of a Lease's duration that is left unused at its end.
const MARGIN: u32 = 10;

/// A replica waits so much of a Lease's duration, for each that it holds already, before it takes
/// another that is free: one that holds fewer gets it.
const MODESTY: u32 = 30;

/// How long giving a Lease back may take at a shutdown, which others wait for.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// This process among the replicas.
#[derive(Debug)]
pub(super) struct Replica {
    cluster: Arc<Cluster>,
    identity: String,
    lasts: Duration,
    held: Arc<Mutex<u32>>,
}

/// The election for one target.
#[derive(Clone, Debug)]
pub(super) struct Election {
    cluster: Arc<Cluster>,
    identity: String,
    target: String,
    lease: String,
    lasts: Duration,
    longest_call: Duration,
    // How many Leases this process holds. Locked while one is taken, so that they are taken one
    // at a time, each with the count before it.
    held: Arc<Mutex<u32>>,
}

/// A Lease that is held, and renewed by a task of its own.
#[derive(Debug)]
pub(super) struct Tenure {
    election: Election,
    over: CancellationToken,
    limit: WriteLimit,
    giving_back: CancellationToken,
    // Dropped without being given back, the Lease simply runs out.
    task: AbortOnDropHandle<()>,
}

impl Replica {
    pub(super) fn new(cluster: Arc<Cluster>, engine: &Engine) -> Self {
        let environment = &engine.environment;
        let pod = environment.plain("POD_NAME").or_else(|| environment.plain("HOSTNAME"));
        let node = rustix::system::uname();
        let pod = pod.map_or_else(|| node.nodename().to_string_lossy().into_owned(), str::to_owned);
        let lasts = engine.config.kubernetes.as_ref().map_or(Duration::ZERO, |k| k.lease);
        Self {
            cluster,
            // A pod that starts again is another replica: what it had begun is not known to it.
            identity: format!("{pod}_{:016x}", fastrand::u64(..)),
            lasts,
            held: Arc::default(),
        }
    }

    pub(super) fn election(&self, target: &Target) -> Election {
        Election {
            cluster: Arc::clone(&self.cluster),
            identity: self.identity.clone(),
            target: target.name.clone(),
            lease: object_name(&target.url, &target.project),
            lasts: self.lasts,
            longest_call: target.timeout,
            held: Arc::clone(&self.held),
        }
    }
}

impl Election {
    /// Waits until the Lease is won; `None`: the process ends before.
    pub(super) async fn win(
        &self,
        shutdown: &CancellationToken,
        told: impl Fn(Standby),
    ) -> Option<Tenure> {
        let mut observed = Observed::default();
        let mut free_since = None;
        while !shutdown.is_cancelled() {
            // Not left in the middle: a claim without its answer would have to run out.
            let tried = self.attempt(&mut observed, &mut free_since, shutdown).await;
            let (wait, holder, problem) = match tried {
                Ok(Attempt::Won(tenure)) => return Some(tenure),
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
                let modesty = (self.lasts / MODESTY * *held).min(self.lasts);
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
            Written::Conflict => Ok(Attempt::NotYet(self.lasts / MODESTY)),
            Written::Done(lease) => {
                *held += 1;
                info!(target = %self.target, lease = %self.lease, "this replica acts for the target");
                Ok(Attempt::Won(self.begin(lease, began, shutdown)))
            }
        }
    }

    fn begin(&self, lease: Value, began: Instant, shutdown: &CancellationToken) -> Tenure {
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
        Tenure { election: self.clone(), over, limit, giving_back, task }
    }

    /// Renews the Lease until it is given back or lost.
    async fn keep(self, mut kept: Kept) {
        let mut renew_at = Instant::now() + self.pause();
        let mut failing = false;
        let why = loop {
            tokio::select! {
                biased;
                () = kept.giving_back.cancelled() => break "it gives it back",
                () = tokio::time::sleep_until(renew_at) => {}
            }
            // Past this, no write could begin that would be over in time.
            let last_moment = kept.until.checked_sub(self.longest_call).unwrap_or(kept.until);
            let began = Instant::now();
            match tokio::time::timeout_at(last_moment, self.renew(&mut kept.lease)).await {
                Ok(Ok(Renewal::Done)) => {
                    kept.until = self.until(began);
                    kept.limit.move_to(kept.until);
                    renew_at = began + self.pause();
                    failing = false;
                }
                Ok(Ok(Renewal::Taken(by))) => {
                    warn!(target = %self.target, "the lease was taken by {by}");
                    kept.limit.move_to(began);
                    break "another replica took it";
                }
                Ok(Err(error)) => {
                    if !failing {
                        warn!(target = %self.target, "the lease cannot be renewed: {error}");
                    }
                    failing = true;
                    renew_at = (Instant::now() + self.lasts / MODESTY).min(last_moment);
                }
                Err(_) => break "it could not be renewed in time",
            }
        };
        kept.over.cancel();
        *self.held.lock().await -= 1;
        info!(target = %self.target, lease = %self.lease, "this replica no longer acts for the target: {why}");
    }

    async fn renew(&self, lease: &mut Value) -> Result<Renewal, ClusterError> {
        if let Written::Done(renewed) = self.write(Some(lease)).await? {
            *lease = renewed;
            return Ok(Renewal::Done);
        }
        // Somebody wrote beside us: a renewal of ours without an answer, a label, or a thief.
        let Some(found) = self.cluster.get(Kind::Lease, &self.lease).await? else {
            return Ok(Renewal::Taken("nobody: it was deleted".to_owned()));
        };
        if lease::holder(&found) != Some(self.identity.as_str()) {
            return Ok(Renewal::Taken(lease::holder(&found).unwrap_or("nobody").to_owned()));
        }
        *lease = found;
        match self.write(Some(lease)).await? {
            Written::Done(renewed) => {
                *lease = renewed;
                Ok(Renewal::Done)
            }
            Written::Conflict => Err(ClusterError::NoAnswer {
                what: format!("PUT Lease {}", self.lease),
                problem: "somebody else keeps changing it".to_owned(),
            }),
        }
    }

    /// Frees the Lease if it still names us, be it that we gave up renewing it: whatever was
    /// under way is over.
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

    /// By when what a renewal that was sent then allows has to be over.
    fn until(&self, sent: Instant) -> Instant {
        sent + (self.lasts - self.lasts / MARGIN)
    }

    fn pause(&self) -> Duration {
        self.lasts / LOOKS
    }
}

impl Tenure {
    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }

    pub(super) fn limit(&self) -> &WriteLimit {
        &self.limit
    }

    pub(super) async fn give_back(self) {
        self.giving_back.cancel();
        // The task neither panics nor is aborted while it is waited for.
        let _ = self.task.await;
        let target = &self.election.target;
        let freeing = async {
            let mut answer = self.election.free().await;
            while let Err(ClusterError::NoAnswer { .. }) = answer {
                tokio::time::sleep(self.election.lasts / MODESTY).await;
                answer = self.election.free().await;
            }
            answer
        };
        match tokio::time::timeout(GIVING_BACK, freeing).await {
            Ok(Ok(())) => debug!(%target, "the lease is free"),
            Ok(Err(error)) => warn!(%target, "the lease is left to run out: {error}"),
            Err(_) => warn!(%target, "the lease is left to run out: no answer in time"),
        }
    }
}

/// What one attempt to win came to.
enum Attempt {
    Won(Tenure),
    NotYet(Duration),
    Held(String),
}

/// What one renewal came to.
enum Renewal {
    Done,
    Taken(String),
}

/// What the task that renews works with.
struct Kept {
    lease: Value,
    until: Instant,
    over: CancellationToken,
    limit: WriteLimit,
    giving_back: CancellationToken,
}
