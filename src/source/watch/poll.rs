//! Looking instead of being told: where the system gives no events, or has no watches left.
//!
//! notify's own poller compares times by the second, so of two commits within one it would
//! miss the later one.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

use notify::EventKind;

use super::Wake;
use super::places::WatchedFolders;

/// How often it is looked at least.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

/// The share of the time that looking may take, as its inverse.
const SHARE: u32 = 50;

/// The state at the last look.
pub(super) struct Poll {
    seen: Seen,
    due: Instant,
}

#[derive(Default, PartialEq, Eq)]
struct Seen {
    repository: u64,
    files: u64,
}

impl Poll {
    pub(super) fn start(watched: &WatchedFolders) -> Self {
        let mut poll = Self { seen: Seen::default(), due: Instant::now() };
        poll.look(watched);
        poll
    }

    /// Makes the next look due.
    #[cfg(test)]
    pub(super) fn hurry(&mut self) {
        self.due = Instant::now();
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Looks, if it is time to, and says what changed.
    pub(super) fn look(&mut self, watched: &WatchedFolders) -> Option<Wake> {
        let started = Instant::now();
        if started < self.due {
            return None;
        }
        let mut seen = Seen::default();
        for (folder, recursive) in watched.folders() {
            see(watched, folder, recursive, &mut seen);
        }
        self.due = Instant::now() + INTERVAL.max(started.elapsed() * SHARE);
        let before = std::mem::replace(&mut self.seen, seen);
        if before.repository != self.seen.repository {
            Some(Wake::Repository)
        } else if before.files != self.seen.files {
            Some(Wake::Files)
        } else {
            None
        }
    }
}

fn see(watched: &WatchedFolders, folder: &Path, recursive: bool, seen: &mut Seen) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(found) = entry.metadata() else { continue };
        let part = match watched.meaning(&path, EventKind::Any) {
            Some(Wake::Files) => Some(&mut seen.files),
            Some(_) => Some(&mut seen.repository),
            None => None,
        };
        if let Some(part) = part {
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            if !found.is_dir() {
                (found.len(), found.modified().ok(), fs::read_link(&path).ok()).hash(&mut hasher);
            }
            identity(&found).hash(&mut hasher);
            // A sum, since entries come in no order.
            *part = part.wrapping_add(hasher.finish());
        }
        if recursive && found.is_dir() {
            see(watched, &path, recursive, seen);
        }
    }
}

#[cfg(unix)]
fn identity(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    found.ino()
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> u64 {
    0
}
