//! Tells when there may be something new to read.
//!
//! The watched places are few: HEAD, the references, and the links on the way to them. The list
//! is worked out again after every change, since a change may be that the repository is now
//! somewhere else; the new watches are in place before the old ones go. Where the system gives no
//! events, or has no watches left, it tells from time to time that there may be something.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{CreateKind, ModifyKind, RemoveKind};
use notify::{Event, EventKind, RecursiveMode, Watcher as _};

use crate::source::SourceError;
use crate::source::files::{begins_with_dot, is_document, normal};
use crate::source::object_database::Layout;

/// How often the folders to watch are worked out for one change: each time they may have moved on. The next
/// look of the daemon finds what is missed then.
const MOST_ATTEMPTS: usize = 8;

/// How soon a new folder is looked at again: files that were put into it before it was watched made no
/// event.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Why a wake was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A branch, HEAD, or the place of the repository changed, or events were lost.
    Repository,
    /// A file of the working tree changed.
    Files,
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
    /// The source is to be looked at again then.
    Polling(Instant),
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
        self.watch_anew();
        let _ = ready.send(());
        let mut second_look: Option<Instant> = None;
        loop {
            let poll = if let Backend::Polling(at) = self.backend { Some(at) } else { None };
            let next = [second_look, poll].into_iter().flatten().min();
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
                    self.watch_anew();
                    (self.wake)(wake);
                }
                Ok(Signal::Event(Err(error))) => {
                    self.fall_back(&error);
                    (self.wake)(Wake::Repository);
                }
                Err(RecvTimeoutError::Timeout) => {
                    second_look.take_if(|at| *at <= Instant::now());
                    if let Backend::Polling(_) = self.backend {
                        self.backend = self.polling();
                    }
                    self.watch_anew();
                    (self.wake)(Wake::Repository);
                }
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The meaning of an event for the source; most mean nothing. Reads are events too, and a
    /// daemon that reads what it watches would wake itself for ever.
    fn meaning(&self, event: &Event) -> Option<Wake> {
        if event.need_rescan() {
            return Some(Wake::Repository);
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

    /// Watches the folders that matter now. Folders may move between the look and the watch, so it looks
    /// again until none did.
    fn watch_anew(&mut self) {
        for _ in 0..MOST_ATTEMPTS {
            let watched = WatchedFolders::make(&self.location, &self.files);
            if watched == self.watched && !matches!(self.backend, Backend::None) {
                return;
            }
            match self.events(&watched) {
                Ok(backend) => self.backend = backend,
                Err(error) => self.fall_back(&error),
            }
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
                // Gone since the folders were listed; the next look sees it.
                Err(notify::Error { kind: notify::ErrorKind::PathNotFound, .. }) => {}
                other => other?,
            }
        }
        Ok(Backend::Events(watcher))
    }

    /// Looks at the repository now and then instead, and says so once.
    fn fall_back(&mut self, error: &notify::Error) {
        self.backend = self.polling();
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        tracing::warn!(
            location = %self.location.display(),
            %error,
            "the system gives no events for the repository, so it is looked at every {} s; raise the \
             limits fs.inotify.max_user_watches and fs.inotify.max_user_instances",
            self.interval().as_secs(),
        );
    }

    fn interval(&self) -> Duration {
        if self.files.is_empty() { INTERVAL } else { INTERVAL_OF_FILES }
    }

    fn polling(&self) -> Backend {
        Backend::Polling(Instant::now() + self.interval())
    }
}

/// How often the repository is looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// The same where files are followed: nothing tells whether one changed.
const INTERVAL_OF_FILES: Duration = Duration::from_secs(30);

// Which folders to watch for a repository, and which names in them matter.

/// How many symbolic links may lie on the way to a repository.
const MOST_LINKS: usize = 40;

/// The folders to watch. Two are equal if they watch the same names in the same folders,
/// and a folder that was replaced by another of its name is not the same.
#[derive(Default, PartialEq, Eq)]
struct WatchedFolders {
    folders: BTreeMap<PathBuf, Interest>,
}

#[derive(Default, PartialEq, Eq)]
struct Interest {
    /// Tells the folder from another one in its place.
    identity: Option<(u64, u64)>,
    /// Names directly in the folder.
    names: BTreeSet<OsString>,
    /// Everything in it but git's lock files.
    all: bool,
    /// The same for the folders below it.
    below: bool,
    /// The documents in it and below it.
    documents: bool,
}

