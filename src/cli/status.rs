//! `status`: what a running daemon says.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::CommandError;
use super::args::{Output, StatusArgs};
use super::context::Context;
use super::server::Server;
use crate::report;

/// How often `--watch` asks.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs `status`; 0 when all is healthy.
///
/// # Errors
/// No daemon answers.
pub async fn run(args: &StatusArgs, context: &Context) -> Result<u8, CommandError> {
    if let (true, Some(address)) = (args.probe, &args.server) {
        // The probe of a container needs neither a token nor a config that can be read.
        return Server::at(address, None)?.probe().await;
    }
    let server = Server::find(args.server.as_deref(), context)?;
    if args.probe {
        return server.probe().await;
    }
    if args.watch {
        return watch(args, context, &server).await;
    }
    let status = server.status().await?;
    show(args, context, &status);
    Ok(u8::from(!report::status::is_healthy(&status)))
}

/// Shows the status whenever it changes, until somebody ends it. A daemon that does not answer is
/// told of and asked again.
async fn watch(args: &StatusArgs, context: &Context, server: &Server) -> Result<u8, CommandError> {
    let terminated = super::signals::terminated();
    tokio::pin!(terminated);
    let mut shown = None;
    let mut problem = None;
    loop {
        let asked = tokio::select! {
            () = &mut terminated => return Ok(0),
            asked = server.status() => asked,
        };
        match asked {
            Ok(status) => {
                problem = None;
                if shown.as_ref() != Some(&status) {
                    if args.output == Output::Text && std::io::stdout().is_terminal() {
                        // Home and clear, so that the newest answer stands alone.
                        context.print("\u{1b}[H\u{1b}[2J");
                    }
                    show(args, context, &status);
                    context.written()?;
                    shown = Some(status);
                }
            }
            Err(error) => {
                let text = error.text(&context.style_stderr());
                if problem.as_ref() != Some(&text) {
                    context.say(&text);
                    problem = Some(text);
                }
                // The next status is shown, whatever it is.
                shown = None;
            }
        }
        tokio::select! {
            () = &mut terminated => return Ok(0),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

fn show(args: &StatusArgs, context: &Context, status: &serde_json::Value) {
    match args.output {
        Output::Text => context.print(&report::status::text(status, &context.style())),
        Output::Json => context.print_json(status),
        Output::Markdown => context.print(&report::status::markdown(status)),
    }
}
