//! `run`: the daemon.

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::args::RunArgs;
use super::context::Context;
use super::error::CommandError;
use super::session::{config_in_repository, git_access, narrow};
use crate::config::{Config, Location, parse_listen};
use crate::daemon::supervisor;
use crate::daemon::{Board, Daemon, Trigger};
use crate::report;
use crate::web::{self, Hooks, Site};

/// Runs the daemon until SIGTERM or SIGINT; with `--once` makes one reconcile and ends as `apply`
/// does.
///
/// # Errors
/// The config cannot be used, or the listener cannot be bound.
pub async fn run(args: &RunArgs, context: &Context) -> Result<u8, CommandError> {
    let config = config(args, context)?;
    if !args.dry_run {
        std::fs::create_dir_all(&config.state_dir).map_err(|error| {
            let folder = config.state_dir.display();
            CommandError::Failed(format!("the state folder {folder} cannot be used: {error}"))
        })?;
    }
    let shutdown = CancellationToken::new();
    end_on_signals(&shutdown);
    let board = Board::default();
    let trigger = Trigger::new(board.clone());
    let (again, arguments) = (context.clone(), args.clone());
    let daemon = Daemon {
        access: git_access(&context.environment),
        config_file: config_in_repository(context, &config),
        environment: context.environment.clone(),
        writes: !args.dry_run,
        worktree: args.worktree,
        board: board.clone(),
        trigger: trigger.clone(),
        reload: Box::new(move || {
            self::config(&arguments, &again).map_err(|error| error.text(false))
        }),
        shutdown: shutdown.clone(),
        config,
    };
    if args.once {
        let outcomes = supervisor::once(&daemon).await.map_err(CommandError::failed)?;
        context.print(&report::outcome::text(&outcomes, &context.style()));
        return Ok(report::exit::of_outcomes(&outcomes));
    }
    let server = serve(&daemon.config, context, board, trigger.clone(), &shutdown).await?;
    reload_on_hangup(trigger, shutdown.clone());
    info!(version = env!("CARGO_PKG_VERSION"), dry_run = args.dry_run, "started");
    let ended = supervisor::run(daemon).await.map_err(CommandError::failed);
    shutdown.cancel();
    if let Some(server) = server {
        // It ends by itself within its own deadline.
        let _ = server.await;
    }
    info!("stopped");
    ended.map(|()| 0)
}

fn config(args: &RunArgs, context: &Context) -> Result<Config, CommandError> {
    let mut config = context.config()?;
    narrow(&mut config, &args.targets)?;
    if let Some(listen) = &args.listen {
        config.server.listen = parse_listen(listen).map_err(CommandError::failed)?;
    }
    Ok(config)
}

/// Binds the listener and serves; `None` where it is switched off.
async fn serve(
    config: &Config,
    context: &Context,
    board: Board,
    trigger: Trigger,
    shutdown: &CancellationToken,
) -> Result<Option<tokio::task::JoinHandle<()>>, CommandError> {
    let server = &config.server;
    let Some(address) = server.listen else { return Ok(None) };
    let token = match &server.token {
        Some(text) => Some(text.resolve(&context.environment).map_err(|error| {
            CommandError::Failed(format!("`server.token` has no value: {error}"))
        })?),
        None => None,
    };
    let hooks = hooks(config, context)?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CommandError::WithHint(
            format!("cannot listen on {address}: {error}"),
            "name another address with --listen, or `none`".to_owned(),
        )
    })?;
    let bound = listener.local_addr().map_err(CommandError::failed)?;
    let is_loopback = bound.ip().is_loopback();
    if !is_loopback && token.is_none() {
        warn!(
            "{bound} can be reached from elsewhere and no `server.token` is set: page and API are off"
        );
    }
    if !context.global.quiet {
        context.say(&format!("listening on http://{bound}"));
    }
    let metrics = web::metrics::install().ok();
    if let Some(metrics) = metrics.clone() {
        tokio::spawn(web::metrics::upkeep(metrics, shutdown.clone()));
    }
    let site = Site { board, trigger, token, hooks, is_loopback, metrics };
    let shutdown = shutdown.clone();
    Ok(Some(tokio::spawn(async move {
        if let Err(error) = web::serve(listener, site, shutdown).await {
            warn!("the listener ended: {error}");
        }
    })))
}

/// What webhooks are checked against; `None` without `server.webhook_secret`.
fn hooks(config: &Config, context: &Context) -> Result<Option<Hooks>, CommandError> {
    let Some(text) = &config.server.webhook_secret else { return Ok(None) };
    let secret = text.resolve(&context.environment).map_err(|error| {
        CommandError::Failed(format!("`server.webhook_secret` has no value: {error}"))
    })?;
    let repository = match &config.source.location {
        Location::Url(url) => Some(url.clone()),
        Location::Path(_) => None,
    };
    Ok(Some(Hooks { secret, repository }))
}

/// The first signal ends the daemon in good order, the second at once.
fn end_on_signals(shutdown: &CancellationToken) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        super::signals::terminated().await;
        info!("ending: calls in flight are finished");
        shutdown.cancel();
        super::signals::terminated().await;
        super::signals::end_at_once();
    });
}

/// SIGHUP reads the config again and fetches.
fn reload_on_hangup(trigger: Trigger, shutdown: CancellationToken) {
    tokio::spawn(async move {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = hangup.recv() => trigger.reload(),
            }
        }
    });
}
