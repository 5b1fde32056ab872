//! Who may call: bearer tokens that were given, and those that were asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use super::dialect::Answer;
use super::options::Access;
use super::refusal::Refusal;
use crate::secret::Sensitive;

/// How many issued tokens are remembered.
const REMEMBERED: usize = 1000;

/// The tokens that this server issued.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: Mutex<Vec<Issued>>,
}

#[derive(Debug)]
struct Issued {
    token: Sensitive,
    until: Instant,
}

impl Tokens {
    /// Checks the `Authorization` header of a call.
    pub(super) fn check(&self, access: &Access, header: Option<&str>) -> Result<(), Refusal> {
        let token = header.and_then(bearer).ok_or(Refusal::NoToken)?;
        if access.tokens.iter().any(|known| known.is(token)) {
            return Ok(());
        }
        let now = Instant::now();
        match self.lock().iter().find(|issued| issued.token.is(token)) {
            Some(issued) if issued.until > now => Ok(()),
            Some(_) => Err(Refusal::ExpiredToken),
            None if access.tokens.is_empty() && access.client.is_none() => Ok(()),
            None => Err(Refusal::BadToken),
        }
    }

    /// Answers a form that asks for a token.
    pub(super) fn issue(&self, access: &Access, form: &[u8]) -> Result<Answer, Refusal> {
        let fields: BTreeMap<_, _> = ::url::form_urlencoded::parse(form).collect();
        let field = |name: &str| fields.get(name).map(AsRef::as_ref);
        if field("grant_type") != Some("client_credentials") {
            return Err(Refusal::BadGrant);
        }
        let (Some(id), Some(secret)) = (field("client_id"), field("client_secret")) else {
            return Err(Refusal::BadClient);
        };
        if let Some(client) = &access.client
            && !(client.id == id && client.secret.is(secret))
        {
            return Err(Refusal::BadClient);
        }
        let token = format!("sandbox-{:032x}", fastrand::u128(..));
        let until = Instant::now() + access.token_ttl;
        let mut issued = self.lock();
        if issued.len() >= REMEMBERED {
            issued.remove(0);
        }
        issued.push(Issued { token: Sensitive::new(token.clone()), until });
        Ok(Answer::json(
            StatusCode::OK,
            &json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": access.token_ttl.as_secs(),
            }),
        ))
    }

    /// Lets every issued token expire now.
    pub(super) fn expire(&self) {
        self.lock().iter_mut().for_each(|issued| issued.until = Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
