//! The record of a target on disk: one JSON file per URL and project, locked for one reconcile,
//! read again at the start of each, and replaced as a whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fs, io};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::config::Target;
use crate::digest::sha256_hex;
use crate::record::{Record, RecordOfVersion1};

mod ledger;

pub(crate) use ledger::Ledger;

/// The version of the format that this program writes.
pub(crate) const VERSION: u32 = 2;

/// Why the state cannot be used. None of these ends with a half-written state, or with somebody else's overwritten.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be made or written.
    #[error("the state folder {path} cannot be used: {source}; name another one with --state-dir")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("the state {place} cannot be read: {source}")]
    Read {
        /// Where it is, in words.
        place: String,
        /// The system's error.
        source: io::Error,
    },
    /// It is no state.
    #[error(
        "the state {place} is damaged ({problem}) and was left as it is: restore it from a backup, or \
         move it away; without it nothing is deleted and live connections are adopted again"
    )]
    Damaged {
        /// Where it is, in words.
        place: String,
        /// Where its JSON ends to make sense.
        problem: String,
    },
    /// A newer program wrote it.
    #[error(
        "the state {place} has version {found}, and this program knows {VERSION}: use the newer \
         program that wrote it"
    )]
    Newer {
        /// Where it is, in words.
        place: String,
        /// Its version.
        found: u32,
    },
    /// It belongs to another target.
    #[error("the state {place} belongs to another URL or project, and was left as it is")]
    Foreign {
        /// Where it is, in words.
        place: String,
    },
    /// It cannot be written.
    #[error("the state {place} cannot be written: {source}")]
    Write {
        /// Where it is, in words.
        place: String,
        /// The system's error.
        source: io::Error,
    },
    /// Another process works on the target.
    #[error(
        "the state {path} is locked by {holder}: wait for it; `apply` and `forget` take --lock-timeout"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who wrote itself into it.
        holder: String,
    },
}

/// The envelope around the record. The record is read once it is known to be ours; its text is kept
/// till then, since a tree of values would take five times its size.
#[derive(Deserialize)]
struct Envelope<'a> {
    version: u32,
    url: String,
    project: String,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    url: &'a str,
    project: &'a str,
    record: &'a Record,
}

/// Keeps the state of one target elsewhere than in its file.
pub trait StateStore: std::fmt::Debug + Send + Sync {
    /// Where it is, in words.
    fn shown(&self) -> String;

    /// Reads the state; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the state that was read before.
    ///
    /// # Errors
    /// It cannot be written, or another process wrote it meanwhile.
    fn write(&self, state: &[u8]) -> io::Result<()>;
}

/// The state of one target, whether it exists or not: a file, or a store that keeps the record in its place.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
    // The path as it is shown.
    shown: PathBuf,
    url: String,
    project: String,
    // Keeps the record in place of the file, which then is only locked.
    store: Option<Arc<dyn StateStore>>,
    known: KnownStates,
}

impl StateFile {
    /// The file of one URL and project in the state folder. Its name can be read by people and depends on
    /// nothing else, so a target that is pointed elsewhere starts anew and the old file is kept.
    pub fn of(state_dir: &Path, url: &str, project: &str) -> Self {
        let digest = sha256_hex(&format!("{url}\n{project}"));
        let tail = &digest[..12];
        let readable: String = format!("{}-{project}", url.split("://").last().unwrap_or(url))
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
            .take(60)
            .collect();
        let path = state_dir.join(format!("{readable}-{tail}.json"));
        Self {
            shown: path.clone(),
            path,
            url: url.to_owned(),
            project: project.to_owned(),
            store: None,
            known: KnownStates::default(),
        }
    }

