//! Who may call: bearer tokens that were given, and those that were asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::time::Instant;

use super::answer::Answer;
use super::dialect::Refusal;
use super::options::{Client, Options};
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
    pub(super) fn check(&self, options: &Options, header: Option<&str>) -> Result<(), Refusal> {
        let token = header.and_then(bearer).ok_or(Refusal::NoToken)?;
        if options.tokens.iter().any(|known| known.is(token)) {
            return Ok(());
        }
        let now = Instant::now();
        match self.lock().iter().find(|issued| issued.token.is(token)) {
            Some(issued) if issued.until > now => Ok(()),
            Some(_) => Err(Refusal::ExpiredToken),
            None if options.tokens.is_empty() && options.client.is_none() => Ok(()),
            None => Err(Refusal::BadToken),
        }
    }

    /// Answers a form that asks for a token.
    pub(super) fn issue(&self, options: &Options, form: &[u8]) -> Result<Answer, Refusal> {
        let Form { grant_type, client_id, client_secret } = Form::read(form);
        if grant_type.as_deref() != Some("client_credentials") {
            return Err(Refusal::BadGrant);
        }
        let (Some(id), Some(secret)) = (client_id, client_secret) else {
            return Err(Refusal::BadClient);
        };
        if let Some(client) = &options.client
            && !client.is(&id, &secret)
        {
            return Err(Refusal::BadClient);
        }
        let token = format!("sandbox-{:032x}", fastrand::u128(..));
        let until = Instant::now() + options.token_ttl;
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
                "expires_in": options.token_ttl.as_secs(),
            }),
        ))
    }

    /// Lets every issued token expire now.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        for issued in self.lock().iter_mut() {
            issued.until = now.checked_sub(Duration::from_nanos(1)).unwrap_or(now);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    fn is(&self, id: &str, secret: &Sensitive) -> bool {
        self.id == id && self.secret.is(secret.expose())
    }
}

/// A token request.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Sensitive>,
}

impl Form {
    fn read(bytes: &[u8]) -> Self {
        let mut form = Self::default();
        let text = String::from_utf8_lossy(bytes);
        for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = value.replace('+', " ");
            let Ok(value) = percent_decode_str(&value).decode_utf8() else { continue };
            let value = value.into_owned();
            match key {
                "grant_type" => form.grant_type = Some(value),
                "client_id" => form.client_id = Some(value),
                "client_secret" => form.client_secret = Some(Sensitive::new(value)),
                _ => {}
            }
        }
        form
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
