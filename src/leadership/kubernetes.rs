//! Replicas in a Kubernetes cluster: a Lease for each target, and where it is asked for a Secret
//! that keeps the target's state.

mod cluster;
mod election;
mod lease;
mod secret;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{Leadership, Standby, Term};
use crate::config::{Config, Kubernetes, Target};
use crate::environment::Environment;
use crate::state::{StateDir, StateStore};
use cluster::{Cluster, object_name};
use election::{Election, Leases};
use secret::{SecretStore, Secrets};

/// This process among the replicas.
#[derive(Debug)]
pub(super) struct Replicas {
    cluster: Arc<Cluster>,
    leases: Arc<Leases>,
    identity: String,
    lasts: Duration,
    // How many targets the replicas share.
    targets: u32,
    // How many Leases this process holds.
    held: Arc<Mutex<u32>>,
    secrets: Option<Arc<Secrets>>,
    state_dir: StateDir,
    doubts: Arc<Doubts>,
}

/// Reasons to doubt that this process still holds a Lease, by the object's name.
#[derive(Debug, Default)]
struct Doubts(std::sync::Mutex<BTreeMap<String, Arc<Notify>>>);

impl Doubts {
    fn of(&self, name: &str) -> Arc<Notify> {
        let mut doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(doubts.entry(name.to_owned()).or_default())
    }
}

impl Replicas {
    /// Names the cluster; nothing is read or sent yet.
    pub(super) fn new(config: &Config, settings: &Kubernetes, environment: &Environment) -> Self {
        let pod = environment.plain("POD_NAME").or_else(|| environment.plain("HOSTNAME"));
        let node = rustix::system::uname();
        let pod = pod.map_or_else(|| node.nodename().to_string_lossy().into_owned(), str::to_owned);
        let cluster = Arc::new(Cluster::new(settings, environment));
        let doubts = Arc::new(Doubts::default());
        let secrets = || Secrets::new(Arc::clone(&cluster), Arc::clone(&doubts), settings.lease);
        Self {
            // A pod that starts again is another replica: it does not know which calls it had sent.
            identity: format!("{pod}_{:016x}", fastrand::u64(..)),
            lasts: settings.lease,
            targets: u32::try_from(config.targets.len()).unwrap_or(u32::MAX),
            held: Arc::default(),
            secrets: settings.state_in_secret.then(secrets).map(Arc::new),
            doubts,
            state_dir: StateDir::new(&config.state_dir),
            leases: Arc::new(Leases::new(Arc::clone(&cluster), settings.lease)),
            cluster,
        }
    }

    fn election(&self, target: &Target) -> Election {
        let lease = object_name(&target.manager.url, &target.project);
        Election {
            doubt: self.doubts.of(&lease),
            cluster: Arc::clone(&self.cluster),
            leases: Arc::clone(&self.leases),
            identity: self.identity.clone(),
            target: target.name.clone(),
            lease,
            lasts: self.lasts,
            modesty: election::modesty(self.lasts, self.targets),
            held: Arc::clone(&self.held),
            state: self
                .state_dir
                .file(&target.manager.url, &target.project)
                .kept_in(self.state_store(target)),
        }
    }
}

impl Leadership for Replicas {
    fn elected<'a>(
        &'a self,
        target: &'a Target,
        shutdown: &'a CancellationToken,
        told: &'a (dyn Fn(Standby) + Send + Sync),
    ) -> BoxFuture<'a, Option<Term>> {
        let election = self.election(target);
        Box::pin(async move { election.win(shutdown, told).await })
    }

    fn state_store(&self, target: &Target) -> Option<Arc<dyn StateStore>> {
        let secrets = Arc::clone(self.secrets.as_ref()?);
        let name = object_name(&target.manager.url, &target.project);
        Some(Arc::new(SecretStore::new(secrets, name)))
    }
}