impl WatchedFolders {
    /// Works out what to watch for the repository at an absolute path, and for the documents
    /// below some paths of its working tree.
    fn make(location: &Path, files: &[String]) -> Self {
        let mut watched = Self::default();
        let found = watched.follow(location);
        match Layout::discover(location) {
            Ok(layout) => {
                watched.repository(&layout);
                if let Some(work) = &layout.work {
                    files.iter().for_each(|path| watched.documents(work, path));
                }
            }
            // It may be about to become one.
            Err(_) => {
                if let Some(found) = found {
                    watched.folder(&found.join(".git")).all = true;
                    watched.folder(&found).all = true;
                }
            }
        }
        watched.folders.retain(|folder, _| folder.is_dir());
        for (folder, interest) in &mut watched.folders {
            interest.identity = fs::metadata(folder).ok().map(|found| (found.dev(), found.ino()));
        }
        watched
    }

    /// The folders and whether those below them are watched too.
    fn folders(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.folders.iter().map(|(folder, i)| (folder.as_path(), i.below || i.documents))
    }

    /// The meaning of a change of a path.
    fn meaning(&self, path: &Path, kind: EventKind) -> Option<Wake> {
        // A watched folder itself: it was removed or moved away.
        if self.folders.contains_key(path) {
            return Some(Wake::Repository);
        }
        let (parent, name) = (path.parent()?, path.file_name()?);
        let locked = Path::new(name).extension().is_some_and(|extension| extension == "lock");
        if let Some(interest) = self.folders.get(parent)
            && (interest.names.contains(name) || (interest.all && !locked))
        {
            return Some(Wake::Repository);
        }
        for folder in parent.ancestors() {
            let Some(interest) = self.folders.get(folder) else { continue };
            if interest.below && !locked {
                return Some(Wake::Repository);
            }
            if interest.documents && concerns_documents(path.strip_prefix(folder).ok()?, path, kind)
            {
                return Some(Wake::Files);
            }
        }
        None
    }

    fn repository(&mut self, layout: &Layout) {
        if let Some(work) = &layout.work {
            self.names(work, &[".git"]);
        }
        self.names(&layout.git, &["HEAD", "reftable", "commondir"]);
        self.names(&layout.common, &["packed-refs", "refs", "reftable"]);
        let references = self.folder(&layout.common.join("refs"));
        (references.all, references.below) = (true, true);
        for folder in [&layout.git, &layout.common] {
            self.folder(&folder.join("reftable")).all = true;
        }
        // A submodule's or a linked worktree's folder may be replaced as a whole.
        for folder in [&layout.git, &layout.common] {
            if let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) {
                self.folder(parent).names.insert(name.to_owned());
            }
        }
    }

    fn documents(&mut self, work: &Path, path: &str) {
        let mut at = work.to_path_buf();
        for step in normal(path).split('/').filter(|step| !step.is_empty()) {
            self.names(&at, &[step]);
            at.push(step);
            if at.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                return;
            }
        }
        if at.is_dir() {
            self.folder(&at).documents = true;
        }
    }

    /// Walks to a path link by link and watches each link, the path itself, and where the way
    /// ends; returns where it leads, if it leads anywhere.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let mut steps: VecDeque<OsString> = steps_of(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(step) = steps.pop_front() {
            if step == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&step);
            let found = next.symlink_metadata().ok();
            let is_link = found.as_ref().is_some_and(fs::Metadata::is_symlink);
            if is_link || found.is_none() || steps.is_empty() {
                self.folder(&at).names.insert(step);
            }
            found?;
            if !is_link {
                at = next;
                continue;
            }
            links += 1;
            let target = fs::read_link(&next).ok().filter(|_| links <= MOST_LINKS)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for step in steps_of(&target).into_iter().rev() {
                steps.push_front(step);
            }
        }
        Some(at)
    }

    fn names(&mut self, folder: &Path, names: &[&str]) {
        let interest = self.folder(folder);
        interest.names.extend(names.iter().map(OsString::from));
    }

    fn folder(&mut self, folder: &Path) -> &mut Interest {
        self.folders.entry(folder.to_path_buf()).or_default()
    }
}

fn steps_of(path: &Path) -> VecDeque<OsString> {
    let step = |component: Component<'_>| match component {
        Component::Normal(step) => Some(step.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(step).collect()
}

/// Whether a change below a documents' folder may change what is listed or read there.
fn concerns_documents(relative: &Path, path: &Path, kind: EventKind) -> bool {
    let dotted = |step: &OsStr| begins_with_dot(step.as_encoded_bytes());
    if relative.iter().any(dotted) {
        return false;
    }
    if path.file_name().and_then(OsStr::to_str).is_some_and(is_document) {
        return true;
    }
    match kind {
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
        // A path that was renamed away may have been a folder.
        EventKind::Modify(ModifyKind::Name(_)) => !path.is_file(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
