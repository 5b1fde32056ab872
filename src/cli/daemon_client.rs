//! `status`, `reconcile`, `suspend`, `resume`: what a running daemon says, and requests to it.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::api::{clean, read_at_most, reason};
use crate::cli::CommandError;
use crate::cli::args::{DaemonArgs, Output, ReconcileArgs, StatusArgs};
use crate::cli::context::Context;
use crate::config::{Config, Resolve};
use crate::host;
use crate::report::exit::{DONE, FAILED, failed_if};
use crate::report::{self, escape};
use crate::secret::{Redactor, Sensitive};
use crate::web;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The largest answer that is read: 10 times the status of 300 targets with 100 connections each.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A running daemon, or what answers in its place.
struct DaemonClient {
    client: reqwest::Client,
    address: String,
    token: Option<Sensitive>,
    /// Knows the token, which the answer may repeat.
    redactor: Redactor,
}

impl DaemonClient {
    /// Finds the daemon: the one that is named, else the one of the config. Only without a config
    /// it is the default one. To a daemon that is named the token of the environment goes first.
    fn find(named: Option<&str>, context: &Context) -> Result<Self, CommandError> {
        let (path, environment) = (context.config_path(), &context.environment);
        let config = path.map(|path| Config::load(&path, environment, Resolve::Known));
        let configured = match config.transpose() {
            Ok(config) => config.map(|config| config.server),
            // The daemon that is named may have another config.
            Err(_) if named.is_some() => None,
            Err(problems) => return Err(CommandError::Problems(problems)),
        };
        let listen = match &configured {
            Some(server) => server.listen,
            None => "127.0.0.1:8080".parse().ok(),
        };
        let own = listen.map(|address| format!("http://{address}"));
        let of_config = || configured?.token?.resolve(environment).ok();
        let of_environment = environment.lookup("APINIZER_GITOPS_TOKEN").ok();
        let Some(named) = named else {
            let own = own.ok_or_else(|| {
                CommandError::WithHint(
                    "the config switches the daemon's listener off".to_owned(),
                    "name another daemon with --server URL".to_owned(),
                )
            })?;
            return Self::at(own, of_config().or(of_environment));
        };
        let url = host::manager(named).map(|manager| manager.url);
        let url = url.map_err(|why| CommandError::Failed(format!("the URL of --server: {why}")))?;
        Self::at(url, of_environment.or_else(of_config))
    }

    /// The daemon at an address.
    fn at(address: String, token: Option<Sensitive>) -> Result<Self, CommandError> {
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(CommandError::failed)?;
        let redactor = Redactor::default();
        token.iter().for_each(|token| redactor.learn(token.expose()));
        Ok(Self { client, address, token, redactor })
    }

    /// Whether the daemon makes progress: the exit code. How its targets stand has no say in it.
    async fn probe(&self) -> Result<u8, CommandError> {
        let request = self.client.get(format!("{}/healthz", self.address));
        match self.answer(request).await? {
            (StatusCode::OK, body) if body == web::HEALTHY.as_bytes() => Ok(DONE),
            (StatusCode::SERVICE_UNAVAILABLE, _) => Ok(FAILED),
            _ => Err(self.foreign()),
        }
    }

    /// The status of the daemon.
    async fn status(&self) -> Result<Value, CommandError> {
        let status = self.ask(Method::GET, "status", None).await?;
        if is_status(&status) { Ok(status) } else { Err(self.foreign()) }
    }

