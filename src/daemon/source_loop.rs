//! The task that receives all events: it debounces them, reads the source, and posts orders to the loops of
//! the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug_span, warn};

use super::event::{Batch, DaemonEvent, gather};
use super::fetch_loop::FetchLoop;
use super::mailbox::{Mailbox, Order, Request};
use super::news::NewsMemory;
use super::outcome::Cause;
use super::report::Reporter;
use super::source_report::SourceReporter;
use super::status::{Board, RequestAnswer, TargetState};
use super::target_loop::{Slots, TargetLoop};
use super::{Daemon, EngineAndSource, Lasting, LogThrottle, Tasks};
use crate::config::{Config, SourceConfig, Target, TargetKey};
use crate::leadership::{Alone, Leadership};
use crate::name::CommitId;
use crate::notify::Notifier;
use crate::reconcile::Engine;
use crate::source::{
    CheckedSnapshot, FetchStatus, Mirror, Snapshot, Source, SourceError, Wake, Watcher,
};

/// How long one look at the source may take before the probe calls it stuck.
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// How often the source is looked at without an event, in case one was missed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The same while it cannot be read: its repair may cause no event.
const LOOK_AGAIN_SOON: Duration = Duration::from_secs(5);

/// How long the first fetch is waited for, before the commits that an earlier run fetched are taken.
const FIRST_FETCH_PATIENCE: Duration = LOOK_AGAIN;

/// How the daemon learns of changes of the source.
enum SourceChanges {
    /// A url is fetched every `poll`, and on request.
    Fetched(UnboundedSender<Cause>),
    /// The system tells of changes below a path.
    Watched(#[expect(dead_code, reason = "it watches until it is dropped")] Watcher),
    /// The path is only looked at now and then.
    Unwatched,
}

/// An order that changes no more targets than these is urgent for them; more of them would only wait for
/// each other.
const FEW: usize = 16;

/// One target, as orders are posted to it.
struct Addressee {
    key: TargetKey,
    paths: Vec<String>,
    mailbox: Arc<Mailbox>,
}

/// The daemon under one config; a new config starts the next one.
pub(super) struct SourceLoop {
    source_config: SourceConfig,
    source: Source,
    // The newest of the source, for the target loops.
    checked: watch::Sender<Option<CheckedSnapshot>>,
    targets: Vec<Addressee>,
    changes: SourceChanges,
    // No order was posted for it yet.
    unserved: Batch,
    board: Board,
    began: Instant,
    // The last look failed.
    unreadable: bool,
    reporter: SourceReporter,
    tasks: Tasks,
    // The tasks of this config are to end.
    ending: CancellationToken,
}

impl SourceLoop {
    /// Starts the tasks of a config; those of the previous one may still be finishing.
    pub(super) fn start(
        daemon: &Daemon,
        opened: EngineAndSource,
        lasting: &mut Lasting,
        previous: Option<&Self>,
    ) -> Self {
        let EngineAndSource { engine, source } = opened;
        let engine = Arc::new(engine);
        let config = &engine.config;
        let board = &daemon.board;
        board.set_targets(&config.targets);
        let (location, is_url) = (&config.source.as_written, source.mirror().is_some());
        let links = engine.links();
        board.edit_source(|shown| {
            shown.links = links;
            shown.is_url = is_url;
            shown.location.clone_from(location);
            shown.branch.clone_from(&config.source.branch);
            shown.worktree = daemon.worktree;
        });
        let Lasting { redactor, news, senders, .. } = lasting;
        let notifier = senders.start(&config.notify, &engine.environment, redactor);
        let [reading, fetching] = news.source_throttles();
        // The commit that was read last stays in force, also if the source cannot be read now.
        let of_same = previous.filter(|previous| previous.source_config == config.source);
        let seen = of_same.and_then(|previous| previous.checked.borrow().clone());
        let ends = previous.map(|previous| previous.tasks.ends.clone());
        let mut started = Self {
            checked: watch::Sender::new(seen),
            source_config: config.source.clone(),
            targets: Vec::new(),
            changes: SourceChanges::Unwatched,
            unserved: previous.map(|previous| previous.unserved.clone()).unwrap_or_default(),
            board: board.clone(),
            began: Instant::now(),
            unreadable: false,
            reporter: SourceReporter::new(location, is_url, board, news, &notifier, reading),
            tasks: Tasks::following(ends.unwrap_or_default()),
            ending: CancellationToken::new(),
            source,
        };
        started.start_targets(daemon, &engine, news, &notifier);
        match started.source.mirror().cloned() {
            Some(mirror) => started.start_fetching(daemon, mirror, fetching),
            // The mirror of a url is only changed by our own fetches.
            None => started.changes = watch_source(daemon, &started.source, config),
        }
        started
    }

