//! The state in a Secret of the namespace, for replicas that share no volume.
//!
//! A Secret is replaced under the `resourceVersion` that was read, so a replica that has lost its
//! target without knowing cannot overwrite the state of the next one. It is packed, since a
//! Secret takes 1 MiB.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Doubts;
use super::cluster::{Cluster, ClusterError, Kind, Written};
use crate::state::StateStore;

/// The key of the Secret that holds the state.
const KEY: &str = "state.json.gz";

/// The most that a Secret takes, in bytes, less room for other data.
const LARGEST: usize = 1024 * 1024 - 16 * 1024;

/// The largest state that is unpacked, so that a damaged or foreign Secret cannot fill the memory.
const LARGEST_UNPACKED: u64 = 256 * 1024 * 1024;

/// How often one call is made that gets no answer; another replica acts if the cluster is away for longer.
const ATTEMPTS: u32 = 3;

/// How long a call is made again that a busy cluster answers, at most. A shutdown waits for it and has 25
/// seconds in all, so it is less than the 30 that a command has for the Management API; and no more than
/// the duration of a Lease, after which another replica acts. The `resourceVersion` keeps a late one off.
const LONGEST_PATIENCE: Duration = Duration::from_secs(20);

/// The Secrets of all targets.
#[derive(Debug)]
pub(super) struct Secrets {
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
pub(super) struct SecretStore {
    secrets: Arc<Secrets>,
    name: String,
}

impl Secrets {
    /// Names the cluster; nothing is read yet.
    pub(super) fn new(cluster: Arc<Cluster>, doubts: Arc<Doubts>, lease: Duration) -> Self {
        let patience = lease.min(LONGEST_PATIENCE);
        Self { cluster, doubts, known: Mutex::default(), patience }
    }

    /// Makes a call until it is answered, and says how often it was made.
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
    pub(super) fn new(secrets: Arc<Secrets>, name: String) -> Self {
        Self { secrets, name }
    }

    async fn get(&self) -> Result<Option<Value>, ClusterError> {
        let read = async || self.secrets.cluster.get(Kind::Secret, &self.name).await;
        Ok(self.secrets.retried(read).await?.0)
    }

    async fn put(&self, secret: Value, is_new: bool) -> io::Result<Value> {
        let cluster = &self.secrets.cluster;
        let write = async || match is_new {
            true => cluster.create(Kind::Secret, &secret).await,
            false => cluster.replace(Kind::Secret, &secret).await,
        };
        match self.secrets.retried(write).await.map_err(io::Error::other)? {
            (Written::Done(now), _) => Ok(now),
            (Written::Conflict, attempts) => self.settle(&secret, attempts > 1).await,
        }
    }

    /// Finds out what a conflict means: the write before may have been carried out without an answer,
    /// or another process wrote or deleted the Secret. Then this replica may have lost its Lease, which
    /// is looked at before anything else is written.
    async fn settle(&self, secret: &Value, may_be_ours: bool) -> io::Result<Value> {
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

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Value>> {
        self.secrets.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for SecretStore {
    fn shown(&self) -> String {
        format!("secret/{}", self.name)
    }

    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let found = waited_for(self.get()).map_err(io::Error::other)?;
        let Some(secret) = found else {
            self.known().remove(&self.name);
            return Ok(None);
        };
        let packed = secret["data"][KEY].as_str().map(|text| STANDARD.decode(text));
        self.known().insert(self.name.clone(), secret);
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
        let before = self.known().get(&self.name).cloned();
        let is_new = before.is_none();
        let mut secret = before.unwrap_or_else(|| Kind::Secret.named(&self.name));
        secret["data"][KEY] = json!(STANDARD.encode(packed));
        let now = waited_for(self.put(secret, is_new))?;
        self.known().insert(self.name.clone(), now);
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
mod tests {
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
