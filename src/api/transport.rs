//! Saying what went wrong below HTTP, and whether the request can have reached the server.
//!
//! reqwest says "error sending request" for all of it and keeps the reason in its chain of
//! sources. It also puts the URL into its text, so only the innermost sources are repeated.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use super::error::ErrorKind;
use super::failure::Failure;

/// Describes an exchange that ended without an answer, or inside one.
pub(super) fn describe(error: &reqwest::Error, host: &str, timeout: Duration) -> Failure {
    let cause = Cause::of(error);
    if error.is_builder() {
        return Failure::new(ErrorKind::Refused, "the request could not be made");
    }
    // Only what failed while connecting is sure not to have been read by the server.
    if error.is_connect() || error.is_dns() {
        let (kind, message) = cause.of_connecting(error, host);
        return Failure::new(kind, message);
    }
    if error.is_timeout() {
        return Failure::new(ErrorKind::AnswerLost, format!("timed out after {timeout:?}"));
    }
    if error.is_decode() && cause.io != Some(io::ErrorKind::ConnectionReset) {
        return Failure::new(
            ErrorKind::BrokenAnswer,
            format!("the answer is damaged or cut short: {}", cause.text),
        );
    }
    Failure::new(
        ErrorKind::AnswerLost,
        format!("the connection to {host} broke before the answer was whole: {}", cause.text),
    )
}

/// What the chain of sources says.
struct Cause {
    text: String,
    io: Option<io::ErrorKind>,
}

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let mut cause = Self { text: "no reason given".to_owned(), io: None };
        let mut source = error.source();
        while let Some(inner) = source {
            // A reqwest error inside another repeats the URL.
            if !inner.is::<reqwest::Error>() {
                cause.text = inner.to_string();
            }
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                cause.io = Some(io.kind());
            }
            source = inner.source();
        }
        cause
    }

    fn of_connecting(&self, error: &reqwest::Error, host: &str) -> (ErrorKind, String) {
        let text = &self.text;
        if error.is_dns() {
            return (ErrorKind::Unreachable, format!("DNS lookup of {host} failed: {text}"));
        }
        if let Some(why) = text.split_once("invalid peer certificate: ").map(|(_, why)| why) {
            return (ErrorKind::Untrusted, format!("TLS: {}", untrusted(why, host)));
        }
        if self.io == Some(io::ErrorKind::ConnectionRefused) {
            return (ErrorKind::Unreachable, format!("connection refused by {host}"));
        }
        if error.is_timeout() {
            return (ErrorKind::Unreachable, format!("connecting to {host} timed out"));
        }
        if text.contains("InvalidContentType") {
            return (
                ErrorKind::Unreachable,
                format!("{host} does not speak TLS: http, not https?"),
            );
        }
        (ErrorKind::Unreachable, format!("cannot connect to {host}: {text}"))
    }
}

/// What a certificate that is not trusted calls for.
fn untrusted(why: &str, host: &str) -> String {
    if why.starts_with("UnknownIssuer") {
        return format!("unknown certificate authority of {host} (see the target's `ca_file`)");
    }
    if why.starts_with("NotValidForName") || why.contains("not valid for name") {
        return format!("the certificate is not for {host}");
    }
    if why.starts_with("Expired") || why.contains("certificate expired") {
        return format!("the certificate of {host} has expired");
    }
    if why.contains("CaUsedAsEndEntity") {
        return format!(
            "the certificate of {host} is that of an authority: sign one for it instead"
        );
    }
    format!("the certificate of {host} is not trusted: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrusted_certificate_says_what_to_do() {
        assert_eq!(
            untrusted("UnknownIssuer", "h"),
            "unknown certificate authority of h (see the target's `ca_file`)"
        );
        assert!(untrusted("certificate not valid for name \"h\"; x", "h").contains("not for h"));
        assert!(untrusted("Expired", "h").contains("expired"));
        assert!(untrusted("Other(OtherError(CaUsedAsEndEntity))", "h").contains("of an authority"));
        assert!(untrusted("BadSignature", "h").contains("BadSignature"));
    }
}