    /// The file of a target. Where its URL or project comes from the environment, its name is shown as a
    /// pattern that finds it.
    pub(crate) fn of_target(state_dir: &Path, target: &Target) -> Self {
        let Target { manager, project, .. } = target;
        let file = Self::of(state_dir, &manager.url, project);
        if *manager.url == manager.url_as_written && *project == target.project_as_written {
            return file;
        }
        let name = file.path.to_string_lossy();
        let tail = name.rsplit('-').next().unwrap_or_default();
        Self { shown: state_dir.join(format!("*-{tail}")), ..file }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is, as it is shown.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// The file beside it that holds the history of the target; it is no part of the state.
    pub fn history(&self) -> PathBuf {
        self.path.with_extension("history.jsonl")
    }

    /// Keeps the record in a store, if there is one; the file is only locked then.
    #[must_use]
    pub fn kept_in(self, store: Option<Arc<dyn StateStore>>) -> Self {
        Self { store, ..self }
    }

    /// Shares with the rest of the process which states there are.
    #[must_use]
    pub(crate) fn noted_in(self, known: &KnownStates) -> Self {
        Self { known: known.clone(), ..self }
    }

    /// Whether there is a record; one that cannot be read counts.
    pub fn exists(&self) -> bool {
        !matches!(self.bytes(), Ok(None))
    }

    /// Where the record is, in words.
    fn place(&self) -> String {
        self.store.as_ref().map_or_else(|| self.shown.display().to_string(), |store| store.shown())
    }

    /// The folder of the records, or the store that keeps them, in words.
    pub(crate) fn home(&self) -> String {
        let folder = || self.path.parent().unwrap_or(Path::new(".")).display().to_string();
        self.store.as_ref().map_or_else(folder, |store| store.shown())
    }

    fn bytes(&self) -> io::Result<Option<Vec<u8>>> {
        if let Some(store) = &self.store {
            return store.read();
        }
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the record; an absent file is an empty one, unless this process knows that there was one.
    ///
    /// # Errors
    /// The file cannot be read, is no state, is of a newer program or of another target.
    pub fn read(&self) -> Result<Record, StateError> {
        let place = || self.place();
        let bytes = self.bytes().map_err(|source| StateError::Read { place: place(), source })?;
        let Some(bytes) = bytes else { return Ok(self.known.in_place_of(&self.path)) };
        let damaged = |problem: String| StateError::Damaged { place: place(), problem };
        // The words of serde may quote another file.
        let envelope: Envelope<'_> = serde_json::from_slice(&bytes)
            .map_err(|e| damaged(format!("line {}, column {}", e.line(), e.column())))?;
        let Envelope { version, url, project, record } = envelope;
        if version > VERSION {
            return Err(StateError::Newer { place: place(), found: version });
        }
        if url != self.url || project != self.project {
            return Err(StateError::Foreign { place: place() });
        }
        // The record is ours and holds no secret, so the words of serde may be told.
        let record = upgraded(record.map_or("null", RawValue::get), version)
            .map_err(|error| damaged(error.to_string()))?;
        self.known.note(&self.path, &record);
        Ok(record)
    }

    /// Reads the record on a thread of its own, so that a disk that hangs holds up no other target.
    /// `block_in_place` would start a thread for the tasks beside it each time: a busy machine made 123 of
    /// them for 300 targets, and since each keeps memory of its own the daemon took 590 MiB, not 300.
    ///
    /// # Errors
    /// As of [`StateFile::read`].
    pub(crate) async fn read_aside(&self) -> Result<Record, StateError> {
        let file = self.clone();
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        read.unwrap_or_else(|_| {
            let source = io::Error::other("reading broke off");
            Err(StateError::Read { place: self.place(), source })
        })
    }

    /// Replaces the file as a whole: a new file beside it, fsync, rename, fsync of the folder.
    /// Whenever the process ends, there is the old file or the new one. Whoever writes holds the
    /// lock.
    ///
    /// # Errors
    /// The disk is full, the folder is gone or read-only.
    pub fn write(&self, record: &Record) -> Result<(), StateError> {
        if let Some(store) = &self.store {
            let failed = |source| StateError::Write { place: self.place(), source };
            let state = serde_json::to_vec(&self.written(record));
            let state = state.map_err(|error| failed(io::Error::from(error)))?;
            store.write(&state).map_err(failed)?;
        } else {
            self.write_to_disk(record, |_| Ok(()))?;
        }
        self.known.note(&self.path, record);
        Ok(())
    }

    /// Changes the record and writes it, under its lock; `holder` is the name that other processes are
    /// told meanwhile. If a run of this process holds the lock, the ledger of that run is changed: the run
    /// would write over a change of the file.
    ///
    /// # Errors
    /// The record cannot be locked, read or written.
    pub(crate) async fn edit<T>(
        &self,
        timeout: Duration,
        holder: &str,
        change: impl FnOnce(&mut Record) -> T,
    ) -> Result<T, StateError> {
        let ledger = tokio::select! {
            biased;
            of_the_run = self.known.ledger(&self.path) => of_the_run,
            lock = self.lock(timeout, holder) => {
                let lock = Some(lock?);
                Ledger::new(self.read_aside().await?, Some(self.clone()), lock)
            }
        };
        let result = ledger.edit_if_changed(change);
        ledger.save().await?;
        Ok(result)
    }

    fn written<'a>(&'a self, record: &'a Record) -> Written<'a> {
        Written { version: VERSION, url: &self.url, project: &self.project, record }
    }

    /// Replaces the file step by step; before each, `begins` may fail as a disk does.
    fn write_to_disk(
        &self,
        record: &Record,
        begins: impl Fn(DiskStep) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // Under the lock no other process writes it, so what a killed process left is overwritten.
        let new = self.path.with_extension("new");
        let replace = || {
            begins(DiskStep::Folder)?;
            fs::create_dir_all(folder)?;
            begins(DiskStep::Create)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            // Only its owner may read it: names and hosts are private.
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&new)?;
            begins(DiskStep::Content)?;
            let mut buffer = io::BufWriter::new(&file);
            serde_json::to_writer(&mut buffer, &self.written(record))?;
            buffer.write_all(b"\n")?;
            buffer.flush()?;
            drop(buffer);
            begins(DiskStep::Sync)?;
            file.sync_all()?;
            begins(DiskStep::Rename)?;
            fs::rename(&new, &self.path)?;
            // The rename is durable once the folder is.
            begins(DiskStep::SyncFolder)?;
            File::open(folder)?.sync_all()
        };
        replace().map_err(|source| {
            // A full disk is not filled further.
            let _ = begins(DiskStep::Remove).and_then(|()| fs::remove_file(&new));
            StateError::Write { place: self.place(), source }
        })
    }
}

/// The steps in which a file is replaced, so that a test can let each of them fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskStep {
    Folder,
    Create,
    Content,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// Reads a record of this version or an older one.
fn upgraded(record: &str, version: u32) -> Result<Record, serde_json::Error> {
    match version {
        1 => serde_json::from_str::<RecordOfVersion1>(record).map(Record::from),
        2 => serde_json::from_str(record),
        other => Err(serde::de::Error::custom(format!("there was never a version {other}"))),
    }
}

/// The states that were there. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownStates {
    /// By the name of their file: a target in another state folder is the same target.
    states: Arc<Mutex<BTreeMap<OsString, Known>>>,
    /// The ledgers of the runs that hold the locks, by the path.
    ledgers: Arc<Mutex<BTreeMap<PathBuf, Weak<ledger::Inner>>>>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Known {
    suspended: bool,
    /// When it was first missed; `None`: it is there.
    lost_at: Option<i64>,
}

impl KnownStates {
    /// Notes a record that was read or written.
    fn note(&self, path: &Path, record: &Record) {
        let known = Known { suspended: record.suspended, lost_at: None };
        let name = path.file_name().unwrap_or_default();
        self.states.lock().insert(name.to_owned(), known);
    }

