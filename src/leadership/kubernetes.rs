//! Replicas in a Kubernetes cluster: a Lease for each target, and where it is asked for a Secret
//! that keeps the target's state.

mod cluster;
mod election;
mod lease;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Kubernetes, Target};
use crate::environment::Environment;
use crate::leadership::kubernetes::cluster::{Cluster, ClusterError, ObjectKind, object_name};
use crate::leadership::kubernetes::election::{Election, Leases};
use crate::leadership::{Leadership, Standby, Term};
use crate::state::{StateFile, StateStore};

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
    held: Arc<tokio::sync::Mutex<u32>>,
    secrets: Option<Arc<StateSecrets>>,
    state_dir: PathBuf,
    doubts: Arc<Doubts>,
}

/// Reasons to doubt that this process still holds a Lease, by the object's name.
#[derive(Debug, Default)]
struct Doubts(Mutex<BTreeMap<String, Arc<Notify>>>);

impl Doubts {
    fn of(&self, name: &str) -> Arc<Notify> {
        let mut doubts = self.0.lock();
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
        let secrets =
            || StateSecrets::new(Arc::clone(&cluster), Arc::clone(&doubts), settings.lease);
        Self {
            // A pod that starts again is another replica: it does not know which calls it had sent.
            identity: format!("{pod}_{:016x}", fastrand::u64(..)),
            lasts: settings.lease,
            targets: u32::try_from(config.targets.len()).unwrap_or(u32::MAX),
            held: Arc::default(),
            secrets: settings.state_in_secret.then(secrets).map(Arc::new),
            doubts,
            state_dir: config.state_dir.clone(),
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
            wait_per_lease: election::wait_per_lease(self.lasts, self.targets),
            held: Arc::clone(&self.held),
            state: StateFile::of_target(&self.state_dir, target).kept_in(self.state_store(target)),
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

// The state in a Secret of the namespace, for replicas that share no volume.
//
// A Secret is replaced under the `resourceVersion` that was read, so a replica that has lost its
// target without knowing cannot overwrite the state of the next one. It is packed, since a
// Secret takes 1 MiB.

/// The key of the Secret that holds the state.
const KEY: &str = "state.json.gz";

/// The most that a Secret takes, in bytes, less room for other data.
const LARGEST: usize = 1024 * 1024 - 16 * 1024;

/// The largest state that is unpacked, so that a damaged or foreign Secret cannot fill the memory.
const LARGEST_UNPACKED: u64 = 256 * 1024 * 1024;

/// How often one call is made that gets no answer; another replica acts if the cluster is away for longer.
const ATTEMPTS: u32 = 3;

/// How long a call to a busy cluster is made again, at most: a shutdown waits for it and has 25 seconds in
/// all. It is also no longer than a Lease, after which another replica acts; the `resourceVersion` keeps a
/// late write off.
const LONGEST_PATIENCE: Duration = Duration::from_secs(20);

/// The Secrets of all targets.
#[derive(Debug)]
struct StateSecrets {
    cluster: Arc<Cluster>,
    // Told of conflicts.
    doubts: Arc<Doubts>,
    // The Secrets as they were last read or written.
    known: Mutex<BTreeMap<String, Value>>,
    // How long a busy cluster is asked again: another replica acts after a Lease's duration.
    patience: Duration,
}

/// The Secret of one target.
#[derive(Clone, Debug)]
struct SecretStore {
    secrets: Arc<StateSecrets>,
    name: String,
}

impl StateSecrets {
    /// Names the cluster; nothing is read yet.
    fn new(cluster: Arc<Cluster>, doubts: Arc<Doubts>, lease: Duration) -> Self {
        let patience = lease.min(LONGEST_PATIENCE);
        Self { cluster, doubts, known: Mutex::default(), patience }
    }

    /// Makes a call again while the cluster cannot answer, within limits; and says how often it was made.
    async fn retried<T>(
        &self,
        call: impl AsyncFn() -> Result<T, ClusterError>,
    ) -> Result<(T, u32), ClusterError> {
        let end = Instant::now() + self.patience;
        let mut count = 1;
        loop {
            let error = match call().await {
                Ok(answer) => return Ok((answer, count)),
                Err(error) => error,
            };
            let Some(pause) = error.pause() else { return Err(error) };
            // It grows, and is never shorter than the cluster asks for.
            let pause = pause * if error.is_busy() { count } else { 1 };
            let is_left =
                if error.is_busy() { Instant::now() + pause < end } else { count < ATTEMPTS };
            if !is_left {
                return Err(error);
            }
            count += 1;
            tokio::time::sleep(pause).await;
        }
    }
}

impl SecretStore {
    fn new(secrets: Arc<StateSecrets>, name: String) -> Self {
        Self { secrets, name }
    }

    async fn get(&self) -> Result<Option<Value>, ClusterError> {
        let read = async || self.secrets.cluster.get(ObjectKind::Secret, &self.name).await;
        Ok(self.secrets.retried(read).await?.0)
    }

    async fn put(&self, secret: Value) -> io::Result<Value> {
        let write = async || self.secrets.cluster.write(ObjectKind::Secret, &secret).await;
        match self.secrets.retried(write).await.map_err(io::Error::other)? {
            (Some(now), _) => Ok(now),
            (None, attempts) => self.after_conflict(&secret, attempts > 1).await,
        }
    }

    /// Finds out what a conflict means: the write before may have been carried out without an answer,
    /// or another process wrote or deleted the Secret. Then this replica may have lost its Lease, which
    /// is looked at before anything else is written.
    async fn after_conflict(&self, secret: &Value, may_be_ours: bool) -> io::Result<Value> {
        let found = self.get().await.map_err(io::Error::other)?;
        let is_ours = |found: &Value| may_be_ours && found["data"][KEY] == secret["data"][KEY];
        let problem = match found {
            Some(found) if is_ours(&found) => return Ok(found),
            Some(_) => "another process wrote it meanwhile, and its state is kept",
            None => "it was deleted meanwhile",
        };
        self.secrets.doubts.of(&self.name).notify_one();
        Err(io::Error::other(problem))
    }
}

impl StateStore for SecretStore {
    fn shown(&self) -> String {
        format!("secret/{}", self.name)
    }

    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let found = waited_for(self.get()).map_err(io::Error::other)?;
        let Some(secret) = found else {
            self.secrets.known.lock().remove(&self.name);
            return Ok(None);
        };
        let packed = secret["data"][KEY].as_str().map(|text| STANDARD.decode(text));
        self.secrets.known.lock().insert(self.name.clone(), secret);
        match packed {
            Some(Ok(packed)) => unpacked(&packed).map(Some),
            // Not ours, or emptied by hand: never treated as an empty state.
            Some(Err(_)) | None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it holds no readable `{KEY}`; move it away, or restore it from a backup"),
            )),
        }
    }

