//! The HTTP client below: TLS, trust, deadlines, and what reqwest must not do by itself.

use std::path::Path;
use std::time::Duration;

use reqwest::Certificate;

use super::settings::{ClientError, ClientSettings};

/// Idle connections are closed before servers and load balancers commonly do it, so that a write
/// is seldom sent on one that is being closed.
const IDLE: Duration = Duration::from_secs(20);
/// The longest time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Makes the HTTP client of one target; proxies are those of the environment.
pub(super) fn http_client(
    settings: &ClientSettings,
    is_plain: bool,
) -> Result<reqwest::Client, ClientError> {
    let builder = || {
        reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(CONNECT))
            .pool_idle_timeout(IDLE)
            // A redirect could carry the token elsewhere, and turns a PUT into a GET.
            .redirect(reqwest::redirect::Policy::none())
            // What is sent again is decided here, where it is known what a call does.
            .retry(reqwest::retry::never())
            .referer(false)
    };
    let authorities = match &settings.ca_file {
        Some(path) => read_authorities(path)?,
        None => Vec::new(),
    };
    let built = builder().tls_certs_merge(authorities.clone()).build();
    let built = match built {
        // A machine without any CA certificates can still call an address without TLS.
        Err(_) if is_plain => builder().tls_certs_only(authorities).build(),
        built => built,
    };
    built.map_err(|error| {
        let cause =
            std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        ClientError::Setup(cause)
    })
}

fn read_authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let unusable = |problem: String| ClientError::CaFile { path: path.to_owned(), problem };
    let pem = std::fs::read(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|_| unusable("holds something that is no certificate in PEM form".to_owned()))?;
    if certificates.is_empty() {
        return Err(unusable("holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}