    /// The record in place of a state that is not there: an empty one, save that a target stays
    /// suspended. That claims no connection, and nothing is written against a person's word.
    fn in_place_of(&self, path: &Path) -> Record {
        let mut states = self.states.lock();
        let name = path.file_name().unwrap_or_default();
        let Some(known) = states.get_mut(name) else { return Record::default() };
        let now = jiff::Timestamp::now().as_second();
        let lost_at = Some(*known.lost_at.get_or_insert(now));
        Record { suspended: known.suspended, lost_at, ..Record::default() }
    }

    /// Waits for a run that holds the lock of a state.
    async fn ledger(&self, path: &Path) -> Ledger {
        loop {
            if let Some(inner) = self.ledgers.lock().get(path).and_then(Weak::upgrade) {
                return Ledger { inner };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// How often a lock that somebody holds is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// The lock on the state of a target; clones are the same lock, which the last of them frees. The
/// system frees it when the process ends, however it ends, so there is nothing stale to clean up.
#[derive(Clone, Debug)]
pub struct Lock {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    file: File,
}

impl StateFile {
    /// Locks the state, and waits up to `timeout` for its holder. `holder` is the name that
    /// other processes are told meanwhile.
    ///
    /// # Errors
    /// The folder cannot be used, or the time is over.
    pub async fn lock(&self, timeout: Duration, holder: &str) -> Result<Lock, StateError> {
        let file = open(&self.path.with_extension("lock"))?;
        let path = self.shown.with_extension("lock");
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < timeout => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = read_holder(&file);
                    return Err(StateError::Locked { path, holder });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(StateError::Folder { path, source });
                }
            }
        }
        // Who holds it is a courtesy: a full disk must not stop a reconcile here.
        let _ = write_holder(&file, holder);
        Ok(Lock { _held: Arc::new(Held { file }) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File, StateError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |source| StateError::Folder { path: folder.to_path_buf(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)
}

fn write_holder(mut file: &File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "process {} ({holder})", std::process::id())
}

fn read_holder(mut file: &File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut text));
    match read {
        Ok(_) if !text.is_empty() => text.chars().filter(|c| !c.is_control()).collect(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests;
