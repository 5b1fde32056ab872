//! The task above the keepers: it waits for whatever wakes the daemon, reads the source, and
//! tells the keepers that there is something to look at.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug_span, info, warn};

use super::cause::Cause;
use super::fetching::fetch;
use super::follow::{Seen, Source};
use super::keeper::Keeper;
use super::news::Memories;
use super::orders::{News, Orders};
use super::schedule::Burst;
use super::status::{Board, TargetKey};
use super::tasks::{Over, Tasks};
use super::trigger::{Trigger, Wanted};
use crate::config::Config;
use crate::environment::Environment;
use crate::leadership::{Alone, Leadership};
use crate::notify::{Notifier, Senders};
use crate::reconcile::Engine;
use crate::secret::Redactor;
use crate::source::{FetchStatus, Mirror, SourceError, Wake, Watcher};

/// How long one look at the source may take before the probe calls it stuck.
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// How often the source is looked at without being woken, in case an event was missed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The same while it cannot be read: of what is put right no event may tell.
const LOOK_AGAIN_SOON: Duration = Duration::from_secs(5);

/// A config that was read again, and its file relative to the root of the repository, if it lies
/// in it.
pub type Reloaded = (Config, Option<String>);

/// Reads the config again; `Err` holds what is wrong with it, in words.
pub type Reload = Box<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// What a daemon needs.
pub struct Daemon {
    /// The configuration to start with.
    pub config: Config,
    /// The environment.
    pub environment: Environment,
    /// The config file relative to the root of the repository, if it lies in it.
    pub config_file: Option<String>,
    /// Whether anything is written.
    pub writes: bool,
    /// Whether the files of the working tree are followed instead of commits.
    pub worktree: bool,
    /// What is shown.
    pub board: Board,
    /// What wakes it.
    pub trigger: Trigger,
    /// Reads the config again.
    pub reload: Reload,
    /// Ends it.
    pub shutdown: CancellationToken,
}

/// Runs until the shutdown. Only what makes starting impossible is an error.
///
/// # Errors
/// The source of the config cannot be followed.
pub async fn run(mut daemon: Daemon) -> Result<(), SourceError> {
    daemon.trigger.wake(Cause::Start);
    let memories = Memories::default();
    // A server may repeat a secret of before a rotation, whatever config is in force by then.
    let redactor = Redactor::default();
    let mut before = Over::default();
    let mut wishes = Vec::new();
    let mut leaving = JoinSet::new();
    loop {
        let generation = Generation::start(&daemon, &memories, &redactor, &before)?;
        generation.wish_again(&wishes);
        let (next, left) = generation.supervise(&daemon).await;
        before = left.tasks.over();
        wishes = left.wishes();
        // What hangs for one target holds up neither the others nor the next config.
        leaving.spawn(left.end());
        while leaving.try_join_next().is_some() {}
        match next {
            Some((config, config_file)) => {
                info!("the config was read again");
                daemon.config = config;
                daemon.config_file = config_file;
                daemon.trigger.wake(Cause::Reload);
            }
            None => {
                leaving.join_all().await;
                return Ok(());
            }
        }
    }
}

pub(super) fn engine(
    daemon: &Daemon,
    redactor: &Redactor,
) -> Result<(Engine, Source), SourceError> {
    let engine = Engine::new(daemon.config.clone(), daemon.environment.clone());
    let mut engine = engine.with_redactor(redactor.clone());
    engine.config_file.clone_from(&daemon.config_file);
    let source =
        Source::new(&daemon.config, daemon.worktree, &daemon.environment, &engine.redactor)?;
    engine.mirror = source.mirror().cloned();
    Ok((engine, source))
}

/// The daemon under one config; a new config starts the next one.
struct Generation {
    source: Source,
    seen: watch::Sender<Option<Seen>>,
    keepers: Vec<(TargetKey, Arc<Orders>)>,
    tasks: Tasks,
    ending: CancellationToken,
    watcher: Option<Watcher>,
    senders: Senders,
    began: Instant,
    // The last look failed.
    unreadable: AtomicBool,
}

/// What is left of one: it finishes what it began.
struct Left {
    tasks: Tasks,
    senders: Senders,
    keepers: Vec<(TargetKey, Arc<Orders>)>,
}

