//! `run`: the daemon.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::CommandError;
use super::args::RunArgs;
use super::context::Context;
use super::session::{keep_targets, refuse_unsigned};
use super::signals::{EndSignals, Meaning, Sighup, cancel_on};
use crate::config::{Config, Location, SecretText, parse_listen};
use crate::daemon::{self, Board, Daemon, Trigger};
use crate::report;
use crate::report::exit::DONE;
use crate::state::KnownStates;
use crate::web::{self, AccessKey, AccessKeys, Listener, Site};

/// Runs the daemon until SIGTERM, SIGINT or the terminal's hang-up; with `--once` makes one
/// reconcile and ends as `apply` does.
///
/// # Errors
/// The config cannot be used, or the listener cannot be bound.
pub async fn run(args: &RunArgs, context: &Context) -> Result<u8, CommandError> {
    let config = config(args, context)?;
    if !args.dry_run {
        std::fs::create_dir_all(&config.state_dir)
            .map_err(CommandError::at("cannot use the state folder", &config.state_dir))?;
    }
    let shutdown = CancellationToken::new();
    let ending = if args.once { EndSignals::of_command() } else { EndSignals::of_daemon() };
    cancel_on(ending, &shutdown, || info!("ending: calls in flight are finished"));
    let board = Board::default();
    let (trigger, events) = Trigger::channel(&config.targets, !args.dry_run);
    let metrics = if args.once { None } else { web::metrics::install().ok() };
    if let Some(metrics) = metrics.clone() {
        tokio::spawn(web::metrics::upkeep(metrics, shutdown.clone()));
    }
    let site = Site { board: board.clone(), trigger: trigger.clone(), metrics };
    let listener = Arc::new(Listener::new(site, shutdown.clone()));
    let (again, arguments, served) = (context.clone(), args.clone(), Arc::clone(&listener));
    let daemon = Daemon {
        environment: context.environment.clone(),
        asked: context.asked("run --once"),
        writes: !args.dry_run,
        worktree: args.worktree,
        board,
        trigger: trigger.clone(),
        events,
        reload: Box::new(move || {
            let config = self::config(&arguments, &again).map_err(|error| error.to_string())?;
            serve(&served, &config, &again).map_err(|error| error.to_string())?;
            Ok(config)
        }),
        states: KnownStates::default(),
        shutdown: shutdown.clone(),
        config,
    };
    if args.once {
        let plan = daemon::once(&daemon).await.map_err(CommandError::failed)?;
        if args.dry_run {
            context.print(&report::plan::text(&plan, &context.style()));
            return Ok(report::exit::of_plan(&plan));
        }
        context.print(&report::outcome::text(&plan.targets, &context.style()));
        return Ok(report::exit::of_outcomes(&plan.targets));
    }
    serve(&listener, &daemon.config, context)?;
    reload_on_sighup(trigger, shutdown.clone());
    info!(version = env!("CARGO_PKG_VERSION"), dry_run = args.dry_run, "started");
    let ended = daemon::run(daemon).await.map_err(CommandError::failed);
    shutdown.cancel();
    listener.ended().await;
    info!("stopped");
    ended.map(|()| DONE)
}

fn config(args: &RunArgs, context: &Context) -> Result<Config, CommandError> {
    let mut config = context.config()?;
    keep_targets(&mut config, &args.targets)?;
    refuse_unsigned(&config, args.worktree && !args.dry_run)?;
    if let Some(listen) = &args.listen {
        config.server.listen = parse_listen(listen).map_err(CommandError::failed)?;
    }
    Ok(config)
}

/// Serves as the config says, from now on.
fn serve(listener: &Listener, config: &Config, context: &Context) -> Result<(), CommandError> {
    let keys = keys(config, context)?;
    let has_token = keys.token.is_some();
    let address = config.server.listen;
    let bound = listener.serve(address, keys).map_err(|error| {
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        CommandError::WithHint(
            format!("cannot listen on {address}: {error}"),
            "name another address with --listen, or `none`".to_owned(),
        )
    })?;
    if let Some(address) = bound.or(address).filter(|address| !address.ip().is_loopback())
        && !has_token
    {
        warn!(
            "{address} can be reached from elsewhere and no `server.token` is set: page and API are off"
        );
    }
    if let Some(bound) = bound {
        info!("listening on http://{bound}");
    }
    Ok(())
}

/// The keys that requests are checked against.
fn keys(config: &Config, context: &Context) -> Result<AccessKeys, CommandError> {
    let key = |name: &str, text: &Option<SecretText>| {
        let key = text.clone().map(|text| AccessKey::new(text, &context.environment)).transpose();
        key.map_err(|error| CommandError::Failed(format!("`server.{name}` has no value: {error}")))
    };
    let repository = match &config.source.location {
        Location::Url(url) => Some(url.clone()),
        Location::Path(_) => None,
    };
    Ok(AccessKeys {
        token: key("token", &config.server.token)?,
        webhook: key("webhook_secret", &config.server.webhook_secret)?,
        repository,
    })
}

/// SIGHUP reads the config again and fetches, unless the terminal hung up.
fn reload_on_sighup(trigger: Trigger, shutdown: CancellationToken) {
    let mut sighup = Sighup::listen();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                meaning = sighup.next() => match meaning {
                    Meaning::Reload => trigger.reload(),
                    Meaning::HangUp => return,
                },
            }
        }
    });
}
