//! The settings of a client for its target: its addresses, and the HTTP client that is made from them
//! with its TLS, trust and deadlines. Targets share HTTP clients, and the slots at one host.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::sync::Semaphore;

use super::route::Proxy;
use super::token::ResolvedCredentials;

/// The characters that RFC 3986 allows in a path segment; all others are encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The addresses of one target.
#[derive(Clone)]
pub(super) struct Addresses {
    project: String,
    token: Url,
    host: String,
}

// Why no address can be made of a URL that the config has checked; the texts never repeat it.

const NOT_HTTP: &str = "the target's `url` is not an absolute http or https URL";

/// Of a project or connection whose name a URL would swallow.
const SWALLOWED: &str = "a name that is empty, `.` or `..` has no address in the API";

impl Addresses {
    pub(super) fn new(url: &str, project: &str) -> Result<Self, &'static str> {
        let base = parse(url)?;
        let host = base.host_str().ok_or(NOT_HTTP)?;
        let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let root = base.as_str().trim_end_matches('/');
        let project = segment(project)?;
        Ok(Self {
            project: format!("{root}/apiops/projects/{project}"),
            token: parse(&format!("{root}/apiops/auth/token"))?,
            host,
        })
    }

    /// The list of one type.
    pub(super) fn list(&self, type_name: &str) -> Result<Url, &'static str> {
        let type_name = utf8_percent_encode(type_name, SEGMENT);
        parse(&format!("{}/connections/?type={type_name}", self.project))
    }

    /// One connection; the trailing slash is part of the path.
    pub(super) fn connection(&self, name: &str) -> Result<Url, &'static str> {
        parse(&format!("{}/connections/{}/", self.project, segment(name)?))
    }

    /// The environment variables of the project.
    pub(super) fn variables(&self) -> Result<Url, &'static str> {
        parse(&format!("{}/environmentVariables/", self.project))
    }

    /// Where tokens come from.
    pub(super) fn token(&self) -> &Url {
        &self.token
    }

    /// Host and port, to be shown.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether calls go out in the clear.
    pub(super) fn is_plain(&self) -> bool {
        self.token.scheme() == "http"
    }
}

fn segment(name: &str) -> Result<String, &'static str> {
    if matches!(name, "" | "." | "..") {
        return Err(SWALLOWED);
    }
    Ok(utf8_percent_encode(name, SEGMENT).to_string())
}

fn parse(url: &str) -> Result<Url, &'static str> {
    Url::parse(url).map_err(|_| NOT_HTTP)
}

/// The `User-Agent` of all calls.
pub(crate) const USER_AGENT: &str = concat!("apinizer-gitops/", env!("CARGO_PKG_VERSION"));

/// Idle connections are closed before servers and load balancers commonly do it, so that a write
/// is seldom sent on one that is being closed.
const IDLE: Duration = Duration::from_secs(20);
/// The longest time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// The settings of a client for its target.
#[derive(Clone)]
pub(crate) struct ClientSettings {
    /// The target's name, for metrics and logs.
    pub target: String,
    /// The Manager's URL; it may have a path.
    pub url: String,
    /// The project, case-sensitive.
    pub project: String,
    /// Who calls.
    pub credentials: ResolvedCredentials,
    /// The deadline of one call.
    pub timeout: Duration,
    /// The largest answer in bytes, unpacked.
    pub max_response: u64,
    /// Certificates to trust beside those of the system: authorities, or the server's own.
    pub ca_file: Option<PathBuf>,
    /// The proxy that leads to the target.
    pub proxy: Option<Proxy>,
    /// How many calls may be under way at once.
    pub concurrency: usize,
}

/// Why there is no client; no text repeats a credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The URL or the project cannot be called.
    #[error("{0}")]
    Address(&'static str),
    /// `ca_file` cannot be used.
    #[error("the target's `ca_file` {path} {problem}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: String,
    },
    /// The token has characters that no header takes.
    #[error("the target's token holds characters that no HTTP header can carry (a line break?)")]
    Token,
    /// The TLS side cannot be set up.
    #[error("no HTTP client can be made: {0} (are the system's CA certificates installed?)")]
    Setup(String),
}

/// Makes the HTTP client of one target.
pub(super) fn http_client(
    settings: &ClientSettings,
    is_plain: bool,
) -> Result<reqwest::Client, ClientError> {
    let setup = |error: reqwest::Error| {
        let cause =
            std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        ClientError::Setup(cause)
    };
    let proxy = settings.proxy.as_ref().map(|proxy| reqwest::Proxy::all(proxy.url().clone()));
    let proxy = proxy.transpose().map_err(setup)?;
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(CONNECT))
            .pool_idle_timeout(IDLE)
            // A redirect could carry the token elsewhere, and turns a PUT into a GET.
            .redirect(reqwest::redirect::Policy::none())
            // The policy of retries decides here, where it is known what a call does.
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        match &proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        }
    };
    if let Some(path) = &settings.ca_file {
        return builder().tls_backend_preconfigured(tls(path)?).build().map_err(setup);
    }
    match builder().build() {
        // A machine without any CA certificates can still call an address without TLS.
        Err(_) if is_plain => builder().tls_certs_only([]).build(),
        built => built,
    }
    .map_err(setup)
}

