//! `demo`: the whole loop on this machine, played with the commands themselves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::args::{Command, GlobalArgs};
use super::context::Context;
use super::signals::EndSignals;
use crate::config::FILE_NAME;
use crate::demo::{PROJECT, Stage};
use crate::plan::for_the_shell;
use crate::report::exit::DONE;

/// Runs `demo` until it is told to end.
///
/// # Errors
/// The stage cannot be built, or the daemon fails.
pub async fn run(
    dir: Option<&Path>,
    listen: SocketAddr,
    context: &Context,
) -> Result<u8, CommandError> {
    let (folder, temporary) = folder(dir)?;
    let told_to_end = CancellationToken::new();
    let listening = told_to_end.clone();
    tokio::spawn(async move {
        EndSignals::of_daemon().next().await;
        listening.cancel();
    });
    let stage = Stage::build(&folder, listen).await.map_err(CommandError::Failed)?;
    let ended = play(&stage, context, &told_to_end).await;
    stage.sandbox.stop().await;
    let removed = temporary.map(TempDir::close).transpose().map_err(CommandError::failed);
    let code = ended?;
    removed?;
    Ok(code)
}

/// The folder to work in. A temporary folder is deleted when the `TempDir` beside it is dropped.
fn folder(dir: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), CommandError> {
    match dir {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(CommandError::at("cannot make", folder))?;
            Ok((folder.canonicalize().map_err(CommandError::failed)?, None))
        }
        None => {
            let made = tempfile::Builder::new().prefix("apinizer-gitops-demo-").tempdir();
            let made = made.map_err(CommandError::failed)?;
            Ok((made.path().to_path_buf(), Some(made)))
        }
    }
}

async fn play(
    stage: &Stage,
    context: &Context,
    told_to_end: &CancellationToken,
) -> Result<u8, CommandError> {
    let config = stage.repository.join(FILE_NAME);
    let global = GlobalArgs {
        config: Some(config),
        state_dir: Some(stage.state.clone()),
        color: context.global.color,
        log_format: context.global.log_format,
        verbose: context.global.verbose,
        quiet: context.global.quiet,
        ..GlobalArgs::default()
    };
    let inside = Context::with_environment(global, stage.environment.clone());
    context.print(&opening(stage));
    context.print("\n$ apinizer-gitops plan --summary --target prod\n");
    tokio::select! {
        planned = perform(&["plan", "--summary", "--target", "prod"], &inside) => planned?,
        () = told_to_end.cancelled() => return Ok(DONE),
    };
    context.print(&what_to_try(stage));
    context.print("\n$ apinizer-gitops run\n");
    perform(&["run"], &inside).await
}

/// Runs another command as if it had been typed.
async fn perform(arguments: &[&str], context: &Context) -> Result<u8, CommandError> {
    let typed = ["apinizer-gitops"].iter().chain(arguments);
    let command: Command = super::parse(typed).map_err(CommandError::failed)?.command;
    Box::pin(super::run(&command, context)).await
}

fn opening(stage: &Stage) -> String {
    format!(
        "A repository with the connections of a shop:  {}\n\
         A sandbox that stands for Apinizer's Manager: {}\n\
         Two projects, staging and production; production has connections made by hand.\n",
        stage.repository.display(),
        stage.sandbox.url(),
    )
}

/// Lines that can be pasted into another terminal.
fn what_to_try(stage: &Stage) -> String {
    let Stage { sandbox, listen, repository, .. } = stage;
    let sandbox = sandbox.url();
    let repository = for_the_shell(&repository.display().to_string());
    format!(
        "\nThe daemon makes these changes now and keeps both projects equal to git.\n\
         Its log follows.\n\
         Try in another terminal:\n\
         \n\
         1. Change a file and commit it; the daemon applies the commit at once.\n   \
         cd {repository}\n   \
         f=connections/orders/files.yaml\n   \
         sed 's/retryCount: 5/retryCount: 9/' $f > new && mv new $f\n   \
         git commit -qam 'Try the carrier more often'\n\
         \n\
         2. Change a connection behind git's back; within 10 s the daemon puts it right.\n   \
         curl -sX PATCH {sandbox}/sandbox/connections/{PROJECT}/fraud-check -d '{{\"timeout\": 99}}'\n\
         \n\
         3. Take a connection out of git; the daemon deletes it.\n   \
         git rm -q connections/platform/hosts.yaml\n   \
         git commit -qm 'Retire the batch host'\n\
         \n\
         4. Commit a mistake; the daemon names it and stays on the last good commit.\n   \
         f=connections/platform/directory.yaml\n   \
         sed 's/password: .*/password: hunter2/' $f > new && mv new $f\n   \
         git commit -qam 'Oops'; sleep 2; git revert --no-edit HEAD\n\
         \n\
         5. See what is going on, as JSON or as a page; and what the sandbox holds.\n   \
         curl -s http://{listen}/api/v1/status\n   \
         http://{listen}/\n   \
         curl -s {sandbox}/sandbox/connections\n\
         \n\
         Ctrl-C ends all of it.\n"
    )
}
