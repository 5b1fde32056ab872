//! `status`, `reconcile`, `suspend`, `resume`: what a running daemon says, and requests to it.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::api::reason;
use crate::cli::CommandError;
use crate::cli::args::{DaemonArgs, Output, ReconcileArgs, StatusArgs};
use crate::cli::context::Context;
use crate::config::{Config, Resolve};
use crate::report::exit::{DONE, failed_if};
use crate::report::{self, escape};
use crate::secret::Sensitive;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A running daemon.
struct DaemonClient {
    client: reqwest::Client,
    address: String,
    token: Option<Sensitive>,
}

impl DaemonClient {
    /// Finds the daemon: the one that is named, else the one of the config. Only without a config
    /// it is the default one. The token is the config's `server.token`, else that of the environment.
    fn find(named: Option<&str>, context: &Context) -> Result<Self, CommandError> {
        let config = context
            .config_path()
            .map(|path| Config::load(&path, &context.environment, Resolve::Known))
            .transpose()
            .map_err(CommandError::Problems)?;
        let configured = config.map(|config| config.server);
        let token = configured.as_ref().and_then(|server| server.token.as_ref());
        let token = token.and_then(|text| text.resolve(&context.environment).ok());
        let token = token.or_else(|| context.environment.lookup("APINIZER_GITOPS_TOKEN").ok());
        let listen = match configured {
            Some(server) => server.listen,
            None => "127.0.0.1:8080".parse().ok(),
        };
        match (named, listen) {
            (Some(named), _) => Self::at(named, token),
            (None, Some(address)) => Self::at(&format!("http://{address}"), token),
            (None, None) => Err(CommandError::WithHint(
                "the config switches the daemon's listener off".to_owned(),
                "name another daemon with --server URL".to_owned(),
            )),
        }
    }

    /// The daemon at an address.
    fn at(address: &str, token: Option<Sensitive>) -> Result<Self, CommandError> {
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(CommandError::failed)?;
        Ok(Self { client, address: address.trim_end_matches('/').to_owned(), token })
    }

    /// Whether the daemon makes progress: the exit code. How its targets stand has no say in it.
    async fn probe(&self) -> Result<u8, CommandError> {
        let answer = self.client.get(format!("{}/healthz", self.address)).send().await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        Ok(failed_if(!answer.status().is_success()))
    }

    /// The status of the daemon.
    async fn status(&self) -> Result<Value, CommandError> {
        let answer = self.call(Method::GET, "status", None).await?;
        answer.json().await.map_err(|error| self.unreachable(&error))
    }

