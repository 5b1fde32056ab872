//! The JSON object that both dialects put around their answers.

use serde::Deserialize;
use serde_json::Value;

use crate::profile::Dialect;

/// The outermost object of an answer. New fields may appear in it, and those that only say
/// something to people may hold anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<L> {
    success: Option<Value>,
    status: Option<Value>,
    pub(super) result_list: Option<L>,
    pub(super) result_count: Option<Value>,
    pub(super) deployment_result: Option<Value>,
    pub(super) result_message: Option<Value>,
    pub(super) message: Option<Value>,
    pub(super) error: Option<Value>,
    #[serde(rename = "error_description")]
    pub(super) error_description: Option<Value>,
    #[serde(rename = "validation_errors")]
    pub(super) validation_errors: Option<Value>,
    #[serde(rename = "retry_after")]
    pub(super) retry_after: Option<Value>,
}

/// Whether an answer says that it is one.
pub(super) enum Verdict {
    Success,
    Failure,
    Unsaid,
}

impl<L> Envelope<L> {
    /// The dialect: only current servers answer with a `status`.
    pub(super) fn dialect(&self) -> Dialect {
        if self.status.is_some() { Dialect::Current } else { Dialect::Older }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let success = match &self.success {
            Some(Value::Bool(success)) => Some(*success),
            _ => None,
        };
        let status = match &self.status {
            Some(Value::String(s)) if s.eq_ignore_ascii_case("success") => Some(true),
            Some(Value::String(s)) if s.eq_ignore_ascii_case("failure") => Some(false),
            _ => None,
        };
        match (success, status) {
            (Some(false), _) | (_, Some(false)) => Verdict::Failure,
            (Some(true), _) | (_, Some(true)) => Verdict::Success,
            (None, None) if self.error.as_ref().is_some_and(|e| !e.is_null()) => Verdict::Failure,
            (None, None) => Verdict::Unsaid,
        }
    }
}

/// Parses JSON; a byte order mark before it is no error.
pub(super) fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

pub(super) fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}
