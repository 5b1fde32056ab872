//! `reconcile`, `suspend`, `resume`: orders for a running daemon.

use std::time::Duration;

use serde_json::Value;

use super::CommandError;
use super::args::{OrderArgs, ReconcileArgs};
use super::context::Context;
use super::server::Server;

/// How often `--wait` asks for the outcome.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs `suspend` or `resume`; the exit code.
///
/// # Errors
/// No daemon takes the order.
pub async fn suspension(
    verb: &str,
    args: &OrderArgs,
    context: &Context,
) -> Result<u8, CommandError> {
    let server = Server::find(args.server.as_deref(), context)?;
    server.order(verb, args.target.as_deref()).await?;
    if !context.global.quiet {
        let which = args.target.as_deref().unwrap_or("every target");
        context.say(&format!("the daemon {verb}s {which}"));
    }
    Ok(0)
}

/// Runs `reconcile`; 0 once it is ordered, with `--wait` once the newest commit is in force on
/// each target.
///
/// # Errors
/// No daemon takes the order, or it ends before the reconcile.
pub async fn reconcile(args: &ReconcileArgs, context: &Context) -> Result<u8, CommandError> {
    let OrderArgs { server, target } = &args.order;
    let server = Server::find(server.as_deref(), context)?;
    let ordered = server.order("reconcile", target.as_deref()).await?;
    if !args.wait {
        if !context.global.quiet {
            let which = target.as_deref().unwrap_or("every target");
            context.say(&format!("the daemon reconciles {which}"));
        }
        return Ok(0);
    }
    let Some(request) = ordered["request"].as_i64() else {
        let problem =
            "the daemon does not say when a reconcile has ended: it is of another version";
        return Err(CommandError::Failed(problem.to_owned()));
    };
    loop {
        let status = server.status().await?;
        let targets = status["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut outcomes = Vec::new();
        for one in targets {
            if target.as_deref().is_none_or(|name| one["name"] == name) {
                outcomes.push(outcome(one, request)?);
            }
        }
        if let Some(outcomes) = outcomes.into_iter().collect::<Option<Vec<_>>>() {
            outcomes.iter().for_each(|(line, _)| context.print(line));
            let is_success = !outcomes.is_empty() && outcomes.iter().all(|(_, success)| *success);
            return Ok(u8::from(!is_success));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The outcome of one target's reconcile in a line, and whether it is a success; `None`: it has not
/// ended yet.
fn outcome(target: &Value, request: i64) -> Result<Option<(String, bool)>, CommandError> {
    let name = target["name"].as_str().unwrap_or_default();
    if target["state"] == "standby" {
        return Err(CommandError::WithHint(
            format!("another replica of the daemon acts for the target `{name}`"),
            "name that replica with --server URL".to_owned(),
        ));
    }
    let answered = &target["answered"];
    if answered["request"].as_i64().is_none_or(|answered| answered < request) {
        return Ok(None);
    }
    let outcome = answered["outcome"].as_str().unwrap_or_default().replace('_', " ");
    let error = match (answered["unread"].as_str(), target["error"].as_str()) {
        (Some(why), _) => format!(", but the newest commit was not read: {why}"),
        (None, Some(error)) => format!(": {error}"),
        (None, None) => String::new(),
    };
    Ok(Some((format!("{name}: {outcome}{error}"), answered["success"] == true)))
}
