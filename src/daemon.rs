//! The daemon: keeps every target equal to git for as long as it runs.
//!
//! Everything that happens is an [`event`](Trigger) in one channel. One task, the `SourceLoop`,
//! receives the events, debounces them (`Debounce`), reads the source and
//! posts orders. One task for each target, its `TargetLoop`, has a `Mailbox` for these orders and
//! reconciles. A `Reporter` tells board, log, metrics and receivers how each reconcile ended. So a
//! target that is down holds no other back, and an event only says that there is something to look
//! at.

mod event;
mod fetch_loop;
mod log;
mod mailbox;
mod news;
mod order;
mod outcome;
mod pass;
mod report;
mod source_loop;
pub(crate) mod status;
mod target_loop;
mod tasks;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::audit::Asked;
use crate::config::Config;
use crate::environment::Environment;
use crate::reconcile::Engine;
use crate::secret::Redactor;
use crate::source::{Source, SourceError};
use crate::state::KnownStates;

use news::NewsMemory;
use source_loop::SourceLoop;

pub(crate) use event::{Events, OrderError, Trigger};
pub(crate) use log::LogThrottle;
pub(crate) use outcome::Cause;
pub(crate) use pass::once;
pub(crate) use status::Board;

/// How long another process on the same state is waited for.
const LOCK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// A config that was read again, and its file relative to the root of the repository, if it lies
/// in it.
pub(crate) type Reloaded = (Config, Option<String>);

/// Reads the config again; `Err` holds what is wrong with it, in words.
pub(crate) type Reload = Box<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// The parts of a daemon.
pub(crate) struct Daemon {
    /// The configuration to start with.
    pub config: Config,
    /// The environment.
    pub environment: Environment,
    /// The config file relative to the root of the repository, if it lies in it.
    pub config_file: Option<String>,
    /// Who started it.
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

/// A config with what follows from it: what reconciles use, and the source that they read.
struct Opened {
    engine: Engine,
    source: Source,
}

impl Daemon {
    /// Prepares what a config asks for. The redactor outlives a config: a server may repeat a
    /// secret of before a rotation.
    fn open(&self, reloaded: Reloaded, redactor: &Redactor) -> Result<Opened, SourceError> {
        let (config, config_file) = reloaded;
        let engine = Engine::new(config, self.environment.clone());
        let mut engine = engine.with_redactor(redactor.clone());
        engine.states = self.states.clone();
        engine.config_file = config_file;
        let mut source = engine.source()?;
        source.worktree = self.worktree;
        engine.mirror = source.mirror().cloned();
        Ok(Opened { engine, source })
    }

    /// Prepares what the config to start with asks for.
    fn open_first(&self, redactor: &Redactor) -> Result<Opened, SourceError> {
        self.open((self.config.clone(), self.config_file.clone()), redactor)
    }
}

/// Runs until the shutdown. Only what makes starting impossible is an error.
///
/// # Errors
/// The source of the config cannot be followed.
pub(crate) async fn run(mut daemon: Daemon) -> Result<(), SourceError> {
    let memory = NewsMemory::default();
    let redactor = Redactor::default();
    daemon.trigger.wake(Cause::Start);
    let opened = daemon.open_first(&redactor)?;
    let mut current = SourceLoop::start(&daemon, opened, &memory, None);
    let mut leaving = JoinSet::new();
    while let Some(opened) = current.run(&mut daemon, &redactor).await {
        info!("the config was read again");
        let next = SourceLoop::start(&daemon, opened, &memory, Some(&current));
        // A target that hangs holds up neither the others nor the next config.
        leaving.spawn(std::mem::replace(&mut current, next).end());
        while leaving.try_join_next().is_some() {}
        daemon.trigger.wake(Cause::Reload);
    }
    leaving.spawn(current.end());
    leaving.join_all().await;
    Ok(())
}
