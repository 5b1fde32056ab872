//! The little of a state that the daemon asks for beside its reconciles, read piece by piece: that
//! of a hundred thousand connections is half as large as all else that the daemon then holds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, ErrorKind};

use serde::Deserialize;

use super::{StateError, StateFile, VERSION};
use crate::inventory::Degraded;
use crate::name::{CommitId, ConnectionName};

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
struct Envelope {
    version: u32,
    url: String,
    project: String,
    record: Glance,
}

impl StateFile {
    /// Reads the little of the record that the daemon asks for beside its reconciles.
    ///
    /// # Errors
    /// As of [`StateFile::read`].
    pub fn glance(&self) -> Result<Glance, StateError> {
        self.skim().map_or_else(|| self.read_as(self.present()?.as_deref()), Ok)
    }

    /// Reads it without having all of the file at once; `None`: whoever reads all of it can say
    /// what is odd about it.
    fn skim(&self) -> Option<Glance> {
        #[cfg(feature = "kubernetes")]
        if self.secret.is_some() {
            return None;
        }
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Some(Glance::default()),
            Err(_) => return None,
        };
        let found: Envelope = serde_json::from_reader(BufReader::new(file)).ok()?;
        let is_ours =
            found.version == VERSION && found.url == self.url && found.project == self.project;
        is_ours.then_some(found.record)
    }
}
