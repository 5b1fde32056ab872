//! The folder of a mirror: one writer at a time, whole or not at all, no lock left behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::name::CommitId;
use crate::source::SourceError;
use crate::source::git::Stop;

/// The right to write to a mirror, against other processes and tasks of the tool.
pub(super) struct MirrorLock(#[expect(dead_code, reason = "held, never read")] fs::File);

impl MirrorLock {
    /// The right to fetch, which is held for as long as a server takes to answer.
    pub(super) fn to_fetch(
        folder: &Path,
        patience: Duration,
        stop: &Stop,
    ) -> Result<Self, SourceError> {
        Self::take(folder, "lock", patience, stop)
    }

    /// The right to change what is kept for targets. No server is asked meanwhile, so that a
    /// reconcile can wait for it.
    pub(super) fn to_keep(
        folder: &Path,
        patience: Duration,
        stop: &Stop,
    ) -> Result<Self, SourceError> {
        Self::take(folder, "keep", patience, stop)
    }

    fn take(
        folder: &Path,
        extension: &str,
        patience: Duration,
        stop: &Stop,
    ) -> Result<Self, SourceError> {
        let parent = folder.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| SourceError::io("make the folder", parent, e))?;
        let path = beside(folder, extension);
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| SourceError::io("open the lock", &path, e))?;
        let started = Instant::now();
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let doing = format!("wait for another process to release {}", path.display());
            if stop.is_stopped() {
                return Err(SourceError::Stopped(doing));
            }
            if started.elapsed() > patience {
                return Err(SourceError::TimedOut { doing, deadline: patience });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self(file))
    }
}

/// The commits that are kept for targets, each with its reference. The files are read without
/// git, which may be unable to read the mirror.
pub(super) fn kept_references(folder: &Path, prefix: &str) -> Vec<(String, CommitId)> {
    let packed = fs::read(folder.join("packed-refs")).unwrap_or_default();
    let packed = String::from_utf8_lossy(&packed).into_owned();
    let packed = packed.lines().filter_map(|line| {
        let (id, name) = line.split_once(' ')?;
        name.strip_prefix(prefix)?.strip_prefix('/')?;
        Some((name.to_owned(), id.to_owned()))
    });
    let loose = fs::read_dir(folder.join(prefix)).into_iter().flatten().flatten();
    let loose = loose.filter_map(|file| {
        let name = format!("{prefix}/{}", file.file_name().to_str()?);
        Some((name, fs::read_to_string(file.path()).ok()?.trim_end().to_owned()))
    });
    // A loose reference is newer than a packed one.
    let all: BTreeMap<String, String> = packed.chain(loose).collect();
    let is_whole = |id: &str| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.into_iter().filter(|(_, id)| is_whole(id)).map(|(name, id)| (name, CommitId(id))).collect()
}

/// A path beside the folder, named after it.
pub(super) fn beside(folder: &Path, extension: &str) -> PathBuf {
    folder.with_extension(extension)
}

/// Removes a folder with all that is in it, or a file in its place; none is fine.
pub(super) fn remove(folder: &Path) -> Result<(), SourceError> {
    let is_folder = folder.symlink_metadata().is_ok_and(|found| found.is_dir());
    match if is_folder { fs::remove_dir_all(folder) } else { fs::remove_file(folder) } {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(SourceError::io("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// Puts a fresh folder into the place of another.
pub(super) fn replace(folder: &Path, fresh: &Path) -> Result<(), SourceError> {
    let old = beside(folder, "old");
    remove(&old)?;
    let moved = |e| SourceError::io("move", folder, e);
    match fs::rename(folder, &old) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(moved(error)),
        _ => {}
    }
    fs::rename(fresh, folder).map_err(moved)?;
    remove(&old)
}

/// Puts back what was moved away by a run that ended before the fresh folder was in its place.
pub(super) fn put_back(folder: &Path) -> Result<(), SourceError> {
    let old = beside(folder, "old");
    if folder.exists() || !old.exists() {
        return Ok(());
    }
    fs::rename(&old, folder).map_err(|e| SourceError::io("move", &old, e))
}

/// Removes the lock files that a child left which was killed; says whether there were any. A
/// lock that is younger than a child may live may still be somebody's.
pub(super) fn remove_stale_locks(folder: &Path, error: &SourceError, age: Duration) -> bool {
    let about_lock = matches!(error, SourceError::Failed { said, .. } if said.contains(".lock"));
    about_lock && remove_locks_older_than(folder, age)
}

fn remove_locks_older_than(folder: &Path, age: Duration) -> bool {
    let mut removed = false;
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(path),
                Ok(_) if path.extension().is_some_and(|e| e == "lock") => {
                    let modified = entry.metadata().and_then(|found| found.modified()).ok();
                    let found = modified.and_then(|at| SystemTime::now().duration_since(at).ok());
                    if found.is_some_and(|found| found > age) && fs::remove_file(&path).is_ok() {
                        tracing::warn!(lock = %path.display(), "removed a stale lock file");
                        removed = true;
                    }
                }
                _ => {}
            }
        }
    }
    removed
}
