//! The way to a server: the proxy that leads to it, and what goes wrong on it below HTTP.
//!
//! Which proxy that is, variables tell that curl, git and others read too. The choice is made here and
//! not by reqwest, which ignores a proxy URL that it cannot read, sends loopback targets through a
//! proxy, and takes `NO_PROXY=*` for names only.
//!
//! Of failures reqwest says "error sending request" and keeps the reason in its chain of sources. It
//! also puts the URL into its text, so only the innermost sources are repeated.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use rustls::CertificateError;
use url::Host;

use super::answer::Failure;
use super::error::ErrorKind;
use crate::environment::Environment;
use crate::host::is_this_machine;
use crate::secret::Sensitive;

/// The proxy of one target. Its URL may hold a password, so it is never shown whole.
#[derive(Clone)]
pub(crate) struct Proxy {
    url: Url,
    shown: String,
}

impl Proxy {
    /// Chooses the proxy for the calls to a URL; `None` where they go straight to the target, as
    /// they always do on loopback.
    ///
    /// # Errors
    /// The variable that counts for the URL does not hold the URL of an HTTP proxy; the text never repeats
    /// it, since it may hold a password.
    pub(crate) fn for_url(url: &str, environment: &Environment) -> Result<Option<Self>, String> {
        // An address that cannot be read is told of by those who call it.
        let Ok(url) = Url::parse(url) else { return Ok(None) };
        let Some(host) = url.host() else { return Ok(None) };
        let port = url.port_or_known_default().unwrap_or_default();
        let variables = match url.scheme() {
            "https" => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
            _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
        };
        let mut set = variables.iter().filter_map(|name| Some((*name, environment.plain(name)?)));
        let Some((variable, text)) = set.next() else { return Ok(None) };
        let exempt = environment.plain("NO_PROXY").or_else(|| environment.plain("no_proxy"));
        if is_this_machine(&host) || exempt.is_some_and(|list| is_exempt(list, &host, port)) {
            return Ok(None);
        }
        Self::parse(text).map(Some).map_err(|problem| format!("the variable {variable} {problem}"))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&url).map_err(|_| "holds no URL of a proxy")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("names a proxy that is neither http nor https; no other kind is supported");
        }
        let host = url.host_str().ok_or("holds no URL of a proxy")?;
        let port = url.port_or_known_default().unwrap_or_default();
        let shown = format!("{host}:{port}");
        Ok(Self { url, shown })
    }

    /// Its URL, with the password.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Host and port.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The password in the URL.
    pub(super) fn password(&self) -> Option<Sensitive> {
        let password = percent_decode_str(self.url.password()?).decode_utf8_lossy();
        Some(Sensitive::new(password.into_owned()))
    }
}

/// Whether `NO_PROXY` lists a host: `*`, addresses, networks, names with all that is below them,
/// each with a port or without.
fn is_exempt(list: &str, host: &Host<&str>, port: u16) -> bool {
    let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| {
        let (entry, of_port) = match entry.rsplit_once(':') {
            // A colon before the last one makes it an address.
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, port.parse::<u16>().ok())
            }
            _ => (entry, None),
        };
        let is_listed = match host {
            _ if entry == "*" => true,
            Host::Domain(name) => is_below(name, entry),
            Host::Ipv4(address) => is_in_network((*address).into(), entry),
            Host::Ipv6(address) => is_in_network((*address).into(), entry),
        };
        is_listed && of_port.is_none_or(|listed| listed == port)
    })
}

