//! Saying what went wrong below HTTP, and whether the request can have reached the server.
//!
//! reqwest says "error sending request" for all of it and keeps the reason in its chain of
//! sources. It also puts the URL into its text, so only the innermost sources are repeated.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::error::ErrorKind;
use super::failure::Failure;
use super::proxy::Proxy;

/// The way to a server, for the texts that say where it ends.
pub(super) struct Route {
    /// Host and port of the server.
    pub(super) host: String,
    /// Whether the server is called without TLS.
    pub(super) is_plain: bool,
    pub(super) proxy: Option<Proxy>,
    /// The deadline of one call.
    pub(super) timeout: Duration,
}

impl Route {
    /// Describes an exchange that ended without an answer, or inside one.
    pub(super) fn describe(&self, error: &reqwest::Error) -> Failure {
        let host = &self.host;
        if error.is_builder() {
            return Failure::new(ErrorKind::Refused, "the request could not be made");
        }
        let cause = Cause::of(error);
        // Only what failed while connecting is sure not to have been read by the server.
        if error.is_connect() || error.is_dns() {
            return self.connecting(error, &cause);
        }
        if error.is_timeout() {
            let message = format!("{host} did not answer within {:?}", self.timeout);
            return Failure::new(ErrorKind::AnswerLost, message);
        }
        if error.is_decode() && cause.io != Some(io::ErrorKind::ConnectionReset) {
            return Failure::new(
                ErrorKind::BrokenAnswer,
                format!("the answer is damaged or cut short: {}", cause.text),
            );
        }
        let broke =
            format!("the connection to {host} broke before the answer was whole: {}", cause.text);
        // Once an answer has started, the server is known to speak HTTP.
        if !self.is_plain || !error.is_request() {
            return Failure::new(ErrorKind::AnswerLost, broke);
        }
        let message = match cause.text.contains("invalid HTTP version") {
            true => format!("{host} does not answer in HTTP: should its URL be https?"),
            false => format!("{broke}; if that port speaks TLS, its URL begins with https"),
        };
        Failure::new(ErrorKind::NotHttp, message)
    }

    fn connecting(&self, error: &reqwest::Error, cause: &Cause) -> Failure {
        // The proxy of a plain server is all that is connected to; that of another opens a tunnel.
        let through = self.proxy.as_ref().map(Proxy::shown);
        let proxy_failed = self.is_plain || cause.tunnel.as_deref() == Some(NOT_CONNECTED);
        let (kind, message) = match (through, &cause.tunnel) {
            (Some(proxy), _) if proxy_failed => {
                reaching(error, cause, &format!("the proxy {proxy}"))
            }
            (Some(proxy), Some(why)) => tunnelling(why, proxy, &self.host),
            _ => reaching(error, cause, &self.host),
        };
        Failure::new(kind, message)
    }

    /// The failure of a call whose proxy asks for a password.
    pub(super) fn proxy_refused(&self) -> Failure {
        let proxy = self.proxy.as_ref().map_or("in between", Proxy::shown);
        let (kind, message) = tunnelling(REFUSED, proxy, &self.host);
        Failure::new(kind, message)
    }
}

/// The reason of a failure below HTTP in a few words, without the URL, which may be secret.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let cause = Cause::of(error);
    match cause.io {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        _ => cause.text,
    }
}

// The words of hyper-util about a tunnel, behind `tunnel error: `.
const NOT_CONNECTED: &str = "failed to create underlying connection";
const REFUSED: &str = "proxy authorization required";

/// The facts that the chain of sources tells.
#[derive(Default)]
struct Cause {
    text: String,
    io: Option<io::ErrorKind>,
    tls: Option<rustls::Error>,
    tunnel: Option<String>,
}

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let mut cause = Self { text: "no reason given".to_owned(), ..Self::default() };
        let mut source = error.source();
        while let Some(inner) = source {
            // A reqwest error inside another repeats the URL.
            if !inner.is::<reqwest::Error>() {
                cause.text = inner.to_string();
            }
            if let Some(why) = cause.text.strip_prefix("tunnel error: ") {
                cause.tunnel = Some(why.to_owned());
            }
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                cause.io = Some(io.kind());
            }
            if let Some(tls) = tls_error(inner) {
                cause.tls = Some(tls.clone());
            }
            source = inner.source();
        }
        cause
    }
}

/// The TLS error that an I/O error holds: its chain of sources leaves that one out.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    tls_error(error.downcast_ref::<io::Error>()?.get_ref()?)
}

/// Why a proxy did not open a connection to a server.
fn tunnelling(why: &str, proxy: &str, host: &str) -> (ErrorKind, String) {
    if why == REFUSED {
        let message = format!(
            "the proxy {proxy} asks for a user name and password (407): the URL of the proxy holds \
             none, or others than it takes"
        );
        return (ErrorKind::ProxyRefused, message);
    }
    let why = match why {
        "unsuccessful" => "it may not know the host, or not allow it",
        other => other,
    };
    (ErrorKind::NoServer, format!("the proxy {proxy} opens no connection to {host}: {why}"))
}

/// Why a server, or a proxy on the way to it, is not reached.
fn reaching(error: &reqwest::Error, cause: &Cause, whom: &str) -> (ErrorKind, String) {
    let text = &cause.text;
    if error.is_dns() {
        return (ErrorKind::NoServer, format!("DNS lookup of {whom} failed: {text}"));
    }
    let no_tls = || format!("{whom} does not speak TLS: http, not https?");
    match &cause.tls {
        Some(rustls::Error::InvalidCertificate(why)) => {
            return (ErrorKind::Untrusted, format!("TLS: {}", untrusted(why, whom)));
        }
        Some(rustls::Error::InvalidMessage(_)) => return (ErrorKind::NoServer, no_tls()),
        _ => {}
    }
    if text.contains("tls handshake eof") {
        return (ErrorKind::NoServer, no_tls());
    }
    if cause.io == Some(io::ErrorKind::ConnectionRefused) {
        return (ErrorKind::NoServer, format!("connection refused by {whom}"));
    }
    if error.is_timeout() {
        return (ErrorKind::Unreachable, format!("connecting to {whom} timed out"));
    }
    (ErrorKind::Unreachable, format!("cannot connect to {whom}: {text}"))
}

/// The advice for a certificate that is not trusted.
fn untrusted(why: &CertificateError, whom: &str) -> String {
    let is_self_signed = || format!("{why:?}").contains("CaUsedAsEndEntity");
    match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is not for {whom}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {whom} has expired")
        }
        why if *why == CertificateError::UnknownIssuer || is_self_signed() => format!(
            "the certificate of {whom} is self-signed or of an unknown authority: to trust it, \
             name a PEM file with that authority's certificate, or with the server's own, as the \
             target's `ca_file`"
        ),
        why => format!("the certificate of {whom} is not trusted: {why}"),
    }
}
