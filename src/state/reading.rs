//! Reading a state: at once where it is small, and else piece by piece, which is slower and does not
//! take the room of its text beside that of its record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{StateError, StateFile, StateMark, VERSION};
use crate::digest::Sha256;
use crate::inventory::{Degraded, Record};
use crate::name::{CommitId, ConnectionName};

/// States from this size on are read piece by piece.
const LARGE: u64 = 16 * 1024 * 1024;

/// A part of a record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Glance {
    /// The newest commit of which nothing failed and nothing was held.
    pub last_applied: Option<CommitId>,
    /// Whether somebody suspended the target.
    pub suspended: bool,
    /// Connections that were saved but not deployed.
    pub degraded: BTreeMap<ConnectionName, Degraded>,
}

#[derive(Deserialize)]
struct Envelope<R> {
    version: u32,
    url: String,
    project: String,
    record: R,
}

impl StateFile {
    /// Reads the record; an absent file is an empty one.
    ///
    /// # Errors
    /// The file cannot be read, is no state, is of a newer program or of another target.
    pub fn read(&self) -> Result<Record, StateError> {
        let large = self.open().filter(|file| size(file) >= LARGE);
        match large.and_then(|file| self.in_pieces(file)) {
            Some(record) => Ok(record),
            None => self.read_as(self.present()?.as_deref()),
        }
    }

    /// Reads the record, with what tells this very state from any other.
    ///
    /// # Errors
    /// As of [`StateFile::read`].
    pub fn read_marked(&self) -> Result<(Record, StateMark), StateError> {
        if let Some(file) = self.open().filter(|file| size(file) >= LARGE) {
            let mut marking = Marking { file, seen: Sha256::new() };
            if let Some(record) = self.in_pieces(&mut marking) {
                return Ok((record, StateMark(Some(marking.seen.finish()))));
            }
        }
        let bytes = self.present()?;
        Ok((self.read_as(bytes.as_deref())?, StateMark::of(bytes.as_deref())))
    }

    /// Reads the little of the record that the daemon asks for beside its reconciles.
    ///
    /// # Errors
    /// As of [`StateFile::read`].
    pub fn glance(&self) -> Result<Glance, StateError> {
        match self.open().and_then(|file| self.in_pieces(file)) {
            Some(glance) => Ok(glance),
            None => self.read_as(self.present()?.as_deref()),
        }
    }

    /// Opens the file; `None`: there is none, or it cannot be opened.
    fn open(&self) -> Option<File> {
        if self.store.is_some() {
            return None;
        }
        File::open(&self.path).ok()
    }

    /// Reads a state of today's version; `None`: whoever reads all of it at once can say what is
    /// odd about it.
    fn in_pieces<R: DeserializeOwned>(&self, text: impl Read) -> Option<R> {
        let found: Envelope<R> = serde_json::from_reader(BufReader::new(text)).ok()?;
        let is_ours =
            found.version == VERSION && found.url == self.url && found.project == self.project;
        is_ours.then_some(found.record)
    }
}

fn size(file: &File) -> u64 {
    file.metadata().map_or(0, |known| known.len())
}

/// Digests what is read.
struct Marking {
    file: File,
    seen: Sha256,
}

impl Read for Marking {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(piece)?;
        self.seen.update(piece.get(..length).unwrap_or_default());
        Ok(length)
    }
}