fn is_below(name: &str, domain: &str) -> bool {
    let domain = domain.trim_start_matches('*').trim_matches('.').to_lowercase();
    let name = name.trim_end_matches('.').to_lowercase();
    let above = name.strip_suffix(&domain);
    !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn is_in_network(address: IpAddr, entry: &str) -> bool {
    let (network, prefix) = match entry.split_once('/') {
        Some((network, prefix)) => (network, prefix.parse().ok()),
        None => (entry, Some(u32::MAX)),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']').parse();
    let (Ok(network), Some(prefix)) = (network, prefix) else { return false };
    let (width, difference) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (32, u128::from(address.to_bits() ^ network.to_bits()))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (128, address.to_bits() ^ network.to_bits()),
        _ => return false,
    };
    let beyond = width - prefix.min(width);
    difference.checked_shr(beyond).unwrap_or_default() == 0
}

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
        let cause = FailureChain::of(error);
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

    fn connecting(&self, error: &reqwest::Error, cause: &FailureChain) -> Failure {
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
    let cause = FailureChain::of(error);
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
struct FailureChain {
    text: String,
    io: Option<io::ErrorKind>,
    tls: Option<rustls::Error>,
    tunnel: Option<String>,
}

impl FailureChain {
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
fn reaching(error: &reqwest::Error, cause: &FailureChain, whom: &str) -> (ErrorKind, String) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let proxy = Proxy::for_url(url, &Environment::new(variables))?;
        Ok(proxy.map(|proxy| proxy.shown().to_owned()))
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let set =
            [("HTTP_PROXY", "plain:1"), ("https_proxy", "http://tls:2/"), ("ALL_PROXY", "a:3")];
        assert_eq!(chosen("http://h.example", &set).unwrap().as_deref(), Some("plain:1"));
        assert_eq!(chosen("https://h.example", &set).unwrap().as_deref(), Some("tls:2"));
        assert_eq!(chosen("https://h.example", &set[2..]).unwrap().as_deref(), Some("a:3"));
        assert_eq!(chosen("https://h.example", &[("HTTPS_PROXY", "")]), Ok(None));
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        let set = [("HTTP_PROXY", "http://p:1")];
        for host in [
            "localhost:80",
            "a.localhost",
            "LOCALHOST.localdomain.",
            "ip6-localhost",
            "127.0.0.1",
            "127.9.9.9:8080",
            "0.0.0.0:8080",
            "[::1]:1",
            "[::]:1",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(chosen(&format!("http://{host}"), &set), Ok(None), "{host}");
        }
        assert!(chosen("http://localhost.example", &set).unwrap().is_some());
    }

    #[test]
    fn no_proxy_lists_names_addresses_and_networks() {
        for (list, host, is_direct) in [
            ("*", "10.0.0.1", true),
            ("*", "h.example", true),
            ("a.example, h.example", "h.example", true),
            ("example", "h.example", true),
            (".example", "h.example", true),
            ("*.example", "h.example", true),
            ("ample", "h.example", false),
            ("h.example:443", "h.example", true),
            ("h.example:80", "h.example", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/x", "10.0.0.1", false),
            ("0.0.0.0/0", "11.0.0.1", true),
            ("fd00::/8", "[fd00::1]", true),
            ("[fd00::1]:443", "[fd00::1]", true),
            ("fd00::1", "[fd00::2]", false),
            ("", "h.example", false),
        ] {
            let set = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)];
            let proxy = chosen(&format!("https://{host}"), &set).unwrap();
            assert_eq!(proxy.is_none(), is_direct, "{list} {host}");
        }
    }

    #[test]
    fn an_unreadable_url_is_an_error_that_does_not_repeat_it() {
        for text in ["http://u:pass word@", "socks5://u:pass@p:1", "http://", "u:pass@p:x"] {
            let error = chosen("https://h.example", &[("HTTPS_PROXY", text)]).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("HTTPS_PROXY") && !text.contains("pass"), "{text}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        let environment =
            Environment::new([("HTTPS_PROXY".to_owned(), "http://u:p%40ss@p".to_owned())]);
        let proxy = Proxy::for_url("https://h.example", &environment).unwrap().unwrap();
        assert_eq!(proxy.password().unwrap().expose(), "p@ss");
        assert_eq!(proxy.shown(), "p:80");
    }
}