    /// Starts the loops of the targets, each with the mailboxes of those that come after it.
    fn start_targets(
        &mut self,
        daemon: &Daemon,
        engine: &Arc<Engine>,
        memory: &NewsMemory,
        notifier: &Notifier,
    ) {
        let location = &engine.config.source.as_written;
        // A process that writes nothing needs no right to.
        let leadership: Arc<dyn Leadership> =
            if daemon.writes { Arc::clone(&engine.leadership) } else { Arc::new(Alone) };
        let targets = &engine.config.targets;
        let mailboxes = daemon.trigger.mailboxes.set_targets(targets);
        let mailboxes: Vec<(&Target, Arc<Mailbox>)> = targets.iter().zip(mailboxes).collect();
        let slots = Arc::new(Slots::default());
        for (target, mailbox) in &mailboxes {
            let key = TargetKey::of(target);
            let leadership = Arc::clone(&leadership);
            let trail = engine.trail(target, daemon.writes);
            let reporter =
                Reporter::new(key.clone(), location, &self.board, memory, notifier, trail);
            let comes_after = |other: &Target| {
                other.after.as_ref().is_some_and(|after| after.target == target.name)
            };
            let followers = mailboxes.iter().filter(|(other, _)| comes_after(other));
            let target_loop = TargetLoop {
                engine: Arc::clone(engine),
                target: (*target).clone(),
                source: self.source.clone(),
                checked: self.checked.subscribe(),
                mailbox: Arc::clone(mailbox),
                followers: followers.map(|(_, mailbox)| Arc::clone(mailbox)).collect(),
                slots: Arc::clone(&slots),
                watched: self.board.watchdog().watch(format!("target {}", target.name)),
                reporter,
                writes: daemon.writes,
                leadership,
                ending: self.ending.clone(),
            };
            self.tasks.spawn(target.project_at_url(), target_loop.run());
            let (paths, mailbox) = (target.paths.clone(), Arc::clone(mailbox));
            self.targets.push(Addressee { key, paths, mailbox });
        }
    }

    fn start_fetching(&mut self, daemon: &Daemon, mirror: Mirror, throttle: Arc<LogThrottle<()>>) {
        let (fetches, wanted) = unbounded_channel();
        let (trigger, board) = (daemon.trigger.clone(), daemon.board.clone());
        let works_on = mirror.path().display().to_string();
        let (poll, ending) = (self.source_config.poll, self.ending.clone());
        let fetch_loop = FetchLoop { mirror, poll, wanted, trigger, board, throttle, ending };
        self.tasks.spawn(works_on, fetch_loop.run());
        self.changes = SourceChanges::Fetched(fetches);
    }

    /// Serves events until the shutdown (`None`) or until there is a new config.
    pub(super) async fn run(
        &mut self,
        daemon: &mut Daemon,
        lasting: &Lasting,
    ) -> Option<EngineAndSource> {
        let watched = daemon.board.watchdog().watch("the source loop");
        loop {
            watched.expect(LOOK_AGAIN);
            let again = if self.unreadable { LOOK_AGAIN_SOON } else { LOOK_AGAIN };
            let first = tokio::select! {
                biased;
                () = daemon.shutdown.cancelled() => {
                    // The loops of the targets save at their end what was taken before.
                    daemon.trigger.mailboxes.close();
                    break None;
                }
                event = daemon.events.next() => event,
                () = tokio::time::sleep(again) => DaemonEvent::Wake(Cause::Look),
            };
            watched.expect(LONGEST_LOOK);
            let mut batch = gather(first, &mut daemon.events).await;
            if batch.reload {
                batch.fetch.insert(Cause::Reload);
                match reload(daemon, lasting) {
                    Ok(opened) => {
                        self.take(batch);
                        break Some(opened);
                    }
                    Err(problem) => {
                        warn!("the config is refused, and the old one stays: {problem}");
                    }
                }
            }
            self.serve(batch);
        }
    }