impl Left {
    /// The suspensions that were accepted and may come to nothing with the older keepers.
    fn wishes(&self) -> Vec<(TargetKey, bool)> {
        let wished = |(key, orders): &(TargetKey, Arc<Orders>)| Some((key.clone(), orders.wish()?));
        self.keepers.iter().filter_map(wished).collect()
    }

    async fn end(self) {
        self.tasks.end().await;
        self.senders.end().await;
    }
}

impl Generation {
    fn start(
        daemon: &Daemon,
        memories: &Memories,
        redactor: &Redactor,
        before: &Over,
    ) -> Result<Self, SourceError> {
        let (engine, source) = engine(daemon, redactor)?;
        let engine = Arc::new(engine);
        let config = &engine.config;
        daemon.board.set_targets(&config.targets);
        daemon.board.edit_source(|shown| {
            shown.is_url = source.mirror().is_some();
            shown.location.clone_from(&config.source.as_written);
            shown.branch.clone_from(&config.source.branch);
            shown.worktree = daemon.worktree;
        });
        let (seen, receiver) = watch::channel(None);
        let ending = daemon.shutdown.child_token();
        let mut tasks = Tasks::after(before);
        let mut keepers = Vec::new();
        let (notifier, senders) =
            Notifier::start(&config.notify, &engine.environment, &engine.redactor);
        // A process that writes nothing needs no right to.
        let leadership: Arc<dyn Leadership> =
            if daemon.writes { Arc::clone(&engine.leadership) } else { Arc::new(Alone) };
        for target in &config.targets {
            let orders = Arc::new(Orders::default());
            let key = TargetKey::of(target);
            let watched = daemon.board.watchdog().watch(format!("target {}", target.name));
            keepers.push((key.clone(), Arc::clone(&orders)));
            let keeper = Keeper {
                key,
                engine: Arc::clone(&engine),
                target: target.clone(),
                source: source.clone(),
                seen: receiver.clone(),
                orders,
                board: daemon.board.clone(),
                watched,
                memories: memories.clone(),
                notifier: notifier.clone(),
                writes: daemon.writes,
                leadership: Arc::clone(&leadership),
                shutdown: ending.clone(),
            };
            tasks.spawn(format!("{} at {}", target.project, target.url), keeper.keep());
        }
        if source.mirror().is_some() {
            let (trigger, board) = (daemon.trigger.clone(), daemon.board.clone());
            let fetching =
                fetch(source.clone(), config.source.poll, trigger, board, ending.clone());
            tasks.spawn(source.path().display().to_string(), fetching);
        }
        let watcher = watch_source(daemon, &source, config);
        Ok(Self {
            source,
            seen,
            keepers,
            tasks,
            ending,
            watcher,
            senders,
            began: Instant::now(),
            unreadable: AtomicBool::default(),
        })
    }

    /// Serves triggers until the shutdown (`None`) or until there is a new config.
    async fn supervise(self, daemon: &Daemon) -> (Option<Reloaded>, Left) {
        let watched = daemon.board.watchdog().watch("the supervisor");
        let mut new_config = None;
        while new_config.is_none() {
            watched.expect(LOOK_AGAIN);
            tokio::select! {
                biased;
                () = daemon.shutdown.cancelled() => {
                    self.pass_suspensions_on(&daemon.trigger.take());
                    break;
                }
                () = daemon.trigger.raised() => {}
                () = tokio::time::sleep(self.look_again_in()) => daemon.trigger.wake(Cause::Look),
            }
            watched.expect(LONGEST_LOOK);
            let wanted = gather(&daemon.trigger).await;
            if wanted.reload {
                match (daemon.reload)() {
                    Ok(reloaded) => new_config = Some(reloaded),
                    Err(problem) => {
                        warn!("the config is refused, and the old one stays: {problem}");
                        daemon.trigger.fetch_and_reconcile(Cause::Reload);
                    }
                }
            }
            self.pass_suspensions_on(&wanted);
            if !wanted.causes.is_empty() && new_config.is_none() {
                self.look(&daemon.board, wanted.causes);
            }
        }
        self.ending.cancel();
        let Self { tasks, senders, watcher, keepers, .. } = self;
        drop(watcher);
        (new_config, Left { tasks, senders, keepers })
    }

    fn wish_again(&self, wishes: &[(TargetKey, bool)]) {
        for (key, suspended) in wishes {
            for (_, orders) in self.keepers.iter().filter(|(keeper, _)| keeper == key) {
                orders.suspend(*suspended);
            }
        }
    }

