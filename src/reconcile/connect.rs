//! The credentials and the client of a target.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Engine;
use crate::api::{self, Client, ClientSettings};
use crate::config::{Credentials, Target};
use crate::environment::Unset;
use crate::secret::{FingerprintKey, Sensitive};

/// The clients of targets, kept between reconciles as long as their credentials stay the same.
#[derive(Debug, Default)]
pub struct Clients {
    by_target: Mutex<BTreeMap<String, (String, Client)>>,
}

/// Why a target cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A credential has no value.
    #[error("the credentials of the target are not there: {0}")]
    Unset(#[from] Unset),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] api::ClientError),
}

/// A client, and the key that fingerprints are made under.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) key: FingerprintKey,
}

/// The client of a target, for whoever only reads.
///
/// # Errors
/// A credential has no value, or the client cannot be made.
pub fn client(engine: &Engine, target: &Target) -> Result<Client, ConnectError> {
    connect(engine, target).map(|connection| connection.client)
}

/// Resolves the credentials of a target and gives its client.
pub(super) fn connect(engine: &Engine, target: &Target) -> Result<Connection, ConnectError> {
    let environment = &engine.environment;
    let learn = |value: Sensitive| {
        engine.redactor.learn(value.expose());
        value
    };
    let (credentials, credential) = match &target.credentials {
        Credentials::Token(token) => {
            let token = learn(token.resolve(environment)?);
            (api::Credentials::Token(token.clone()), token)
        }
        Credentials::ClientCredentials { username, password } => {
            let username = username.resolve(environment)?;
            let password = learn(password.resolve(environment)?);
            let credential = password.clone();
            (api::Credentials::ClientCredentials { username, password }, credential)
        }
    };
    let key = match &engine.config.fingerprint_key {
        Some(text) => FingerprintKey::derive(&learn(text.resolve(environment)?)),
        None => FingerprintKey::derive(&credential),
    };
    // Not the key's own check value, which may be shared by two credentials.
    let print = FingerprintKey::derive(&credential).check_value();
    let mut clients = engine.clients.by_target.lock().unwrap_or_else(PoisonError::into_inner);
    let client = match clients.get(&target.name) {
        Some((known, client)) if *known == print => client.clone(),
        _ => {
            let client = Client::new(settings(target, credentials), engine.redactor.clone())?;
            clients.insert(target.name.clone(), (print, client.clone()));
            client
        }
    };
    Ok(Connection { client, key })
}

fn settings(target: &Target, credentials: api::Credentials) -> ClientSettings {
    ClientSettings {
        target: target.name.clone(),
        url: target.url.clone(),
        project: target.project.clone(),
        credentials,
        timeout: target.timeout,
        max_response: target.max_response,
        ca_file: target.ca_file.clone(),
        concurrency: target.concurrency,
        user_agent: concat!("apinizer-gitops/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}
