//! One process at a time on the state of a target.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{StateError, StateFile};

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
        let path = self.path().with_extension("lock");
        let file = open(&path)?;
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