    /// Asks for something about one target or all of them; the object that is answered, without secrets.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        target: Option<&str>,
    ) -> Result<Value, CommandError> {
        let wanted = if method == Method::GET { StatusCode::OK } else { StatusCode::ACCEPTED };
        let url = format!("{}/api/v1/{path}", self.address);
        let url = url::Url::parse_with_params(&url, target.map(|target| ("target", target)));
        let mut request = self.client.request(method, url.map_err(CommandError::failed)?);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let (code, body) = self.answer(request).await?;
        if code.is_client_error() || code.is_server_error() {
            return Err(self.refused(code, &String::from_utf8_lossy(&body)));
        }
        match serde_json::from_slice(&body) {
            Ok(said @ Value::Object(_)) if code == wanted => Ok(self.redacted(said)),
            _ => Err(self.foreign()),
        }
    }

    /// Sends a request: the status and the body of the answer.
    async fn answer(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, BytesMut), CommandError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let code = answer.status();
        let body = read_at_most(answer, LARGEST).await.map_err(|error| self.unreachable(&error))?;
        let body = body.ok_or_else(|| {
            let address = &self.address;
            CommandError::Failed(format!("the answer of {address} is larger than {LARGEST} bytes"))
        })?;
        Ok((code, body))
    }

    fn refused(&self, code: StatusCode, said: &str) -> CommandError {
        let said = clean(&self.redactor, said);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let message = format!("the daemon at {} answers {code}{said}", self.address);
        let hint = match code {
            StatusCode::NOT_FOUND => "`apinizer-gitops status` shows the daemon's targets",
            StatusCode::UNAUTHORIZED => "set APINIZER_GITOPS_TOKEN or the config's `server.token`",
            _ => return CommandError::Failed(message),
        };
        CommandError::WithHint(message, hint.to_owned())
    }

    /// An answer without secrets.
    fn redacted(&self, said: Value) -> Value {
        let text = |text: &str| self.redactor.redact_words(text);
        match said {
            Value::String(said) => Value::String(text(&said)),
            Value::Array(items) => items.into_iter().map(|item| self.redacted(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, value)| (text(&key), self.redacted(value))).collect()
            }
            other => other,
        }
    }

    /// Something else listens at the address, such as a proxy that asks people to log in.
    fn foreign(&self) -> CommandError {
        CommandError::WithHint(
            format!("what {} answers is no answer of apinizer-gitops", self.address),
            "name the daemon with --server URL".to_owned(),
        )
    }

    fn unreachable(&self, error: &reqwest::Error) -> CommandError {
        CommandError::WithHint(
            format!("no daemon answers at {}: {}", self.address, reason(error)),
            "start one with `apinizer-gitops run`, or name it with --server URL".to_owned(),
        )
    }
}

/// Whether an object is a status, by what every status has.
fn is_status(said: &Value) -> bool {
    let is_target = |target: &Value| {
        let of_text = [&target["name"], &target["state"]];
        of_text.iter().all(|value| value.is_string()) && target["connections"].is_array()
    };
    let targets = said["targets"].as_array();
    said["version"].is_string() && targets.is_some_and(|all| all.iter().all(is_target))
}

/// Runs `status`; 0 when all is healthy.
///
/// # Errors
/// No daemon answers.
pub(super) async fn status(args: &StatusArgs, context: &Context) -> Result<u8, CommandError> {
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

/// How often `--wait` asks for the outcome: the status of many targets is large.
const WAIT_PAUSE: Duration = Duration::from_secs(1);

/// How many answers in a row may fail to come while `--wait` asks: the daemon may be busy or start again.
const MOST_MISSED: u32 = 10;

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
    daemon.ask(Method::POST, verb, args.target.as_deref()).await?;
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
    let answer = daemon.ask(Method::POST, "reconcile", target.as_deref()).await?;
    if !args.wait {
        say_taken("reconcile", &args.daemon, context);
        return Ok(DONE);
    }
    let (Some(request), Some(names)) = (answer["request"].as_i64(), answer["targets"].as_array())
    else {
        return Err(daemon.foreign());
    };
    let mut missed = 0;
    loop {
        let status = match daemon.status().await {
            Err(_) if missed < MOST_MISSED => {
                missed += 1;
                tokio::time::sleep(WAIT_PAUSE).await;
                continue;
            }
            answer => answer?,
        };
        missed = 0;
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
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let unread =
        text(&answered["unread"]).map(|why| format!(", but the newest commit was not read: {why}"));
    let error = || text(&target["error"]).map(|error| format!(": {error}"));
    let waits = || text(&answered["waits"]).map(|why| format!(", but {why}"));
    let error = unread.or_else(error).or_else(waits).unwrap_or_default();
    Ok(Some((format!("{name}: {outcome}{error}"), answered["success"] == true)))
}
