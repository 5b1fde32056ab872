//! The states that a process read or wrote, so that it notices one that is deleted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::Record;

/// The states that were there, by the path of their file. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownStates(Arc<Mutex<BTreeMap<PathBuf, Known>>>);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Known {
    suspended: bool,
    /// When it was first missed; `None`: it is there.
    lost_at: Option<i64>,
}

impl KnownStates {
    /// Notes a record that was read or written.
    pub(super) fn note(&self, path: &Path, record: &Record) {
        let known = Known { suspended: record.suspended, lost_at: None };
        self.states().insert(path.to_owned(), known);
    }

    /// The record in place of a state that is not there: an empty one, save that a target stays
    /// suspended. That claims no connection, and nothing is written against a person's word.
    pub(super) fn in_place_of(&self, path: &Path) -> Record {
        let mut states = self.states();
        let Some(known) = states.get_mut(path) else { return Record::default() };
        let now = jiff::Timestamp::now().as_second();
        let lost_at = Some(*known.lost_at.get_or_insert(now));
        Record { suspended: known.suspended, lost_at, ..Record::default() }
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
