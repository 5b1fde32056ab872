//! `status`: what a running daemon says.

use std::time::Duration;

use super::args::{Output, StatusArgs};
use super::context::Context;
use super::error::CommandError;
use crate::report;

/// How often `--watch` asks.
const PAUSE: Duration = Duration::from_secs(2);

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `status`; 0 when all is healthy.
///
/// # Errors
/// No daemon answers.
pub async fn run(args: &StatusArgs, context: &Context) -> Result<u8, CommandError> {
    let (server, token) = server(args, context)?;
    let client = reqwest::Client::builder()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(CommandError::failed)?;
    if args.probe {
        return probe(&client, &server).await;
    }
    loop {
        let status = ask(&client, &server, token.as_ref()).await?;
        if args.watch {
            // Home and clear, so that the newest answer stands alone.
            context.print("\u{1b}[H\u{1b}[2J");
        }
        match args.output {
            Output::Text => context.print(&report::status::text(&status, &context.style())),
            Output::Json => context.print_json(&status),
            Output::Markdown => context.print(&report::status::markdown(&status)),
        }
        if !args.watch {
            return Ok(u8::from(!report::status::is_healthy(&status)));
        }
        tokio::select! {
            () = super::signals::terminated() => return Ok(0),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Whether the daemon makes progress; how its targets stand has no say in it.
async fn probe(client: &reqwest::Client, server: &str) -> Result<u8, CommandError> {
    let answer = client.get(format!("{server}/healthz")).send().await;
    let answer = answer.map_err(|error| unreachable(server, error))?;
    Ok(u8::from(!answer.status().is_success()))
}

fn unreachable(server: &str, error: reqwest::Error) -> CommandError {
    CommandError::WithHint(
        format!("no daemon answers at {server}: {}", error.without_url()),
        "start one with `apinizer-gitops run`, or name it with --server URL".to_owned(),
    )
}

type Token = crate::secret::Sensitive;

fn server(args: &StatusArgs, context: &Context) -> Result<(String, Option<Token>), CommandError> {
    let configured = context.config();
    let token = match &configured {
        Ok(config) => match &config.server.token {
            Some(text) => text.resolve(&context.environment).ok(),
            None => None,
        },
        Err(_) => None,
    };
    let token = token.or_else(|| context.environment.lookup("APINIZER_GITOPS_TOKEN").ok());
    if let Some(server) = &args.server {
        return Ok((server.trim_end_matches('/').to_owned(), token));
    }
    let listen = match configured {
        Ok(config) => config.server.listen,
        Err(_) => "127.0.0.1:8080".parse().ok(),
    };
    match listen {
        Some(address) => Ok((format!("http://{address}"), token)),
        None => Err(CommandError::WithHint(
            "the config switches the daemon's listener off".to_owned(),
            "name another daemon with --server URL".to_owned(),
        )),
    }
}

async fn ask(
    client: &reqwest::Client,
    server: &str,
    token: Option<&Token>,
) -> Result<serde_json::Value, CommandError> {
    let mut request = client.get(format!("{server}/api/v1/status"));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    let answer = request.send().await.map_err(|error| unreachable(server, error))?;
    if !answer.status().is_success() {
        let code = answer.status();
        return Err(CommandError::WithHint(
            format!("the daemon at {server} answers {code}"),
            "where it asks for a token, set APINIZER_GITOPS_TOKEN".to_owned(),
        ));
    }
    answer.json().await.map_err(|error| unreachable(server, error))
}
