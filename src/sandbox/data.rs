//! The file that keeps a sandbox's connections.
//!
//! It is written whole after each write, to a temporary file that then takes its place, so it is
//! never half a file. It holds secrets, so only its owner may read it.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::SandboxError;
use super::store::{Storable, Store};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    next_id: u64,
    connections: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    project: String,
    id: String,
    created: Timestamp,
    modified: Timestamp,
    #[serde(default)]
    modified_by: String,
    body: Box<RawValue>,
}

/// Reads the file, if there is one. A file that cannot be read whole is refused.
pub(super) fn load(path: &Path) -> Result<Store, SandboxError> {
    let mut store = Store::default();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(store),
        Err(source) => return Err(SandboxError::Unreadable { path: path.to_owned(), source }),
    };
    let damaged = |problem: String| SandboxError::Damaged { path: path.to_owned(), problem };
    // The text of a JSON error may repeat a value, and a value may be a secret: only its place
    // is told.
    let file: File = serde_json::from_slice(&bytes)
        .map_err(|error| damaged(format!("line {}, column {}", error.line(), error.column())))?;
    if file.version != VERSION {
        return Err(damaged(format!("version {} instead of {VERSION}", file.version)));
    }
    store.last_id = file.next_id;
    for (index, entry) in file.connections.into_iter().enumerate() {
        let Entry { project, id, created, modified, modified_by, body } = entry;
        let body = serde_json::from_str(body.get()).ok();
        let body = body.and_then(|body| Storable::new(body, &modified_by));
        let body =
            body.ok_or_else(|| damaged(format!("entry {} has no type and name", index + 1)))?;
        store.restore(&project, id, (created, modified), body);
    }
    Ok(store)
}

/// Writes the file.
pub(super) fn save(path: &Path, store: &Store) -> io::Result<()> {
    let connections = store.all().map(|(project, stored)| {
        Ok(Entry {
            project: project.to_owned(),
            id: stored.id.clone(),
            created: stored.created,
            modified: stored.modified,
            modified_by: stored.modified_by.clone(),
            body: RawValue::from_string(stored.text().to_owned())?,
        })
    });
    let connections = connections.collect::<serde_json::Result<_>>()?;
    let file = File { version: VERSION, next_id: store.last_id, connections };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Temporary files are made with mode 0600, and a rename keeps it.
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(io::BufWriter::new(&mut new), &file)?;
    new.write_all(b"\n")?;
    new.persist(path)?;
    Ok(())
}
