//! `status`: what a running daemon says.

use std::io::IsTerminal as _;
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
    if args.watch {
        return watch(args, context, &client, &server, token.as_ref()).await;
    }
    let status = ask(&client, &server, token.as_ref()).await?;
    show(args, context, &status);
    Ok(u8::from(!report::status::is_healthy(&status)))
}

/// Shows the status whenever it changes, until somebody ends it. A daemon that does not answer is
/// told of and asked again.
async fn watch(
    args: &StatusArgs,
    context: &Context,
    client: &reqwest::Client,
    server: &str,
    token: Option<&Token>,
) -> Result<u8, CommandError> {
    let terminated = super::signals::terminated();
    tokio::pin!(terminated);
    let mut shown = None;
    let mut problem = None;
    loop {
        let asked = tokio::select! {
            () = &mut terminated => return Ok(0),
            asked = ask(client, server, token) => asked,
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
                let text = error.text(context.colors_stderr());
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

fn show(args: &StatusArgs, context: &Context, status: &serde_json::Value) {
    match args.output {
        Output::Text => context.print(&report::status::text(status, &context.style())),
        Output::Json => context.print_json(status),
        Output::Markdown => context.print(&report::status::markdown(status)),
    }
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
