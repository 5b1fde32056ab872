//! The daemon: keeps every target equal to git for as long as it runs.
//!
//! All that causes a reconcile, save a suspension, is a `DaemonEvent` in one channel. One task, the `SourceLoop`,
//! receives the events, debounces them (`gather`), reads the source and posts orders. One task for each
//! target, its `TargetLoop`, has a `Mailbox` for these orders and reconciles. A `Reporter` tells board,
//! log, metrics and receivers how each reconcile ended. So a target that is down holds no other back, and
//! an event only says that there is something to look at.

mod after;
mod event;
mod fetch_loop;
mod log;
mod mailbox;
mod news;
mod outcome;
mod report;
mod source_loop;
mod source_report;
pub(crate) mod status;
mod target_loop;
mod target_reconcile;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::audit::Asked;
use crate::config::Config;
use crate::document::ParseCache;
use crate::environment::Environment;
use crate::notify::Senders;
use crate::reconcile::Engine;
use crate::secret::Redactor;
use crate::source::{Source, SourceError};
use crate::state::KnownStates;

use news::NewsMemory;
use source_loop::SourceLoop;

pub(crate) use event::{Events, Trigger};
pub(crate) use log::LogThrottle;
pub(crate) use mailbox::RequestError;
pub(crate) use outcome::Cause;
pub(crate) use report::since_1970;
pub(crate) use status::Board;
pub(crate) use target_reconcile::once;

/// How long another process on the same state is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads the config again; `Err` holds what is wrong with it, in words.
pub(crate) type Reload = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// The parts of a daemon.
pub(crate) struct Daemon {
    /// The configuration to start with.
    pub config: Config,
    /// The environment.
    pub environment: Environment,
    /// Who asked for the one reconcile of `run --once`.
    pub asked: Asked,
    /// Whether anything is written.
    pub writes: bool,
    /// Whether the files of the working tree are followed instead of commits.
    pub worktree: bool,
    /// The status that is shown.
    pub board: Board,
    /// Sends events.
    pub trigger: Trigger,
    /// Receives them.
    pub events: Events,
    /// Reads the config again.
    pub reload: Reload,
    /// The states that the process knows, whatever the config says.
    pub states: KnownStates,
    /// Ends it.
    pub shutdown: CancellationToken,
}

/// The parts of the daemon that outlive a config.
#[derive(Default)]
struct Lasting {
    /// A server may repeat a secret that was rotated since.
    redactor: Redactor,
    /// While the source cannot be read, the files of the commit in force are still known.
    cache: Arc<ParseCache>,
    news: NewsMemory,
    senders: Senders,
}

/// The engine that reconciles under one config, and the source that they read.
struct EngineAndSource {
    engine: Engine,
    source: Source,
}

impl Daemon {
    /// Makes engine and source of a config.
    fn open(&self, config: Config, lasting: &Lasting) -> Result<EngineAndSource, SourceError> {
        let engine = Engine::new(config, self.environment.clone());
        let mut engine = engine.with_redactor(lasting.redactor.clone());
        engine.cache = Arc::clone(&lasting.cache);
        engine.states = self.states.clone();
        let mut source = engine.source()?;
        source.worktree = self.worktree;
        engine.mirror = source.mirror().cloned();
        Ok(EngineAndSource { engine, source })
    }
}

/// Runs until the shutdown. A problem after the start is reported and does not end the daemon.
///
/// # Errors
/// The source of the config cannot be followed.
pub(crate) async fn run(mut daemon: Daemon) -> Result<(), SourceError> {
    let mut lasting = Lasting::default();
    daemon.trigger.wake(Cause::Start);
    let opened = daemon.open(daemon.config.clone(), &lasting)?;
    let mut current = SourceLoop::start(&daemon, opened, &mut lasting, None);
    let mut leaving = JoinSet::new();
    while let Some(opened) = current.run(&mut daemon, &lasting).await {
        info!("the config was read again");
        let next = SourceLoop::start(&daemon, opened, &mut lasting, Some(&current));
        // A target that hangs holds up neither the others nor the next config.
        leaving.spawn(std::mem::replace(&mut current, next).end());
        while leaving.try_join_next().is_some() {}
        daemon.trigger.wake(Cause::Reload);
    }
    leaving.spawn(current.end());
    leaving.join_all().await;
    lasting.senders.end().await;
    for target in daemon.trigger.mailboxes.unsaved() {
        warn!(target, "a suspension was not saved before the end: ask again");
    }
    Ok(())
}

// When another config comes into force, the tasks of the older one finish their calls. The tasks of the
// new config begin at once, but each waits for an older one on the same project or mirror.

/// How long tasks may take to finish their calls once they are to end.
const FINISHING: Duration = Duration::from_secs(20);