/// The TLS side where a `ca_file` is named.
fn tls(path: &Path) -> Result<ClientConfig, ClientError> {
    let unusable = |problem: String| ClientError::CaFile { path: path.to_owned(), problem };
    let pem = std::fs::read(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates
        .map_err(|_| unusable("holds data that is not a certificate in PEM form".to_owned()))?;
    if certificates.is_empty() {
        return Err(unusable("holds no certificate in PEM form".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let authorities = Verifier::new_with_extra_roots(certificates.clone(), Arc::clone(&provider))
        .map_err(|error| {
        unusable(format!("holds a certificate that cannot be used: {error}"))
    })?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trust { certificates, authorities }))
        .with_no_client_auth();
    // All that the client speaks: a server that is offered more may choose it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Trusts the authorities of the system and of `ca_file`, and a server that shows the very
/// certificate that is in `ca_file`: a self-signed one is no authority's.
#[derive(Debug)]
struct Trust {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Verifier,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.certificates.contains(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    // That the server has the key of its certificate is proven here in either case.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// The HTTP clients by what they are made from, and the hosts by host and port.
#[derive(Default)]
pub(crate) struct SharedClients {
    http: Mutex<HashMap<Way, reqwest::Client>>,
    hosts: Mutex<HashMap<String, HostSlots>>,
}

/// The settings that an HTTP client is made from.
#[derive(PartialEq, Eq, Hash)]
struct Way {
    is_plain: bool,
    timeout: Duration,
    ca_file: Option<PathBuf>,
    /// The URL of the proxy, which may hold a password.
    proxy: Option<String>,
}

/// The slots for calls to one host.
struct HostSlots {
    slots: Arc<Semaphore>,
    count: usize,
}

impl SharedClients {
    /// The HTTP client of a target, whose certificates are read the first time.
    pub(super) fn http(
        &self,
        settings: &ClientSettings,
        is_plain: bool,
    ) -> Result<reqwest::Client, ClientError> {
        let way = Way {
            is_plain,
            timeout: settings.timeout,
            ca_file: settings.ca_file.clone(),
            proxy: settings.proxy.as_ref().map(|proxy| proxy.url().to_string()),
        };
        let mut known = self.http.lock();
        if let Some(http) = known.get(&way) {
            return Ok(http.clone());
        }
        let http = http_client(settings, is_plain)?;
        known.insert(way, http.clone());
        Ok(http)
    }

    /// The slots of a host, at least so many as a target of it may take.
    pub(super) fn slots(&self, host: &str, count: usize) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock();
        let none = || HostSlots { slots: Arc::new(Semaphore::new(0)), count: 0 };
        let known = hosts.entry(host.to_owned()).or_insert_with(none);
        if count > known.count {
            known.slots.add_permits(count - known.count);
            known.count = count;
        }
        Arc::clone(&known.slots)
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_encoded_and_the_prefix_is_kept() {
        let addresses = Addresses::new("https://h:8443/manager/", "My Project").unwrap();
        assert_eq!(addresses.host(), "h:8443");
        assert_eq!(
            addresses.connection("ä %?#;+.").unwrap().as_str(),
            "https://h:8443/manager/apiops/projects/My%20Project/connections/%C3%A4%20%25%3F%23%3B%2B./"
        );
        assert_eq!(
            addresses.list("linux-script").unwrap().as_str(),
            "https://h:8443/manager/apiops/projects/My%20Project/connections/?type=linux-script"
        );
        assert_eq!(addresses.token().as_str(), "https://h:8443/manager/apiops/auth/token");
    }

    #[test]
    fn a_name_without_an_address_is_refused_without_an_echo() {
        assert_eq!(Addresses::new("h:8443", "p").err(), Some(NOT_HTTP));
        assert_eq!(Addresses::new("https://h", "..").err(), Some(SWALLOWED));
        let addresses = Addresses::new("https://h", "p").unwrap();
        for name in ["", ".", ".."] {
            assert_eq!(addresses.connection(name), Err(SWALLOWED));
        }
    }

    proptest! {
        #[test]
        fn every_name_stays_one_segment(name in "\\PC{1,20}") {
            prop_assume!(!matches!(&*name, "." | ".."));
            let addresses = Addresses::new("http://h", "p").unwrap();
            let url = addresses.connection(&name).unwrap();
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 6);
            prop_assert_eq!(percent_decode_str(segments[4]).decode_utf8().unwrap(), name);
        }
    }
}
