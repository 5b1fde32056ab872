//! The settings of a client for its target, and the HTTP client that is made from them: TLS, trust,
//! deadlines, and what reqwest must not do by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::address::AddressError;
use super::proxy::Proxy;
use super::token::Credentials;

/// Idle connections are closed before servers and load balancers commonly do it, so that a write
/// is seldom sent on one that is being closed.
const IDLE: Duration = Duration::from_secs(20);
/// The longest time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// The settings of a client for its target.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    /// The target's name, for metrics and logs.
    pub target: String,
    /// The Manager's URL; it may have a path.
    pub url: String,
    /// The project, case-sensitive.
    pub project: String,
    /// Who calls.
    pub credentials: Credentials,
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
    /// The client's `User-Agent`.
    pub user_agent: String,
}

/// Why there is no client; no text repeats a credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The URL or the project cannot be called.
    #[error(transparent)]
    Address(#[from] AddressError),
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
            .user_agent(&settings.user_agent)
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
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
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
