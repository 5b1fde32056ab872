//! One HTTP answer, as a success or as a failure: both dialects put one JSON object around it.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::envelope::{Envelope, Verdict, looks_like_html, parse};
use super::error::ErrorKind;
use super::failure::{Failure, WORDS_DECIDE};
use crate::profile::Dialect;

/// An answer over HTTP, whole or not.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) says_html: bool,
    pub(super) redirects_to: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Result<Bytes, Failure>,
}

impl Answer {
    /// The text of an answer that may be a success.
    pub(super) fn into_body(self) -> Result<Bytes, Failure> {
        if !self.status.is_success() {
            return Err(self.into_failure());
        }
        let status = self.status;
        let says_html = self.says_html;
        let body = self.body?;
        if says_html || looks_like_html(&body) {
            return Err(broken("the server answered with an HTML page (a proxy in between?)"));
        }
        if body.trim_ascii().is_empty() {
            return Err(broken(&format!("the server answered {status} with nothing in it")));
        }
        Ok(body)
    }

    /// The failure that a status other than 2xx means.
    pub(super) fn into_failure(self) -> Failure {
        let Self { status, says_html, redirects_to, retry_after, body } = self;
        if status.is_redirection() {
            let to = redirects_to.unwrap_or_else(|| "another address".to_owned());
            let message = format!(
                "the server answered {} and points to {to}; redirects are not followed: \
                 put the final address into the target's `url`",
                status.as_u16()
            );
            return Failure::new(ErrorKind::Refused, message);
        }
        let body = match body {
            Ok(body) => body,
            // Only the words could say what these statuses mean.
            Err(lost) if WORDS_DECIDE.contains(&status) => return lost,
            Err(_) => Bytes::new(),
        };
        Failure::of_status(status, says_html, &body, retry_after)
    }
}

/// The form of an answer, be it a success or a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// Whether the call was carried out.
    pub(crate) is_success: bool,
    /// The dialect that it is written in.
    pub(crate) dialect: Dialect,
}

/// Reads the form of an answer; one that decides nothing is a failure.
pub(super) fn reply(answer: Answer) -> Result<Reply, Failure> {
    let status = answer.status;
    let is_refusal = WORDS_DECIDE.contains(&status);
    let body = match &answer.body {
        Ok(body) if is_refusal || status.is_success() => body,
        _ => return Err(answer.into_failure()),
    };
    let Ok(envelope) = parse::<Envelope<IgnoredAny>>(body) else {
        return Err(if is_refusal {
            answer.into_failure()
        } else {
            broken("the answer is no JSON of the API")
        });
    };
    Ok(Reply {
        status: status.as_u16(),
        is_success: !is_refusal && matches!(envelope.verdict(), Verdict::Success),
        dialect: envelope.dialect(),
    })
}

/// Reads the text of an answer as a success of either dialect, with the list read as `L`.
pub(super) fn success<'b, L: Deserialize<'b>>(body: &'b [u8]) -> Result<Envelope<L>, Failure> {
    // A failure may carry a list of another shape; its words count, not its list.
    let envelope = match parse::<Envelope<L>>(body) {
        Ok(envelope) => envelope,
        Err(error) => {
            return Err(match parse::<Envelope<IgnoredAny>>(body) {
                Ok(said) if matches!(said.verdict(), Verdict::Failure) => {
                    Failure::inside_success(&said)
                }
                _ => unreadable(&error),
            });
        }
    };
    match envelope.verdict() {
        Verdict::Success => Ok(envelope),
        Verdict::Failure => Err(Failure::inside_success(&envelope)),
        Verdict::Unsaid => {
            Err(broken("the answer says neither `success` nor `status` as the API does"))
        }
    }
}

pub(super) fn broken(message: &str) -> Failure {
    Failure::new(ErrorKind::BrokenAnswer, message)
}

/// Says where an answer stops being one. What serde says quotes the answer, so it is not used.
pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    broken(&match error.classify() {
        serde_json::error::Category::Eof => {
            format!("the answer is cut short: its JSON ends at line {line}, column {column}")
        }
        serde_json::error::Category::Data => {
            format!("the answer is not of the API's form at line {line}, column {column}")
        }
        _ => format!("the answer is no JSON at line {line}, column {column}"),
    })
}
