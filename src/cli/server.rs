//! The daemon that a command asks or orders.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use super::CommandError;
use super::context::Context;
use crate::api::reason;
use crate::config::{Config, Resolve};
use crate::secret::Sensitive;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A running daemon.
pub(super) struct Server {
    client: reqwest::Client,
    address: String,
    token: Option<Sensitive>,
}

impl Server {
    /// Finds the daemon: the one that is named, else the one of the config. Only without a config
    /// it is the default one. The token is the config's `server.token`, else that of the environment.
    pub(super) fn find(named: Option<&str>, context: &Context) -> Result<Self, CommandError> {
        let config = context
            .config_path()
            .map(|path| Config::load(&path, &context.environment, Resolve::Known))
            .transpose()
            .map_err(|problems| context.config_problems(&problems))?;
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
    pub(super) fn at(address: &str, token: Option<Sensitive>) -> Result<Self, CommandError> {
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(CommandError::failed)?;
        Ok(Self { client, address: address.trim_end_matches('/').to_owned(), token })
    }

    /// Whether the daemon makes progress: the exit code. How its targets stand has no say in it.
    pub(super) async fn probe(&self) -> Result<u8, CommandError> {
        let answer = self.client.get(format!("{}/healthz", self.address)).send().await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        Ok(u8::from(!answer.status().is_success()))
    }

    /// The status of the daemon.
    pub(super) async fn status(&self) -> Result<Value, CommandError> {
        let answer = self.call(Method::GET, "status", None).await?;
        answer.json().await.map_err(|error| self.unreachable(&error))
    }

    /// Gives an order about one target or all of them; the answer's body, if it has one.
    pub(super) async fn order(
        &self,
        verb: &str,
        target: Option<&str>,
    ) -> Result<Value, CommandError> {
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
