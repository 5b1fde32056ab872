//! Tells when there may be something new to read.
//!
//! The watched places are few: HEAD, the references, and the links on the way to them. The list
//! is worked out again after every change, since a change may be that the repository is now
//! somewhere else; the new watches are in place before the old ones go. Where the system gives no
//! events, or has no watches left, the same things are looked at from time to time: notify's own
//! poller compares times by the second, so of two commits within one it would miss the later one.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{CreateKind, ModifyKind};
use notify::{Event, EventKind, RecursiveMode, Watcher as _};

use super::SourceError;

use places::WatchedFolders;

mod places;

/// How soon after a folder appeared it is looked at again: what was put into it before it was
/// watched made no event.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Why a wake was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A branch, HEAD, or the place of the repository changed.
    Repository,
    /// A file of the working tree changed.
    Files,
    /// Events were lost, so anything may have changed.
    Unknown,
}

/// Watches a repository for as long as it lives.
pub(crate) struct Watcher {
    signals: Sender<Signal>,
    worker: Option<JoinHandle<()>>,
}

enum Signal {
    Event(notify::Result<Event>),
    Stop,
}

impl Watcher {
    /// Starts to watch the repository at `location`, which may be absent for now; with `files`
    /// also the documents below these paths of its working tree. `wake` is called from a thread
    /// of the watcher and should only pass the news on; events are passed on one by one.
    ///
    /// # Errors
    /// No thread can be started, or the current folder is needed and is gone.
    pub(crate) fn start(
        location: &Path,
        files: &[String],
        wake: impl Fn(Wake) + Send + 'static,
    ) -> Result<Self, SourceError> {
        let fault = |e| SourceError::io("watch", location, e);
        let location = std::path::absolute(location).map_err(fault)?;
        let (signals, received) = mpsc::channel();
        let worker = Worker {
            location: location.clone(),
            files: files.to_vec(),
            wake,
            signals: signals.clone(),
            received,
            watched: WatchedFolders::default(),
            backend: Backend::None,
            told: false,
        };
        // In place before this returns: what changes from here on is not missed.
        let (ready, is_ready) = mpsc::channel();
        let run = move || worker.run(&ready);
        let worker = thread::Builder::new().name("source-watch".to_owned()).spawn(run);
        let worker = worker.map_err(|e| SourceError::io("watch", &location, e))?;
        // It fails only if the worker has ended, and then there is nothing to wait for.
        let _ = is_ready.recv();
        Ok(Self { signals, worker: Some(worker) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It fails only if the worker has ended already.
        let _ = self.signals.send(Signal::Stop);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

enum Backend {
    None,
    Events(#[expect(dead_code, reason = "watches until it is dropped")] notify::RecommendedWatcher),
    Polling(Poll),
}

struct Worker<F> {
    location: PathBuf,
    files: Vec<String>,
    wake: F,
    signals: Sender<Signal>,
    received: Receiver<Signal>,
    watched: WatchedFolders,
    backend: Backend,
    told: bool,
}

impl<F: Fn(Wake)> Worker<F> {
    fn run(mut self, ready: &Sender<()>) {
        self.settle();
        let _ = ready.send(());
        let mut second_look: Option<Instant> = None;
        loop {
            let next = [second_look, self.next_poll()].into_iter().flatten().min();
            let signal = match next {
                None => self.received.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => {
                    self.received.recv_timeout(at.saturating_duration_since(Instant::now()))
                }
            };
            match signal {
                Ok(Signal::Event(Ok(event))) => {
                    let Some(wake) = self.meaning(&event) else { continue };
                    if matches!(event.kind, EventKind::Create(kind) if kind != CreateKind::File) {
                        second_look = Some(Instant::now() + SECOND_LOOK);
                    }
                    self.settle();
                    (self.wake)(wake);
                }
                Ok(Signal::Event(Err(error))) => {
                    self.fall_back(&error);
                    (self.wake)(Wake::Unknown);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let due = second_look.take_if(|at| *at <= Instant::now()).is_some();
                    let changed = self.poll();
                    if due || changed.is_some() {
                        self.settle();
                        (self.wake)(changed.unwrap_or(Wake::Unknown));
                    }
                }
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The meaning of an event for the source; most mean nothing. Reads are events too, and a
    /// daemon that reads what it watches would wake itself for ever.
    fn meaning(&self, event: &Event) -> Option<Wake> {
        if event.need_rescan() {
            return Some(Wake::Unknown);
        }
        let counts = match event.kind {
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => true,
        };
        if !counts {
            return None;
        }
        event.paths.iter().find_map(|path| self.watched.meaning(path, event.kind))
    }

    /// Watches what has to be watched now. Between looking and watching things may move on, so
    /// it looks again until nothing did.
    fn settle(&mut self) {
        for _ in 0..8 {
            let watched = WatchedFolders::make(&self.location, &self.files);
            if watched == self.watched && !matches!(self.backend, Backend::None) {
                return;
            }
            self.backend = match self.events(&watched) {
                Ok(backend) => backend,
                Err(error) => {
                    self.tell(&error);
                    Backend::Polling(Poll::start(&watched))
                }
            };
            self.watched = watched;
        }
    }

    fn events(&self, watched: &WatchedFolders) -> notify::Result<Backend> {
        let signals = self.signals.clone();
        let mut watcher = notify::recommended_watcher(move |event| {
            // It fails only if the worker has ended.
            let _ = signals.send(Signal::Event(event));
        })?;
        for (folder, recursive) in watched.folders() {
            let mode =
                if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            match watcher.watch(folder, mode) {
                // Gone since the watched was made; the next look sees it.
                Err(notify::Error { kind: notify::ErrorKind::PathNotFound, .. }) => {}
                other => other?,
            }
        }
        Ok(Backend::Events(watcher))
    }

    fn fall_back(&mut self, error: &notify::Error) {
        self.tell(error);
        self.backend = Backend::Polling(Poll::start(&self.watched));
    }

    fn tell(&mut self, error: &notify::Error) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        tracing::warn!(
            location = %self.location.display(),
            %error,
            "the system gives no events for the repository, so it is looked at every {} s or \
             less often; raise the limits fs.inotify.max_user_watches and \
             fs.inotify.max_user_instances",
            INTERVAL.as_secs(),
        );
    }

    fn next_poll(&self) -> Option<Instant> {
        match &self.backend {
            Backend::Polling(poll) => Some(poll.due()),
            Backend::None | Backend::Events(_) => None,
        }
    }

    fn poll(&mut self) -> Option<Wake> {
        match &mut self.backend {
            Backend::Polling(poll) => poll.look(&self.watched),
            Backend::None | Backend::Events(_) => None,
        }
    }
}

/// How often it is looked at least.
const INTERVAL: Duration = Duration::from_secs(2);

/// The share of the time that looking may take, as its inverse.
const SHARE: u32 = 50;

/// The state at the last look.
struct Poll {
    seen: Seen,
    due: Instant,
}

#[derive(Default, PartialEq, Eq)]
struct Seen {
    repository: u64,
    files: u64,
}

impl Poll {
    fn start(watched: &WatchedFolders) -> Self {
        let mut poll = Self { seen: Seen::default(), due: Instant::now() };
        poll.look(watched);
        poll
    }

    /// Makes the next look due.
    #[cfg(test)]
    fn hurry(&mut self) {
        self.due = Instant::now();
    }

    /// When to look again.
    fn due(&self) -> Instant {
        self.due
    }

    /// Looks, if it is time to, and says what changed.
    fn look(&mut self, watched: &WatchedFolders) -> Option<Wake> {
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

#[cfg(test)]
mod tests;
