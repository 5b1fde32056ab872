//! The record during a run: edited by many tasks, written by one.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Lock, StateError, StateFile};
use crate::name::ConnectionName;
use crate::record::{Memory, Record};

/// How long writing the state may be put off, measured in durations of the last write, so that a
/// large state does not spend the run on being written.
const PAUSE_PER_WRITE: u32 = 19;

/// The record of a target during a run. Edits are cheap; [`Ledger::save`] makes them durable.
/// A ledger without a file (`--base`) keeps its edits to itself.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    record: Mutex<(Record, u64)>,
    file: Option<StateFile>,
    lock: Option<Lock>,
    // Serialises writers, and remembers when the last one ended and how long it took.
    writing: tokio::sync::Mutex<LastWrite>,
}

#[derive(Debug)]
struct LastWrite {
    ended: Instant,
    took: Duration,
    // How many edits the file has.
    edits: u64,
}

impl Ledger {
    /// Starts with a record that was read from a file under its lock, or one without a file. The process
    /// finds it by the file from now on.
    pub(crate) fn new(record: Record, file: Option<StateFile>, lock: Option<Lock>) -> Self {
        let last = LastWrite { ended: Instant::now(), took: Duration::ZERO, edits: 0 };
        let writing = tokio::sync::Mutex::new(last);
        let inner = Arc::new(Inner { record: Mutex::new((record, 0)), file, lock, writing });
        if let Some(file) = &inner.file {
            file.known.ledgers.lock().insert(file.path.clone(), Arc::downgrade(&inner));
        }
        Self { inner }
    }

    /// Looks at the record.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.inner.record.lock().0)
    }

    /// Changes the record in memory.
    pub(crate) fn edit<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut record = self.inner.record.lock();
        record.1 += 1;
        change(&mut record.0)
    }

    /// Changes the record in memory; a change that leaves it as it is causes no write.
    pub(crate) fn edit_if_changed<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut record = self.inner.record.lock();
        let before = record.0.clone();
        let result = change(&mut record.0);
        record.1 += u64::from(record.0 != before);
        result
    }

    /// Changes the memory of one connection.
    pub(crate) fn edit_memory<T>(
        &self,
        name: &ConnectionName,
        change: impl FnOnce(&mut Memory) -> T,
    ) -> T {
        self.edit(|record| record.edit(name, change))
    }

    /// Makes every edit so far durable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) async fn save(&self) -> Result<(), StateError> {
        let mut last = self.inner.writing.lock().await;
        self.write(&mut last).await
    }

    /// Makes edits durable if the last write is long enough ago; else leaves it to a later call.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) async fn save_if_due(&self) -> Result<(), StateError> {
        match self.inner.writing.try_lock() {
            Ok(mut last) if last.ended.elapsed() >= last.took * PAUSE_PER_WRITE => {
                self.write(&mut last).await
            }
            _ => Ok(()),
        }
    }

    async fn write(&self, last: &mut LastWrite) -> Result<(), StateError> {
        let Some(file) = self.inner.file.clone() else { return Ok(()) };
        let (record, edits) = {
            let record = self.inner.record.lock();
            if record.1 == last.edits {
                return Ok(());
            }
            record.clone()
        };
        let started = Instant::now();
        let place = file.place();
        let lock = self.inner.lock.clone();
        let write = move || {
            let written = file.write(&record);
            // The task that waits for this may be gone, and the next one must not write beside it.
            drop(lock);
            written
        };
        let written = tokio::task::spawn_blocking(write).await;
        last.took = started.elapsed();
        last.ended = Instant::now();
        let result = written.unwrap_or_else(|_| Err(StateError::unfinished(place)));
        if result.is_ok() {
            last.edits = edits;
        }
        result
    }
}

impl StateError {
    /// A write whose outcome is not known: calls that rely on it must not start.
    fn unfinished(place: String) -> Self {
        Self::Write { place, source: io::Error::other("writing broke off") }
    }
}

#[cfg(test)]
mod tests;
