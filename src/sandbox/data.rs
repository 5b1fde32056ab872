//! The file that keeps a sandbox's connections.
//!
//! It is written whole, to a temporary file that then takes its place, so it is never half a
//! file. A write is answered once a file with it is in place; writes that come while one is
//! being written share the next. It holds secrets, so only its owner may read it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::SandboxError;
use super::options::Options;
use super::store::{Storable, Store};

const VERSION: u32 = 1;

#[derive(Serialize)]
struct FileOut<'a> {
    version: u32,
    next_id: u64,
    connections: Vec<EntryOut<'a>>,
}

#[derive(Serialize)]
struct EntryOut<'a> {
    project: &'a str,
    id: &'a str,
    created: Timestamp,
    modified: Timestamp,
    body: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIn {
    version: u32,
    next_id: u64,
    connections: Vec<EntryIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryIn {
    project: String,
    id: String,
    created: Timestamp,
    modified: Timestamp,
    body: Map<String, Value>,
}

/// Reads the file, if there is one. A file that cannot be read whole is refused.
pub(super) fn load(path: &Path, options: &Options) -> Result<Store, SandboxError> {
    let mut store = Store::default();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(store),
        Err(source) => return Err(SandboxError::Unreadable { path: path.to_owned(), source }),
    };
    let damaged = |what: String| SandboxError::Damaged { path: path.to_owned(), what };
    // The text of a JSON error may repeat a value, and a value may be a secret: only its place
    // is told.
    let file: FileIn = serde_json::from_slice(&bytes)
        .map_err(|error| damaged(format!("line {}, column {}", error.line(), error.column())))?;
    if file.version != VERSION {
        return Err(damaged(format!("version {} instead of {VERSION}", file.version)));
    }
    store.continue_ids(file.next_id);
    for (index, entry) in file.connections.into_iter().enumerate() {
        let EntryIn { project, id, created, modified, body } = entry;
        let body = Storable::new(body)
            .ok_or_else(|| damaged(format!("entry {} has no type and name", index + 1)))?;
        store.restore(options, &project, id, (created, modified), body);
    }
    Ok(store)
}

/// Writes the file.
pub(super) fn save(path: &Path, store: &Store) -> io::Result<()> {
    write(path, &text_of(store)?)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Temporary files are made with mode 0600, and a rename keeps it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// What the file says of a store.
pub(super) fn text_of(store: &Store) -> serde_json::Result<Vec<u8>> {
    let connections = store
        .all()
        .map(|(project, stored)| {
            Ok(EntryOut {
                project,
                id: &stored.id,
                created: stored.created,
                modified: stored.modified,
                body: serde_json::from_str(stored.text())?,
            })
        })
        .collect::<serde_json::Result<_>>()?;
    let mut text = serde_json::to_vec_pretty(&FileOut {
        version: VERSION,
        next_id: store.next_id(),
        connections,
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Asks for the file to be written, and waits until it is.
#[derive(Debug)]
pub(super) struct Saver {
    changed: watch::Sender<u64>,
    saved: watch::Receiver<Saved>,
}

/// How the last write of the file ended.
#[derive(Clone, Copy, Debug)]
struct Saved {
    change: u64,
    succeeded: bool,
}

/// The other end of a [`Saver`].
pub(super) struct Writer {
    path: PathBuf,
    changed: watch::Receiver<u64>,
    saved: watch::Sender<Saved>,
}

impl Saver {
    /// Prepares to write a file.
    pub(super) fn new(path: PathBuf) -> (Self, Writer) {
        let (changed, changes) = watch::channel(0);
        let (saved, saves) = watch::channel(Saved { change: 0, succeeded: true });
        (Self { changed, saved: saves }, Writer { path, changed: changes, saved })
    }

    /// Notes that something changed, without waiting; gives the number of the change.
    pub(super) fn note(&self) -> u64 {
        let mut number = 0;
        self.changed.send_modify(|change| {
            *change += 1;
            number = *change;
        });
        number
    }

    /// Waits until a change is in the file; `false`: the file could not be written.
    pub(super) async fn wait(&self, number: u64) -> bool {
        let mut saved = self.saved.clone();
        match saved.wait_for(|saved| saved.change >= number).await {
            Ok(saved) => saved.succeeded,
            Err(_) => false,
        }
    }

    /// Waits until all that was noted is in the file, or could not be written.
    pub(super) async fn flush(&self) {
        let noted = *self.changed.borrow();
        self.wait(noted).await;
    }
}

impl Writer {
    /// Writes the file after every change, until what it is written from is gone.
    pub(super) async fn run<T>(mut self, text: T)
    where
        T: Fn() -> Option<serde_json::Result<Vec<u8>>> + Clone + Send + 'static,
    {
        while self.changed.changed().await.is_ok() {
            let change = *self.changed.borrow_and_update();
            let (path, text) = (self.path.clone(), text.clone());
            let written = tokio::task::spawn_blocking(move || match text() {
                Some(text) => write(&path, &text?),
                None => Ok(()),
            });
            let succeeded = match written.await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::error!(path = %self.path.display(), %error, "sandbox data not saved");
                    false
                }
                Err(_) => false,
            };
            self.saved.send_replace(Saved { change, succeeded });
        }
    }
}