/// A token for each task, by the project at its URL or the mirror that the task works on. It is cancelled
/// once the task has ended.
type TaskEnds = BTreeMap<String, CancellationToken>;

/// The tasks of one config.
struct Tasks {
    running: JoinSet<()>,
    ends: TaskEnds,
}

impl Tasks {
    /// None yet; those of the config before may still be finishing.
    fn following(mut ends: TaskEnds) -> Self {
        ends.retain(|_, task| !task.is_cancelled());
        Self { running: JoinSet::new(), ends }
    }

    /// Starts one once no earlier one works on the same thing any more.
    fn spawn(&mut self, works_on: String, task: impl Future<Output = ()> + Send + 'static) {
        let end = CancellationToken::new();
        let earlier = self.ends.insert(works_on, end.clone());
        self.running.spawn(async move {
            // Also when it is aborted.
            let _end = end.drop_guard();
            if let Some(earlier) = earlier {
                earlier.cancelled().await;
            }
            task.await;
        });
    }

    /// Waits for those that were told to end, up to a deadline.
    async fn end(mut self) {
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISHING, all).await.is_err() {
            warn!("some calls did not end within {} s and are left", FINISHING.as_secs());
            self.running.abort_all();
        }
    }
}

/// How much later than it said a task may be heard of: machines are slow at times.
const GRACE: Duration = Duration::from_secs(30);

/// By when each task will be heard of; clones are the same. The source loop and the loop of each target
/// say so: a probe that only proves that the web server answers would be green with everything else
/// stuck. A fetch has a deadline of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog {
    tasks: Arc<Mutex<Expected>>,
}

#[derive(Debug, Default)]
struct Expected {
    // There are two of one name while a new config replaces an older one.
    by_id: BTreeMap<u64, (String, Instant)>,
    newest: u64,
}

/// A task that is watched over until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    watchdog: Watchdog,
    id: u64,
    name: String,
}

impl Watched {
    /// The task is alive, and will say so again within this time.
    pub(crate) fn expect(&self, within: Duration) {
        let by = Instant::now() + within + GRACE;
        self.watchdog.tasks.lock().by_id.insert(self.id, (self.name.clone(), by));
    }

    /// The task waits for an order, however long none comes.
    pub(crate) fn rest(&self) {
        self.watchdog.tasks.lock().by_id.remove(&self.id);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.rest();
    }
}

impl Watchdog {
    /// Watches over a task from when it first says that it is alive.
    #[must_use]
    pub(crate) fn watch(&self, name: impl Into<String>) -> Watched {
        let mut tasks = self.tasks.lock();
        tasks.newest += 1;
        Watched { watchdog: self.clone(), id: tasks.newest, name: name.into() }
    }

    /// The tasks that should have been heard of by now.
    #[must_use]
    pub(crate) fn late(&self) -> Vec<String> {
        let now = Instant::now();
        let tasks = self.tasks.lock();
        tasks.by_id.values().filter(|(_, by)| *by < now).map(|(name, _)| name.clone()).collect()
    }

    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.tasks.lock().by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_waits_only_for_an_older_one_that_works_on_the_same() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hangs = CancellationToken::new();
        let says = |word: &'static str| {
            let said = Arc::clone(&said);
            async move { said.lock().push(word) }
        };
        let mut first = Tasks::following(TaskEnds::default());
        first.spawn("a".into(), hangs.clone().cancelled_owned());
        let ends = first.ends.clone();
        let left = tokio::spawn(first.end());
        let mut second = Tasks::following(ends);
        second.spawn("a".into(), says("a"));
        second.spawn("b".into(), says("b"));
        tokio::time::sleep(FINISHING / 2).await;
        assert_eq!(*said.lock(), ["b"]);
        // One that does not end is left, and the next one begins.
        left.await.unwrap();
        second.end().await;
        assert_eq!(*said.lock(), ["b", "a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_too_long_is_named() {
        let watchdog = Watchdog::default();
        let (source_loop, prod) = (watchdog.watch("the source loop"), watchdog.watch("prod"));
        source_loop.expect(Duration::from_secs(10));
        prod.expect(Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(39)).await;
        assert!(watchdog.late().is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(watchdog.late(), ["the source loop"]);
        source_loop.expect(Duration::from_secs(10));
        assert!(watchdog.late().is_empty());
        drop(source_loop);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(watchdog.late(), ["prod"]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_of_one_name_are_two() {
        let watchdog = Watchdog::default();
        let (older, newer) = (watchdog.watch("prod"), watchdog.watch("prod"));
        older.expect(Duration::from_secs(10));
        newer.expect(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(30)).await;
        newer.expect(Duration::from_secs(20));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(watchdog.late(), ["prod"], "the newer one says nothing of the older");
        drop(older);
        assert!(watchdog.late().is_empty());
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(watchdog.late(), ["prod"], "the end of the older one is not the newer's");
    }
}
