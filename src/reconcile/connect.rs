//! The credentials and the client of a target.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Engine, Options};
use crate::api::{self, Client, ClientSettings, Retries, Shared};
use crate::config::{Credentials, SecretText, Target};
use crate::environment::Unset;
use crate::secret::{FingerprintKey, Sensitive};

/// The clients of targets, kept between reconciles as long as their credentials stay the same.
#[derive(Debug, Default)]
pub struct Clients {
    by_target: Mutex<BTreeMap<String, (String, Client)>>,
    shared: Shared,
}

/// Why a target cannot be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// A credential has no value.
    #[error("the credentials of the target are not there: {0}")]
    Unset(#[from] Unset),
    /// The environment names no usable proxy.
    #[error(transparent)]
    Proxy(#[from] api::ProxyError),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] api::ClientError),
}

/// A client, and the key that fingerprints are made under.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) key: FingerprintKey,
}

/// The client of a target, for commands that only read.
///
/// # Errors
/// A credential has no value, or the client cannot be made.
pub(crate) fn client(engine: &Engine, target: &Target) -> Result<Client, ConnectError> {
    connect(engine, target).map(|connection| connection.client)
}

/// Resolves the credentials of a target and gives its client.
pub(super) fn connect(engine: &Engine, target: &Target) -> Result<Connection, ConnectError> {
    let environment = &engine.environment;
    // A token in a file is another one every hour, for as long as this process runs.
    let resolve = |what: &str, written: &SecretText| {
        let value = written.resolve(environment)?;
        if written.holds_reference() {
            engine.redactor.learn_next((&target.name, what), value.expose());
        }
        Ok::<_, Unset>(value)
    };
    let (credentials, credential, whole) = match &target.manager.credentials {
        Credentials::Token(token) => {
            let token = resolve("token", token)?;
            (api::Credentials::Token(token.clone()), token.clone(), token)
        }
        Credentials::ClientCredentials { username, password } => {
            let username = resolve("username", username)?;
            let password = resolve("password", password)?;
            let credential = password.clone();
            let whole = format!("{}\0{}", username.expose(), password.expose());
            let credentials = api::Credentials::ClientCredentials { username, password };
            (credentials, credential, Sensitive::new(whole))
        }
    };
    let key = match &engine.config.fingerprint_key {
        Some(text) => FingerprintKey::derive(&resolve("fingerprint_key", text)?),
        None => FingerprintKey::derive(&credential),
    };
    // Not the key's own check value, which may be shared by two credentials.
    let print = FingerprintKey::derive(&whole).check_value();
    let mut clients = engine.clients.by_target.lock().unwrap_or_else(PoisonError::into_inner);
    let client = match clients.get(&target.name) {
        Some((known, client)) if *known == print => client.clone(),
        _ => {
            let proxy = api::Proxy::for_url(&target.manager.url, environment)?;
            let settings = settings(target, credentials, proxy);
            let client = Client::new(settings, engine.redactor.clone(), &engine.clients.shared)?;
            clients.insert(target.name.clone(), (print, client.clone()));
            client
        }
    };
    Ok(Connection { client, key })
}

impl Connection {
    /// The same for one run, whose retries have a budget of their own.
    pub(super) fn with_retries(self, options: &Options) -> Self {
        let retries = Retries::new(options.retries, options.stop.child_token());
        let client = self.client.with_retries(retries.within(options.limit.clone()));
        Self { client, ..self }
    }
}

fn settings(
    target: &Target,
    credentials: api::Credentials,
    proxy: Option<api::Proxy>,
) -> ClientSettings {
    ClientSettings {
        target: target.name.clone(),
        url: target.manager.url.clone(),
        project: target.project.clone(),
        credentials,
        timeout: target.manager.timeout,
        max_response: target.manager.max_response,
        ca_file: target.manager.ca_file.clone(),
        proxy,
        concurrency: target.manager.concurrency,
    }
}