    /// Makes a call for one target or all of them; the answer's body, if it has one.
    async fn post(&self, verb: &str, target: Option<&str>) -> Result<Value, CommandError> {
        let answer = self.call(Method::POST, verb, target).await?;
        let body = answer.text().await.map_err(|error| self.unreachable(&error))?;
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        target: Option<&str>,
    ) -> Result<Response, CommandError> {
        let mut url = format!("{}/api/v1/{path}", self.address)
            .parse::<url::Url>()
            .map_err(|error| CommandError::Failed(format!("`{}`: {error}", self.address)))?;
        if let Some(target) = target {
            url.query_pairs_mut().append_pair("target", target);
        }
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let code = answer.status();
        if code.is_success() {
            return Ok(answer);
        }
        let said = answer.text().await.unwrap_or_default();
        let said = said.trim();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let hint = match code {
            StatusCode::NOT_FOUND => "`apinizer-gitops status` shows the daemon's targets",
            _ => "if it asks for a token, set APINIZER_GITOPS_TOKEN",
        };
        let message = format!("the daemon at {} answers {code}{said}", self.address);
        Err(CommandError::WithHint(message, hint.to_owned()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CommandError {
        CommandError::WithHint(
            format!("no daemon answers at {}: {}", self.address, reason(error)),
            "start one with `apinizer-gitops run`, or name it with --server URL".to_owned(),
        )
    }
}

/// Runs `status`; 0 when all is healthy.
///
/// # Errors
/// No daemon answers.
pub(super) async fn status(args: &StatusArgs, context: &Context) -> Result<u8, CommandError> {
    if let (true, Some(address)) = (args.probe, &args.server) {
        // The probe of a container needs neither a token nor a config that can be read.
        return DaemonClient::at(address, None)?.probe().await;
    }
    let daemon = DaemonClient::find(args.server.as_deref(), context)?;
    if args.probe {
        return daemon.probe().await;
    }
    let status = daemon.status().await?;
    match args.output {
        Output::Text => context.print(&report::status::text(&status, &context.style())),
        Output::Json => context.print_json(&status),
        Output::Markdown => context.print(&report::status::markdown(&status)),
    }
    Ok(failed_if(!report::status::is_healthy(&status)))
}

/// How often `--wait` asks for the outcome.
const WAIT_PAUSE: Duration = Duration::from_millis(200);

/// Runs `suspend` or `resume`.
///
/// # Errors
/// No daemon takes the request.
pub(super) async fn suspension(
    verb: &str,
    args: &DaemonArgs,
    context: &Context,
) -> Result<u8, CommandError> {
    let daemon = DaemonClient::find(args.server.as_deref(), context)?;
    daemon.post(verb, args.target.as_deref()).await?;
    say_taken(verb, args, context);
    Ok(DONE)
}

/// Says that the daemon took a request.
fn say_taken(verb: &str, args: &DaemonArgs, context: &Context) {
    if !context.global.quiet {
        let which = args.target.as_deref().unwrap_or("every target");
        context.say(&format!("the daemon is asked to {verb} {which}"));
    }
}

/// Runs `reconcile`; 0 once it is asked for, with `--wait` once the newest commit is in force on
/// each target.
///
/// # Errors
/// No daemon takes the request, or it ends before the reconcile.
pub(super) async fn reconcile(args: &ReconcileArgs, context: &Context) -> Result<u8, CommandError> {
    let DaemonArgs { server, target } = &args.daemon;
    let daemon = DaemonClient::find(server.as_deref(), context)?;
    let answer = daemon.post("reconcile", target.as_deref()).await?;
    if !args.wait {
        say_taken("reconcile", &args.daemon, context);
        return Ok(DONE);
    }
    let (Some(request), Some(names)) = (answer["request"].as_i64(), answer["targets"].as_array())
    else {
        let problem =
            "the daemon does not say when a reconcile has ended: it is of another version";
        return Err(CommandError::Failed(problem.to_owned()));
    };
    loop {
        let status = daemon.status().await?;
        if status["started"] != answer["started"] {
            return Err(CommandError::WithHint(
                "the daemon was started again before the reconcile ended".to_owned(),
                "`apinizer-gitops status` shows how its targets stand now".to_owned(),
            ));
        }
        let outcomes = names.iter().map(|name| outcome(&status["targets"], name, request));
        let outcomes: Vec<_> = outcomes.collect::<Result<_, _>>()?;
        if let Some(outcomes) = outcomes.into_iter().collect::<Option<Vec<_>>>() {
            outcomes.iter().for_each(|(line, _)| context.print(&escape::plain(line)));
            return Ok(failed_if(!outcomes.iter().all(|(_, success)| *success)));
        }
        tokio::time::sleep(WAIT_PAUSE).await;
    }
}

/// The outcome of one target's reconcile in a line, and whether it is a success; `None`: it has not
/// ended yet. The config may have changed since the request was taken.
fn outcome(
    targets: &Value,
    name: &Value,
    request: i64,
) -> Result<Option<(String, bool)>, CommandError> {
    let target = targets.as_array().and_then(|all| all.iter().find(|one| one["name"] == *name));
    let name = name.as_str().unwrap_or_default();
    let Some(target) = target else {
        let problem = format!("the config no longer has the target `{name}`");
        return Err(CommandError::Failed(problem));
    };
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
    let text = |value: &'_ Value| value.as_str().map(str::to_owned);
    let unread =
        text(&answered["unread"]).map(|why| format!(", but the newest commit was not read: {why}"));
    let error = || text(&target["error"]).map(|error| format!(": {error}"));
    let waits = || text(&answered["waits"]).map(|why| format!(", but {why}"));
    let error = unread.or_else(error).or_else(waits).unwrap_or_default();
    Ok(Some((format!("{name}: {outcome}{error}"), answered["success"] == true)))
}
