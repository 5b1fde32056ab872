//! The Leases of the namespace, which one call reads for all targets of this process: what a look
//! costs does not grow with the targets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::cluster::{Cluster, ClusterError, Kind};

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