    /// Has the tasks finish what they began; the future waits for them. The next config is in force by now, so
    /// that no suspension is taken that none of their last saves sees, and it has posted no order yet.
    pub(super) fn end(self) -> impl Future<Output = ()> + Send + 'static {
        self.ending.cancel();
        self.tasks.end()
    }

    /// Asks for the fetches of a batch, and reads the source for the rest of it.
    fn serve(&mut self, mut batch: Batch) {
        if let SourceChanges::Fetched(fetches) = &self.changes {
            std::mem::take(&mut batch.fetch).into_iter().for_each(|cause| {
                // Without a receiver the daemon is ending.
                let _ = fetches.send(cause);
            });
        }
        self.take(batch);
        if !self.unserved.causes.is_empty() {
            self.look();
        }
    }

    /// Notes what a batch asks for.
    fn take(&mut self, Batch { causes, fetch, requests, .. }: Batch) {
        self.unserved.causes.extend(causes.into_iter().chain(fetch));
        self.unserved.requests.extend(requests);
    }

    /// Reads the source and posts orders to the targets.
    fn look(&mut self) {
        // The first fetch sends an event however it ends.
        let fetch = self.source.mirror().map(Mirror::status);
        let is_first = fetch.as_ref().is_some_and(|fetch| *fetch == FetchStatus::default());
        if is_first && self.began.elapsed() < FIRST_FETCH_PATIENCE {
            return;
        }
        let mut causes = std::mem::take(&mut self.unserved.causes);
        let is_request = |cause: &Cause| matches!(cause, Cause::Request(_));
        if causes.iter().any(is_request) {
            causes.insert(Cause::Look);
        }
        let requested = self.take_requests(fetch.as_ref());
        let mut unread = fetch.as_ref().and_then(|fetch| fetch.error.clone());
        let source = &self.source;
        let older = self.checked.borrow().as_ref().map(|checked| checked.snapshot.clone());
        let looked =
            debug_span!("git read").in_scope(|| tokio::task::block_in_place(|| source.look()));
        let tip = match looked {
            Ok(checked) => {
                if std::mem::take(&mut self.unreadable) {
                    causes.insert(Cause::Return);
                }
                self.readable(checked, fetch, is_first)
            }
            Err(error) => {
                let problem = match fetch {
                    // Nothing is there before the first fetch that succeeded.
                    Some(FetchStatus { fetched_at: None, error: Some(failed), .. }) => failed,
                    Some(_) if is_first => "the first fetch has not ended yet".to_owned(),
                    _ => error.to_string(),
                };
                self.unreadable = true;
                // The targets stay on the commit that was read before, at their own pace.
                causes.retain(|cause| !cause.is_a_hint());
                self.cannot_be_read(&problem, &requested);
                unread = Some(problem);
                None
            }
        };
        // A request is an order for the targets that it names alone.
        causes.retain(|cause| !is_request(cause));
        let order = Order {
            causes,
            tip,
            awaited: None,
            is_urgent: false,
            is_watched: matches!(self.changes, SourceChanges::Watched(_)),
        };
        self.post(&order, &requested, unread.as_ref(), older.as_ref());
    }

    /// Takes the requests that are answered by what is read now. A fetch that began before a request may
    /// have missed the commit that it is about: such a request waits for the next one.
    fn take_requests(&mut self, fetch: Option<&FetchStatus>) -> BTreeMap<String, Request> {
        let is_read = |(_, request): &mut (String, Request)| {
            fetch.is_none_or(|fetch| fetch.began.is_some_and(|began| request.at <= began.into()))
        };
        self.unserved.requests.extract_if(.., is_read).collect()
    }