    fn pass_suspensions_on(&self, wanted: &Wanted) {
        for (name, suspended) in &wanted.suspensions {
            for (_, orders) in self.keepers.iter().filter(|(key, _)| key.name == *name) {
                orders.suspend(*suspended);
            }
        }
    }

    fn look_again_in(&self) -> Duration {
        if self.unreadable.load(Ordering::Relaxed) { LOOK_AGAIN_SOON } else { LOOK_AGAIN }
    }

    /// Reads the source and tells the keepers.
    fn look(&self, board: &Board, mut causes: BTreeSet<Cause>) {
        // The first fetch wakes this loop whatever comes of it. A host that hangs is not waited
        // for for long: what an earlier run fetched is there to be kept up.
        let fetch = self.source.mirror().map(Mirror::status);
        let is_first = fetch.as_ref().is_some_and(|fetch| *fetch == FetchStatus::default());
        if is_first && self.began.elapsed() < LOOK_AGAIN {
            return;
        }
        let looked =
            debug_span!("git read").in_scope(|| tokio::task::block_in_place(|| self.source.look()));
        let tip = match looked {
            Ok(seen) => {
                let commit = seen.snapshot.commit().cloned();
                let id = commit.as_ref().map(|commit| commit.id.clone());
                let branch = seen.branch.clone();
                board.edit_source(|shown| {
                    shown.commit = commit;
                    shown.branch = branch;
                    shown.error = fetch.and_then(|fetch| fetch.error);
                });
                if self.unreadable.swap(false, Ordering::Relaxed) {
                    info!("the source can be read again");
                    causes.insert(Cause::Return);
                }
                self.seen.send_replace(Some(seen));
                id
            }
            Err(error) => {
                let text = match fetch {
                    // Of what was never fetched nothing can be here.
                    Some(FetchStatus { fetched_at: None, error: Some(failed), .. }) => failed,
                    Some(_) if is_first => "the first fetch has not come to an end yet".to_owned(),
                    _ => error.to_string(),
                };
                let was_unreadable = self.unreadable.swap(true, Ordering::Relaxed);
                if !was_unreadable || board.status().source.error.as_deref() != Some(&text) {
                    warn!("the source cannot be read: {text}");
                }
                // The targets are kept at what was read before, at their own pace.
                causes.retain(|cause| !cause.is_a_hint());
                board.edit_source(|shown| shown.error = Some(text.clone()));
                self.cannot_be_read(board, &text);
                None
            }
        };
        let news = News { causes, tip, is_watched: self.watcher.is_some() };
        for (_, orders) in &self.keepers {
            orders.raise(&news);
        }
    }

    /// Before anything was read there is nothing to keep up: every target is found failing.
    fn cannot_be_read(&self, board: &Board, problem: &str) {
        if self.seen.borrow().is_some() {
            return;
        }
        for (key, _) in &self.keepers {
            board.edit_target(key, |status| {
                status.state = super::status::TargetState::Failing;
                status.error = Some(problem.to_owned());
                status.last_reconcile = Some(jiff::Timestamp::now());
            });
        }
    }
}

/// Waits until a burst of triggers is over.
async fn gather(trigger: &Trigger) -> Wanted {
    let mut burst = Burst::began(Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(burst.is_over_at()) => return trigger.take(),
            () = trigger.raised() => burst.again(Instant::now()),
        }
    }
}

/// Watches the repository; a url's mirror is only changed by our own fetches.
fn watch_source(daemon: &Daemon, source: &Source, config: &Config) -> Option<Watcher> {
    if source.mirror().is_some() {
        return None;
    }
    let mut files: Vec<String> = Vec::new();
    if daemon.worktree {
        files = config.targets.iter().flat_map(|target| target.paths.clone()).collect();
        files.sort();
        files.dedup();
    }
    let trigger = daemon.trigger.clone();
    let wake = move |wake: Wake| {
        trigger.wake(match wake {
            Wake::Files => Cause::Files,
            Wake::Repository | Wake::Unknown => Cause::Repository,
        });
    };
    let path: PathBuf = source.path().to_path_buf();
    match Watcher::start(&path, &files, wake) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!("the source is not watched, and looked at every 30 s: {error}");
            None
        }
    }
}
