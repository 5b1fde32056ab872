//! The keys that requests are checked against.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;

use crate::config::SecretText;
use crate::environment::{Environment, Unset};
use crate::secret::Sensitive;

/// The secrets of a listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// For the calls that change something; they are off without it.
    pub token: Option<Key>,
    /// For webhooks; they are off without it.
    pub webhook: Option<Key>,
    /// The url whose pushes count; `None`: those of every repository.
    pub repository: Option<String>,
}

/// A secret that is looked up for every request, so that a mounted one can rotate.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    text: SecretText,
    environment: Arc<Environment>,
}

impl Key {
    /// Names a secret.
    ///
    /// # Errors
    /// It has no value now.
    pub(crate) fn new(text: SecretText, environment: &Environment) -> Result<Self, Unset> {
        text.resolve(environment)?;
        Ok(Self { text, environment: Arc::new(environment.clone()) })
    }

    /// The value that it has now; `None`: its file is gone or empty, and nothing is right.
    pub(super) fn value(&self) -> Option<Sensitive> {
        self.text.resolve(&self.environment).ok().filter(|value| !value.expose().is_empty())
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(super) fn is(&self, given: &str) -> bool {
        self.value().is_some_and(|value| value.is(given))
    }
}

/// Whether a request holds a bearer token.
pub(super) fn is_bearer(headers: &HeaderMap) -> bool {
    authorization(headers).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

/// The bearer token of a request, or the password of HTTP basic.
pub(super) fn credential(headers: &HeaderMap) -> Option<Sensitive> {
    let (scheme, value) = authorization(headers)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Sensitive::new(value.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(Sensitive::new(password.to_owned()))
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme, value.trim()))
}