    /// Posts an order to all targets, first to those that are asked for or whose files changed: for a few
    /// of these it is urgent.
    fn post(
        &self,
        order: &Order,
        requested: &BTreeMap<String, Request>,
        unread: Option<&String>,
        older: Option<&Snapshot>,
    ) {
        let newest = self.checked.borrow().as_ref().map(|checked| checked.snapshot.clone());
        let paths: Vec<&str> =
            self.targets.iter().flat_map(|target| &target.paths).map(String::as_str).collect();
        let changed = tokio::task::block_in_place(|| changed_paths(older, newest.as_ref(), &paths));
        let is_touched = |target: &Addressee| {
            let is_changed = |changed: &BTreeSet<&str>| {
                target.paths.iter().any(|path| changed.contains(path.as_str()))
            };
            changed.as_ref().is_none_or(is_changed)
        };
        let (first, waiting): (Vec<&Addressee>, Vec<_>) = self
            .targets
            .iter()
            .partition(|target| requested.contains_key(&target.key.name) || is_touched(target));
        let is_urgent = first.len() <= FEW;
        let first = first.into_iter().map(|target| (target, is_urgent));
        for (target, is_urgent) in first.chain(waiting.into_iter().map(|target| (target, false))) {
            let request = requested.get(&target.key.name).cloned();
            let mut order = Order { is_urgent, ..order.clone() };
            order.causes.extend(request.as_ref().map(|request| Cause::Request(request.from)));
            order.awaited = request.map(|request| Request { unread: unread.cloned(), ..request });
            target.mailbox.post(&order);
        }
    }

    fn readable(
        &self,
        checked: CheckedSnapshot,
        fetch: Option<FetchStatus>,
        is_before_a_fetch: bool,
    ) -> Option<CommitId> {
        let tip = checked.snapshot.commit().map(|commit| commit.id.clone());
        if is_before_a_fetch {
            self.reporter.readable_before_a_fetch(&checked);
        } else {
            self.reporter.readable(&checked, fetch.and_then(|fetch| fetch.error).as_ref());
        }
        self.checked.send_replace(Some(checked));
        tip
    }

    fn cannot_be_read(&self, problem: &str, requested: &BTreeMap<String, Request>) {
        self.reporter.cannot_be_read(problem);
        // Before anything was read there is no commit to stay on: every target fails.
        if self.checked.borrow().is_some() {
            return;
        }
        for target in &self.targets {
            self.board.edit_target(&target.key, |status| {
                status.state = TargetState::Failing;
                status.trouble.error = Some(problem.to_owned());
                status.last_reconcile = Some(Timestamp::now());
                let answer = |request: &Request| RequestAnswer {
                    request: request.number,
                    outcome: TargetState::Failing,
                    unread: None,
                    waits: None,
                };
                let answered = requested.get(&target.key.name).map(answer);
                status.answered = answered.or(status.answered.take());
            });
        }
    }
}

/// Those of the paths at which the newest commit differs from an older one; `None`: that is not known.
fn changed_paths<'p>(
    older: Option<&Snapshot>,
    newest: Option<&Snapshot>,
    paths: &[&'p str],
) -> Option<BTreeSet<&'p str>> {
    let Some(Snapshot::Commit { commit: older, .. }) = older else { return None };
    let Some(Snapshot::Commit { repository, commit }) = newest else { return None };
    // A problem with the commit is for the targets to find.
    repository.differing_at(&older.id, &commit.id, paths).ok()
}

/// Reads the config again and prepares what it asks for.
fn reload(daemon: &Daemon, lasting: &Lasting) -> Result<EngineAndSource, String> {
    daemon.open((daemon.reload)()?, lasting).map_err(|error: SourceError| error.to_string())
}

/// Watches the repository, and the files of the working tree where they are followed.
fn watch_source(daemon: &Daemon, source: &Source, config: &Config) -> SourceChanges {
    let mut files: BTreeSet<String> = BTreeSet::new();
    if daemon.worktree {
        files.extend(config.targets.iter().flat_map(|target| target.paths.clone()));
    }
    let trigger = daemon.trigger.clone();
    let wake = move |wake: Wake| {
        trigger.wake(match wake {
            Wake::Files => Cause::Files,
            Wake::Repository => Cause::Repository,
        });
    };
    match Watcher::start(source.path(), &Vec::from_iter(files), wake) {
        Ok(watcher) => SourceChanges::Watched(watcher),
        Err(error) => {
            let seconds = LOOK_AGAIN.as_secs();
            warn!("the source cannot be watched, and is checked every {seconds} s: {error}");
            SourceChanges::Unwatched
        }
    }
}