    fn write(&self, state: &[u8]) -> io::Result<()> {
        let packed = packed(state)?;
        let before = self.secrets.known.lock().get(&self.name).cloned();
        let mut secret = before.unwrap_or_else(|| ObjectKind::Secret.named(&self.name));
        secret["data"][KEY] = json!(STANDARD.encode(packed));
        let now = waited_for(self.put(secret))?;
        self.secrets.known.lock().insert(self.name.clone(), now);
        Ok(())
    }
}

/// Reading and writing the state blocks, wherever it is kept.
fn waited_for<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

fn packed(state: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(state)?;
    let packed = packer.finish()?;
    if packed.len() > LARGEST {
        return Err(io::Error::other(format!(
            "it is {} bytes when packed, and a Secret takes {LARGEST}; keep it on a volume \
             (`kubernetes.state: volume`), or split the target",
            packed.len()
        )));
    }
    Ok(packed)
}

fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut state = Vec::new();
    GzDecoder::new(packed).take(LARGEST_UNPACKED + 1).read_to_end(&mut state)?;
    if state.len() as u64 > LARGEST_UNPACKED {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large when unpacked"));
    }
    Ok(state)
}

#[cfg(test)]
mod secret_tests {
    use super::*;

    #[test]
    fn a_state_that_no_secret_takes_is_refused_before_it_is_sent() {
        let small = vec![b'x'; 10 * LARGEST];
        assert_eq!(unpacked(&packed(&small).unwrap()).unwrap(), small, "packing makes room");
        let mut random = fastrand::Rng::with_seed(7);
        let large: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(2 * LARGEST).collect();
        let error = packed(&large).unwrap_err().to_string();
        assert!(error.contains("state: volume"), "{error}");
    }
}
